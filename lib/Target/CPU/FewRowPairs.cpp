//===- FewRowPairs.cpp - products of few rows, by pairs of bf16 -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Eight rows on a cache of bf16 need more multiply-adds than f32 has while the
// cache is read; dot products of pairs are twice as fast. Keys come from where
// they lie. Pairs of their features change places within blocks of four lanes,
// once for all rows, and queries have each pair four times to match:
//
//   key a   a0 a1 a2 a3 | a4 ..         a0 b0 c0 d0 | a4 ..   x   q0 q0 q0 q0 |
//   key b   b0 b1 b2 b3 | b4 ..    ->   a1 b1 c1 d1 | a5 ..   x   q1 q1 q1 q1 |
//   key c   c0 c1 c2 c3 | c4 ..         a2 b2 c2 d2 | a6 ..   x   q2 q2 q2 q2 |
//   key d   d0 d1 d2 d3 | d4 ..         a3 b3 c3 d3 | a7 ..   x   q3 q3 q3 q3 |
//
// Whole transposes would need a load per product, of a pair for all lanes; here
// a load serves as many products as there are blocks of keys, and in the end
// only blocks are left to be summed. Values are in FewRows.cpp.
//
//===----------------------------------------------------------------------===//

#include "FewRows.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Lanes of a block, and the keys that meet in it.
static constexpr int64_t kBlock = 4;
/// Keys that share the loads of queries.
static constexpr int64_t kKeysTogether = 8;

int64_t cpu::getSpreadUnits(const Contraction &contraction, int64_t lanes) {
  return kBlock * llvm::alignTo(contraction.getUnits(), lanes);
}

/// What fills the lanes behind those of `x`: zeros.
static Value fill(Emit &e, Value x, int64_t lanes) {
  auto type = cast<VectorType>(x.getType());
  if (type.getNumElements() == lanes) {
    return x;
  }
  Value zeros = e.constant(VectorType::get({lanes}, type.getElementType()), 0);
  return vector::InsertStridedSliceOp::create(e, x, zeros, ArrayRef<int64_t>{0},
                                              ArrayRef<int64_t>{1});
}

void cpu::spreadPairs(KernelState &kernel, const Contraction &contraction,
                      Value pairs, Value out) {
  Emit &e = kernel.e;
  int64_t rows = cast<MemRefType>(out.getType()).getDimSize(0);
  e.loop(e.index(0), e.index(rows), 1, [&](Value r) {
    forEachChunk(
        e, contraction.getUnits(), kernel.lanes, [&](Value u, int64_t width) {
          Value query =
              fill(e, e.loadVector(pairs, {r, u}, width), kernel.lanes);
          for (int64_t p = 0; p < kBlock; ++p) {
            SmallVector<int64_t> from;
            for (int64_t lane = 0; lane < kernel.lanes; ++lane) {
              from.push_back(lane / kBlock * kBlock + p);
            }
            e.storeVector(vector::ShuffleOp::create(e, query, query, from), out,
                          {r, e.add(e.mul(u, kBlock), p * kernel.lanes)});
          }
        });
  });
}

/// As many bf16 as two vectors have lanes, from feature d of a row on; those
/// beyond `width` are zero. What is computed has no longer vectors than others.
static Value loadHalves(Scope &key, const RowOf &row, Value d, int64_t width) {
  Emit &e = key.kernel.e;
  int64_t lanes = key.kernel.lanes;
  if (!row.value || width <= lanes) {
    return fill(e, RowChunk(key, d, width).get(row), 2 * lanes);
  }
  Value low = RowChunk(key, d, lanes).get(row);
  Value high = RowChunk(key, e.add(d, lanes), width - lanes).get(row);
  return vector::InsertStridedSliceOp::create(e, high, fill(e, low, 2 * lanes),
                                              ArrayRef<int64_t>{lanes},
                                              ArrayRef<int64_t>{1});
}

/// Two neighbours of 16 bits as one number.
static Value joinNeighbours(Emit &e, Value halves) {
  int64_t lanes = cast<VectorType>(halves.getType()).getNumElements() / 2;
  return vector::BitCastOp::create(e, VectorType::get({lanes}, e.getI32Type()),
                                   halves);
}

SmallVector<Value> cpu::loadKeyPairs(MutableArrayRef<Scope> keys, Value row,
                                     Value d, int64_t width) {
  Emit &e = keys[0].kernel.e;
  int64_t lanes = keys[0].kernel.lanes;
  auto extend = row.getDefiningOp<arith::ExtFOp>();
  RowOf source = RowOf::get(extend ? extend.getIn() : row);
  SmallVector<Value> pairs;
  for (int64_t from = 0; from < width; from += 2 * lanes) {
    int64_t count = std::min(2 * lanes, width - from);
    Value low = loadHalves(keys[0], source, e.add(d, from), count);
    Value high = loadHalves(keys[1], source, e.add(d, from), count);
    for (int64_t first = 0; first < count; first += lanes) {
      SmallVector<int64_t> mask;
      for (int64_t lane = first; lane < first + lanes; ++lane) {
        mask.append({lane, 2 * lanes + lane});
      }
      pairs.push_back(
          joinNeighbours(e, vector::ShuffleOp::create(e, low, high, mask)));
    }
  }
  return pairs;
}

/// Whether the rows of keys that follow one another are as far apart.
static bool isConsecutive(const Tile &tile, const Contraction &contraction,
                          const StreamAnalysis &analysis) {
  const RowOf &row = contraction.streamed;
  Value key = tile.plan.keyArg;
  if (row.value || tile.table || llvm::count(row.indices, key) != 1) {
    return false;
  }
  for (auto [index, extent] : llvm::zip(
           row.indices, cast<ShapedType>(row.source.getType()).getShape())) {
    bool few = !ShapedType::isDynamic(extent) && extent < kKeysTogether;
    if (index == key ? few : analysis.getClass(index).key) {
      return false;
    }
  }
  return true;
}

namespace {
/// Scores of all rows with a few keys at a time.
class PairScores {
public:
  PairScores(Scope &scope, Tile &tile, const Contraction &contraction,
             Value queries)
      : e(scope.kernel.e), scope(scope), tile(tile), contraction(contraction),
        queries(queries), lanes(scope.kernel.lanes),
        rows(scope.kernel.analysis.getDirectRows()),
        sources(getStreamedRows(scope.kernel, contraction.streamed)),
        ahead(getKeysAhead(sources, scope.kernel.tiling)),
        byStep(fillsLines(sources, contraction.getDepth(), 2 * lanes)),
        consecutive(byStep &&
                    isConsecutive(tile, contraction, scope.kernel.analysis)) {}
  void emit();

private:
  Value getWindow(Value column);
  void bindKeys(Value column);
  void askAhead(Value d, int64_t part);
  SmallVector<Value> addFeatures(Value d, int64_t width, ValueRange so);
  void store(SmallVector<Value> sums, Value column);

  Emit &e;
  Scope &scope;
  Tile &tile;
  const Contraction &contraction;
  Value queries;
  int64_t lanes, rows;
  SmallVector<RowOf> sources;
  KeysAhead ahead;
  /// Whether lines are asked for one at each step of the product.
  bool byStep;
  /// Whether these are found through windows: one address for all their keys.
  bool consecutive;
  /// The keys, and those that are asked for, with the cache they come to.
  std::vector<Scope> keys;
  std::vector<std::pair<Scope, Cache>> next;
  SmallVector<std::pair<Value, Cache>> windows;
};
} // namespace

void PairScores::bindKeys(Value column) {
  const RowOf &row = contraction.streamed;
  keys.clear();
  next.clear();
  windows.clear();
  for (int64_t i = 0; i < kKeysTogether; ++i) {
    Scope &key = keys.emplace_back(&scope);
    key.bind(tile.plan.keyArg, tile.getKeys().at(e, e.add(column, i)));
    if (row.value) {
      key.prepareRow(row.value);
    } else {
      key.get(row.indices);
    }
    if (consecutive) {
      continue;
    }
    for (auto [distance, cache] : ahead) {
      auto &[place, to] = next.emplace_back(Scope(&scope), cache);
      tile.getKeys().bindAhead(place, e.add(column, distance + i));
      if (!byStep) {
        prefetchLines(place, sources, e.index(0), 1, to);
        continue;
      }
      // Where they are is for all steps, of which some are in a loop.
      for (const RowOf &source : sources) {
        place.get(source.source);
        place.get(source.indices);
      }
    }
  }
  if (consecutive) {
    for (auto [distance, cache] : ahead) {
      windows.push_back({getWindow(e.add(column, distance)), cache});
    }
  }
}

/// The rows of the keys from `column` on, or the last ones there are.
Value PairScores::getWindow(Value column) {
  const RowOf &row = contraction.streamed;
  Scope place(&scope);
  Value last = e.sub(tile.upper, kKeysTogether);
  Value first = e.min(e.add(tile.firstKey, column), last);
  place.bind(tile.plan.keyArg, e.max(first, e.index(0)));
  Value source = place.get(row.source);
  int64_t depth = contraction.getDepth();
  SmallVector<OpFoldResult> offsets, sizes, strides;
  for (Value index : row.indices) {
    offsets.push_back(place.get(index));
    sizes.push_back(
        e.getIndexAttr(index == tile.plan.keyArg ? kKeysTogether : 1));
  }
  offsets.push_back(e.getIndexAttr(0));
  sizes.push_back(e.getIndexAttr(depth));
  strides.assign(sizes.size(), e.getIndexAttr(1));
  auto type = memref::SubViewOp::inferRankReducedResultType(
      {kKeysTogether, depth}, cast<MemRefType>(source.getType()), offsets,
      sizes, strides);
  return memref::SubViewOp::create(e, type, source, offsets, sizes, strides);
}

/// Asks for the lines of feature d, in `part` of as many as a block has lanes.
void PairScores::askAhead(Value d, int64_t part) {
  for (auto [window, cache] : windows) {
    constexpr int64_t keys = kKeysTogether / kBlock;
    for (int64_t i = part * keys; i < (part + 1) * keys; ++i) {
      memref::PrefetchOp::create(e, window, ValueRange{e.index(i), d},
                                 /*isWrite=*/false,
                                 static_cast<unsigned>(cache),
                                 /*isDataCache=*/true);
    }
  }
  size_t share = next.size() / kBlock;
  for (auto &[place, cache] :
       MutableArrayRef(next).slice(part * share, share)) {
    for (const RowOf &source : sources) {
      prefetchLine(place, source, d, cache);
    }
  }
}

/// Adds features [d, d + width) to the sums of each row and block of keys.
SmallVector<Value> PairScores::addFeatures(Value d, int64_t width,
                                           ValueRange so) {
  int64_t blocks = kKeysTogether / kBlock;
  SmallVector<Value> sums(so), pairs;
  for (Scope &key : keys) {
    Value halves = loadHalves(key, contraction.streamed, d, width);
    pairs.push_back(joinNeighbours(e, halves));
  }
  for (int64_t k = 0; k < kKeysTogether; k += kBlock) {
    transpose(e, MutableArrayRef(pairs).slice(k, kBlock));
  }
  for (int64_t p = 0; p < kBlock; ++p) {
    if (byStep) {
      askAhead(d, p);
    }
    Value unit = e.add(e.mul(d, kBlock / 2), p * lanes);
    for (int64_t r = 0; r < rows; ++r) {
      Value query = e.loadVector(queries, {e.index(r), unit}, lanes);
      for (int64_t block = 0; block < blocks; ++block) {
        Value &sum = sums[r * blocks + block];
        sum = multiplyAdd(e, pairs[block * kBlock + p], query, sum);
      }
    }
  }
  return sums;
}

/// Stores the sums of the blocks, in vectors that hold one row or a few.
void PairScores::store(SmallVector<Value> sums, Value column) {
  Value buffer = tile.buffers.lookup(contraction.getResult());
  int64_t together = lanes / kKeysTogether;
  int64_t blocks = lanes / kBlock;
  sums.resize(llvm::alignTo(sums.size(), blocks),
              e.constant(sums.front().getType(), 0));
  for (int64_t first = 0; first < rows; first += together) {
    Value scores = sumLanes(
        e, ArrayRef(sums).slice(first / together * blocks, blocks), kBlock);
    for (int64_t r = 0; r < std::min(together, rows - first); ++r) {
      Value mine = vector::ExtractStridedSliceOp::create(
          e, scores, ArrayRef<int64_t>{r * kKeysTogether},
          ArrayRef<int64_t>{kKeysTogether}, ArrayRef<int64_t>{1});
      e.storeVector(mine, buffer, {e.index(first + r), column});
    }
  }
}

void PairScores::emit() {
  int64_t depth = contraction.getDepth(), width = 2 * lanes;
  int64_t whole = depth / width * width;
  touchPages(scope, tile, sources, ahead.front().first);
  Value zero = e.constant(VectorType::get({lanes}, e.getF32Type()), 0);
  e.loop(tile.firstColumn, tile.columns, kKeysTogether, [&](Value column) {
    bindKeys(column);
    SmallVector<Value> sums(rows * kKeysTogether / kBlock, zero);
    if (whole) {
      sums = e.loop(
          e.index(0), e.index(whole), width, sums,
          [&](Value d, ValueRange so) { return addFeatures(d, width, so); });
    }
    if (whole < depth) {
      sums = addFeatures(e.index(whole), depth - whole, sums);
    }
    store(sums, column);
  });
}

void cpu::emitScorePairs(Scope &scope, Tile &tile,
                         const Contraction &contraction, Value queries) {
  PairScores(scope, tile, contraction, queries).emit();
}
