//===- Results.cpp - scores to tensors ------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/ListOps.h"

#include "Families.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

bool smith::drawMaterialize(Program &p) {
  const Matrix m = p.pickMatrix();
  SmallVector<DimRef> shape{m.batch, m.heads, m.queries, m.keys};
  Type element = p.chance(0.7) ? p.accumulation : p.element;
  if (m.bound > 1000.0) {
    element = p.accumulation;
  }
  double absent = p.choose({0.0, 0.0, -1.0});
  Tensor result;
  result.shape = shape;
  result.bound = m.bound;
  result.exact = m.exact && element == p.accumulation;
  result.value = MaterializeOp::create(p.e, p.tensorType(shape, element),
                                       m.value, APFloat(absent));
  p.addResult(std::move(result));
  return true;
}

//===----------------------------------------------------------------------===//
// Aggregates
//===----------------------------------------------------------------------===//

/// Values for `weights`: one per source, with a head map at times.
static SmallVector<Tensor> drawValues(Program &p, const Matrix &m,
                                      DimRef features,
                                      SmallVectorImpl<Value> &maps,
                                      SmallVectorImpl<bool> &mapped,
                                      SmallVectorImpl<Value> &batchMaps,
                                      SmallVectorImpl<bool> &batchMapped) {
  SmallVector<std::pair<DimRef, bool>> sources(m.sources);
  if (sources.empty()) {
    sources.push_back({m.keys, false});
  }
  SmallVector<Tensor> values;
  for (auto [length, perQuery] : sources) {
    DimRef groups = p.constant(1);
    bool isMapped = p.chance(0.12);
    if (isMapped) {
      groups = p.constant(p.choose<int64_t>({1, 2, 3}));
      maps.push_back(
          p.integers("map", {m.heads}, "table(" + groups->name + ")").value);
    } else if (p.chance(0.7)) {
      groups =
          m.heads->size % 2 == 0 && p.chance(0.4) ? p.constant(2) : m.heads;
    }
    mapped.push_back(isMapped);
    Type element = p.chance(0.8) ? p.element : Type(p.e.getF32Type());
    DimRef batch = p.chance(0.15) ? p.constant(1) : m.batch;
    bool isBatchMapped = p.chance(0.08);
    if (isBatchMapped) {
      batch = p.constant(p.choose<int64_t>({1, 2, 3}));
      batchMaps.push_back(
          p.integers("batch_map", {m.batch}, "table(" + batch->name + ")")
              .value);
    }
    batchMapped.push_back(isBatchMapped);
    if (perQuery) {
      values.push_back(p.numbers(
          "v", {batch, groups, m.queries, length, features}, element));
    } else {
      values.push_back(
          drawOperand(p, {"v", batch, groups, length, features, element}));
    }
  }
  return values;
}

bool smith::drawAggregate(Program &p) {
  const Matrix m = p.pickMatrix();
  DimRef features = p.chance(0.8)
                        ? p.features
                        : p.constant(p.choose<int64_t>({1, 3, 8, 40, 64}));
  SmallVector<Value> maps, batchMaps;
  SmallVector<bool> mapped, batchMapped;
  SmallVector<Tensor> tensors =
      drawValues(p, m, features, maps, mapped, batchMaps, batchMapped);
  SmallVector<Value> values;
  double largest = 0.0;
  for (const Tensor &tensor : tensors) {
    values.push_back(tensor.value);
    largest = std::max(largest, tensor.bound);
  }
  double bound = m.bound <= 1.0
                     ? largest
                     : m.bound * largest * static_cast<double>(m.keys->size);
  Type element = p.chance(0.6) ? p.element : p.accumulation;
  if (bound > 10000.0 || p.element.isF64()) {
    element = p.accumulation;
  }
  TypeAttr operandType;
  if (p.chance(0.12) && !p.element.isF64()) {
    operandType =
        TypeAttr::get(p.chance(0.7) ? Type(p.e.getBF16Type()) : p.accumulation);
  }
  Tensor result;
  result.shape = {m.batch, m.heads, m.queries, features};
  result.bound = bound;
  result.value = AggregateOp::create(p.e, p.tensorType(result.shape, element),
                                     m.value, values, maps, batchMaps, mapped,
                                     batchMapped, operandType);
  p.addResult(std::move(result));
  return true;
}

bool smith::drawTopk(Program &p) {
  const Matrix *found = p.findMatrix([](const Matrix &m) { return m.exact; });
  if (!found) {
    return false;
  }
  const Matrix m = *found;
  DimRef best = p.constant(p.choose<int64_t>({1, 2, 4, 9}));
  SmallVector<DimRef> rows{m.batch, m.heads, m.queries};
  SmallVector<DimRef> shape(rows);
  shape.push_back(best);
  Value limit;
  if (p.chance(0.3)) {
    limit = p.integers("limit",
                       {p.orOne(m.batch), p.orOne(m.heads),
                        m.queries->isSum ? p.constant(1) : p.orOne(m.queries)},
                       "range(-1, 6)")
                .value;
  }
  auto op = TopkOp::create(p.e, p.tensorType(shape, p.accumulation),
                           p.tensorType(shape, p.e.getI64Type()),
                           p.tensorType(rows, p.e.getI64Type()), m.value, limit,
                           p.chance(0.3), p.chance(0.3));
  if (p.chance(0.25)) {
    Site site = p.enter(op.getForced(), {m}, m);
    p.yield(p.predicate(site));
  }
  // The chosen keys of a row are a list of the row.
  const Matrix *other = p.findMatrix([&](const Matrix &o) {
    return o.queries == m.queries && o.keys == m.keys && o.batch == m.batch &&
           o.heads == m.heads && !o.queries->isSum;
  });
  if (other && p.chance(0.5)) {
    const Matrix o = *other;
    Value result = RestrictOp::create(p.e, o.value, op.getIndices(), Value(),
                                      op.getCount(), p.e.getI64IntegerAttr(1),
                                      p.e.getI64IntegerAttr(1));
    p.add(o, result, o.bound, o.exact);
  }
  llvm::append_range(p.results, op->getResults());
  return true;
}
