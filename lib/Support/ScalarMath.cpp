//===- ScalarMath.cpp - math ops as other ops -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Support/ScalarMath.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

/// x^n by repeated squaring.
static Value emitPower(Emit &e, Value x, Value n) {
  Type counts = n.getType(), element = getElementTypeOrSelf(x.getType());
  bool isFloat = isa<FloatType>(element);
  if (isFloat && element.getIntOrFloatBitWidth() < 32) {
    x = e.convertFloat(x, e.getF32Type());
  }
  Type type = x.getType();
  auto times = [&](Value a, Value b) -> Value {
    return isFloat ? arith::MulFOp::create(e, a, b).getResult() : e.mul(a, b);
  };
  Value zero = e.constant(counts, 0), one = e.constant(type, 1);
  Value negative = e.less(n, zero);
  Value left = e.select(negative, e.sub(zero, n), n);
  Type count = getElementTypeOrSelf(counts);
  unsigned bits = count.isIndex() ? 64 : count.getIntOrFloatBitWidth();
  Value result = one, square = x;
  for (unsigned bit = 0; bit < bits; ++bit) {
    Value mask = arith::ShLIOp::create(e, e.constant(counts, 1),
                                       e.constant(counts, bit));
    Value wanted = e.equal(e.both(left, mask), mask);
    result = e.select(wanted, times(result, square), result);
    square = times(square, square);
  }
  if (isFloat) {
    Value inverse = arith::DivFOp::create(e, one, result);
    return e.convertFloat(e.select(negative, inverse, result), element);
  }
  Value unit = e.either(e.equal(x, one), e.equal(x, e.constant(type, -1)));
  Value inverse = e.select(unit, result, e.constant(type, 0));
  return e.select(negative, inverse, result);
}

/// Neither zero nor subnormal, infinite or NaN.
static Value emitIsNormal(Emit &e, Value x) {
  auto element = cast<FloatType>(getElementTypeOrSelf(x.getType()));
  double least =
      llvm::APFloat::getSmallestNormalized(element.getFloatSemantics())
          .convertToDouble();
  Value size = math::AbsFOp::create(e, x);
  Value large = arith::CmpFOp::create(e, arith::CmpFPredicate::OGE, size,
                                      e.constant(x.getType(), least));
  Value finite =
      arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, size,
                            e.infinity(x.getType(), /*negative=*/false));
  return e.both(large, finite);
}

SmallVector<Value> attn::expandScalarMath(Emit &e, Operation *op) {
  using Values = SmallVector<Value>;
  return TypeSwitch<Operation *, Values>(op)
      .Case([&](math::ClampFOp clamp) -> Values {
        Value above =
            arith::MaximumFOp::create(e, clamp.getValue(), clamp.getMin());
        return {arith::MinimumFOp::create(e, above, clamp.getMax())};
      })
      .Case<math::FPowIOp, math::IPowIOp>([&](auto power) -> Values {
        return {emitPower(e, power.getLhs(), power.getRhs())};
      })
      .Case([&](math::IsInfOp test) -> Values {
        Value size = math::AbsFOp::create(e, test.getOperand());
        Value infinity = e.infinity(size.getType(), /*negative=*/false);
        return {arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, size,
                                      infinity)};
      })
      .Case([&](math::IsNormalOp test) -> Values {
        return {emitIsNormal(e, test.getOperand())};
      })
      .Case([&](math::SincosOp both) -> Values {
        return {math::SinOp::create(e, both.getOperand()),
                math::CosOp::create(e, both.getOperand())};
      })
      .Default(Values());
}
