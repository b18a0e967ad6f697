//===- Selection.cpp - top-k and bins, one key at a time ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Accumulators with one element per place keep them in buffers of the frame. A
// top-k is a sorted stretch of its buffer, forced entries first; an entry that
// gets in pushes what is worse one place on:
//
//   place = first + (entries of the stretch that are not worse)
//   if present and place < limit:
//     [place + 1, n] = [place, n - 1];  [place] = entry
//
//===----------------------------------------------------------------------===//

#include "Selection.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::loops;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

namespace {
/// Short names for what every function here writes.
struct Writer {
  OpBuilder &b;
  Location loc;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value load(Value buffer, ValueRange at) {
    return memref::LoadOp::create(b, loc, buffer, at);
  }
  void store(Value value, Value buffer, ValueRange at) {
    memref::StoreOp::create(b, loc, value, buffer, at);
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value min(Value x, Value y) { return arith::MinSIOp::create(b, loc, x, y); }
  Value max(Value x, Value y) { return arith::MaxSIOp::create(b, loc, x, y); }
  Value both(Value x, Value y) {
    return x && y ? arith::AndIOp::create(b, loc, x, y).getResult()
                  : (x ? x : y);
  }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, loc, c, x, y);
  }
  Value less(Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y);
  }
  Value compare(arith::CmpFPredicate p, Value x, Value y) {
    return arith::CmpFOp::create(b, loc, p, x, y);
  }
  void loop(Value lower, Value upper, function_ref<void(Value)> body) {
    auto loop = scf::ForOp::create(b, loc, lower, upper, index(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar());
  }
  void ifThen(Value condition, function_ref<void()> body) {
    auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.thenBlock());
    body();
  }
};
} // namespace

static int64_t extentOf(Value vector) {
  return cast<VectorType>(vector.getType()).getNumElements();
}

/// Whether x is better than y; a NaN counts as the largest value.
static Value isBetter(Writer &w, TopOp op, Value x, Value y) {
  using P = arith::CmpFPredicate;
  if (op.getSmallest()) {
    std::swap(x, y);
  }
  Value more = w.compare(P::OGT, x, y);
  Value onlyNan = w.both(w.compare(P::UNO, x, x), w.compare(P::ORD, y, y));
  return w.either(more, onlyNan);
}

Value attn::loops::getNeutral(OpBuilder &builder, BinsOp op) {
  Type type = op.getElementType();
  switch (op.getKind()) {
  case CarryKind::Max:
    return floatConstant(builder, op.getLoc(), type, -kInfinity);
  case CarryKind::Min:
    return floatConstant(builder, op.getLoc(), type, kInfinity);
  default:
    return arith::ConstantOp::create(builder, op.getLoc(),
                                     builder.getZeroAttr(type));
  }
}

SmallVector<Value> attn::loops::startSelection(OpBuilder &builder,
                                               Operation *op) {
  SmallVector<Value> buffers;
  auto stream = op->getParentOfType<StreamOp>();
  for (Type type : op->getResultTypes()) {
    if (auto row = dyn_cast<VectorType>(type)) {
      buffers.push_back(createRowBuffer(stream, row));
    }
  }
  auto bins = dyn_cast<BinsOp>(op);
  if (bins && bins.isTally()) {
    for (unsigned k : bins.getOutputs()) {
      buffers.push_back(stream.getOutputs()[k]);
    }
  } else if (bins) {
    Writer w{builder, op->getLoc()};
    Value neutral = getNeutral(builder, bins);
    w.loop(w.index(0), w.index(extentOf(bins)),
           [&](Value k) { w.store(neutral, buffers[0], k); });
  }
  return buffers;
}

SmallVector<Value> attn::loops::updateTop(OpBuilder &builder, TopOp op,
                                          ValueRange buffers, ValueRange before,
                                          Value cond, Value key) {
  Writer w{builder, op.getLoc()};
  Value values = buffers[0], keys = buffers[1];
  Value count = before[0], forcedCount = before[1], x = op.getValue();
  Value zero = w.index(0), one = w.index(1);
  Value capacity = w.index(extentOf(op.getValues()));
  if (Value limit = op.getLimit()) {
    capacity = w.min(w.max(limit, zero), capacity);
  }
  Value first = forcedCount, end = count;
  if (Value forced = op.getForced()) {
    first = w.select(forced, zero, forcedCount);
    end = w.select(forced, forcedCount, count);
  }
  auto search = scf::ForOp::create(
      builder, op.getLoc(), first, end, one, first,
      [&](OpBuilder &b, Location l, Value p, ValueRange place) {
        Writer inner{b, l};
        Value worse = isBetter(inner, op, x, inner.load(values, p));
        Value next = inner.add(place[0], one);
        scf::YieldOp::create(b, l, inner.select(worse, place[0], next));
      });
  Value place = search.getResult(0);
  Value enters = w.both(w.less(place, capacity), cond);
  w.ifThen(enters, [&] {
    Value last = w.min(count, w.sub(capacity, one));
    w.loop(place, last, [&](Value p) {
      Value to = w.sub(last, w.sub(p, place)), from = w.sub(to, one);
      w.store(w.load(values, from), values, to);
      w.store(w.load(keys, from), keys, to);
    });
    w.store(x, values, place);
    w.store(
        arith::IndexCastOp::create(builder, w.loc, builder.getI64Type(), key),
        keys, place);
  });
  auto grow = [&](Value number, Value condition) {
    return w.select(condition, w.min(w.add(number, one), capacity), number);
  };
  Value forcedEnters = w.both(enters, op.getForced());
  return {grow(count, enters),
          op.getForced() ? grow(forcedCount, forcedEnters) : forcedCount};
}

void attn::loops::updateBins(OpBuilder &builder, BinsOp op, ValueRange buffers,
                             Value cond) {
  Writer w{builder, op.getLoc()};
  Value bin = op.getBin();
  SmallVector<Value> place;
  if (op.isTally()) {
    auto stream = op->getParentOfType<StreamOp>();
    Value row = stream.getRowArg();
    if (Value block = op.getRowBlock()) {
      row = arith::DivUIOp::create(builder, w.loc, row, block);
    }
    place = {stream.getBatchArg(), stream.getHeadArg(), row};
  }
  place.push_back(bin);
  for (Value buffer : buffers) {
    Value extent =
        op.isTally()
            ? memref::DimOp::create(builder, w.loc, buffer, 3).getResult()
            : w.index(extentOf(op));
    Value inside =
        w.both(w.both(w.less(bin, extent), w.less(w.index(-1), bin)), cond);
    w.ifThen(inside, [&] {
      Value old = w.load(buffer, place), next;
      switch (op.getKind()) {
      case CarryKind::Max:
        next = arith::MaximumFOp::create(builder, w.loc, old, op.getValue());
        break;
      case CarryKind::Min:
        next = arith::MinimumFOp::create(builder, w.loc, old, op.getValue());
        break;
      case CarryKind::Count:
        next = w.add(old, arith::ConstantIntOp::create(builder, w.loc, 1, 64));
        break;
      default:
        next = arith::AddFOp::create(builder, w.loc, old, op.getValue());
      }
      w.store(next, buffer, place);
    });
  }
}

/// Neighbours in the wrong order are exchanged until none is left.
static void sortByKey(Writer &w, Value values, Value keys, Value count) {
  Value one = w.index(1);
  w.loop(w.index(0), count, [&](Value) {
    w.loop(one, count, [&](Value p) {
      Value q = w.sub(p, one);
      Value kp = w.load(keys, p), kq = w.load(keys, q);
      w.ifThen(w.less(kp, kq), [&] {
        Value vp = w.load(values, p), vq = w.load(values, q);
        w.store(kp, keys, q);
        w.store(kq, keys, p);
        w.store(vp, values, q);
        w.store(vq, values, p);
      });
    });
  });
}

SmallVector<Value> attn::loops::finishSelection(OpBuilder &builder,
                                                Operation *op,
                                                ValueRange buffers,
                                                ValueRange finals) {
  Writer w{builder, op->getLoc()};
  auto loadAll = [&](Value buffer, Type type) -> Value {
    return vector::LoadOp::create(builder, w.loc, cast<VectorType>(type),
                                  buffer, w.index(0));
  };
  auto top = dyn_cast<TopOp>(op);
  if (isa<TallyType>(op->getResult(0).getType())) {
    return {w.index(0)};
  }
  if (!top) {
    return {loadAll(buffers[0], op->getResult(0).getType())};
  }
  Value values = buffers[0], keys = buffers[1], count = finals[0];
  if (top.getByPosition()) {
    sortByKey(w, values, keys, count);
  }
  // The operands of the op are gone by now.
  Type element = getElementTypeOrSelf(top.getValues().getType());
  Value none = arith::ConstantIntOp::create(builder, w.loc, -1, 64);
  Value nothing = floatConstant(builder, w.loc, element,
                                top.getSmallest() ? kInfinity : -kInfinity);
  w.loop(count, w.index(extentOf(top.getValues())), [&](Value p) {
    w.store(nothing, values, p);
    w.store(none, keys, p);
  });
  return {
      loadAll(values, top.getValues().getType()),
      loadAll(keys, top.getKeys().getType()),
      arith::IndexCastOp::create(builder, w.loc, builder.getI64Type(), count)};
}

Value attn::loops::expandListed(OpBuilder &builder, ListedOp op) {
  Writer w{builder, op.getLoc()};
  Value source = op.getSource(), zero = w.index(0);
  int64_t last = cast<ShapedType>(source.getType()).getRank() - 1;
  Value end = memref::DimOp::create(builder, w.loc, source, last);
  Value first = op.getFirst() ? w.max(op.getFirst(), zero) : zero;
  if (Value count = op.getCount()) {
    end = w.min(w.add(first, w.max(count, zero)), end);
  }
  Value block = arith::DivUIOp::create(builder, w.loc, op.getKey(),
                                       w.index(op.getKeyBlock()));
  Value no = arith::ConstantIntOp::create(builder, w.loc, 0, 1);
  auto loop = scf::ForOp::create(
      builder, w.loc, first, end, w.index(1), no,
      [&](OpBuilder &b, Location l, Value k, ValueRange found) {
        Writer in{b, l};
        SmallVector<Value> at(op.getIndices());
        at.push_back(k);
        auto read = [&](Value list) -> Value {
          Value x = memref::LoadOp::create(b, l, list, at);
          return x.getType().isIndex()
                     ? x
                     : arith::IndexCastOp::create(b, l, b.getIndexType(), x)
                           .getResult();
        };
        Value offset = in.sub(block, read(source));
        Value hit;
        if (op.getLengths()) {
          hit = in.both(in.less(in.index(-1), offset),
                        in.less(offset, read(op.getLengths())));
        } else {
          hit = arith::CmpIOp::create(b, l, arith::CmpIPredicate::eq, offset,
                                      zero);
        }
        scf::YieldOp::create(b, l, in.either(found[0], hit));
      });
  return loop.getResult(0);
}
