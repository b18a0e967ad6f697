//===- Packing.cpp - copies that the microkernel reads --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Microkernel.h. Every index of a packed row is the stream's own code, so
// gathered keys, head maps and paged tables need nothing here. Keys go through
// a small staging buffer in their own order and are transposed from there in
// squares of W by W lanes.
//
//===----------------------------------------------------------------------===//

#include "Microkernel.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Chunks of a row that is only copied are written four at a time: a loop
/// around one load and one store takes longer than these. Rows that are
/// computed keep their loop.
static void forEachCopied(Scope &place, bool computed, int64_t extent,
                          llvm::function_ref<void(Value, int64_t)> body) {
  constexpr int64_t together = 4;
  Emit &e = place.kernel.e;
  int64_t lanes = place.kernel.lanes;
  if (computed) {
    forEachChunk(e, extent, lanes, body);
    return;
  }
  int64_t step = together * lanes, whole = extent / step * step;
  auto copy = [&](Value first, int64_t end) {
    for (int64_t d = 0; d < end; d += lanes) {
      body(e.add(first, d), std::min(lanes, end - d));
    }
  };
  if (whole > step) {
    e.loop(e.index(0), e.index(whole), step,
           [&](Value first) { copy(first, step); });
  } else if (whole) {
    copy(e.index(0), step);
  }
  if (extent > whole) {
    copy(e.index(whole), extent - whole);
  }
}

/// Copies row `indices` of `source` to row `outRow` of a packed buffer.
static void copyRow(Scope &place, const RowOf &row, Value out, Value outRow) {
  Emit &e = place.kernel.e;
  int64_t depth = row.getLength();
  Type element = cast<MemRefType>(out.getType()).getElementType();
  if (row.value) {
    place.prepareRow(row.value);
  } else {
    place.get(row.indices);
  }
  forEachCopied(
      place, static_cast<bool>(row.value), depth, [&](Value d, int64_t width) {
        Value features =
            e.convertFloat(RowChunk(place, d, width).get(row), element);
        e.storeVector(features, out, {outRow, d});
      });
}

/// What fills the last lane of a row of narrow numbers: zeros.
static void padRow(Emit &e, const Contraction &contraction, Value out,
                   Value outRow) {
  int64_t end = contraction.getUnits() * contraction.group;
  for (int64_t d = contraction.getDepth(); d < end; ++d) {
    e.store(e.constant(contraction.element, 0), out, {outRow, e.index(d)});
  }
}

/// Keys of i8 are shifted by 128, because vpdpbusd takes one side unsigned: its
/// sums start with -128 times the sum of the other side.
static void storeStart(Emit &e, const Contraction &contraction, Packed out,
                       Value outRow, int64_t lanes) {
  Type type = contraction.getResult().getType();
  Value sum = foldChunks(
      e, contraction.getDepth(), lanes, e.constant(type, 0),
      [&](Value d, int64_t width, Value so) -> Value {
        Value x = e.loadVector(out.floats, {outRow, d}, width);
        return emitSum(e, convertOperand(e, e.getLoc(), x, type), so);
      });
  Value start = arith::MulIOp::create(e, sum, e.constant(type, -128));
  e.store(start, out.pairs, {outRow, e.index(contraction.getUnits())});
}

Value RowRange::at(Emit &e, Value r) const {
  Value row = e.add(first, r);
  return extent ? e.max(e.index(0), e.min(row, e.sub(extent, 1))) : row;
}

void RowRange::bind(Scope &place, Value r) const {
  Value row = at(place.kernel.e, r);
  if (rowArg == place.kernel.stream.getRowArg()) {
    place.kernel.bindRow(place, row);
  } else {
    place.bind(rowArg, row);
  }
}

void cpu::packStationary(Scope &block, const Contraction &contraction,
                         RowRange rows, Packed out, Value firstRow) {
  Emit &e = block.kernel.e;
  e.loop(e.index(0), rows.rows, 1, [&](Value r) {
    Scope place(&block);
    rows.bind(place, r);
    place.setBlockRow(r);
    Value outRow = e.add(firstRow, r);
    copyRow(place, contraction.stationary, out.floats, outRow);
    padRow(e, contraction, out.floats, outRow);
    if (contraction.group == 4) {
      storeStart(e, contraction, out, outRow, block.kernel.lanes);
    }
  });
}

Value KeyRange::at(Emit &e, Value c) const {
  Value key = table ? e.load(table, c) : e.add(first, c);
  key = e.min(key, e.sub(upper, 1));
  return halo ? e.max(key, e.index(0)) : key;
}

/// Exchanges lane bit `bit` with row bit `bit`: after all bits, the transpose.
static void exchange(Emit &e, MutableArrayRef<Value> rows, int64_t bit) {
  int64_t n = cast<VectorType>(rows[0].getType()).getNumElements();
  SmallVector<int64_t> low(n), high(n);
  for (int64_t lane = 0; lane < n; ++lane) {
    bool upper = lane & bit;
    low[lane] = upper ? n + (lane ^ bit) : lane;
    high[lane] = upper ? n + lane : lane ^ bit;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i & bit) {
      continue;
    }
    Value a = rows[i], b = rows[i | bit];
    rows[i] = vector::ShuffleOp::create(e, a, b, low);
    rows[i | bit] = vector::ShuffleOp::create(e, a, b, high);
  }
}

void cpu::transpose(Emit &e, MutableArrayRef<Value> rows) {
  for (auto bit = static_cast<int64_t>(rows.size()) / 2; bit; bit /= 2) {
    exchange(e, rows, bit);
  }
}

void cpu::packKeys(Scope &tile, const Contraction &contraction, KeyRange keys,
                   Packed staging, Packed sameRows, Value out) {
  KernelState &kernel = tile.kernel;
  Emit &e = kernel.e;
  int64_t lanes = kernel.lanes;
  auto shape = cast<MemRefType>(out.getType()).getShape();
  int64_t depth = shape[1], panel = shape[2];
  Value zero = e.index(0);
  Value signs = e.constant(VectorType::get({lanes}, e.getI32Type()),
                           static_cast<int32_t>(0x80808080));
  e.loop(keys.getBegin(e), keys.columns, lanes, [&](Value c) {
    if (!sameRows) {
      e.loop(zero, e.index(lanes), 1, [&](Value lane) {
        Scope place(&tile);
        place.bind(keys.keyArg, keys.at(e, e.add(c, lane)));
        copyRow(place, contraction.streamed, staging.floats, lane);
        padRow(e, contraction, staging.floats, lane);
      });
    }
    Value panelIndex = e.div(c, panel);
    Value column = e.sub(c, e.mul(panelIndex, panel));
    e.loop(zero, e.index(depth), lanes, [&](Value d) {
      SmallVector<Value> square;
      for (int64_t i = 0; i < lanes; ++i) {
        square.push_back(
            sameRows ? e.loadVector(sameRows.floats, {e.add(c, i), d}, lanes)
                     : e.loadVector(staging.operand(), {e.index(i), d}, lanes));
        if (contraction.group == 4) {
          square.back() = arith::XOrIOp::create(e, square.back(), signs);
        }
      }
      transpose(e, square);
      for (int64_t i = 0; i < lanes; ++i) {
        e.storeVector(square[i], out, {panelIndex, e.add(d, i), column});
      }
    });
  });
}

bool cpu::streamsRow(const Contraction &contraction, Value row) {
  if (getElementTypeOrSelf(row.getType()) != contraction.element ||
      contraction.group != 1) {
    return false;
  }
  if (contraction.streamed == RowOf::get(row)) {
    return true;
  }
  auto extend = row.getDefiningOp<arith::ExtFOp>();
  return extend && contraction.streamed == RowOf::get(extend.getIn());
}

void cpu::packRows(Scope &tile, Value row, KeyRange keys, Packed out) {
  KernelState &kernel = tile.kernel;
  Emit &e = kernel.e;
  int64_t extent = cast<VectorType>(row.getType()).getNumElements();
  int64_t step = out.pairs ? 2 : 1;
  e.loop(keys.getBegin(e), keys.columns, step, [&](Value c) {
    Scope first(&tile), second(&tile);
    first.bind(keys.keyArg, keys.at(e, c));
    first.prepareRow(row);
    if (out.pairs) {
      second.bind(keys.keyArg, keys.at(e, e.add(c, 1)));
      second.prepareRow(row);
    }
    bool computed = !row.getDefiningOp<AtOp>();
    forEachCopied(first, computed, extent, [&](Value d, int64_t width) {
      RowChunk low(first, d, width), high(second, d, width);
      if (!out.pairs) {
        Type element = cast<MemRefType>(out.floats.getType()).getElementType();
        e.storeVector(e.convertFloat(low.get(row), element), out.floats,
                      {c, d});
        return;
      }
      Value both = vector::InterleaveOp::create(
          e, e.convertFloat(low.get(row), e.getBF16Type()),
          e.convertFloat(high.get(row), e.getBF16Type()));
      Value lanes = vector::BitCastOp::create(
          e, VectorType::get({width}, e.getI32Type()), both);
      e.storeVector(lanes, out.pairs, {e.div(c, 2), d});
    });
  });
}

int64_t cpu::getRowBytes(const RowOf &row) {
  auto type = cast<ShapedType>(row.source.getType());
  return llvm::divideCeil(
      type.getShape().back() * type.getElementTypeBitWidth(), 8);
}

void KeyRange::bindAhead(Scope &place, Value c) const {
  Emit &e = place.kernel.e;
  if (table) {
    auto type = cast<MemRefType>(table.getType());
    c = e.min(c, e.index(type.getDimSize(0) - 1));
  }
  place.bind(keyArg, at(e, c));
}

void cpu::prefetchLine(Scope &place, const RowOf &row, Value d, Cache cache) {
  SmallVector<Value> indices = place.get(row.indices);
  indices.push_back(d);
  memref::PrefetchOp::create(place.kernel.e, place.get(row.source), indices,
                             /*isWrite=*/false, static_cast<unsigned>(cache),
                             /*isDataCache=*/true);
}

void cpu::prefetchLines(Scope &place, ArrayRef<RowOf> sources, Value share,
                        int64_t shares, Cache cache) {
  Emit &e = place.kernel.e;
  for (const RowOf &row : sources) {
    bool streamed = llvm::any_of(row.indices, [&](Value index) {
      return place.kernel.analysis.getClass(index).key;
    });
    if (!streamed) {
      continue;
    }
    auto type = cast<ShapedType>(row.source.getType());
    int64_t step = kLineBits / type.getElementTypeBitWidth();
    int64_t lines = (type.getShape().back() + step - 1) / step;
    int64_t count = (lines + shares - 1) / shares;
    Value first = e.mul(share, count * step);
    for (int64_t line = 0; line < count; ++line) {
      prefetchLine(place, row, e.add(first, line * step), cache);
    }
  }
}

void cpu::prefetchRows(Scope &tile, ArrayRef<RowOf> sources, KeyRange keys,
                       Value first, int64_t count) {
  Emit &e = tile.kernel.e;
  auto ask = [&](Value column) {
    Scope place(&tile);
    keys.bindAhead(place, column);
    prefetchLines(place, sources, e.index(0), 1, Cache::Second);
  };
  // Blocks of few rows ask for many columns at once: a loop then.
  constexpr int64_t unrolled = 8;
  if (count > unrolled) {
    e.loop(first, e.add(first, count), 1, ask);
    return;
  }
  for (int64_t k = 0; k < count; ++k) {
    ask(e.add(first, k));
  }
}

SmallVector<RowOf> cpu::getSourceRows(const RowOf &row) {
  if (!row.value) {
    return {row};
  }
  SmallVector<RowOf> rows;
  SetVector<Value> values;
  values.insert(row.value);
  for (size_t k = 0; k < values.size(); ++k) {
    Operation *op = values[k].getDefiningOp();
    if (!op || !isa<VectorType>(values[k].getType())) {
      continue;
    }
    if (isa<AtOp>(op)) {
      rows.push_back(RowOf::get(values[k]));
      continue;
    }
    values.insert(op->operand_begin(), op->operand_end());
  }
  return rows;
}

Value cpu::findNonFinite(KernelState &kernel, KeyRange keys, Packed rows) {
  Emit &e = kernel.e;
  Value buffer = rows.operand();
  auto shape = cast<MemRefType>(buffer.getType()).getShape();
  Type element = rows.pairs
                     ? e.getF32Type()
                     : cast<MemRefType>(buffer.getType()).getElementType();
  auto type = VectorType::get({kernel.lanes}, element);
  Value begin = keys.getBegin(e), end = keys.columns;
  if (rows.pairs) {
    begin = e.div(begin, 2);
    end = e.div(end, 2);
  }
  // x - x is 0 for finite x and NaN otherwise, and NaN stays.
  auto collect = [&](Value x, Value sum) -> Value {
    return arith::AddFOp::create(e, sum, arith::SubFOp::create(e, x, x));
  };
  Value sum = e.loop(
      begin, end, 1, e.constant(type, 0),
      [&](Value c, ValueRange outer) -> SmallVector<Value> {
        return e.loop(
            e.index(0), e.index(shape[1]), kernel.lanes, outer,
            [&](Value d, ValueRange inner) -> SmallVector<Value> {
              Value x = e.loadVector(buffer, {c, d}, kernel.lanes);
              if (!rows.pairs) {
                return {collect(x, inner[0])};
              }
              Value sixteen = e.constant(x.getType(), 16);
              Value low = arith::ShLIOp::create(e, x, sixteen);
              Value high = arith::ShLIOp::create(
                  e, arith::ShRUIOp::create(e, x, sixteen), sixteen);
              Value once =
                  collect(arith::BitcastOp::create(e, type, low), inner[0]);
              return {collect(arith::BitcastOp::create(e, type, high), once)};
            });
      })[0];
  Value total = vector::ReductionOp::create(e, vector::CombiningKind::ADD, sum,
                                            arith::FastMathFlags::reassoc);
  return arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, total, total);
}
