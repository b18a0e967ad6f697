//===- LinalgToCPU.cpp - attn-linalg-to-cpu -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What stands around attention in a model (projections, convolutions, pooling,
// norms, gates) must run on the same path without dominating it. Every
// linalg.generic on buffers becomes a kernel for the runtime's threads:
// LinalgPlan.h says what is kept in registers, LinalgKernel.h draws the nest.
// What has no form in 1-D vectors is left for plain loops.
//
//===----------------------------------------------------------------------===//

#include "LinalgKernel.h"
#include "Outline.h"
#include "attn/Target/CPU/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::attn {
#define GEN_PASS_DEF_LINALGTOCPUPASS
#include "attn/Target/CPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Fewer elements than this are not worth waking threads for.
static constexpr int64_t kSerialWork = 1 << 15;

static LogicalResult outlineLinalg(LinalgPlan &plan, StringRef name) {
  linalg::GenericOp op = plan.op;
  Emit e(op.getLoc(), op);
  SmallVector<OpFoldResult> sizes;
  Value work = e.index(1);
  for (Range range :
       cast<linalg::LinalgOp>(*op).createLoopRanges(e, op.getLoc())) {
    sizes.push_back(range.size);
    work = arith::MulIOp::create(
        e, work, getValueOrCreateConstantIndexOp(e, op.getLoc(), range.size));
  }
  LinalgKernel kernel(e, plan, sizes);
  Value items = kernel.countItems();

  // What the kernel gets: operands, extents that are not constants, captures.
  SetVector<Value> outside(op->operand_begin(), op->operand_end());
  for (OpFoldResult size : sizes) {
    if (auto value = dyn_cast<Value>(size);
        value && !getConstantIntValue(value)) {
      outside.insert(value);
    }
  }
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op.getRegion(), captured);
  outside.insert_range(captured);
  SmallVector<Operation *> constants;
  outside.remove_if([&](Value value) {
    Operation *def = value.getDefiningOp();
    bool constant = def && def->hasTrait<OpTrait::ConstantLike>();
    if (constant) {
      constants.push_back(def);
    }
    return constant;
  });
  Value serial = e.less(work, e.index(kSerialWork));
  LogicalResult result = outlineParallelLoop(
      e, name, outside.getArrayRef(), items, serial,
      [&](Emit &inside, Value begin, Value end, ValueRange arguments) {
        IRMapping values;
        values.map(outside.getArrayRef(), arguments);
        for (Operation *constant : constants) {
          values.map(constant->getResults(),
                     inside.clone(*constant)->getResults());
        }
        for (OpFoldResult &size : sizes) {
          if (std::optional<int64_t> known = getConstantIntValue(size)) {
            size = inside.getIndexAttr(*known);
          } else {
            size = values.lookup(cast<Value>(size));
          }
        }
        kernel.emit(begin, end, values, sizes);
        return success();
      });
  op.erase();
  return result;
}

namespace {
struct LinalgToCPUPass : attn::impl::LinalgToCPUPassBase<LinalgToCPUPass> {
  using Base::Base;

  void runOnOperation() override {
    std::string error;
    FailureOr<TargetInfo> target = TargetInfo::get(triple, cpu, error);
    if (failed(target)) {
      getOperation().emitError(error);
      return signalPassFailure();
    }
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions) {
      SmallVector<linalg::GenericOp> ops;
      function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
      for (auto [k, op] : llvm::enumerate(ops)) {
        std::string name = (function.getName() + "_linalg" + Twine(k)).str();
        std::optional<LinalgPlan> plan = planLinalg(op, *target);
        if (plan && failed(outlineLinalg(*plan, name))) {
          return signalPassFailure();
        }
      }
    }
  }
};
} // namespace
