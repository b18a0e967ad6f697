//===- OutlineParallel.cpp - attn-cpu-outline-parallel --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A parallel loop that no stream contains becomes a kernel of its own:
//
//   scf.parallel (%i) = (%a) to (%b) step (%s) { ... }
//   ->
//   call @attn_parallel_for(@f_parallel0, %args, ceil((%b - %a) / %s))
//
// Only outermost loops: the runtime runs a nested one in order anyway.
//
//===----------------------------------------------------------------------===//

#include "ParallelKernel.h"
#include "attn/Target/CPU/Passes.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::attn {
#define GEN_PASS_DEF_CPUOUTLINEPARALLELPASS
#include "attn/Target/CPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Whether everything that the loop uses can travel in a struct.
static bool isOutlinable(scf::ParallelOp op) {
  if (op.getNumLoops() != 1 || op.getNumResults() != 0) {
    return false;
  }
  LLVMTypeConverter converter(op.getContext());
  SetVector<Value> used;
  getUsedValuesDefinedAbove(op.getRegion(), used);
  return llvm::all_of(used, [&](Value value) {
    return static_cast<bool>(converter.convertType(value.getType()));
  });
}

static void outline(scf::ParallelOp op, func::FuncOp host, StringRef name) {
  Emit e(op.getLoc(), op);
  SetVector<Value> used;
  getUsedValuesDefinedAbove(op.getRegion(), used);
  SmallVector<Value> captured, constants;
  for (Value value : used) {
    bool isConstant = matchPattern(value, m_Constant());
    (isConstant ? constants : captured).push_back(value);
  }
  Value lower = op.getLowerBound().front(), step = op.getStep().front();
  Value length = e.max(e.sub(op.getUpperBound().front(), lower), e.index(0));
  Value items = arith::CeilDivUIOp::create(e, length, step);
  SmallVector<Value> operands = captured;
  operands.push_back(lower);
  operands.push_back(step);
  ParallelKernel kernel = createParallelKernel(e, host, name, operands, items);
  kernel.function->setAttr("passthrough", e.getStrArrayAttr({kVectorizeLoops}));

  e.setInsertionPoint(kernel.function.getBody().front().getTerminator());
  IRMapping map;
  map.map(captured, ArrayRef(kernel.operands).drop_back(2));
  for (Value constant : constants) {
    e.clone(*constant.getDefiningOp(), map);
  }
  Value first = kernel.operands[captured.size()];
  Value stride = kernel.operands[captured.size() + 1];
  e.loop(kernel.begin, kernel.end, 1, [&](Value item) {
    map.map(op.getInductionVars().front(), e.add(first, e.mul(item, stride)));
    for (Operation &inner : op.getBody()->without_terminator()) {
      e.clone(inner, map);
    }
  });
  op.erase();
}

namespace {
struct CPUOutlineParallelPass
    : attn::impl::CPUOutlineParallelPassBase<CPUOutlineParallelPass> {
  using Base::Base;

  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions) {
      SmallVector<scf::ParallelOp> loops;
      function.walk<WalkOrder::PreOrder>([&](scf::ParallelOp op) {
        if (isOutlinable(op)) {
          loops.push_back(op);
        }
        return WalkResult::skip();
      });
      for (auto [k, loop] : llvm::enumerate(loops)) {
        std::string name = (function.getName() + "_parallel" + Twine(k)).str();
        outline(loop, function, name);
      }
    }
  }
};
} // namespace
