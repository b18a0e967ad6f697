//===- Segments.cpp - keys from several sources ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Concatenations, keys of single queries, and states over disjoint keys.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/SourceOps.h"

#include "Families.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

/// Plain scores of the program's queries with keys of their own.
static Matrix drawPlainScores(Program &p, DimRef keys, const Tensor *query) {
  Matrix m;
  m.batch = p.batch;
  m.heads = p.heads;
  m.queries = p.queries;
  m.keys = keys;
  Tensor q = query ? *query
                   : drawOperand(p, {"q", m.batch, m.heads, m.queries,
                                     p.features, p.element});
  DimRef groups = p.chance(0.5) ? m.heads : p.constant(1);
  Tensor k = drawOperand(p, {"k", p.chance(0.2) ? p.constant(1) : m.batch,
                             groups, keys, p.features, p.element});
  m.value = ScoreOp::create(p.e, p.scoresType(m), q.value, k.value, Value(),
                            Value(), Value(), Value(), Value(), Value(),
                            Value(), Value(), Value(), Value(), APFloat(0.25));
  double width = static_cast<double>(p.features->size);
  m.exact = q.exact && k.exact;
  m.bound = q.bound * k.bound * 0.25 * (m.exact ? width : std::sqrt(width));
  return m;
}

/// A mask or a map over one matrix, or nothing.
static void drawEntryStep(Program &p, Matrix &m) {
  if (p.chance(0.4)) {
    auto op = MaskOp::create(p.e, m.getType(), m.value, Value(), Attribute());
    Site site = p.enter(op.getBody(), {m}, m);
    p.yield(p.predicate(site));
    m.value = op.getResult();
  }
  if (p.chance(0.4)) {
    auto op = MapOp::create(p.e, p.scoresType(m), m.value, ValueRange());
    Site site = p.enter(op.getBody(), {m}, m);
    Term x = p.expression(site, p.accumulation, 1 + p.below(2));
    p.yield(x.value);
    m.value = op.getResult();
    static_cast<Numbers &>(m) = x;
  }
}

/// Scores of every query with a few keys of its own.
static Matrix drawLaneScores(Program &p) {
  Matrix m;
  m.batch = p.batch;
  m.heads = p.heads;
  m.queries = p.queries;
  m.keys = p.dim("C", p.choose<int64_t>({1, 2, 4, 7}), p.chance(0.6));
  Tensor q =
      drawOperand(p, {"q", m.batch, m.heads, m.queries, p.features, p.element});
  DimRef groups = p.chance(0.5) ? m.heads : p.constant(1);
  Tensor k = p.numbers("k",
                       {p.chance(0.2) ? p.constant(1) : m.batch, groups,
                        m.queries, m.keys, p.features},
                       p.element);
  m.value = LaneOp::create(p.e, p.scoresType(m), q.value, k.value, Value(),
                           Value(), Value(), Value(), Value(), Value(), Value(),
                           Value(), Value(), Value(), APFloat(0.25));
  double width = static_cast<double>(p.features->size);
  m.exact = q.exact && k.exact;
  m.bound = q.bound * k.bound * 0.25 * (m.exact ? width : std::sqrt(width));
  m.sources.push_back({m.keys, true});
  return m;
}

bool smith::drawLane(Program &p) {
  p.add(drawLaneScores(p));
  return true;
}

bool smith::drawConcat(Program &p) {
  const Matrix *found =
      p.findMatrix([&](const Matrix &m) { return m.queries == p.queries; });
  SmallVector<Matrix> parts;
  if (found) {
    parts.push_back(*found);
  }
  int64_t count = 2 + p.below(2);
  while (static_cast<int64_t>(parts.size()) < count) {
    bool isLane = p.chance(0.25);
    Matrix part =
        isLane ? drawLaneScores(p) : drawPlainScores(p, p.dim("L"), nullptr);
    drawEntryStep(p, part);
    parts.push_back(std::move(part));
  }
  Matrix m = parts.front();
  SmallVector<Value> values;
  SmallVector<DimRef> keys;
  m.sources.clear();
  auto isOne = [](DimRef dim) { return dim->isStatic && dim->size == 1; };
  for (const Matrix &part : parts) {
    values.push_back(part.value);
    keys.push_back(part.keys);
    m.batch = isOne(m.batch) ? part.batch : m.batch;
    m.heads = isOne(m.heads) ? part.heads : m.heads;
    m.bound = std::max(m.bound, part.bound);
    m.exact &= part.exact;
    m.axes[0].perHead |= part.axes[0].perHead;
    if (part.sources.empty()) {
      m.sources.push_back({part.keys, false});
    } else {
      llvm::append_range(m.sources, part.sources);
    }
  }
  auto fits = [&](DimRef dim, DimRef all) { return dim == all || isOne(dim); };
  for (const Matrix &part : parts) {
    if (!fits(part.batch, m.batch) || !fits(part.heads, m.heads)) {
      return false;
    }
  }
  // Where a key of the concatenation is in its source is not known.
  m.axes[0] = {};
  m.axes[0].perHead = true;
  m.axes[1] = {};
  m.keys = p.sum(keys);
  m.value = ConcatOp::create(p.e, p.scoresType(m), values);
  p.add(std::move(m));
  return true;
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

/// One state over the keys of `m`, by the program of `like` if there is one.
static PartialOp makePartial(Program &p, const Matrix &m, const Tensor &values,
                             PartialOp like, TypeRange results) {
  auto type = StateType::get(p.e.getContext(), SmallVector<Type>(results));
  auto op = PartialOp::create(p.e, type, ValueRange{m.value, values.value});
  if (like) {
    IRMapping mapping;
    like.getBody().cloneInto(&op.getBody(), mapping);
    return op;
  }
  OpBuilder::InsertionGuard guard(p.e);
  Block *block = p.e.createBlock(&op.getBody());
  Matrix inner = m;
  inner.value = block->addArgument(m.getType(), p.e.getLoc());
  Value inside = block->addArgument(values.getType(), p.e.getLoc());
  if (results.size() == 1 || p.chance(0.5)) { // more than plain softmax
    auto map =
        MapOp::create(p.e, p.scoresType(inner), inner.value, ValueRange());
    Site site = p.enter(map.getBody(), {inner}, inner);
    // The other states have other bounds.
    site.elements[0].bound = 1000.0;
    Term x = p.combine(site.elements, p.accumulation, 1 + p.below(2));
    p.yield(x.value);
    inner.value = map.getResult();
  }
  Value weights = SoftmaxOp::create(p.e, inner.value, Value(), Value(),
                                    p.e.getF64FloatAttr(1.0),
                                    p.e.getF64FloatAttr(0.0), UnitAttr());
  SmallVector<Value> yields;
  yields.push_back(AggregateOp::create(p.e, results[0], weights, inside,
                                       ValueRange(), ValueRange(), {false},
                                       {false}, TypeAttr()));
  if (results.size() > 1) {
    yields.push_back(ReduceOp::create(p.e, results[1], ReduceKind::Lse,
                                      Axis::Keys, inner.value)
                         .getResult(0));
  }
  YieldOp::create(p.e, yields);
  return op;
}

bool smith::drawState(Program &p) {
  Tensor q =
      drawOperand(p, {"q", p.batch, p.heads, p.queries, p.features, p.element});
  SmallVector<DimRef> shape{p.batch, p.heads, p.queries, p.features};
  SmallVector<Type> types{p.tensorType(shape, p.accumulation)};
  shape.pop_back();
  if (p.chance(0.8)) {
    types.push_back(p.tensorType(shape, p.accumulation));
  }
  SmallVector<Value> states;
  PartialOp program;
  double bound = 1.0;
  for (int64_t k = 1 + p.below(3); k >= 0; --k) {
    DimRef keys = p.dim("L", p.drawSize(), /*isStatic=*/false);
    Matrix m = drawPlainScores(p, keys, &q);
    drawEntryStep(p, m);
    Tensor v =
        drawOperand(p, {"v", p.batch, p.heads, keys, p.features, p.element});
    bound = std::max(bound, v.bound);
    program = makePartial(p, m, v, program, types);
    states.push_back(program.getResult());
  }
  Value state = MergeOp::create(p.e, states[0].getType(), states);
  auto finish = FinishOp::create(p.e, types, state);
  Tensor output;
  output.value = finish.getResult(0);
  output.shape = {p.batch, p.heads, p.queries, p.features};
  output.bound = bound;
  p.addResult(std::move(output));
  if (types.size() > 1) {
    p.results.push_back(finish.getResult(1));
  }
  return true;
}
