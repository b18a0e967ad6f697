//===- LinalgToGPU.cpp - attn-linalg-to-gpu -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   linalg.generic {iterators = [parallel, parallel, reduction]} ins(%a, %b)
//       outs(%c)
//   ->
//   gpu.launch_func @attn_kernels::@f_linalg0 blocks in (ceil(M N / 256), 1, 1)
//       threads in (256, 1, 1) args(%M, %N, %K, %a, %b, %c)
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::attn {
#define GEN_PASS_DEF_LINALGTOGPUPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

constexpr int64_t kThreads = 256;

/// The body of `op` at one place of its loops, on the kernel's operands.
static void emitElement(Emit &e, linalg::GenericOp op, ValueRange place,
                        ValueRange operands, IRMapping &map) {
  auto indexBy = [&](AffineMap access) {
    SmallVector<Value> at;
    for (AffineExpr expr : access.getResults()) {
      auto one = AffineMap::get(access.getNumDims(), 0, expr);
      at.push_back(affine::AffineApplyOp::create(e, one, place));
    }
    return at;
  };
  SmallVector<AffineMap> accesses = op.getIndexingMapsArray();
  Block &body = op.getRegion().front();
  for (auto [argument, operand, access] :
       llvm::zip(body.getArguments(), operands, accesses)) {
    bool buffer = isa<MemRefType>(operand.getType());
    map.map(argument, buffer ? e.load(operand, indexBy(access)) : operand);
  }
  for (Operation &inner : body.without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      map.map(index.getResult(), place[index.getDim()]);
    } else {
      e.clone(inner, map);
    }
  }
  size_t inputs = op.getNumDpsInputs();
  for (auto [k, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    e.store(map.lookupOrDefault(value), operands[inputs + k],
            indexBy(accesses[inputs + k]));
  }
}

static void lower(linalg::GenericOp op, StringRef name) {
  Emit e(op.getLoc(), op);
  SmallVector<Value> extents;
  for (Range range : cast<linalg::LinalgOp>(op.getOperation())
                         .createLoopRanges(e, e.getLoc())) {
    extents.push_back(
        getValueOrCreateConstantIndexOp(e, e.getLoc(), range.size));
  }
  auto kinds = op.getIteratorTypesArray();
  Value total = e.index(1);
  for (auto [extent, kind] : llvm::zip(extents, kinds)) {
    if (kind == utils::IteratorType::parallel) {
      total = e.mul(total, extent);
    }
  }
  llvm::SetVector<Value> outside;
  getUsedValuesDefinedAbove(op.getRegion(), outside);
  SmallVector<Value> operands = extents;
  llvm::append_range(operands, op->getOperands());
  llvm::append_range(operands, outside);
  auto write = [&](Emit &k, Value number, ValueRange arguments) {
    ValueRange sizes = arguments.take_front(extents.size());
    ValueRange own = arguments.slice(extents.size(), op->getNumOperands());
    IRMapping map;
    map.map(outside.getArrayRef(), arguments.take_back(outside.size()));
    SmallVector<Value> place(sizes.size());
    for (size_t dim = sizes.size(); dim-- > 0;) {
      if (kinds[dim] == utils::IteratorType::parallel) {
        place[dim] = takeIndex(k, number, sizes[dim]);
      }
    }
    std::function<void(size_t)> reduce = [&](size_t dim) {
      while (dim < kinds.size() &&
             kinds[dim] == utils::IteratorType::parallel) {
        ++dim;
      }
      if (dim == kinds.size()) {
        return emitElement(k, op, place, own, map);
      }
      k.loop(k.index(0), sizes[dim], 1, [&](Value at) {
        place[dim] = at;
        reduce(dim + 1);
      });
    };
    reduce(0);
  };
  createThreadKernel(e, op->getParentOfType<ModuleOp>(), name, total, kThreads,
                     operands, write);
  op.erase();
}

namespace {
struct LinalgToGPUPass : attn::impl::LinalgToGPUPassBase<LinalgToGPUPass> {
  using Base::Base;
  void runOnOperation() override {
    for (auto function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      function.walk([](memref::CopyOp op) {
        OpBuilder builder(op);
        linalg::makeMemRefCopyOp(builder, op.getLoc(), op.getSource(),
                                 op.getTarget());
        op.erase();
      });
      SmallVector<linalg::GenericOp> ops;
      function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
      for (auto [k, op] : llvm::enumerate(ops)) {
        std::string name = (function.getName() + "_linalg" + Twine(k)).str();
        lower(op, name);
      }
    }
  }
};
} // namespace
