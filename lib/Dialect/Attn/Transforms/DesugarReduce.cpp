//===- DesugarReduce.cpp - lse, entropy and moments -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reductions that are composed of others, over keys or over queries (more axes
// are in DesugarAxes.cpp):
//   lse     = ln2 * (m + log2(sum exp2(f - m)))           f = s log2(e), m =
//   max f entropy = ln2 * (log2(l) - sum exp2(f - m) (f - m) / l) moments =
//   mean, sum (s - mean)^2 / count
// The variance sums squares about the mean: dividing expanded sums out loses
// all digits where the mean is large.
//
//===----------------------------------------------------------------------===//

#include "Desugar.h"

#include <cmath>

using namespace mlir;
using namespace mlir::attn;

namespace {
/// The exponential family of one row: exponents, their maximum, shifted
/// exponentials and their sum.
struct Exponentials {
  Value f, max, e, sum;

  Exponentials(RowBuilder &rows, Location loc, Value scores) {
    f = rows.map(scores, [&](OpBuilder &b, ValueRange v, ValueRange) {
      return ScalarBuilder{b, loc}.mul(v[0], std::log2(std::exp(1.0)));
    });
    max = rows.reduce(ReduceKind::Max, f);
    e = rows.map(f, [&](OpBuilder &b, ValueRange v, ValueRange at) {
      ScalarBuilder x{b, loc};
      return x.exp2(x.sub(v[0], x.guard(rows.at(b, max, at))));
    });
    sum = rows.reduce(ReduceKind::Sum, e);
  }
};
} // namespace

/// Of a row whose maximum is -inf, the sum is 0 and both terms are -inf.
static Value buildLse(RowBuilder &rows, Location loc, Value scores) {
  Exponentials exp(rows, loc, scores);
  return rows.row({exp.max, exp.sum}, [&](OpBuilder &b, ValueRange v) {
    ScalarBuilder x{b, loc};
    return x.mul(x.add(v[0], x.log2(v[1])), std::log(2.0));
  });
}

static Value buildEntropy(RowBuilder &rows, Location loc, Value scores) {
  Exponentials exp(rows, loc, scores);
  // The term of a weight 0 is 0 also where its exponent is -inf. The test is on
  // f, which no shift moves, rather than on the exponential.
  Value terms =
      rows.map({exp.e, exp.f}, [&](OpBuilder &b, ValueRange v, ValueRange at) {
        ScalarBuilder x{b, loc};
        Value shifted = x.sub(v[1], x.guard(rows.at(b, exp.max, at)));
        return x.select(x.isNegInf(v[1]), x.constant(rows.element(), 0.0),
                        x.mul(v[0], shifted));
      });
  Value sum = rows.reduce(ReduceKind::Sum, terms);
  return rows.row({exp.max, exp.sum, sum}, [&](OpBuilder &b, ValueRange v) {
    ScalarBuilder x{b, loc};
    Value h = x.mul(x.sub(x.log2(v[1]), x.div(v[2], v[1])), std::log(2.0));
    return x.select(x.isNegInf(v[0]), x.constant(rows.element(), 0.0), h);
  });
}

static std::pair<Value, Value> buildMoments(RowBuilder &rows, Location loc,
                                            Value scores) {
  Value mean = rows.reduce(ReduceKind::Mean, scores);
  Value squares =
      rows.map(scores, [&](OpBuilder &b, ValueRange v, ValueRange at) {
        ScalarBuilder x{b, loc};
        Value d = x.sub(v[0], rows.at(b, mean, at));
        return x.mul(d, d);
      });
  Value sum = rows.reduce(ReduceKind::Sum, squares);
  Value count = rows.reduce(ReduceKind::Count, scores);
  Value variance = rows.row({sum, count}, [&](OpBuilder &b, ValueRange v) {
    ScalarBuilder x{b, loc};
    Value none = arith::ConstantIntOp::create(b, loc, 0, 64);
    Value empty =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, v[1], none);
    Value n = arith::SIToFPOp::create(b, loc, rows.element(), v[1]);
    return x.select(empty, x.constant(rows.element(), 0.0), x.div(v[0], n));
  });
  return {mean, variance};
}

void mlir::attn::desugarReduce(ReduceOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  auto kind = op.getKind();
  if (!op.isOverOneAxis()) {
    desugarAxes(op);
    return;
  }
  if (kind != ReduceKind::Lse && kind != ReduceKind::Entropy &&
      kind != ReduceKind::Moments) {
    return;
  }
  RowBuilder rows(builder, loc, op.getInput(), op.getAxis());
  SmallVector<Value> results;
  if (kind == ReduceKind::Lse) {
    results = {buildLse(rows, loc, op.getInput())};
  } else if (kind == ReduceKind::Entropy) {
    results = {buildEntropy(rows, loc, op.getInput())};
  } else {
    auto [mean, variance] = buildMoments(rows, loc, op.getInput());
    results = {mean, variance};
  }
  op.replaceAllUsesWith(results);
  op.erase();
}
