//===- GaugeTyping.h - how values move when a gauge moves -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A gauge is a running maximum or mean (`attn.running`). When it moves by d,
// every value of a sweep's body moves in a way that its expression determines:
//
//   linear        v + sum_g a_g d_g                      (f - g: a = -1)
//   exponential   2^(sum_g a_g d_g) (c0 + c1 d + ...)    (exp2(f - g): a = -1)
//
// with rates a that are uniform over the row and free of gauges, and at most
// one gauge in the polynomial. Values that do not move are linear without
// rates. Sums of exponential values move the same way, which is what makes an
// online form; nothing here knows of softmax.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_GAUGETYPING_H
#define ATTN_DIALECT_ATTN_IR_GAUGETYPING_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {

/// factor * value, or factor where value is null.
struct Rate {
  double factor = 0;
  Value value;
  bool isZero() const { return factor == 0; }
  bool operator==(const Rate &) const = default;
};

struct Movement {
  enum Kind { Linear, Exponential, Top } kind = Linear;
  SmallVector<std::pair<Value, Rate>> rates; // by gauge
  Value polyGauge;                           // exponential only
  SmallVector<Value> coefficients;           // c1, c2, ... (c0 is the value)

  bool isInvariant() const { return kind == Linear && rates.empty(); }
  static Movement top() { return {Top, {}, {}, {}}; }
};

class GaugeTyping {
public:
  /// Coefficients of polynomials are created by `builder`, in the sweep's body;
  /// without a builder they are counted only (null values).
  GaugeTyping(SweepOp sweep, OpBuilder *builder)
      : sweep(sweep), builder(builder) {}

  Movement typeOf(Value value);

  /// A rate as a value, created by the builder.
  Value materialize(const Rate &rate, Type type);

  /// Why the last Top came about.
  StringRef getReason() const { return reason; }

private:
  Movement compute(Value value);
  Movement typeOp(Operation *op);
  Movement typeAdd(Operation *op, bool subtract);
  Movement typeMul(Operation *op);
  Movement typeDiv(Operation *op);
  Movement typeExp(Operation *op, double log2Base);
  Movement typeLog(Operation *op, double scale);
  Movement typeSelect(arith::SelectOp op);
  Movement typeSame(Operation *op);
  Movement typePower(Operation *op, double exponent);
  Movement fail(const Twine &why);
  Movement asExponential(Movement m, Type type);
  bool isBounded(Operation *exp, Value exponent, Value gauge);

  Value create(StringRef kind, Value a, Value b = {});

  SweepOp sweep;
  OpBuilder *builder;
  DenseMap<Value, Movement> cache;
  std::string reason;
};

/// Constraint C4 of attn.carry: derives the action of the operand again and
/// compares it with the recorded one.
LogicalResult verifyAction(CarryOp carry);

/// The conjuncts of a condition.
void collectConjuncts(Value cond, SmallVectorImpl<Value> &conjuncts);

/// Whether `cond` implies `weaker`, by its conjuncts. Null is true.
bool implies(Value cond, Value weaker);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_GAUGETYPING_H
