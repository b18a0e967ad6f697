//===- GPUMath.cpp - attn-gpu-math ----------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DoubleMath.h"
#include "attn/Support/ScalarMath.h"
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

/// The function in f64; null if `op` is none of those.
static Value emitDouble(Emit &e, Operation *op) {
  DoubleMath math(e);
  auto x = [&](int n) {
    return e.convertFloat(op->getOperand(n), e.getF64Type());
  };
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](math::AcosOp) { return math.acos(x(0)); })
      .Case([&](math::AcoshOp) { return math.acosh(x(0)); })
      .Case([&](math::AsinOp) { return math.asin(x(0)); })
      .Case([&](math::AsinhOp) { return math.asinh(x(0)); })
      .Case([&](math::AtanOp) { return math.atan(x(0)); })
      .Case([&](math::Atan2Op) { return math.atan2(x(0), x(1)); })
      .Case([&](math::AtanhOp) { return math.atanh(x(0)); })
      .Case([&](math::CbrtOp) { return math.cbrt(x(0)); })
      .Case([&](math::CosOp) { return math.cos(x(0)); })
      .Case([&](math::CoshOp) { return math.cosh(x(0)); })
      .Case([&](math::ErfOp) { return math.erf(x(0)); })
      .Case([&](math::ErfcOp) { return math.erfc(x(0)); })
      .Case([&](math::ExpOp) { return math.exp(x(0)); })
      .Case([&](math::Exp2Op) { return math.exp2(x(0)); })
      .Case([&](math::ExpM1Op) { return math.expm1(x(0)); })
      .Case([&](math::LogOp) { return math.log(x(0)); })
      .Case([&](math::Log10Op) { return math.log10(x(0)); })
      .Case([&](math::Log1pOp) { return math.log1p(x(0)); })
      .Case([&](math::Log2Op) { return math.log2(x(0)); })
      .Case([&](math::PowFOp) { return math.pow(x(0), x(1)); })
      .Case([&](math::SinOp) { return math.sin(x(0)); })
      .Case([&](math::SinhOp) { return math.sinh(x(0)); })
      .Case([&](math::TanOp) { return math.tan(x(0)); })
      .Case([&](math::TanhOp) { return math.tanh(x(0)); })
      .Case([&](arith::RemFOp rem) {
        // Finite numbers of f32 and bf16 are below 2^277 of one another.
        bool narrow = !getElementTypeOrSelf(rem.getType()).isF64();
        return math.fmod(x(0), x(1), narrow ? 277 : 2098);
      })
      .Default(Value());
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

/// What stands for `op` on a GPU; null if it stays.
static Value emit(Emit &e, Operation *op, Vendor vendor) {
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  if (isa<math::RoundOp, math::TruncOp>(op)) {
    return emitRound(e, op->getOperand(0), isa<math::TruncOp>(op));
  }
  // Upstream sends these to a library; they are instructions.
  if (isa<arith::MaxNumFOp>(op)) {
    return LLVM::MaxNumOp::create(e, op->getOperand(0), op->getOperand(1));
  }
  if (isa<arith::MinNumFOp>(op)) {
    return LLVM::MinNumOp::create(e, op->getOperand(0), op->getOperand(1));
  }
  bool isScalar = !isa<ShapedType>(op->getResult(0).getType());
  if (auto power = dyn_cast<math::Exp2Op>(op); power && !type.isF64()) {
    if (!isScalar) {
      return nullptr;
    }
    Value x = e.convertFloat(power.getOperand(), e.getF32Type());
    bool flush = arith::bitEnumContainsAny(power.getFastmath(),
                                           arith::FastMathFlags::afn);
    return e.convertFloat(emitPower(e, x, vendor, flush), type);
  }
  // Of narrower floats, attn-cpu-expand-math has these.
  if (isa<math::ExpOp, math::LogOp, math::Log2Op, math::TanhOp>(op) &&
      !type.isF64()) {
    return nullptr;
  }
  Value result = emitDouble(e, op);
  return result ? e.convertFloat(result, type) : result;
}

namespace {
struct GPUMathPass : attn::impl::GPUMathPassBase<GPUMathPass> {
  using Base::Base;
  void runOnOperation() override {
    FailureOr<const Device *> device = getDevice(getOperation(), chip);
    if (failed(device)) {
      return signalPassFailure();
    }
    rewrite([](Emit &e, Operation *op) { return expandScalarMath(e, op); });
    rewrite([&](Emit &e, Operation *op) -> SmallVector<Value> {
      Value result = emit(e, op, (*device)->vendor);
      return result ? SmallVector<Value>{result} : SmallVector<Value>();
    });
  }

private:
  /// Replaces each op by what `expand` gives for it, if it gives anything.
  void
  rewrite(llvm::function_ref<SmallVector<Value>(Emit &, Operation *)> expand) {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect()) ||
          isa<arith::MaxNumFOp, arith::MinNumFOp, arith::RemFOp>(op)) {
        ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      Emit e(op->getLoc(), op);
      SmallVector<Value> results = expand(e, op);
      if (!results.empty()) {
        op->replaceAllUsesWith(results);
        op->erase();
      }
    }
  }
};
} // namespace
