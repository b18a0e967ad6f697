//===- Reductions.cpp - scores to rows, columns and bins ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Families.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

static SmallVector<DimRef> reducedShape(const Matrix &m, Axis axis) {
  return {m.batch, m.heads, axis == Axis::Keys ? m.queries : m.keys};
}

static Axis drawAxisOf(Program &p) {
  return p.chance(0.6) ? Axis::Keys : Axis::Queries;
}

bool smith::drawReduce(Program &p) {
  const Matrix m = p.pickMatrix();
  Axis axis = drawAxisOf(p);
  SmallVector<ReduceKind> kinds{
      ReduceKind::Sum,   ReduceKind::Max, ReduceKind::Min,     ReduceKind::Mean,
      ReduceKind::Count, ReduceKind::Lse, ReduceKind::Moments, ReduceKind::Any,
      ReduceKind::Sum,   ReduceKind::Max, ReduceKind::Lse};
  if (m.bound < 50.0) {
    kinds.push_back(ReduceKind::Entropy);
  }
  if (m.exact) {
    kinds.append({ReduceKind::ArgMax, ReduceKind::ArgMin});
  }
  ReduceKind kind = p.chooseFrom(kinds);
  bool isIndex = kind == ReduceKind::Count || kind == ReduceKind::ArgMax ||
                 kind == ReduceKind::ArgMin;
  Type element = isIndex                   ? Type(p.e.getI64Type())
                 : kind == ReduceKind::Any ? Type(p.e.getI1Type())
                                           : p.accumulation;
  SmallVector<DimRef> shape = reducedShape(m, axis);
  Type type = p.tensorType(shape, element);
  SmallVector<Type> types(kind == ReduceKind::Moments ? 2 : 1, type);
  auto op = ReduceOp::create(p.e, types, kind, axis, m.value);
  int64_t length = axis == Axis::Keys ? m.keys->size : m.queries->size;
  for (auto [k, value] : llvm::enumerate(op.getResults())) {
    Tensor result;
    result.value = value;
    result.shape = shape;
    result.bound = kind == ReduceKind::Sum
                       ? m.bound * static_cast<double>(length + 1)
                   : k == 1 ? m.bound * m.bound
                            : m.bound + 6.0;
    result.exact =
        isIndex ||
        (m.exact && (kind == ReduceKind::Max || kind == ReduceKind::Min));
    // The maximum of nothing is infinite.
    if (kind == ReduceKind::Max || kind == ReduceKind::Min ||
        kind == ReduceKind::Lse) {
      p.results.push_back(value);
      continue;
    }
    p.addResult(std::move(result));
  }
  return true;
}

namespace {
/// What a reduction runs over, and the extents that are left.
struct Axes {
  Axis axis;
  bool heads = false, batch = false;
  IntegerAttr groups;
  SmallVector<DimRef> kept;
};
} // namespace

/// More axes than one: of keys and queries both, or with heads or batch.
static Axes drawReducedAxes(Program &p, const Matrix &m) {
  Axes axes;
  axes.axis = p.choose({Axis::Keys, Axis::Queries, Axis::Both, Axis::Both});
  axes.batch = p.chance(0.35);
  axes.heads = p.chance(0.5) || (axes.axis != Axis::Both && !axes.batch);
  if (!axes.batch) {
    axes.kept.push_back(m.batch);
  }
  if (axes.heads && m.heads->size % 2 == 0 && p.chance(0.4)) {
    axes.groups = p.e.getI64IntegerAttr(2);
    axes.kept.push_back(p.constant(2));
  } else if (!axes.heads) {
    axes.kept.push_back(m.heads);
  }
  if (axes.axis == Axis::Keys) {
    axes.kept.push_back(m.queries);
  } else if (axes.axis == Axis::Queries) {
    axes.kept.push_back(m.keys);
  }
  return axes;
}

bool smith::drawReduceAxes(Program &p) {
  const Matrix m = p.pickMatrix();
  Axes axes = drawReducedAxes(p, m);
  auto kind = p.choose({ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min,
                        ReduceKind::Mean, ReduceKind::Count, ReduceKind::Lse,
                        ReduceKind::Any});
  Type element = kind == ReduceKind::Count ? Type(p.e.getI64Type())
                 : kind == ReduceKind::Any ? Type(p.e.getI1Type())
                                           : p.accumulation;
  auto op =
      ReduceOp::create(p.e, TypeRange{p.tensorType(axes.kept, element)}, kind,
                       axes.axis, m.value, Value(), Value(), ArrayAttr(),
                       IntegerAttr(), axes.heads, axes.batch, axes.groups);
  p.results.push_back(op.getResult(0));
  return true;
}

bool smith::drawTally(Program &p) {
  const Matrix m = p.pickMatrix();
  auto kind = p.choose({ReduceKind::Sum, ReduceKind::Max, ReduceKind::Count});
  Axes axes = drawReducedAxes(p, m);
  Value rows;
  bool joinsRows = p.chance(0.4);
  if (joinsRows || p.chance(0.3)) { // over one axis
    axes = Axes();
    axes.axis = drawAxisOf(p);
    axes.kept = reducedShape(m, axes.axis);
  }
  DimRef length = axes.axis == Axis::Keys ? m.queries : m.keys;
  if (joinsRows && !length->isSum) {
    int64_t block = p.choose<int64_t>({1, 3, 16});
    rows = p.e.index(block);
    int64_t count = (length->size + block - 1) / block;
    axes.kept.back() = p.dim("R", count, /*isStatic=*/false);
  }
  int64_t bins = p.choose<int64_t>({1, 3, 8, 20});
  Value number;
  IntegerAttr known;
  if (rows || p.chance(0.7)) {
    number = p.scalar("bins", bins);
    axes.kept.push_back(p.dim("bins", bins, /*isStatic=*/false));
  } else {
    known = p.e.getI64IntegerAttr(bins);
    axes.kept.push_back(p.constant(bins));
  }
  Type element =
      kind == ReduceKind::Count ? Type(p.e.getI64Type()) : p.accumulation;
  auto op =
      ReduceOp::create(p.e, TypeRange{p.tensorType(axes.kept, element)}, kind,
                       axes.axis, m.value, number, rows, ArrayAttr(), known,
                       axes.heads, axes.batch, axes.groups);
  Site site = p.enter(op.getBin(), {m}, m);
  p.yield(p.bin(site, bins));
  p.results.push_back(op.getResult(0));
  return true;
}

bool smith::drawBins(Program &p) {
  const Matrix m = p.pickMatrix();
  Axis axis = drawAxisOf(p);
  auto kind = p.choose(
      {ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min, ReduceKind::Count});
  int64_t bins = p.choose<int64_t>({1, 3, 8, 20});
  Type element =
      kind == ReduceKind::Count ? Type(p.e.getI64Type()) : p.accumulation;
  SmallVector<DimRef> shape = reducedShape(m, axis);
  shape.push_back(p.constant(bins));
  auto op = ReduceOp::create(p.e, TypeRange{p.tensorType(shape, element)}, kind,
                             axis, m.value, Value(), Value(), ArrayAttr(),
                             p.e.getI64IntegerAttr(bins), false, false,
                             IntegerAttr());
  Site site = p.enter(op.getBin(), {m}, m);
  p.yield(p.bin(site, bins));
  p.results.push_back(op.getResult(0));
  return true;
}

bool smith::drawCustom(Program &p) {
  const Matrix m = p.pickMatrix();
  Axis axis = drawAxisOf(p);
  // Sums, maxima and minima side by side; of powers of the entry, as moments
  // are.
  int64_t count = 1 + p.below(3);
  SmallVector<int64_t> kinds;
  SmallVector<double> identity;
  for (int64_t k = 0; k < count; ++k) {
    kinds.push_back(p.below(3));
    constexpr double infinity = std::numeric_limits<double>::infinity();
    identity.push_back(kinds[k] == 0   ? 0.0
                       : kinds[k] == 1 ? -infinity
                                       : infinity);
  }
  SmallVector<DimRef> shape = reducedShape(m, axis);
  SmallVector<Type> types(static_cast<size_t>(count),
                          p.tensorType(shape, p.accumulation));
  auto op = ReduceOp::create(p.e, types, ReduceKind::Custom, axis, m.value,
                             Value(), Value(), p.e.getF64ArrayAttr(identity),
                             IntegerAttr(), false, false, IntegerAttr());
  Site site = p.enter(op.getLift(), {m}, m);
  SmallVector<Value> lifted;
  for (int64_t k = 0; k < count; ++k) {
    lifted.push_back(p.expression(site, p.accumulation, p.below(3)).value);
  }
  p.yield(lifted);
  OpBuilder::InsertionGuard guard(p.e);
  Block *block = p.e.createBlock(&op.getCombine());
  for (int64_t k = 0; k < 2 * count; ++k) {
    block->addArgument(p.accumulation, p.e.getLoc());
  }
  SmallVector<Value> combined;
  for (int64_t k = 0; k < count; ++k) {
    Value x = block->getArgument(static_cast<unsigned>(k));
    Value y = block->getArgument(static_cast<unsigned>(k + count));
    combined.push_back(kinds[k] == 0 ? Value(arith::AddFOp::create(p.e, x, y))
                       : kinds[k] == 1
                           ? Value(arith::MaximumFOp::create(p.e, x, y))
                           : Value(arith::MinimumFOp::create(p.e, x, y)));
  }
  YieldOp::create(p.e, combined);
  llvm::append_range(p.results, op.getResults());
  return true;
}
