//===- FewRows.cpp - products of few rows with streamed keys --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// While decoding, a block has so few rows that packing a tile costs more than
// its products. Keys are then contracted where they are, a few at a time, with
// one accumulator per row and key over lanes of features; the lanes are summed
// in a tree that ends in one vector of scores:
//
//   a0 a1 .. aF       a0+a1 b0+b1 a2+a3 b2+b3 ..
//   b0 b1 .. bF  ->   c0+c1 d0+d1 ..              ->  ..  ->  A B C D ..
//
// Values are read once, too: those of a few keys stay in the first-level cache
// while they are added to the accumulators of all rows and features, as many at
// a time as there are registers. Nothing is stored in between, so that a cache
// of narrow codes is as many times faster to read as it is smaller. Where
// values and weights are bf16 and the target multiplies pairs, two keys are
// added at a time; scores by pairs are in FewRowPairs.cpp.
//
//===----------------------------------------------------------------------===//

#include "FewRows.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Rows that share the loads of a key.
static constexpr int64_t kRowsTogether = 4;
/// Accumulators that stay in registers, in vectors.
static constexpr int64_t kSumsTogether = 16;
/// A row of few has this many of them at most.
static constexpr int64_t kVectorsTogether = 8;
/// Keys whose values stay in the first-level cache from pass to pass.
static constexpr int64_t kKeysTogether = 16;
/// Sums that a check for infinities keeps.
static constexpr int64_t kSumsOfCheck = 4;
/// Memory is asked for this much ahead of what is read: about what it delivers
/// to a core in a microsecond or two.
static constexpr int64_t kBytesAhead = 32 << 10;
static constexpr int64_t kPageBytes = 4096;

int64_t StreamAnalysis::getDirectRows() const {
  int64_t rows = fewRows * packedHeads;
  return rows <= kMostDirectRows ? rows : 0;
}

bool StreamAnalysis::isDirect(const Contraction &contraction) const {
  bool exact = !contraction.getResult().getType().isInteger() ||
               contraction.getDepth() <= kExactTerms;
  return getDirectRows() && contractsInPlace() && contraction.group <= 2 &&
         exact && !isa<DotWithOp>(contraction.op);
}

/// Whether any chunk of a row can be computed by itself.
static bool hasIndependentChunks(Value row) {
  SetVector<Value> values;
  values.insert(row);
  for (size_t k = 0; k < values.size(); ++k) {
    if (!isa<VectorType>(values[k].getType())) {
      continue;
    }
    Operation *op = values[k].getDefiningOp();
    if (!op || isa<vector::ShuffleOp, ExpandOp>(op)) {
      return false;
    }
    if (!isa<AtOp>(op)) {
      values.insert(op->operand_begin(), op->operand_end());
    }
  }
  return true;
}

bool Kernel::isDirect(Value row) const {
  return state.analysis.getDirectRows() && hasIndependentChunks(row);
}

Value cpu::sumLanes(Emit &e, ArrayRef<Value> parts, int64_t block) {
  SmallVector<Value> vectors(parts);
  int64_t lanes = block * parts.size();
  for (int64_t stride = block; stride < lanes; stride *= 2) {
    SmallVector<int64_t> low(lanes), high(lanes);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      int64_t inside = lane % (2 * stride);
      int64_t from = lane - inside + inside % stride;
      low[lane] = inside < stride ? from : lanes + from;
      high[lane] = low[lane] + stride;
    }
    SmallVector<Value> next;
    for (size_t k = 0; k < vectors.size(); k += 2) {
      Value a = vectors[k], b = vectors[k + 1];
      next.push_back(
          arith::AddFOp::create(e, vector::ShuffleOp::create(e, a, b, low),
                                vector::ShuffleOp::create(e, a, b, high)));
    }
    vectors = next;
  }
  return vectors.front();
}

SmallVector<RowOf> cpu::getStreamedRows(const KernelState &state,
                                        const RowOf &row) {
  return llvm::filter_to_vector(getSourceRows(row), [&](const RowOf &source) {
    return llvm::any_of(source.indices, [&](Value index) {
      return state.analysis.getClass(index).key;
    });
  });
}

KeysAhead cpu::getKeysAhead(ArrayRef<RowOf> sources, const Tiling &tiling) {
  int64_t bytes = 1;
  for (const RowOf &row : sources) {
    bytes += getRowBytes(row);
  }
  int64_t far = llvm::alignTo(kBytesAhead / bytes, kKeysTogether);
  return {{std::min(far, tiling.tileKeys), Cache::Second},
          {kKeysTogether, Cache::First}};
}

void cpu::touchPages(Scope &scope, const Tile &tile, ArrayRef<RowOf> sources,
                     int64_t ahead) {
  Emit &e = scope.kernel.e;
  for (const RowOf &row : sources) {
    int64_t step =
        std::clamp<int64_t>(kPageBytes / getRowBytes(row), 1, kKeysTogether);
    e.loop(tile.firstColumn, tile.columns, step, [&](Value c) {
      Scope place(&scope);
      tile.getKeys().bindAhead(place, e.add(c, ahead));
      prefetchLine(place, row, e.index(0), Cache::Second);
    });
  }
}

bool cpu::fillsLines(ArrayRef<RowOf> sources, int64_t depth, int64_t perLine) {
  return llvm::all_of(sources, [&](const RowOf &source) {
    auto type = cast<ShapedType>(source.source.getType());
    return type.getShape().back() == depth &&
           type.getElementTypeBitWidth() * perLine == kLineBits;
  });
}

void Kernel::emitScoresDirect(const Contraction &contraction, Packed packed,
                              Scope &scope, Tile &tile) {
  const RowOf &streamed = contraction.streamed;
  int64_t lanes = state.lanes, rows = state.analysis.getDirectRows();
  // A power of two, so that rows times keys are the lanes of a vector.
  int64_t together = rows == 1 ? 1 : rows == 2 ? 2 : kRowsTogether;
  together = std::min(together, lanes);
  int64_t keys = lanes / together, depth = contraction.getDepth();
  Type element = contraction.element;
  auto type = VectorType::get({lanes}, element);
  Value zero = e.constant(type, 0);
  Value buffer = tile.buffers.lookup(contraction.getResult());
  SmallVector<RowOf> sources = getStreamedRows(state, streamed);
  KeysAhead ahead = getKeysAhead(sources, state.tiling);
  touchPages(scope, tile, sources, ahead.front().first);
  int64_t whole = depth / lanes * lanes;
  // Lines are asked for one at a step of the product if they are as long.
  bool byStep = fillsLines(sources, depth, lanes);
  e.loop(tile.firstColumn, tile.columns, keys, [&](Value c) {
    std::vector<Scope> places;
    for (int64_t i = 0; i < keys; ++i) {
      Scope &place = places.emplace_back(&scope);
      place.bind(tile.plan.keyArg, tile.getKeys().at(e, e.add(c, i)));
      if (streamed.value) {
        place.prepareRow(streamed.value);
      } else {
        place.get(streamed.indices);
      }
    }
    for (int64_t row = 0; row < rows; row += together) {
      int64_t group = row / together, groups = (rows + together - 1) / together;
      std::vector<std::pair<Scope, Cache>> next;
      for (int64_t i = keys * group / groups; i < keys * (group + 1) / groups;
           ++i) {
        for (auto [distance, cache] : ahead) {
          auto &[place, to] = next.emplace_back(Scope(&scope), cache);
          tile.getKeys().bindAhead(place, e.add(c, distance + i));
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
      auto step = [&](Value d, int64_t width, ValueRange so) {
        for (auto &[place, cache] : next) {
          for (const RowOf &source : sources) {
            if (byStep) {
              prefetchLine(place, source, d, cache);
            }
          }
        }
        SmallVector<Value> sums(so);
        SmallVector<Value> queries;
        for (int64_t r = 0; r < together; ++r) {
          queries.push_back(
              e.loadVector(packed.floats, {e.index(row + r), d}, lanes));
        }
        for (int64_t i = 0; i < keys; ++i) {
          Value x = e.convertFloat(RowChunk(places[i], d, width).get(streamed),
                                   element);
          if (width < lanes) {
            x = vector::InsertStridedSliceOp::create(
                e, x, zero, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{1});
          }
          for (int64_t r = 0; r < together; ++r) {
            Value &sum = sums[r * keys + i];
            sum = vector::FMAOp::create(e, queries[r], x, sum);
          }
        }
        return sums;
      };
      SmallVector<Value> sums(lanes, zero);
      if (whole) {
        sums =
            e.loop(e.index(0), e.index(whole), lanes, sums,
                   [&](Value d, ValueRange so) { return step(d, lanes, so); });
      }
      if (whole < depth) {
        sums = step(e.index(whole), depth - whole, sums);
      }
      Value scores = sumLanes(e, sums);
      if (contraction.getResult().getType().isInteger()) {
        scores = arith::FPToSIOp::create(
            e, VectorType::get({lanes}, contraction.getResult().getType()),
            scores);
      }
      for (int64_t r = 0; r < together; ++r) {
        Value mine = scores;
        if (together > 1) {
          mine = vector::ExtractStridedSliceOp::create(
              e, scores, ArrayRef<int64_t>{r * keys}, ArrayRef<int64_t>{keys},
              ArrayRef<int64_t>{1});
        }
        e.storeVector(mine, buffer, {e.index(row + r), c});
      }
    }
  });
}

void Kernel::emitOuterDirect(Sweep &sweep, CarryOp outer, Scope &scope,
                             Tile &tile) {
  Value row = outer.getRow(), key = tile.plan.keyArg;
  Packed coefficients = sweep.coefficients.lookup(outer);
  Value out = state.rowVectors.lookup(outer.getResult());
  Type element = cast<MemRefType>(out.getType()).getElementType();
  int64_t lanes = state.lanes, rows = state.analysis.getDirectRows();
  // Keys of a product, and of those whose values stay in the nearest cache.
  int64_t step = coefficients.pairs ? 2 : 1, stay = step * kKeysTogether;
  int64_t depth = cast<VectorType>(row.getType()).getNumElements();
  SmallVector<RowOf> sources = getStreamedRows(state, RowOf::get(row));
  KeysAhead ahead = getKeysAhead(sources, state.tiling);
  int64_t together = std::min(kRowsTogether, rows);
  int64_t span = lanes * std::min(kVectorsTogether, kSumsTogether / together);
  int64_t passesOfRows = (depth + span - 1) / span;
  int64_t passes = (rows + together - 1) / together * passesOfRows;
  // Features [d, d + width) of `count` rows, in part `pass` of `passes`.
  auto emitPass = [&](Value begin, Value end, Value first, int64_t count,
                      Value d, int64_t width, Value pass) {
    SmallVector<std::pair<Value, int64_t>> chunks; // first feature, width
    for (int64_t from = 0; from < width; from += lanes) {
      chunks.push_back({e.add(d, from), std::min(lanes, width - from)});
    }
    auto forEach = [&](auto body) {
      unsigned next = 0;
      for (int64_t r = 0; r < count; ++r) {
        for (auto [from, width] : chunks) {
          body(next++, e.add(first, r), from, width);
        }
      }
    };
    // Pairs have no form for a part of a vector; rows of sums are padded.
    auto widen = [&](int64_t width) { return step == 2 ? lanes : width; };
    SmallVector<Value> sums;
    forEach([&](unsigned, Value r, Value from, int64_t width) {
      sums.push_back(e.loadVector(out, {r, from}, widen(width)));
    });
    sums = e.loop(begin, end, step, sums, [&](Value c, ValueRange so) {
      std::vector<Scope> places;
      for (int64_t i = 0; i < step; ++i) {
        Scope &place = places.emplace_back(&scope);
        place.bind(key, tile.getKeys().at(e, e.add(c, i)));
        place.prepareRow(row);
        for (auto [distance, cache] : ahead) {
          Scope next(&scope);
          tile.getKeys().bindAhead(next, e.add(c, distance + i));
          prefetchLines(next, sources, pass, passes, cache);
        }
      }
      SmallVector<Value> features, next(so);
      if (coefficients.pairs) {
        features = loadKeyPairs(places, row, d, width);
      } else {
        for (auto [from, width] : chunks) {
          features.push_back(e.convertFloat(
              RowChunk(places[0], from, width).get(row), element));
        }
      }
      forEach([&](unsigned k, Value r, Value, int64_t width) {
        Value x =
            coefficients.pairs
                ? e.load(coefficients.pairs, {r, e.div(c, 2)})
                : e.convertFloat(e.load(coefficients.floats, {r, c}), element);
        next[k] = multiplyAdd(e, e.broadcast(x, widen(width)),
                              features[k % chunks.size()], next[k]);
      });
      return next;
    });
    forEach([&](unsigned k, Value r, Value from, int64_t) {
      e.storeVector(sums[k], out, {r, from});
    });
  };
  // Loops, and not copies of a pass: LLVM would keep the sums of all of them.
  int64_t wholeRows = rows / together * together;
  int64_t wholeDepth = depth / span * span;
  auto emitRows = [&](Value begin, Value end, Value first, int64_t count) {
    Value pass = e.mul(e.div(first, together), passesOfRows);
    e.loop(e.index(0), e.index(wholeDepth), span, [&](Value d) {
      emitPass(begin, end, first, count, d, span, e.add(pass, e.div(d, span)));
    });
    if (wholeDepth < depth) {
      emitPass(begin, end, first, count, e.index(wholeDepth),
               depth - wholeDepth, e.add(pass, wholeDepth / span));
    }
  };
  touchPages(scope, tile, sources, ahead.front().first);
  e.loop(tile.firstColumn, tile.columns, stay, [&](Value begin) {
    Value end = e.min(e.add(begin, stay), tile.columns);
    e.loop(e.index(0), e.index(wholeRows), together,
           [&](Value first) { emitRows(begin, end, first, together); });
    if (wholeRows < rows) {
      emitRows(begin, end, e.index(wholeRows), rows - wholeRows);
    }
  });
}

/// Whether the rows of a tile that are read where they are hold an infinity or
/// a NaN. The products that follow find them in the caches.
Value Kernel::findNonFiniteDirect(Scope &scope, Tile &tile, Value row) {
  Type element = getElementTypeOrSelf(row.getType());
  if (element.getIntOrFloatBitWidth() < 32) {
    element = e.getF32Type();
  }
  int64_t lanes = state.lanes;
  int64_t depth = cast<VectorType>(row.getType()).getNumElements();
  SmallVector<RowOf> sources = getStreamedRows(state, RowOf::get(row));
  KeysAhead ahead = getKeysAhead(sources, state.tiling);
  touchPages(scope, tile, sources, ahead.front().first);
  auto type = VectorType::get({lanes}, element);
  Value zero = e.constant(type, 0);
  // 0 x is 0 for finite x and NaN otherwise, and NaN stays. Chunks of a row
  // take turns with the sums, so that none waits for another.
  SmallVector<Value> sums(kSumsOfCheck, zero);
  sums = e.loop(
      tile.firstColumn, tile.columns, 1, sums, [&](Value c, ValueRange so) {
        Scope place(&scope);
        place.bind(tile.plan.keyArg, tile.getKeys().at(e, c));
        place.prepareRow(row);
        for (auto [distance, cache] : ahead) {
          Scope next(&scope);
          tile.getKeys().bindAhead(next, e.add(c, distance));
          prefetchLines(next, sources, e.index(0), 1, cache);
        }
        auto add = [&](Value d, int64_t width, ValueRange so) {
          SmallVector<Value> next(so);
          for (int64_t from = 0, k = 0; from < width; from += lanes, ++k) {
            int64_t count = std::min(lanes, width - from);
            Value x = e.convertFloat(
                RowChunk(place, e.add(d, from), count).get(row), element);
            if (count < lanes) {
              x = vector::InsertStridedSliceOp::create(
                  e, x, zero, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{1});
            }
            next[k] = vector::FMAOp::create(e, x, zero, next[k]);
          }
          return next;
        };
        int64_t span = kSumsOfCheck * lanes, whole = depth / span * span;
        SmallVector<Value> next(so);
        if (whole) {
          next =
              e.loop(e.index(0), e.index(whole), span, next,
                     [&](Value d, ValueRange so) { return add(d, span, so); });
        }
        return whole < depth ? add(e.index(whole), depth - whole, next) : next;
      });
  Value all = sums.front();
  for (Value sum : ArrayRef(sums).drop_front()) {
    all = arith::AddFOp::create(e, all, sum);
  }
  Value total = vector::ReductionOp::create(e, vector::CombiningKind::ADD, all,
                                            arith::FastMathFlags::reassoc);
  return arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, total, total);
}
