//===- Sources.cpp - where scores come from -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Axes.h"
#include "Families.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

namespace {
/// Queries and keys of a product.
struct Operands {
  Tensor query, key;
  Value headMap, batchMap;
  Matrix shape;
};
} // namespace

/// A divisor of `heads`, or with a head map any number.
static DimRef drawGroups(Program &p, DimRef heads, Value &map) {
  if (p.chance(0.15)) {
    int64_t groups = p.choose<int64_t>({1, 2, 3, 5});
    map = p.integers("map", {heads}, "table(" + std::to_string(groups) + ")")
              .value;
    return p.constant(groups);
  }
  SmallVector<int64_t> divisors;
  for (int64_t g = 1; g <= heads->size; ++g) {
    if (heads->size % g == 0) {
      divisors.push_back(g);
    }
  }
  return p.constant(p.chooseFrom(divisors));
}

static Operands drawOperands(Program &p) {
  Operands operands;
  Matrix &shape = operands.shape;
  shape.heads = p.heads;
  shape.queries = p.queries;
  shape.keys = p.keys;
  // Several matrices of one program have the same shape, as a rule.
  if (p.chance(0.1)) {
    shape.keys = p.dim("N");
  }
  DimRef features =
      p.chance(0.85) ? p.features : p.constant(p.choose<int64_t>({1, 8, 24}));
  DimRef queryBatch = p.chance(0.1) ? p.constant(1) : p.batch;
  DimRef groups = drawGroups(p, shape.heads, operands.headMap);
  operands.query = drawOperand(
      p, {"q", queryBatch, shape.heads, shape.queries, features, p.element});
  bool isShared = operands.query.shape[1] == groups &&
                  shape.queries == shape.keys && p.chance(0.15);
  DimRef keyBatch = p.chance(0.15) ? p.constant(1) : p.batch;
  if (!isShared && queryBatch == p.batch && p.chance(0.12)) {
    keyBatch = p.constant(p.choose<int64_t>({1, 2, 3}));
    operands.batchMap =
        p.integers("batch_map", {p.batch}, "table(" + keyBatch->name + ")")
            .value;
  }
  operands.key = isShared ? operands.query
                          : drawOperand(p, {"k", keyBatch, groups, shape.keys,
                                            features, p.element});
  bool isOne = queryBatch->isStatic && queryBatch->size == 1;
  shape.batch =
      isOne && !operands.batchMap ? operands.key.shape[0] : queryBatch;
  return operands;
}

bool smith::drawScore(Program &p) {
  Operands o = drawOperands(p);
  Matrix &m = o.shape;
  int64_t width = o.query.shape[3]->size;
  double scale = p.choose({1.0, 0.25, 0.125, 0.5, 0.0});
  scale = scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(width)) : scale;
  double product = o.query.bound * o.key.bound * scale;
  m.exact = o.query.exact && o.key.exact &&
            std::log2(scale) == std::floor(std::log2(scale));
  m.bound = product * (m.exact ? static_cast<double>(width)
                               : std::sqrt(static_cast<double>(width)));
  AxisOperands axes = drawAxisOperands(p, m, 0.12);
  m.value = ScoreOp::create(
      p.e, p.scoresType(m), o.query.value, o.key.value, o.headMap, o.batchMap,
      axes.query.positions, axes.query.offset, axes.query.length,
      axes.query.segments, axes.key.positions, axes.key.offset, axes.key.length,
      axes.key.segments, APFloat(scale));
  p.add(std::move(m));
  return true;
}

bool smith::drawScoreWith(Program &p) {
  Operands o = drawOperands(p);
  Matrix &m = o.shape;
  auto kind = p.choose({FeatureReduceKind::Sum, FeatureReduceKind::Sum,
                        FeatureReduceKind::Max, FeatureReduceKind::Min});
  AxisOperands axes = drawAxisOperands(p, m, 0.12);
  auto op = ScoreWithOp::create(
      p.e, p.scoresType(m), kind, o.query.value, o.key.value, o.headMap,
      o.batchMap, axes.query.positions, axes.query.offset, axes.query.length,
      axes.query.segments, axes.key.positions, axes.key.offset, axes.key.length,
      axes.key.segments);
  OpBuilder::InsertionGuard guard(p.e);
  Block *block = p.e.createBlock(&op.getBody());
  SmallVector<Term> terms;
  for (const Tensor &tensor : {o.query, o.key}) {
    Term term;
    static_cast<Numbers &>(term) = tensor;
    term.value = block->addArgument(p.accumulation, p.e.getLoc());
    terms.push_back(term);
  }
  Value feature = block->addArgument(p.e.getIndexType(), p.e.getLoc());
  if (p.chance(0.3)) { // a weight per feature
    Tensor weights = p.numbers("w", {o.query.shape[3]}, p.accumulation);
    Term term;
    static_cast<Numbers &>(term) = weights;
    term.value = tensor::ExtractOp::create(p.e, weights.value, feature);
    terms.push_back(term);
  }
  // Both operands take part, whatever is drawn.
  Term x = p.combine(terms, p.accumulation, 1 + p.below(3));
  Term both = terms[0];
  both.value =
      p.chance(0.5)
          ? Value(arith::AddFOp::create(p.e, terms[0].value, terms[1].value))
          : Value(arith::SubFOp::create(p.e, terms[0].value, terms[1].value));
  both.bound = terms[0].bound + terms[1].bound;
  both.exact = terms[0].exact && terms[1].exact;
  Term y = p.combine({x, both, both}, p.accumulation, 1);
  YieldOp::create(p.e, y.value);
  double width = static_cast<double>(o.query.shape[3]->size);
  m.bound = kind == FeatureReduceKind::Sum ? y.bound * width : y.bound;
  m.exact = y.exact && m.bound < 4096.0;
  m.value = op.getResult();
  p.add(std::move(m));
  return true;
}

bool smith::drawScoreBytes(Program &p) {
  Matrix m;
  m.batch = p.batch;
  m.heads = p.heads;
  m.queries = p.queries;
  m.keys = p.keys;
  Value map;
  DimRef groups = drawGroups(p, m.heads, map);
  Type byte = p.e.getI8Type();
  Tensor q = p.argument("bytes", {m.batch, m.heads, m.queries, p.features},
                        byte, "range(-20, 21)");
  Tensor k = p.argument("bytes", {p.orOne(m.batch), groups, m.keys, p.features},
                        byte, "range(-20, 21)");
  Matrix sums = m;
  sums.value = ScoreOp::create(
      p.e, ScoresType::get(p.scoresType(m).getShape(), p.e.getI32Type()),
      q.value, k.value, map, Value(), Value(), Value(), Value(), Value(),
      Value(), Value(), Value(), Value(), APFloat(1.0));
  auto op = MapOp::create(p.e, p.scoresType(m), sums.value, ValueRange());
  Site site = p.enter(op.getBody(), {sums}, m);
  Value number =
      arith::SIToFPOp::create(p.e, p.accumulation, site.elements[0].value);
  p.yield(Value(arith::MulFOp::create(p.e, number,
                                      p.e.constant(p.accumulation, 0x1p-8))));
  m.value = op.getResult();
  m.bound = 0x1p-8 * 400.0 * std::sqrt(static_cast<double>(p.features->size));
  m.exact = true;
  p.add(std::move(m));
  return true;
}

bool smith::drawBias(Program &p) {
  Matrix m;
  m.batch = p.orOne(p.batch);
  m.heads = p.orOne(p.heads);
  m.queries = p.queries;
  m.keys = p.keys;
  Tensor bias =
      p.numbers("bias", {m.batch, m.heads, m.queries, m.keys}, p.element);
  // A tensor of one head may stand for several.
  if (p.chance(0.5)) {
    m.heads = p.heads;
  }
  AxisOperands axes = drawAxisOperands(p, m, 0.12);
  m.value = BiasOp::create(
      p.e, p.scoresType(m), bias.value, axes.query.positions, axes.query.offset,
      axes.query.length, axes.query.segments, axes.key.positions,
      axes.key.offset, axes.key.length, axes.key.segments);
  m.bound = bias.bound;
  m.exact = bias.exact;
  p.add(std::move(m));
  return true;
}

bool smith::drawGenerator(Program &p) {
  Matrix m;
  m.batch = p.orOne(p.batch);
  m.heads = p.orOne(p.heads);
  m.queries = p.queries;
  m.keys = p.keys;
  auto op =
      MapOp::create(p.e, p.scoresType(m), ValueRange(),
                    p.dynamicExtents({m.batch, m.heads, m.queries, m.keys}));
  Site site = p.enter(op.getBody(), {}, m);
  Term x = p.expression(site, p.accumulation, 1 + p.below(3));
  p.yield(x.value);
  p.add(m, op.getResult(), x.bound, x.exact);
  return true;
}
