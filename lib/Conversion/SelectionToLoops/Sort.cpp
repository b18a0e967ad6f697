//===- Sort.cpp - keys and a stable merge sort ----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Elements are compared as integers whose order is that of the elements: the
// bits of a float, with those below the sign flipped for a negative one. That
// orders NaN as well, and takes one comparison.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::selection;

Type selection::getKeyType(Type element) {
  bool isWide = element.isIndex() || element.getIntOrFloatBitWidth() > 32;
  return IntegerType::get(element.getContext(), isWide ? 64 : 32);
}

Value selection::emitKey(Emit &e, Value element, bool descending) {
  Type type = element.getType(), keyType = getKeyType(type);
  auto integer = [&](const APInt &value) -> Value {
    return arith::ConstantOp::create(e, e.getIntegerAttr(keyType, value));
  };
  unsigned width = keyType.getIntOrFloatBitWidth();
  Value key = element;
  if (isa<FloatType>(type)) {
    Value x = e.convertFloat(element, getAccumulationType(type));
    Value zero = e.constant(x.getType(), 0);
    Value isZero = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, x, zero);
    Value isNaN = arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, x, x);
    Value bits =
        arith::BitcastOp::create(e, keyType, e.select(isZero, zero, x));
    Value magnitude = integer(APInt::getSignedMaxValue(width));
    Value isNegative = e.less(bits, integer(APInt::getZero(width)));
    Value flipped = arith::XOrIOp::create(e, bits, magnitude);
    key = e.select(isNaN, magnitude, e.select(isNegative, flipped, bits));
  } else if (type.isIndex()) {
    key = arith::IndexCastOp::create(e, keyType, element);
  } else if (type != keyType) {
    key = arith::ExtSIOp::create(e, keyType, element);
  }
  if (!descending) {
    return key;
  }
  return arith::XOrIOp::create(e, key, integer(APInt::getAllOnes(width)));
}

Value selection::emitMergeSort(Lowering &e, ValueRange arrays, Value count) {
  Value zero = e.index(0), one = e.index(1);
  Value last = e.max(e.sub(count, one), zero);
  // Runs of `width` in half `from` merge to runs of twice that in the other.
  auto isRunShort = [&](ValueRange state) {
    return std::make_pair(e.less(state[0], count), SmallVector<Value>(state));
  };
  auto mergeRuns = [&](ValueRange state) -> SmallVector<Value> {
    Value width = state[0], from = state[1];
    Value to = e.sub(one, from), next = e.mul(width, 2);
    auto runs = scf::ForOp::create(e, zero, count, next);
    OpBuilder::InsertionGuard guard(e);
    e.setInsertionPointToStart(runs.getBody());
    Value low = runs.getInductionVar();
    Value middle = e.min(e.add(low, width), count);
    Value high = e.min(e.add(low, next), count);
    e.loop(low, high, 1, {low, middle},
           [&](Value place, ValueRange at) -> SmallVector<Value> {
             Value left = e.min(at[0], last), right = e.min(at[1], last);
             SmallVector<Value> a, b;
             for (Value array : arrays) {
               a.push_back(e.load(array, {from, left}));
               b.push_back(e.load(array, {from, right}));
             }
             Value isLeftOver = arith::CmpIOp::create(
                 e, arith::CmpIPredicate::sge, at[0], middle);
             Value isRightLeft = e.less(at[1], high);
             Value takesRight =
                 e.both(isRightLeft, e.either(isLeftOver, e.less(b[0], a[0])));
             for (auto [array, x, y] : llvm::zip_equal(arrays, a, b)) {
               e.store(e.select(takesRight, y, x), array, {to, place});
             }
             Value step =
                 arith::IndexCastUIOp::create(e, e.getIndexType(), takesRight);
             return {e.add(at[0], e.sub(one, step)), e.add(at[1], step)};
           });
    e.setInsertionPointAfter(runs);
    return {next, to};
  };
  return e.whileLoop({one, zero}, isRunShort, mergeRuns)[1];
}

void selection::lower(ArgSortOp op) {
  Lowering e(op);
  int64_t dim = op.getDim();
  auto type = cast<RankedTensorType>(op.getInput().getType());
  Value input = e.read(op.getInput());
  SmallVector<Value> extents = e.extents(op.getInput());
  Value indices = e.allocate(op->getResult(0), extents);
  Value values = e.allocate(op->getResult(1), extents);
  Value count = extents[dim], zero = e.index(0);
  Value two = e.index(2);
  Type keyType = getKeyType(type.getElementType());
  e.forEachRow(dropAt(extents, dim), e.mul(count, 16),
               {{keyType, {two, count}}, {e.getI64Type(), {two, count}}},
               [&](ValueRange row, ValueRange scratch) {
                 Value keys = scratch[0], places = scratch[1];
                 e.loop(zero, count, 1, [&](Value k) {
                   Value element = e.load(input, insertAt(row, dim, k));
                   e.store(emitKey(e, element, op.getDescending()), keys,
                           {zero, k});
                   e.store(e.toI64(k), places, {zero, k});
                 });
                 Value half = emitMergeSort(e, {keys, places}, count);
                 e.loop(zero, count, 1, [&](Value k) {
                   Value place = e.load(places, {half, k});
                   SmallVector<Value> at = insertAt(row, dim, k);
                   e.store(place, indices, at);
                   e.store(e.load(input, insertAt(row, dim, e.toIndex(place))),
                           values, at);
                 });
               });
  e.finish();
}

void selection::lower(SearchSortedOp op) {
  Lowering e(op);
  Value sorted = e.read(op.getSorted()), values = e.read(op.getValues());
  SmallVector<Value> extents = e.extents(op.getValues());
  int64_t last = extents.size() - 1;
  Value count = e.extent(op.getSorted(), last);
  Value indices = e.allocate(op->getResult(0), extents);
  // A value takes about as long as this many elements of other ops.
  Value work = e.index(32);
  e.forEachRow(extents, work, {}, [&](ValueRange at, ValueRange) {
    Value key = emitKey(e, e.load(values, at), /*descending=*/false);
    auto isOpen = [&](ValueRange range) {
      return std::make_pair(e.less(range[0], range[1]),
                            SmallVector<Value>(range));
    };
    auto halve = [&](ValueRange range) -> SmallVector<Value> {
      Value middle = e.div(e.add(range[0], range[1]), 2);
      SmallVector<Value> place = insertAt(at.drop_back(), last, middle);
      Value other = emitKey(e, e.load(sorted, place), /*descending=*/false);
      Value isBefore = e.less(other, key);
      if (op.getRight()) {
        isBefore = e.either(isBefore, e.equal(other, key));
      }
      return {e.select(isBefore, e.add(middle, 1), range[0]),
              e.select(isBefore, range[1], middle)};
    };
    Value place = e.whileLoop({e.index(0), count}, isOpen, halve)[0];
    e.store(e.toI64(place), indices, at);
  });
  e.finish();
}
