//===- DesugarSoftmax.cpp - attn.softmax as maxima, maps and sums ---------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The exponential is taken to base 2 (one instruction on most machines), with
// log2(base) in the scale. The shift is the row maximum; a sink and the one of
// softmax-off-by-one are logits of the same row and take part in it, so that no
// term of the denominator overflows. A row whose maximum is -inf ends up absent
// by a mask, since 0 / 0 is no answer and a division by a made-up 1 would turn
// "nothing" into "zero".
//
//===----------------------------------------------------------------------===//

#include "Desugar.h"

#include <cmath>

using namespace mlir;
using namespace mlir::attn;

namespace {
/// The parts of one softmax that several of its steps need.
struct Softmax {
  SoftmaxOp op;
  RowBuilder &rows;
  Location loc;
  double log2Base; // logits to exponents of 2

  /// The exponent of a sink logit.
  Value sinkExponent(OpBuilder &b, Value logit) {
    ScalarBuilder x{b, loc};
    return x.mul(convertFloat(b, loc, logit, rows.element()), log2Base);
  }

  Value exponents();
  Value shift(Value max);
  Value denominator(Value sum, Value shift);
};
} // namespace

/// f = scale * log2(base) * s / temperature.
Value Softmax::exponents() {
  Value temperature = op.getTemperature();
  double factor = op.getScale().convertToDouble() * log2Base;
  return rows.map(
      op.getInput(), [&](OpBuilder &b, ValueRange e, ValueRange at) {
        ScalarBuilder x{b, loc};
        Value f = x.mul(e[0], factor);
        if (temperature) {
          Value t = extractBroadcast(b, loc, temperature, at.take_front(3));
          f = x.div(f, convertFloat(b, loc, t, rows.element()));
        }
        return f;
      });
}

/// The maximum over all terms of the denominator.
Value Softmax::shift(Value max) {
  if (!op.getSink() && !op.getPlusOne()) {
    return max;
  }
  SmallVector<Value> inputs{max};
  if (op.getSink()) {
    inputs.push_back(op.getSink());
  }
  return rows.row(inputs, [&](OpBuilder &b, ValueRange e) {
    Value m = e[0];
    if (op.getSink()) {
      m = arith::MaximumFOp::create(b, loc, m, sinkExponent(b, e[1]));
    }
    if (op.getPlusOne()) {
      Value zero = ScalarBuilder{b, loc}.constant(rows.element(), 0.0);
      m = arith::MaximumFOp::create(b, loc, m, zero);
    }
    return m;
  });
}

Value Softmax::denominator(Value sum, Value shift) {
  if (!op.getSink() && !op.getPlusOne()) {
    return sum;
  }
  SmallVector<Value> inputs{sum, shift};
  if (op.getSink()) {
    inputs.push_back(op.getSink());
  }
  return rows.row(inputs, [&](OpBuilder &b, ValueRange e) {
    ScalarBuilder x{b, loc};
    Value d = e[0], m = x.guard(e[1]);
    if (op.getSink()) {
      d = x.add(d, x.exp2(x.sub(sinkExponent(b, e[2]), m)));
    }
    if (op.getPlusOne()) {
      d = x.add(d, x.exp2(x.sub(x.constant(rows.element(), 0.0), m)));
    }
    return d;
  });
}

void mlir::attn::desugarSoftmax(SoftmaxOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  RowBuilder rows(builder, loc, op.getInput(), Axis::Keys);
  double base = op.getBase().convertToDouble();
  Softmax s{op, rows, loc,
            base == 0.0 ? std::log2(std::exp(1.0)) : std::log2(base)};

  Value f = s.exponents();
  Value max = rows.reduce(ReduceKind::Max, f);
  Value shift = s.shift(max);
  Value e = rows.map(f, [&](OpBuilder &b, ValueRange v, ValueRange at) {
    ScalarBuilder x{b, loc};
    return x.exp2(x.sub(v[0], x.guard(rows.at(b, shift, at))));
  });
  Value d = s.denominator(rows.reduce(ReduceKind::Sum, e), shift);
  Value p = rows.map(e, [&](OpBuilder &b, ValueRange v, ValueRange at) {
    return ScalarBuilder{b, loc}.div(v[0], rows.at(b, d, at));
  });
  Value result = rows.mask(p, [&](OpBuilder &b, ValueRange, ValueRange at) {
    ScalarBuilder x{b, loc};
    Value inf = x.constant(rows.element(), -INFINITY);
    Value m = rows.at(b, max, at);
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, m, inf);
  });
  op.replaceAllUsesWith(result);
  op.erase();
}
