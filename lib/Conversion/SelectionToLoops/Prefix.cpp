//===- Prefix.cpp - attn.prefix and attn.compact --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Along the last dimension a prefix is a loop with carried values. Along
// another one, the last dimension is innermost, so that neighbours are computed
// together, with the carried values of a stretch of them in scratch.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::selection;

/// Neighbours of the last dimension that one row of work has.
static constexpr int64_t kNeighbours = 64;

/// An element in the type that the region computes in.
static Value widen(Emit &e, Value element, Type type) {
  Type from = element.getType();
  if (isa<FloatType>(type)) {
    return e.convertFloat(element, type);
  }
  if (from == type) {
    return element;
  }
  if (from.isIndex() || type.isIndex()) {
    return from.isInteger(1)
               ? arith::IndexCastUIOp::create(e, type, element).getResult()
               : arith::IndexCastOp::create(e, type, element).getResult();
  }
  return from.isInteger(1)
             ? arith::ExtUIOp::create(e, type, element).getResult()
             : arith::ExtSIOp::create(e, type, element).getResult();
}

namespace {
struct PrefixLowering {
  PrefixLowering(PrefixOp op) : op(op), e(op), dim(op.getDim()) {}

  void run();

private:
  /// Takes one element of each input, and gives the next accumulated values.
  SmallVector<Value> step(ValueRange at, ValueRange accumulated) {
    SmallVector<Value> elements;
    for (auto [input, type] : llvm::zip_equal(inputs, types)) {
      elements.push_back(widen(e, e.load(input, at), type));
    }
    Block &body = op.getBody().front();
    IRMapping map;
    map.map(body.getArguments().take_front(types.size()), accumulated);
    map.map(body.getArguments().drop_front(types.size()), elements);
    for (Operation &inner : body.without_terminator()) {
      e.clone(inner, map);
    }
    SmallVector<Value> next;
    for (Value value : body.getTerminator()->getOperands()) {
      next.push_back(map.lookupOrDefault(value));
    }
    ValueRange shown = op.getExclusive() ? accumulated : ValueRange(next);
    for (auto [value, result] : llvm::zip_equal(shown, results)) {
      Type element = cast<MemRefType>(result.getType()).getElementType();
      e.store(isa<FloatType>(element) ? e.convertFloat(value, element) : value,
              result, at);
    }
    return next;
  }
  Value position(Value k) {
    return op.getReverse() ? e.sub(e.sub(count, 1), k) : k;
  }
  SmallVector<Value> identities() {
    SmallVector<Value> values;
    for (Attribute identity : op.getIdentity()) {
      values.push_back(arith::ConstantOp::create(e, cast<TypedAttr>(identity)));
    }
    return values;
  }
  void alongLast(ArrayRef<Value> extents);
  void acrossLast(ArrayRef<Value> extents);

  PrefixOp op;
  Lowering e;
  int64_t dim;
  Value count;
  SmallVector<Value> inputs, results;
  SmallVector<Type> types;
};
} // namespace

void PrefixLowering::alongLast(ArrayRef<Value> extents) {
  e.forEachRow(extents.drop_back(), count, {}, [&](ValueRange row, ValueRange) {
    e.loop(e.index(0), count, 1, identities(),
           [&](Value k, ValueRange accumulated) {
             return step(insertAt(row, dim, position(k)), accumulated);
           });
  });
}

void PrefixLowering::acrossLast(ArrayRef<Value> extents) {
  // Rows are all dimensions but `dim` and the last, and stretches of the last.
  Value last = extents.back();
  SmallVector<Value> rows = dropAt(extents.drop_back(), dim);
  rows.push_back(e.div(e.add(last, kNeighbours - 1), kNeighbours));
  SmallVector<Scratch> scratch;
  for (Type type : types) {
    scratch.push_back({type, {e.index(kNeighbours)}});
  }
  e.forEachRow(rows, e.mul(count, kNeighbours), scratch,
               [&](ValueRange row, ValueRange carried) {
                 Value first = e.mul(row.back(), kNeighbours);
                 Value width = e.min(e.sub(last, first), e.index(kNeighbours));
                 e.loop(e.index(0), width, 1, [&](Value c) {
                   for (auto [value, buffer] :
                        llvm::zip_equal(identities(), carried)) {
                     e.store(value, buffer, c);
                   }
                 });
                 e.loop(e.index(0), count, 1, [&](Value k) {
                   SmallVector<Value> outer =
                       insertAt(row.drop_back(), dim, position(k));
                   e.loop(e.index(0), width, 1, [&](Value c) {
                     SmallVector<Value> at = outer, accumulated;
                     at.push_back(e.add(first, c));
                     for (Value buffer : carried) {
                       accumulated.push_back(e.load(buffer, c));
                     }
                     for (auto [value, buffer] :
                          llvm::zip_equal(step(at, accumulated), carried)) {
                       e.store(value, buffer, c);
                     }
                   });
                 });
               });
}

void PrefixLowering::run() {
  SmallVector<Value> extents = e.extents(op.getInputs().front());
  count = extents[dim];
  for (auto [input, result] :
       llvm::zip_equal(op.getInputs(), op->getResults())) {
    inputs.push_back(e.read(input));
    results.push_back(e.allocate(result, extents));
    types.push_back(getPrefixType(getElementTypeOrSelf(result.getType())));
  }
  if (dim + 1 == int64_t(extents.size())) {
    alongLast(extents);
  } else {
    acrossLast(extents);
  }
  e.finish();
}

void selection::lower(PrefixOp op) { PrefixLowering(op).run(); }

void selection::lower(CompactOp op) {
  Lowering e(op);
  SmallVector<Value> extents = e.extents(op.getBits());
  Value bits = e.read(op.getBits());
  Value indices = e.allocate(op->getResult(0));
  Value counts = e.allocate(op->getResult(1));
  Value zero = e.index(0), length = extents.pop_back_val();
  Value bound =
      memref::DimOp::create(e, indices, static_cast<int64_t>(extents.size()));
  e.forEachRow(
      extents, e.add(length, bound), {}, [&](ValueRange row, ValueRange) {
        int64_t last = row.size();
        auto place = [&](Value k) { return insertAt(row, last, k); };
        Value count = e.loop(
            zero, length, 1, zero,
            [&](Value k, ValueRange state) -> SmallVector<Value> {
              Value takes =
                  e.both(e.load(bits, place(k)), e.less(state[0], bound));
              e.ifThen(takes,
                       [&] { e.store(e.toI64(k), indices, place(state[0])); });
              return {e.add(state[0], arith::IndexCastUIOp::create(
                                          e, e.getIndexType(), takes))};
            })[0];
        e.loop(count, bound, 1,
               [&](Value k) { e.store(e.constant64(-1), indices, place(k)); });
        e.store(e.toI64(count), counts, row);
      });
  e.finish();
}
