//===- OwnKeys.cpp - keys that belong to one row --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where every row has keys and values of its own (attn.lane, rows gathered per
// query), there is no product of matrices: each key row is read once, for one
// entry. Vectors run over the features:
//
//   S[r, c] = sum_d Q[i, d] * K[i, j, d]       four keys at a time
//   acc[r, :] += P[r, c] * V[i, j, :]          acc in registers over the keys
//
//===----------------------------------------------------------------------===//

#include "Sweep.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Value cpu::isPresent(Emit &e, Value coefficient) {
  Type type = coefficient.getType(), element = getElementTypeOrSelf(type);
  Type bits = e.getIntegerType(element.getIntOrFloatBitWidth());
  Value marker = arith::BitcastOp::create(
      e, bits, e.fromBits(e.constant64(kMarkerBits), element));
  if (auto vector = dyn_cast<VectorType>(type)) {
    bits = vector.clone(bits);
    marker = e.broadcast(marker, vector.getNumElements());
  }
  return arith::CmpIOp::create(e, arith::CmpIPredicate::ne,
                               arith::BitcastOp::create(e, bits, coefficient),
                               marker);
}

/// The dot product at each of `places`, in vectors over the features that are
/// summed at the end.
static SmallVector<Value> emitDots(KernelState &kernel, DotOp dot,
                                   MutableArrayRef<Scope> places) {
  Emit &e = kernel.e;
  Type type = dot.getResult().getType();
  int64_t lanes = kernel.lanes;
  int64_t depth = cast<ShapedType>(dot.getLhs().getType()).getShape().back();
  int64_t whole = depth / lanes * lanes;
  struct Row {
    Value buffer;
    SmallVector<Value> indices;
  };
  SmallVector<std::pair<Row, Row>> rows;
  for (Scope &place : places) {
    rows.push_back({{place.get(dot.getLhs()), place.get(dot.getLhsIndices())},
                    {place.get(dot.getRhs()), place.get(dot.getRhsIndices())}});
  }
  auto multiply = [&](size_t k, Value d, int64_t width, Value sum) -> Value {
    RowChunk chunk(places[k], d, width);
    auto &[a, b] = rows[k];
    Location loc = e.getLoc();
    Value x = convertOperand(e, loc, chunk.load(a.buffer, a.indices), type);
    Value y = convertOperand(e, loc, chunk.load(b.buffer, b.indices), type);
    if (type.isInteger()) {
      Value product = createProduct(e, loc, x, y);
      return sum ? createSum(e, loc, product, sum) : product;
    }
    return sum ? vector::FMAOp::create(e, x, y, sum).getResult()
               : arith::MulFOp::create(e, x, y).getResult();
  };
  SmallVector<Value> sums(places.size(),
                          e.constant(VectorType::get({lanes}, type), 0));
  if (whole) {
    sums = e.loop(e.index(0), e.index(whole), lanes, sums,
                  [&](Value d, ValueRange carried) {
                    SmallVector<Value> next;
                    for (size_t k = 0; k < places.size(); ++k) {
                      next.push_back(multiply(k, d, lanes, carried[k]));
                    }
                    return next;
                  });
  }
  auto reduce = [&](Value vector, Value start) -> Value {
    return emitSum(e, vector, start);
  };
  SmallVector<Value> results;
  for (size_t k = 0; k < places.size(); ++k) {
    Value result = reduce(sums[k], e.constant(type, 0));
    if (depth > whole) {
      result = reduce(multiply(k, e.index(whole), depth - whole, {}), result);
    }
    results.push_back(result);
  }
  return results;
}

/// Where the columns of a tile end that are surely keys.
static Value getEnd(Emit &e, const Tile &tile) {
  if (tile.table || tile.halo) {
    return tile.columns;
  }
  return e.min(tile.columns, e.sub(tile.upper, tile.firstKey));
}

void Kernel::emitPairs(KernelState &kernel, Tile &tile, RowLoop rows) {
  if (tile.plan.pairs.empty()) {
    return;
  }
  // Columns beyond the last key are left as they are: nobody looks at them.
  Value end = getEnd(e, tile);
  rows([&](Scope &row, Value r) {
    auto emitColumns = [&](Value from, Value to, int64_t count) {
      e.loop(from, to, count, [&](Value c) {
        std::vector<Scope> places;
        for (int64_t k = 0; k < count; ++k) {
          places.emplace_back(&row);
          places.back().bind(tile.plan.keyArg,
                             tile.getKeys().at(e, e.add(c, k)));
        }
        for (DotOp dot : tile.plan.pairs) {
          SmallVector<Value> results = emitDots(kernel, dot, places);
          for (auto [k, result] : llvm::enumerate(results)) {
            e.store(result, tile.buffers.lookup(dot.getResult()),
                    {r, e.add(c, k)});
          }
        }
      });
    };
    constexpr int64_t group = 4;
    Value count = e.max(e.index(0), e.sub(end, tile.firstColumn));
    Value middle = e.add(tile.firstColumn, e.roundDown(count, group));
    emitColumns(tile.firstColumn, middle, group);
    emitColumns(middle, end, 1);
  });
}

void Kernel::emitOwnRows(Sweep &sweep, CarryOp outer, Scope &scope,
                         Tile &tile) {
  Value coefficients = sweep.coefficients.lookup(outer).floats;
  Value out = state.rowVectors.lookup(outer.getResult());
  Type element = cast<MemRefType>(out.getType()).getElementType();
  int64_t extent = cast<VectorType>(outer.getRow().getType()).getNumElements();
  Value end = getEnd(e, tile);
  // Features that stay in registers while the keys go by.
  constexpr int64_t vectors = 8;
  auto emitFeatures = [&](Scope &row, Value r, int64_t first, int64_t last) {
    SmallVector<std::pair<Value, int64_t>> chunks;
    SmallVector<Value> sums;
    for (int64_t d = first; d < last; d += state.lanes) {
      int64_t width = std::min(state.lanes, last - d);
      chunks.push_back({e.index(d), width});
      sums.push_back(
          e.loadVector(out, {row.getBlockRow(), chunks.back().first}, width));
    }
    sums = e.loop(
        tile.firstColumn, end, 1, sums, [&](Value c, ValueRange carried) {
          Value x = e.load(coefficients, {r, c});
          Value present = isPresent(e, x);
          x = e.convertFloat(x, element);
          Scope place(&row);
          place.bind(tile.plan.keyArg, tile.getKeys().at(e, c));
          place.prepareRow(outer.getRow());
          SmallVector<Value> next;
          for (auto [chunk, sum] : llvm::zip(chunks, carried)) {
            auto [d, width] = chunk;
            Value features = e.convertFloat(
                RowChunk(place, d, width).get(outer.getRow()), element);
            Value more =
                vector::FMAOp::create(e, e.broadcast(x, width), features, sum);
            next.push_back(e.select(present, more, sum));
          }
          return next;
        });
    for (auto [chunk, sum] : llvm::zip(chunks, sums)) {
      e.storeVector(sum, out, {row.getBlockRow(), chunk.first});
    }
  };
  forEachRow(scope, tile, [&](Scope &row, Value r) {
    int64_t step = vectors * state.lanes;
    for (int64_t d = 0; d < extent; d += step) {
      emitFeatures(row, r, d, std::min(d + step, extent));
    }
  });
}
