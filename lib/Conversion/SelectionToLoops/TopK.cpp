//===- TopK.cpp - attn.select_topk: a heap of the best so far -------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A binary heap of the selected elements has the worst of them at its root, the
// one to beat: an element that is not better costs a comparison, one that is
// costs O(log K). Popping the root to the end, again and again, sorts the heap.
//
// Forced elements are selected first, in a pass of their own, and the others
// fill what is left; each pass has its heap, one after the other in one array.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::selection;

namespace {
/// A heap of `size` elements from `base` on.
struct Heap {
  Lowering &e;
  /// Keys, larger is better, and places; for equal keys the lower is better.
  Value keys, places;
  Value base;

  struct Element {
    Value key, place;
  };
  Element get(Value k) {
    Value at = e.add(base, k);
    return {e.load(keys, at), e.load(places, at)};
  }
  void set(Value k, Element x) {
    Value at = e.add(base, k);
    e.store(x.key, keys, at);
    e.store(x.place, places, at);
  }
  Value isWorse(Element a, Element b) {
    Value later = e.less(b.place, a.place);
    return e.either(e.less(a.key, b.key), e.both(e.equal(a.key, b.key), later));
  }

  /// Puts x at or above the free place `hole`, a leaf.
  void rise(Value hole, Element x) {
    Value zero = e.index(0), one = e.index(1);
    auto parentOf = [&](Value k) {
      return e.div(e.sub(e.max(k, one), one), 2);
    };
    auto mustRise = [&](ValueRange state) {
      Value parent = parentOf(state[0]);
      Value below = e.less(zero, state[0]);
      return std::make_pair(e.both(below, isWorse(x, get(parent))),
                            SmallVector<Value>(state));
    };
    auto moveDown = [&](ValueRange state) -> SmallVector<Value> {
      Value parent = parentOf(state[0]);
      set(state[0], get(parent));
      return {parent};
    };
    set(e.whileLoop(hole, mustRise, moveDown)[0], x);
  }

  /// Puts x at or below the free root of a heap of `size` elements.
  void sink(Value size, Element x) {
    Value last = e.max(e.sub(size, 1), e.index(0));
    auto worstChild = [&](Value k) {
      Value left = e.add(e.mul(k, 2), 1), right = e.add(left, 1);
      Value second = e.min(right, last), first = e.min(left, last);
      Value takesRight =
          e.both(e.less(right, size), isWorse(get(second), get(first)));
      return e.select(takesRight, second, first);
    };
    auto mustSink = [&](ValueRange state) {
      Value isInner = e.less(e.add(e.mul(state[0], 2), 1), size);
      Value child = worstChild(state[0]);
      return std::make_pair(e.both(isInner, isWorse(get(child), x)),
                            SmallVector<Value>(state));
    };
    auto moveUp = [&](ValueRange state) -> SmallVector<Value> {
      Value child = worstChild(state[0]);
      set(state[0], get(child));
      return {child};
    };
    set(e.whileLoop(e.index(0), mustSink, moveUp)[0], x);
  }

  /// Best first.
  void sort(Value size) {
    e.loop(e.index(1), size, 1, [&](Value k) {
      Value last = e.sub(size, k);
      Element x = get(last);
      set(last, get(e.index(0)));
      sink(last, x);
    });
  }
};
} // namespace

/// Offers every element along the joined dimensions for which `admits` holds to
/// a heap of at most `limit` elements, and returns how many it has then.
static Value fillHeap(Lowering &e, Heap heap, Value limit, ValueRange joined,
                      Value input, bool descending,
                      llvm::function_ref<SmallVector<Value>(ValueRange)> place,
                      llvm::function_ref<Value(ValueRange)> admits) {
  Value zero = e.index(0);
  unsigned width =
      cast<MemRefType>(heap.keys.getType()).getElementTypeBitWidth();
  // Until the heap is full the threshold is one that nothing beats.
  Value unbeaten = arith::ConstantOp::create(
      e, e.getIntegerAttr(e.getIntegerType(width),
                          APInt::getSignedMaxValue(width)));
  SmallVector<Value> at;
  std::function<SmallVector<Value>(Value, ValueRange)> scan =
      [&](Value linear, ValueRange state) -> SmallVector<Value> {
    if (at.size() < joined.size()) {
      Value extent = joined[at.size()];
      return e.loop(zero, extent, 1, state, [&](Value k, ValueRange inner) {
        at.push_back(k);
        SmallVector<Value> next = scan(e.add(e.mul(linear, extent), k), inner);
        at.pop_back();
        return next;
      });
    }
    SmallVector<Value> source = place(at);
    Value key = emitKey(e, e.load(input, source), descending);
    Value size = state[0], threshold = state[1];
    Value hasRoom = e.less(size, limit);
    Value takes = e.either(hasRoom, e.less(threshold, key));
    if (Value admitted = admits(source)) {
      takes = e.both(takes, admitted);
    }
    auto taken = scf::IfOp::create(e, state.getTypes(), takes,
                                   /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e);
    e.setInsertionPointToStart(taken.thenBlock());
    Heap::Element x{key, e.toI64(linear)};
    e.ifThen(
        hasRoom, [&] { heap.rise(size, x); }, [&] { heap.sink(limit, x); });
    Value grown = e.min(e.add(size, 1), limit);
    Value isFull = e.equal(grown, limit);
    Value root = heap.get(zero).key;
    scf::YieldOp::create(e,
                         ValueRange{grown, e.select(isFull, root, unbeaten)});
    e.setInsertionPointToStart(taken.elseBlock());
    scf::YieldOp::create(e, state);
    return llvm::to_vector_of<Value>(taken.getResults());
  };
  return scan(zero, {zero, unbeaten})[0];
}

void selection::lower(SelectTopKOp op) {
  Lowering e(op);
  int64_t first = op.getFirstDim(), dims = op.getNumDims();
  bool descending = op.getOrder() == SelectOrder::Smallest;
  bool byPosition = op.getSortedBy() == SortedBy::Position;
  auto type = cast<RankedTensorType>(op.getInput().getType());
  SmallVector<Value> extents = e.extents(op.getInput());
  SmallVector<Value> joined(extents.begin() + first,
                            extents.begin() + first + dims);
  Value input = e.read(op.getInput());
  Value forced = op.getForced() ? e.read(op.getForced()) : Value();
  Value among = op.getAmong() ? e.read(op.getAmong()) : Value();
  Value wanted = op.getK();
  if (wanted && isa<RankedTensorType>(wanted.getType())) {
    wanted = e.read(wanted);
  }
  Value values = e.allocate(op->getResult(0));
  Value indices = e.allocate(op->getResult(1));
  Value counts = e.allocate(op->getResult(2));
  Value zero = e.index(0), total = e.product(joined);
  int64_t known =
      cast<RankedTensorType>(op.getValues().getType()).getDimSize(first);
  Value bound = ShapedType::isDynamic(known) ? e.max(op.getBound(), zero)
                                             : e.index(known);
  // A heap never has more elements than there are.
  Value room = e.min(bound, total);
  Type i64 = e.getI64Type();
  SmallVector<Scratch> scratch{{getKeyType(type.getElementType()), {room}}};
  if (byPosition) {
    scratch.push_back({i64, {e.index(2), room}});
  } else {
    scratch.push_back({i64, {room}});
  }
  e.forEachRow(
      dropAt(extents, first, dims), e.add(e.mul(total, forced ? 4 : 2), bound),
      scratch, [&](ValueRange row, ValueRange buffers) {
        auto place = [&](ValueRange at) {
          SmallVector<Value> indices(row);
          indices.insert(indices.begin() + first, at.begin(), at.end());
          return indices;
        };
        Value places = buffers[1];
        if (byPosition) { // the half in which sorting starts
          places = memref::SubViewOp::create(
              e,
              MemRefType::get({ShapedType::kDynamic}, i64,
                              StridedLayoutAttr::get(e.getContext(), 0, {1})),
              places,
              ArrayRef<OpFoldResult>{e.getIndexAttr(0), e.getIndexAttr(0)},
              ArrayRef<OpFoldResult>{e.getIndexAttr(1), room},
              ArrayRef<OpFoldResult>{e.getIndexAttr(1), e.getIndexAttr(1)});
        }
        Value limit = room;
        if (wanted) {
          Value k = isa<MemRefType>(wanted.getType())
                        ? e.toIndex(e.load(wanted, row))
                        : wanted;
          limit = e.min(e.max(k, zero), room);
        }
        Value count = zero;
        for (bool wantsForced : {true, false}) {
          if (wantsForced && !forced) {
            continue;
          }
          auto admits = [&](ValueRange source) -> Value {
            Value bit = among ? e.load(among, source) : Value();
            if (forced) {
              Value isForced = e.load(forced, source);
              if (!wantsForced) {
                isForced = arith::XOrIOp::create(e, isForced, e.truth(true));
              }
              bit = bit ? e.both(bit, isForced) : isForced;
            }
            return bit;
          };
          Heap heap{e, buffers[0], places, count};
          Value size = fillHeap(e, heap, e.sub(limit, count), joined, input,
                                descending, place, admits);
          if (!byPosition) {
            heap.sort(size);
          }
          count = e.add(count, size);
        }
        Value half = byPosition ? emitMergeSort(e, buffers[1], count) : Value();
        auto slots =
            [&](Value from, Value to,
                llvm::function_ref<std::pair<Value, Value>(Value)> at) {
              e.loop(from, to, 1, [&](Value k) {
                auto [value, linear] = at(k);
                SmallVector<Value> slot = insertAt(row, first, k);
                e.store(value, values, slot);
                e.store(linear, indices, slot);
              });
            };
        slots(zero, count, [&](Value k) {
          Value linear =
              byPosition ? e.load(buffers[1], {half, k}) : e.load(places, k);
          Value value =
              e.load(input, place(e.delinearize(e.toIndex(linear), joined)));
          return std::make_pair(value, linear);
        });
        slots(count, bound, [&](Value k) {
          return std::make_pair(e.zero(type.getElementType()),
                                e.constant64(-1));
        });
        e.store(e.toI64(count), counts, row);
      });
  e.finish();
}
