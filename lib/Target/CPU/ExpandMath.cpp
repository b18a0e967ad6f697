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
// and four products of bytes per lane as the instruction that there is:
//
//   %r = attn.quad_dot %x, %y, %s : vector<16xi32>
// becomes, with AVX-512 VNNI, on the bytes of %x and %y,
//   %r = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%s, %b, %a)
//
// Longer vectors are cut into registers, f16 and bf16 are widened, and vectors
// of higher rank are seen as 1-D.
//
//===----------------------------------------------------------------------===//

#include "TargetInfo.h"
#include "VectorMath.h"
#include "attn/Dialect/Attn/IR/KernelOps.h"

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
  if (!vector && avx512) {
    // The instructions for exponents exist for vectors.
    Value four = vector::BroadcastOp::create(
        builder, loc, VectorType::get({4}, builder.getF32Type()), x);
    four = expand(builder, loc, function, four, avx512);
    return vector::ExtractOp::create(builder, loc, four, 0);
  }
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

/// Shifts and products of the bytes of a lane, which any target has.
static Value expandQuads(OpBuilder &builder, QuadDotOp op) {
  Location loc = op.getLoc();
  VectorType type = op.getResult().getType();
  auto constant = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(type, builder.getI32IntegerAttr(value)));
  };
  Value sum = op.getAcc(), last = constant(24);
  for (int k = 0; k < 4; ++k) {
    Value up = constant(24 - 8 * k);
    Value x = arith::ShLIOp::create(builder, loc, op.getLhs(), up);
    Value y = arith::ShLIOp::create(builder, loc, op.getRhs(), up);
    x = arith::ShRSIOp::create(builder, loc, x, last);
    y = arith::ShRUIOp::create(builder, loc, y, last);
    Value product = arith::MulIOp::create(builder, loc, x, y);
    sum = arith::AddIOp::create(builder, loc, sum, product);
  }
  return sum;
}

static void expandQuadDot(QuadDotOp op, bool hasInt8Dot) {
  OpBuilder builder(op);
  VectorType type = op.getResult().getType();
  int64_t lanes = type.getNumElements();
  Value result;
  if (hasInt8Dot && (lanes == 4 || lanes == 8 || lanes == 16)) {
    std::string name = "llvm.x86.avx512.vpdpbusd." + std::to_string(32 * lanes);
    auto bytes = VectorType::get({4 * lanes}, builder.getI8Type());
    Value lhs =
        vector::BitCastOp::create(builder, op.getLoc(), bytes, op.getLhs());
    Value rhs =
        vector::BitCastOp::create(builder, op.getLoc(), bytes, op.getRhs());
    result = LLVM::CallIntrinsicOp::create(builder, op.getLoc(), type,
                                           builder.getStringAttr(name),
                                           ValueRange{op.getAcc(), rhs, lhs})
                 .getResult(0);
  } else {
    result = expandQuads(builder, op);
  }
  op.replaceAllUsesWith(result);
  op.erase();
}

/// One instruction for a register of 512 bits, else one lane after the other.
static void expandChoice(ChooseOp op, bool avx512) {
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  VectorType type = op.getResult().getType();
  int64_t lanes = type.getNumElements();
  Value result = op.getVector();
  if (avx512 && lanes == 16) {
    result = LLVM::CallIntrinsicOp::create(
                 builder, type,
                 builder.getStringAttr("llvm.x86.avx512.permvar.si.512"),
                 ValueRange{result, op.getLanes()})
                 .getResult(0);
  } else {
    Value width = arith::ConstantIntOp::create(builder, lanes, 32);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      Value from = vector::ExtractOp::create(builder, op.getLanes(), lane);
      from = arith::IndexCastUIOp::create(
          builder, builder.getIndexType(),
          arith::RemUIOp::create(builder, from, width));
      Value x = vector::ExtractOp::create(builder, op.getVector(),
                                          OpFoldResult(from));
      result = vector::InsertOp::create(builder, x, result, lane);
    }
  }
  op.replaceAllUsesWith(result);
  op.erase();
}

namespace {
struct CPUExpandMathPass
    : attn::impl::CPUExpandMathPassBase<CPUExpandMathPass> {
  using Base::Base;
  void runOnOperation() override {
    FailureOr<attn::cpu::TargetInfo> target = getTarget();
    if (failed(target)) {
      return signalPassFailure();
    }
    bool avx512 = target->vectorBits == 512;
    SmallVector<QuadDotOp> quads;
    getOperation()->walk([&](QuadDotOp op) { quads.push_back(op); });
    for (QuadDotOp op : quads) {
      expandQuadDot(op, target->hasInt8Dot);
    }
    SmallVector<ChooseOp> choices;
    getOperation()->walk([&](ChooseOp op) { choices.push_back(op); });
    for (ChooseOp op : choices) {
      expandChoice(op, avx512);
    }
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (getFunction(op) && isExpandable(op->getOperand(0).getType())) {
        ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      expandOp(op, getFunction(op), avx512);
    }
  }

private:
  FailureOr<attn::cpu::TargetInfo> getTarget() {
    attn::cpu::TargetInfo named;
    if (isa == "avx512") {
      named.vectorBits = 512;
    }
    if (isa == "generic" || isa == "avx512") {
      return named;
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
    return target;
  }
};
} // namespace
