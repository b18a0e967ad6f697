//===- GPUMath.cpp - attn-gpu-math ----------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DoubleMath.h"
#include "attn/Target/GPU/Device.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::attn {
#define GEN_PASS_DEF_GPUMATHPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// Sine or cosine, in f64: of what is left after multiples of pi / 2, which is
/// exact to 2^-80 for each of them.
static Value emitSine(Emit &e, Value x, bool cosine) {
  Type f64 = e.getF64Type(), i64 = e.getI64Type();
  auto number = [&](double value) { return e.constant(f64, value); };
  auto fma = [&](Value a, Value b, Value c) -> Value {
    return math::FmaOp::create(e, a, b, c);
  };
  Type type = x.getType();
  Value wide = e.convertFloat(x, f64);
  Value count = math::RoundEvenOp::create(
      e, arith::MulFOp::create(e, wide, number(0x1.45f306dc9c883p-1)));
  Value r = fma(count, number(-0x1.921fb54442d18p+0), wide);
  r = fma(count, number(-0x1.1a62633145c07p-54), r);
  // Infinity and NaN are NaN in r, and no integer.
  Value finite = arith::CmpFOp::create(e, arith::CmpFPredicate::ORD, r, r);
  Value quadrant =
      arith::FPToSIOp::create(e, i64, e.select(finite, count, number(0.0)));
  quadrant = e.add(quadrant, e.constant64(cosine ? 1 : 0));
  // Taylor series: r is at most pi / 4.
  auto series = [&](Value square, ArrayRef<double> terms) {
    Value sum = number(terms.back());
    for (double term : llvm::reverse(terms.drop_back())) {
      sum = fma(sum, square, number(term));
    }
    return sum;
  };
  Value square = arith::MulFOp::create(e, r, r);
  Value sine = arith::MulFOp::create(
      e, r,
      series(square, {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880,
                      -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000,
                      1.0 / 355687428096000}));
  Value other = series(square, {1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720,
                                1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600,
                                -1.0 / 87178291200, 1.0 / 20922789888000});
  auto bit = [&](int64_t mask) -> Value {
    Value set = arith::AndIOp::create(e, quadrant, e.constant64(mask));
    return e.equal(set, e.constant64(mask));
  };
  Value result = e.select(bit(1), other, sine);
  Value negative = arith::NegFOp::create(e, result);
  return e.convertFloat(e.select(bit(2), negative, result), type);
}

/// Rounds away from zero at one half (or towards zero), by way of the floor.
static Value emitRound(Emit &e, Value x, bool truncate) {
  Value size = math::AbsFOp::create(e, x);
  Value whole = math::FloorOp::create(e, size);
  if (!truncate) {
    Type type = x.getType();
    Value rest = arith::SubFOp::create(e, size, whole);
    Value up = arith::CmpFOp::create(e, arith::CmpFPredicate::OGE, rest,
                                     e.constant(type, 0.5));
    whole = e.select(up, arith::AddFOp::create(e, whole, e.constant(type, 1.0)),
                     whole);
  }
  return math::CopySignOp::create(e, whole, x);
}

static Value emitFunction(Emit &e, Operation *op) {
  DoubleMath doubles(e);
  Value x = op->getOperand(0);
  Type type = getElementTypeOrSelf(x.getType());
  if (isa<math::ErfOp, math::ExpM1Op, math::Log1pOp>(op)) {
    Value wide = e.convertFloat(x, e.getF64Type());
    if (isa<math::ErfOp>(op)) {
      return e.convertFloat(doubles.erf(wide), type);
    }
    return e.convertFloat(isa<math::ExpM1Op>(op) ? doubles.expm1(wide)
                                                 : doubles.log1p(wide),
                          type);
  }
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return doubles.exp(x); })
      .Case([&](math::Exp2Op) { return doubles.exp2(x); })
      .Case([&](math::LogOp) { return doubles.log(x); })
      .Case([&](math::Log2Op) { return doubles.log2(x); })
      .Case([&](math::TanhOp) { return doubles.tanh(x); })
      .Default([&](Operation *) {
        return emitRound(e, x, /*truncate=*/isa<math::TruncOp>(op));
      });
}

/// 2^x by the instruction for it. `flush` allows 0 for what is below the normal
/// numbers, which saves NVIDIA's two factors; AMD's has no others.
static Value emitPower(Emit &e, Value x, Vendor vendor, bool flush) {
  Type f32 = e.getF32Type();
  if (vendor == Vendor::AMD) {
    return ROCDL::ROCDLExp2::create(e, f32, x);
  }
  return LLVM::CallIntrinsicOp::create(
             e, f32,
             e.getStringAttr(flush ? "llvm.nvvm.ex2.approx.ftz.f32"
                                   : "llvm.nvvm.ex2.approx.f32"),
             x)
      .getResult(0);
}

namespace {
struct GPUMathPass : attn::impl::GPUMathPassBase<GPUMathPass> {
  using Base::Base;
  void runOnOperation() override {
    FailureOr<const Device *> device = getDevice(getOperation(), chip);
    if (failed(device)) {
      return signalPassFailure();
    }
    SmallVector<math::Exp2Op> ops;
    getOperation().walk([&](math::Exp2Op op) {
      auto type = dyn_cast<FloatType>(op.getType());
      if (type && type.getWidth() <= 32) {
        ops.push_back(op);
      }
    });
    for (math::Exp2Op op : ops) {
      Emit e(op.getLoc(), op);
      Value x = e.convertFloat(op.getOperand(), e.getF32Type());
      bool flush = arith::bitEnumContainsAny(op.getFastmath(),
                                             arith::FastMathFlags::afn);
      Value power = emitPower(e, x, (*device)->vendor, flush);
      op.replaceAllUsesWith(e.convertFloat(power, op.getType()));
      op.erase();
    }
    SmallVector<Operation *> doubles;
    getOperation().walk([&](Operation *op) {
      if (isa<math::ExpOp, math::Exp2Op, math::LogOp, math::Log2Op,
              math::TanhOp>(op) &&
          getElementTypeOrSelf(op->getResult(0).getType()).isF64()) {
        doubles.push_back(op);
      }
      if (isa<math::ErfOp, math::ExpM1Op, math::Log1pOp, math::RoundOp,
              math::TruncOp>(op)) {
        doubles.push_back(op);
      }
    });
    for (Operation *op : doubles) {
      Emit e(op->getLoc(), op);
      op->getResult(0).replaceAllUsesWith(emitFunction(e, op));
      op->erase();
    }
    SmallVector<Operation *> sines;
    getOperation().walk([&](Operation *op) {
      if (isa<math::SinOp, math::CosOp>(op)) {
        sines.push_back(op);
      }
    });
    for (Operation *op : sines) {
      Emit e(op->getLoc(), op);
      op->getResult(0).replaceAllUsesWith(
          emitSine(e, op->getOperand(0), isa<math::CosOp>(op)));
      op->erase();
    }
  }
};
} // namespace
