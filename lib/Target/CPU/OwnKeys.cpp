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

/// A dot product of integers, in vectors over the features that are summed at
/// the end.
static Value emitIntegerDot(KernelState &kernel, DotOp dot, Scope &place) {
  Emit &e = kernel.e;
  Type type = dot.getResult().getType();
  int64_t lanes = kernel.lanes;
  int64_t depth = cast<ShapedType>(dot.getLhs().getType()).getShape().back();
  int64_t whole = depth / lanes * lanes;
  Value a = place.get(dot.getLhs()), b = place.get(dot.getRhs());
  SmallVector<Value> ofA = place.get(dot.getLhsIndices());
  SmallVector<Value> ofB = place.get(dot.getRhsIndices());
  auto multiply = [&](Value d, int64_t width) {
    RowChunk chunk(place, d, width);
    Location loc = e.getLoc();
    return createProduct(e, loc,
                         convertOperand(e, loc, chunk.load(a, ofA), type),
                         convertOperand(e, loc, chunk.load(b, ofB), type));
  };
  Value sums = e.constant(VectorType::get({lanes}, type), 0);
  if (whole) {
    sums =
        e.loop(e.index(0), e.index(whole), lanes, sums,
               [&](Value d, ValueRange so) -> SmallVector<Value> {
                 return {createSum(e, e.getLoc(), multiply(d, lanes), so[0])};
               })[0];
  }
  Value result = emitSum(e, sums, e.constant(type, 0));
  return whole < depth
             ? emitSum(e, multiply(e.index(whole), depth - whole), result)
             : result;
}

/// The dot products at W `places` in one vector, each added up in the order of
/// the microkernel. The same product of two kernels is then the same number,
/// and a maximum that one has found is that of the other.
static Value emitDotVector(KernelState &kernel, DotOp dot,
                           MutableArrayRef<Scope> places) {
  Emit &e = kernel.e;
  Type type = dot.getResult().getType();
  int64_t lanes = kernel.lanes;
  int64_t depth = cast<ShapedType>(dot.getLhs().getType()).getShape().back();
  int64_t whole = depth / lanes * lanes;
  auto vector = VectorType::get({lanes}, type);
  struct Side {
    Value buffer;
    SmallVector<SmallVector<Value>> indices; // one, or one per place
  };
  auto getSide = [&](Value buffer, ValueRange indices) {
    bool varies = llvm::any_of(indices, [&](Value index) {
      return kernel.analysis.getClass(index).key;
    });
    Side side{places[0].get(buffer), {}};
    for (Scope &place : places.take_front(varies ? lanes : 1)) {
      side.indices.push_back(place.get(indices));
    }
    return side;
  };
  Side sides[] = {getSide(dot.getLhs(), dot.getLhsIndices()),
                  getSide(dot.getRhs(), dot.getRhsIndices())};
  // Features [d, d + width) of all places, a vector each.
  auto load = [&](const Side &side, Value d, int64_t width) {
    SmallVector<Value> rows;
    for (auto [place, indices] : llvm::zip(places, side.indices)) {
      Value chunk = RowChunk(place, d, width).load(side.buffer, indices);
      chunk = convertOperand(e, e.getLoc(), chunk, type);
      if (width < lanes) {
        chunk = vector::InsertStridedSliceOp::create(
            e, chunk, e.constant(vector, 0), ArrayRef<int64_t>{0},
            ArrayRef<int64_t>{1});
      }
      rows.push_back(chunk);
    }
    if (rows.size() > 1) {
      transpose(e, rows);
      return rows;
    }
    SmallVector<Value> features;
    for (int64_t k = 0; k < width; ++k) {
      Value x = vector::ExtractOp::create(e, rows[0], k);
      features.push_back(e.broadcast(x, lanes));
    }
    return features;
  };
  auto add = [&](Value d, int64_t width, Value sum) {
    SmallVector<Value> x = load(sides[0], d, width);
    SmallVector<Value> y = load(sides[1], d, width);
    for (int64_t k = 0; k < width; ++k) {
      sum = vector::FMAOp::create(e, x[k], y[k], sum);
    }
    return sum;
  };
  Value sum = e.constant(vector, 0);
  if (whole) {
    sum = e.loop(e.index(0), e.index(whole), lanes, sum,
                 [&](Value d, ValueRange so) -> SmallVector<Value> {
                   return {add(d, lanes, so[0])};
                 })[0];
  }
  return whole < depth ? add(e.index(whole), depth - whole, sum) : sum;
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
  auto bindPlaces = [&](Scope &row, Value c, int64_t count) {
    std::vector<Scope> places;
    for (int64_t k = 0; k < count; ++k) {
      places.emplace_back(&row);
      places.back().bind(tile.plan.keyArg, tile.getKeys().at(e, e.add(c, k)));
    }
    return places;
  };
  auto isInteger = [](DotOp dot) {
    return dot.getResult().getType().isInteger();
  };
  auto integers = llvm::make_filter_range(tile.plan.pairs, isInteger);
  auto floats = llvm::make_filter_range(
      tile.plan.pairs, [&](DotOp dot) { return !isInteger(dot); });
  rows([&](Scope &row, Value r) {
    if (!floats.empty()) {
      e.loop(tile.firstColumn, tile.columns, kernel.lanes, [&](Value c) {
        std::vector<Scope> places = bindPlaces(row, c, kernel.lanes);
        for (DotOp dot : floats) {
          e.storeVector(emitDotVector(kernel, dot, places),
                        tile.buffers.lookup(dot.getResult()), {r, c});
        }
      });
    }
    if (!integers.empty()) {
      // Columns beyond the last key are left as they are.
      e.loop(tile.firstColumn, getEnd(e, tile), 1, [&](Value c) {
        std::vector<Scope> places = bindPlaces(row, c, 1);
        for (DotOp dot : integers) {
          e.store(emitIntegerDot(kernel, dot, places[0]),
                  tile.buffers.lookup(dot.getResult()), {r, c});
        }
      });
    }
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
