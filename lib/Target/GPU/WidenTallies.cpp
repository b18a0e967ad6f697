//===- WidenTallies.cpp - attn-widen-tallies ------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %r = attn.stream rows(...) outs(%out : tensor<1x4x?x?xf32>) {
//     %t = attn.sweep { attn.bins sum %x in %bin rows %n -> !attn.tally<f32> }
//   ->
//   %w = attn.stream rows(...) outs(%wide : tensor<1x4x?x?xf64>) {
//     %t = attn.sweep { attn.bins sum %x64 in %bin rows %n -> !attn.tally<f64>
//     }
//   %r = linalg.generic { arith.truncf } ins(%w) outs(%out)
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Support/Emit.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::attn {
#define GEN_PASS_DEF_WIDENTALLIESPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// Whether entries of many rows are added to one number of less than 64 bits.
static bool isNarrow(BinsOp op) {
  return op.isTally() && op.getRowBlock() && op.getKind() == CarryKind::Sum &&
         isa<FloatType>(op.getElementType()) &&
         op.getElementType().getIntOrFloatBitWidth() < 64;
}

/// Output `k` is one of f64, of which `stream` had a narrower one.
static void widenOutput(Emit &e, StreamOp stream, unsigned k) {
  Value narrow = stream.getOutputs()[k];
  auto type = cast<RankedTensorType>(narrow.getType());
  Type f64 = e.getF64Type();
  e.setInsertionPoint(stream);
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(e, e.getLoc(), narrow);
  Value wide = tensor::EmptyOp::create(e, sizes, f64);
  stream.getOutputsMutable()[k].set(wide);
  Value result = stream.getResult(k);
  result.setType(wide.getType());
  e.setInsertionPointAfter(stream);
  AffineMap map = e.getMultiDimIdentityMap(type.getRank());
  auto cast = linalg::GenericOp::create(
      e, type, result, narrow, ArrayRef{map, map},
      SmallVector<utils::IteratorType>(type.getRank(),
                                       utils::IteratorType::parallel),
      [&](OpBuilder &builder, Location loc, ValueRange elements) {
        Value x = arith::TruncFOp::create(builder, loc, type.getElementType(),
                                          elements[0]);
        linalg::YieldOp::create(builder, loc, x);
      });
  result.replaceAllUsesExcept(cast.getResult(0), cast);
}

static void widen(StreamOp stream, BinsOp op) {
  Emit e(op.getLoc(), op);
  for (unsigned k : op.getOutputs()) {
    widenOutput(e, stream, k);
  }
  e.setInsertionPoint(op);
  Type f64 = e.getF64Type();
  op.getValueMutable().assign(
      arith::ExtFOp::create(e, f64, op.getValue()).getResult());
  Type tally = TallyType::get(op.getContext(), f64);
  op.getResult().setType(tally);
  auto sweep = cast<SweepOp>(op->getParentOp());
  for (auto [value, result] :
       llvm::zip(sweep.getYield().getValues(), sweep.getResults())) {
    if (value == op.getResult()) {
      result.setType(tally);
    }
  }
}

namespace {
struct WidenTalliesPass
    : public mlir::attn::impl::WidenTalliesPassBase<WidenTalliesPass> {
  void runOnOperation() override {
    getOperation()->walk([](StreamOp stream) {
      bool onTensors = stream.getNumResults() == stream.getOutputs().size();
      stream.walk([&](BinsOp op) {
        if (onTensors && isNarrow(op)) {
          widen(stream, op);
        }
      });
    });
  }
};
} // namespace
