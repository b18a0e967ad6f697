//===- Neighbors.cpp - ops on the entries of several places ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Stencils, mixtures of heads, transposes, products, and lists of keys.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"

#include "Families.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

bool smith::drawConvolve(Program &p) {
  const Matrix m = p.pickMatrix();
  int64_t rows = p.choose<int64_t>({1, 1, 2, 3, 4});
  int64_t keys = p.choose<int64_t>({1, 2, 3, 3, 5});
  bool isGrid = p.chance(0.3);
  Tensor taps =
      p.argument("taps", {p.orOne(m.heads), p.constant(rows), p.constant(keys)},
                 p.chance(0.8) ? p.accumulation : p.element,
                 isGrid ? "grid(0.25, 1)" : "normal(0.5)");
  int64_t origin[] = {p.below(rows), p.below(keys)};
  UnitAttr sameSegment =
      m.hasSegments() && p.chance(0.5) ? p.e.getUnitAttr() : UnitAttr();
  double bound = m.bound * static_cast<double>(rows * keys);
  Value result = ConvolveOp::create(
      p.e, m.value, taps.value, p.e.getDenseI64ArrayAttr(origin), sameSegment);
  p.add(m, result, bound, m.exact && isGrid && bound < 1000.0);
  return true;
}

bool smith::drawMixHeads(Program &p) {
  Matrix m = p.pickMatrix();
  bool keepsHeads = p.chance(0.7) || m.hasPerHeadAxes();
  DimRef heads =
      keepsHeads ? m.heads : p.constant(p.choose<int64_t>({1, 2, 3, 4, 8}));
  bool isGrid = p.chance(0.3);
  Tensor weights = p.argument("mix", {heads, m.heads}, p.accumulation,
                              isGrid ? "grid(0.25, 1)" : "normal(0.5)");
  m.bound *= static_cast<double>(m.heads->size);
  m.exact &= isGrid && m.bound < 1000.0;
  Value input = m.value;
  m.heads = heads;
  m.value = MixHeadsOp::create(p.e, p.scoresType(m), input, weights.value);
  p.add(std::move(m));
  return true;
}

bool smith::drawReduceHeads(Program &p) {
  Matrix m = p.pickMatrix();
  if (m.hasPerHeadAxes()) {
    return false;
  }
  SmallVector<int64_t> divisors;
  for (int64_t g = 1; g <= m.heads->size; ++g) {
    if (m.heads->size % g == 0) {
      divisors.push_back(g);
    }
  }
  auto kind = p.choose({ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min,
                        ReduceKind::Mean, ReduceKind::Count});
  Value input = m.value;
  double joined = static_cast<double>(m.heads->size);
  m.heads = p.constant(p.chooseFrom(divisors));
  joined /= static_cast<double>(m.heads->size);
  m.bound = kind == ReduceKind::Sum     ? m.bound * joined
            : kind == ReduceKind::Count ? joined
                                        : m.bound;
  m.exact = (m.exact && kind != ReduceKind::Mean) || kind == ReduceKind::Count;
  m.value = ReduceHeadsOp::create(p.e, p.scoresType(m), kind, input);
  p.add(std::move(m));
  return true;
}

bool smith::drawCompete(Program &p) {
  const Matrix m = p.pickMatrix();
  if (!m.sources.empty()) {
    return false;
  }
  Matrix turned = m;
  std::swap(turned.queries, turned.keys);
  ScoresType type = p.scoresType(turned);
  Value scores = TransposeOp::create(p.e, type, m.value);
  Value weights =
      SoftmaxOp::create(p.e, scores, Value(), Value(), p.e.getF64FloatAttr(1.0),
                        p.e.getF64FloatAttr(0.0), UnitAttr());
  p.add(m, TransposeOp::create(p.e, p.scoresType(m), weights), 1.0, false);
  return true;
}

bool smith::drawTranspose(Program &p) {
  Matrix m = p.pickMatrix();
  if (!m.sources.empty()) {
    return false;
  }
  Value input = m.value;
  std::swap(m.queries, m.keys);
  std::swap(m.axes[0], m.axes[1]);
  m.value = TransposeOp::create(p.e, p.scoresType(m), input);
  p.add(std::move(m));
  return true;
}

/// A factor [B or 1, H or 1, queries, keys] of a product: scores of their own,
/// normalized or masked at times.
static Matrix drawFactor(Program &p, DimRef queries, DimRef keys) {
  Matrix m;
  m.heads = p.heads;
  m.batch = p.batch;
  m.queries = queries;
  m.keys = keys;
  Tensor q =
      drawOperand(p, {"q", m.batch, m.heads, queries, p.features, p.element});
  Tensor k =
      drawOperand(p, {"k", m.batch, m.heads, keys, p.features, p.element});
  m.value = ScoreOp::create(p.e, p.scoresType(m), q.value, k.value, Value(),
                            Value(), Value(), Value(), Value(), Value(),
                            Value(), Value(), Value(), Value(), APFloat(0.25));
  m.bound = q.bound * k.bound;
  if (p.chance(0.4)) {
    m.value = SoftmaxOp::create(p.e, m.value, Value(), Value(),
                                p.e.getF64FloatAttr(1.0),
                                p.e.getF64FloatAttr(0.0), UnitAttr());
    m.bound = 1.0;
  } else if (p.chance(0.4)) {
    auto op = MaskOp::create(p.e, m.getType(), m.value, Value(), Attribute());
    Site site = p.enter(op.getBody(), {m}, m);
    p.yield(p.predicate(site));
    m.value = op.getResult();
  }
  return m;
}

bool smith::drawMatmul(Program &p) {
  const Matrix *lhs = p.findMatrix([](const Matrix &m) {
    return m.keys->size <= 9 && m.keys->size > 0 && m.sources.empty();
  });
  Matrix a, b;
  if (lhs) {
    a = *lhs;
    b = drawFactor(p, a.keys, p.keys);
  } else {
    DimRef shared = p.dim("L", p.choose<int64_t>({1, 2, 3, 7}), p.chance(0.7));
    a = drawFactor(p, p.queries, shared);
    b = drawFactor(p, shared, p.keys);
  }
  auto isOne = [](DimRef dim) { return dim->isStatic && dim->size == 1; };
  auto join = [&](DimRef x, DimRef y) -> DimRef {
    return isOne(x) ? y : isOne(y) || x == y ? x : nullptr;
  };
  Matrix m = a;
  m.batch = join(a.batch, b.batch);
  m.heads = join(a.heads, b.heads);
  if (!m.batch || !m.heads) {
    return false;
  }
  m.keys = b.keys;
  m.axes[1] = b.axes[1];
  m.bound = a.bound * b.bound * static_cast<double>(a.keys->size);
  m.exact = false;
  m.value = MatmulOp::create(p.e, p.scoresType(m), a.value, b.value);
  p.add(std::move(m));
  return true;
}

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Groups of heads that share a list: a divisor of the heads.
static DimRef drawListHeads(Program &p, const Matrix &m) {
  SmallVector<DimRef> choices{p.constant(1), m.heads};
  if (m.heads->size % 2 == 0) {
    choices.push_back(p.constant(2));
  }
  return p.chooseFrom(choices);
}

/// Blocks of queries: an extent that the types know where they know that of the
/// queries.
static DimRef blocksOf(Program &p, DimRef queries, int64_t block) {
  return queries->isStatic ? p.constant(ceilDiv(queries->size, block))
                           : p.dim("R", ceilDiv(queries->size, block), false);
}

bool smith::drawRestrict(Program &p) {
  const Matrix *found =
      p.findMatrix([](const Matrix &m) { return !m.queries->isSum; });
  if (!found) {
    return false;
  }
  const Matrix m = *found;
  int64_t queryBlock = p.choose<int64_t>({1, 4, 16, 17, 32});
  int64_t keyBlock = p.choose<int64_t>({1, 1, 4, 16, 64});
  int64_t blocks = ceilDiv(m.keys->size, keyBlock);
  DimRef width = p.chance(0.7)
                     ? p.constant(p.choose<int64_t>({1, 4, 9}))
                     : p.dim("W", p.choose<int64_t>({0, 3, 12}), false);
  SmallVector<DimRef> shape{p.orOne(m.batch), drawListHeads(p, m),
                            blocksOf(p, m.queries, queryBlock), width};
  Tensor list =
      p.integers("list", shape, "range(-1, " + std::to_string(blocks) + ")");
  Type integer = list.getElement();
  Value lengths, counts;
  if (p.chance(0.25)) {
    lengths = p.argument("runs", shape, integer, "range(0, 4)").value;
  }
  if (p.chance(0.4)) {
    counts = p.argument("counts", ArrayRef(shape).drop_back(), integer,
                        "range(-1, 10)")
                 .value;
  }
  Value result = RestrictOp::create(p.e, m.value, list.value, lengths, counts,
                                    p.e.getI64IntegerAttr(queryBlock),
                                    p.e.getI64IntegerAttr(keyBlock));
  p.add(m, result, m.bound, m.exact);
  return true;
}

namespace {
struct BlockList {
  Value indices, counts;
  SmallVector<DimRef> rows;
};
} // namespace

/// A list that the program makes from a predicate on blocks.
static BlockList makeList(Program &p, ArrayRef<DimRef> rows, DimRef width,
                          Type integer, Value blocks) {
  BlockList list;
  list.rows.assign(rows.begin(), rows.end());
  SmallVector<DimRef> shape(rows);
  shape.push_back(width);
  auto op = ListOp::create(p.e, p.tensorType(shape, integer),
                           p.tensorType(rows, integer), blocks,
                           p.dynamicExtents(rows));
  OpBuilder::InsertionGuard guard(p.e);
  Block *block = p.e.createBlock(&op.getBody());
  SmallVector<Value> at;
  for (int k = 0; k < 4; ++k) {
    at.push_back(block->addArgument(p.e.getIndexType(), p.e.getLoc()));
  }
  Value keep;
  switch (p.below(3)) {
  case 0:
    keep = arith::CmpIOp::create(p.e, arith::CmpIPredicate::ule, at[3],
                                 p.e.add(at[2], at[1]));
    break;
  case 1: {
    Value step = arith::RemUIOp::create(p.e, p.e.add(at[2], at[3]),
                                        p.e.index(p.choose<int64_t>({2, 3})));
    keep = p.e.equal(step, p.e.index(0));
    break;
  }
  default: {
    Tensor flags = p.integers("flag", {rows[2]}, "range(0, 5)");
    Value flag = tensor::ExtractOp::create(p.e, flags.value, at[2]);
    Value index = arith::IndexCastOp::create(p.e, p.e.getIndexType(), flag);
    keep = p.e.less(at[3], index);
  }
  }
  YieldOp::create(p.e, keep);
  list.indices = op.getIndices();
  list.counts = op.getCounts();
  return list;
}

bool smith::drawList(Program &p) {
  const Matrix *found =
      p.findMatrix([](const Matrix &m) { return !m.queries->isSum; });
  if (!found) {
    return false;
  }
  const Matrix m = *found;
  int64_t queryBlock = p.choose<int64_t>({1, 8, 16});
  int64_t keyBlock = p.choose<int64_t>({1, 8, 16});
  Type integer = p.chance(0.7) ? p.e.getI32Type() : p.e.getI64Type();
  SmallVector<DimRef> rows{p.constant(1), drawListHeads(p, m),
                           blocksOf(p, m.queries, queryBlock)};
  Value blocks = p.e.index(ceilDiv(m.keys->size, keyBlock));
  DimRef width = p.constant(p.choose<int64_t>({3, 8}));
  BlockList list = makeList(p, rows, width, integer, blocks);
  if (p.chance(0.5)) { // two of them
    DimRef second = p.constant(p.choose<int64_t>({2, 5}));
    BlockList other = makeList(p, rows, second, integer, blocks);
    bool isUnion = p.chance(0.5);
    SmallVector<DimRef> shape(rows);
    shape.push_back(isUnion ? p.constant(width->size + second->size) : width);
    SmallVector<Type> types{p.tensorType(shape, integer),
                            p.tensorType(rows, integer)};
    Operation *op =
        isUnion
            ? ListUnionOp::create(p.e, types[0], types[1], list.indices,
                                  list.counts, other.indices, other.counts)
                  .getOperation()
            : ListIntersectOp::create(p.e, types[0], types[1], list.indices,
                                      list.counts, other.indices, other.counts)
                  .getOperation();
    list.indices = op->getResult(0);
    list.counts = op->getResult(1);
  }
  Value result = RestrictOp::create(
      p.e, m.value, list.indices, Value(), list.counts,
      p.e.getI64IntegerAttr(queryBlock), p.e.getI64IntegerAttr(keyBlock));
  p.add(m, result, m.bound, m.exact);
  return true;
}
