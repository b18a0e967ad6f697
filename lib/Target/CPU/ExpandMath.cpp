//===- ExpandMath.cpp - math ops as vector code ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM turns an exponential of a vector into one library call per lane, which
// would take most of the time of attention. This pass writes the functions that
// scores and normalizers use as arithmetic:
//
//   %y = math.exp2 %x : vector<16xf32>
// becomes, on AVX-512,
//   %r = llvm.call_intrinsic "llvm.x86.avx512.mask.reduce.ps.512"(%x, ...)
//   %n = arith.subf %x, %r
//   %p = six llvm.intr.fmuladd
//   %y = llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"(%p, %n, ...)
//
// Longer vectors are cut into registers, f16 and bf16 are widened, and vectors
// of higher rank are seen as 1-D.
//
//===----------------------------------------------------------------------===//

#include "TargetInfo.h"
#include "VectorMath.h"

#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::attn {
#define GEN_PASS_DEF_CPUEXPANDMATHPASS
#include "attn/Target/CPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

using Function = Value (VectorMath::*)(Value);

static Function getFunction(Operation *op) {
  if (isa<math::Exp2Op>(op)) {
    return &VectorMath::exp2;
  }
  if (isa<math::ExpOp>(op)) {
    return &VectorMath::exp;
  }
  if (isa<math::Log2Op>(op)) {
    return &VectorMath::log2;
  }
  if (isa<math::LogOp>(op)) {
    return &VectorMath::log;
  }
  return isa<math::TanhOp>(op) ? &VectorMath::tanh : Function();
}

/// Applies `function` to a scalar or 1-D vector, register by register.
static Value expand(OpBuilder &builder, Location loc, Function function,
                    Value x, bool avx512) {
  auto vector = dyn_cast<VectorType>(x.getType());
  int64_t lanes = vector ? vector.getNumElements() : 1;
  int64_t step = VectorMath::getRegisterLanes(lanes);
  if (!vector || !avx512 || step == 0 || step == lanes) {
    VectorMath math(builder, loc, x.getType(), avx512);
    return (math.*function)(x);
  }
  VectorMath math(builder, loc, VectorType::get({step}, builder.getF32Type()),
                  avx512);
  Value result =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(vector));
  for (int64_t k = 0; k < lanes; k += step) {
    Value piece = vector::ExtractStridedSliceOp::create(
        builder, loc, x, ArrayRef<int64_t>{k}, ArrayRef<int64_t>{step},
        ArrayRef<int64_t>{1});
    piece = (math.*function)(piece);
    result = vector::InsertStridedSliceOp::create(builder, loc, piece, result,
                                                  ArrayRef<int64_t>{k},
                                                  ArrayRef<int64_t>{1});
  }
  return result;
}

/// Replaces one op; its type has an element of at most 32 bits.
static void expandOp(Operation *op, Function function, bool avx512) {
  OpBuilder builder(op);
  Location loc = op->getLoc();
  Value x = op->getOperand(0);
  Type type = x.getType(), wide = builder.getF32Type();
  auto vector = dyn_cast<VectorType>(type);
  if (vector) {
    wide = vector.clone(wide);
  }
  if (wide != type) {
    x = arith::ExtFOp::create(builder, loc, wide, x);
  }
  bool flatten = vector && vector.getRank() != 1;
  if (flatten) {
    auto flat =
        VectorType::get({vector.getNumElements()}, builder.getF32Type());
    x = vector::ShapeCastOp::create(builder, loc, flat, x);
  }
  x = expand(builder, loc, function, x, avx512);
  if (flatten) {
    x = vector::ShapeCastOp::create(builder, loc, wide, x);
  }
  if (wide != type) {
    x = arith::TruncFOp::create(builder, loc, type, x);
  }
  op->getResult(0).replaceAllUsesWith(x);
  op->erase();
}

static bool isExpandable(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  Type element = getElementTypeOrSelf(type);
  return (!isa<ShapedType>(type) || (vector && !vector.isScalable())) &&
         (element.isF32() || element.isF16() || element.isBF16());
}

namespace {
struct CPUExpandMathPass
    : attn::impl::CPUExpandMathPassBase<CPUExpandMathPass> {
  using Base::Base;
  void runOnOperation() override {
    FailureOr<bool> avx512 = usesAVX512();
    if (failed(avx512)) {
      return signalPassFailure();
    }
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (getFunction(op) && isExpandable(op->getOperand(0).getType())) {
        ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      expandOp(op, getFunction(op), *avx512);
    }
  }

private:
  FailureOr<bool> usesAVX512() {
    if (isa == "generic" || isa == "avx512") {
      return isa == "avx512";
    }
    if (isa != "auto") {
      return getOperation()->emitError()
             << "isa is auto, generic or avx512, got '" << isa << "'";
    }
    std::string error;
    FailureOr<attn::cpu::TargetInfo> target =
        attn::cpu::TargetInfo::get(triple, cpu, error);
    if (failed(target)) {
      return getOperation()->emitError() << error;
    }
    return target->vectorBits == 512;
  }
};
} // namespace
