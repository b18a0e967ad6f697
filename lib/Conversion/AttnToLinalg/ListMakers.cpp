//===- ListMakers.cpp - lists of blocks as loops --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lists are small beside what they restrict, and their lengths are data, so
// that they are made by plain loops on buffers:
//
//   %idx, %n = attn.list %blocks { p(b, g, I, J) }
// becomes
//   for b, g, I:
//     n = 0
//     for J: if p(b, g, I, J) and n < L: idx[b, g, I, n++] = J
//     idx[b, g, I, n ...] = -1;  counts[b, g, I] = n
//
// Rows of united and intersected lists are kept sorted while they grow.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"
#include "attn/Support/Buffers.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::attn;

namespace {
class ListWriter {
public:
  explicit ListWriter(Operation *op) : b(op), loc(op->getLoc()) {}

  void write(ListOp op);
  void writePair(Operation *op, ArrayRef<Value> lhs, ArrayRef<Value> rhs,
                 bool intersect);
  void write(ListTransposeOp op);
  void write(ListIndexOp op);

private:
  using Row = function_ref<void(ValueRange place)>;
  struct List {
    Value indices, counts;
  };

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value min(Value x, Value y) { return arith::MinSIOp::create(b, loc, x, y); }
  Value max(Value x, Value y) { return arith::MaxSIOp::create(b, loc, x, y); }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, loc, x, y); }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, loc, c, x, y);
  }
  Value compare(arith::CmpIPredicate p, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, p, x, y);
  }
  Value less(Value x, Value y) {
    return compare(arith::CmpIPredicate::slt, x, y);
  }
  Value dim(Value buffer, int64_t d) {
    return memref::DimOp::create(b, loc, buffer, d);
  }
  Value load(Value buffer, ValueRange place, Value last = {}) {
    SmallVector<Value> at(place);
    if (last) {
      at.push_back(last);
    }
    Value x = memref::LoadOp::create(b, loc, buffer, at);
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), x);
  }
  void store(Value x, Value buffer, ValueRange place, Value last = {}) {
    SmallVector<Value> at(place);
    if (last) {
      at.push_back(last);
    }
    Type type = cast<MemRefType>(buffer.getType()).getElementType();
    x = arith::IndexCastOp::create(b, loc, type, x);
    memref::StoreOp::create(b, loc, x, buffer, at);
  }
  Value loop(Value lower, Value upper, Value init,
             function_ref<Value(Value, Value)> body) {
    auto loop = scf::ForOp::create(b, loc, lower, upper, index(1), init);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value next = body(loop.getInductionVar(), loop.getRegionIterArg(0));
    scf::YieldOp::create(b, loc, next);
    return loop.getResult(0);
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

  Value read(Value tensor);
  /// Buffers of the results, `extents` for what is dynamic in the indices.
  List allocate(Operation *op, ArrayRef<Value> extents);
  void replace(Operation *op, const List &list);
  void forEachRow(Value counts, Row body);
  /// Elements in use of one row.
  Value countOf(const List &list, ValueRange place);
  void finishRow(const List &list, ValueRange place, Value count);
  Value insert(const List &list, ValueRange place, Value count, Value x,
               Value wanted);

  OpBuilder b;
  Location loc;
};
} // namespace

Value ListWriter::read(Value tensor) {
  return getReadOnlyBuffer(b, loc, tensor);
}

ListWriter::List ListWriter::allocate(Operation *op, ArrayRef<Value> extents) {
  auto make = [&](Type tensor) -> Value {
    auto type = cast<RankedTensorType>(tensor);
    SmallVector<Value> sizes;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      if (type.isDynamicDim(d)) {
        sizes.push_back(extents[d]);
      }
    }
    return allocateBuffer(b, loc, type, sizes);
  };
  return {make(op->getResult(0).getType()), make(op->getResult(1).getType())};
}

void ListWriter::replace(Operation *op, const List &list) {
  SmallVector<Value> results;
  Value buffers[] = {list.indices, list.counts};
  for (auto [type, buffer] : llvm::zip(op->getResultTypes(), buffers)) {
    results.push_back(toTensor(b, loc, type, buffer));
  }
  op->replaceAllUsesWith(results);
}

void ListWriter::forEachRow(Value counts, Row body) {
  Value zero = index(0);
  loop(zero, dim(counts, 0), [&](Value batch) {
    loop(zero, dim(counts, 1), [&](Value group) {
      loop(zero, dim(counts, 2), [&](Value row) { body({batch, group, row}); });
    });
  });
}

Value ListWriter::countOf(const List &list, ValueRange place) {
  Value count = max(load(list.counts, place), index(0));
  return min(count, dim(list.indices, 3));
}

void ListWriter::finishRow(const List &list, ValueRange place, Value count) {
  store(count, list.counts, place);
  Value none = index(-1);
  loop(count, dim(list.indices, 3),
       [&](Value l) { store(none, list.indices, place, l); });
}

/// Adds x, if `wanted`, to a sorted row that has room; gives the new count.
Value ListWriter::insert(const List &list, ValueRange place, Value count,
                         Value x, Value wanted) {
  Value zero = index(0), one = index(1);
  auto before = [&](Value p) {
    return load(list.indices, place, max(sub(p, one), zero));
  };
  auto search = scf::WhileOp::create(
      b, loc, TypeRange(b.getIndexType()), ValueRange(count),
      [&](OpBuilder &, Location, ValueRange p) {
        Value more = both(less(zero, p[0]), less(x, before(p[0])));
        scf::ConditionOp::create(b, loc, more, p);
      },
      [&](OpBuilder &, Location, ValueRange p) {
        scf::YieldOp::create(b, loc, sub(p[0], one));
      });
  b.setInsertionPointAfter(search);
  Value p = search.getResult(0);
  Value known =
      both(less(zero, p), compare(arith::CmpIPredicate::eq, before(p), x));
  Value no = arith::ConstantIntOp::create(b, loc, 0, 1);
  Value fresh = both(both(wanted, less(index(-1), x)),
                     compare(arith::CmpIPredicate::eq, known, no));
  ifThen(fresh, [&] {
    loop(p, count, [&](Value t) {
      Value to = sub(count, sub(t, p));
      store(before(to), list.indices, place, to);
    });
    store(x, list.indices, place, p);
  });
  return select(fresh, add(count, one), count);
}

void ListWriter::write(ListOp op) {
  SmallVector<Value> extents;
  auto type = cast<RankedTensorType>(op.getCounts().getType());
  ValueRange sizes = op.getSizes();
  for (int64_t d = 0; d < 3; ++d) {
    extents.push_back(type.isDynamicDim(d) ? sizes.front()
                                           : index(type.getDimSize(d)));
    sizes = type.isDynamicDim(d) ? sizes.drop_front() : sizes;
  }
  extents.push_back(max(op.getBlocks(), index(0)));
  List list = allocate(op, extents);
  Value room = dim(list.indices, 3);
  forEachRow(list.counts, [&](ValueRange place) {
    Value count =
        loop(index(0), op.getBlocks(), index(0), [&](Value block, Value n) {
          IRMapping mapping;
          SmallVector<Value> arguments(place);
          arguments.push_back(block);
          Block &body = op.getBody().front();
          mapping.map(body.getArguments(), arguments);
          for (Operation &inner : body.without_terminator()) {
            b.clone(inner, mapping);
          }
          Value keep =
              mapping.lookupOrDefault(body.getTerminator()->getOperand(0));
          keep = both(keep, less(n, room));
          ifThen(keep, [&] { store(block, list.indices, place, n); });
          return select(keep, add(n, index(1)), n);
        });
    finishRow(list, place, count);
  });
  replace(op, list);
}

void ListWriter::writePair(Operation *op, ArrayRef<Value> lhs,
                           ArrayRef<Value> rhs, bool intersect) {
  List x{read(lhs[0]), read(lhs[1])}, y{read(rhs[0]), read(rhs[1])};
  SmallVector<Value> extents;
  for (int64_t d = 0; d < 3; ++d) {
    extents.push_back(min(dim(x.counts, d), dim(y.counts, d)));
  }
  extents.push_back(dim(x.indices, 3));
  if (!intersect) {
    extents.back() = add(extents.back(), dim(y.indices, 3));
  }
  List list = allocate(op, extents);
  Value yes = arith::ConstantIntOp::create(b, loc, 1, 1);
  Value no = arith::ConstantIntOp::create(b, loc, 0, 1);
  Value zero = index(0);
  auto contains = [&](ValueRange place, Value id) {
    return loop(zero, countOf(y, place), no, [&](Value l, Value found) {
      Value hit =
          compare(arith::CmpIPredicate::eq, load(y.indices, place, l), id);
      return arith::OrIOp::create(b, loc, found, hit).getResult();
    });
  };
  forEachRow(list.counts, [&](ValueRange place) {
    auto insertAll = [&](const List &from, Value count) {
      return loop(zero, countOf(from, place), count, [&](Value l, Value n) {
        Value id = load(from.indices, place, l);
        return insert(list, place, n, id,
                      intersect ? contains(place, id) : yes);
      });
    };
    Value count = insertAll(x, zero);
    if (!intersect) {
      count = insertAll(y, count);
    }
    finishRow(list, place, count);
  });
  replace(op, list);
}

void ListWriter::write(ListTransposeOp op) {
  List from{read(op.getList()), read(op.getListCounts())};
  Value zero = index(0), one = index(1), blocks = max(op.getBlocks(), zero);
  auto result = cast<RankedTensorType>(op.getIndices().getType());
  if (!result.isDynamicDim(2)) {
    blocks = index(result.getDimSize(2));
  }
  List list = allocate(op, {dim(from.indices, 0), dim(from.indices, 1), blocks,
                            dim(from.indices, 2)});
  Value room = dim(list.indices, 3);
  forEachRow(list.counts,
             [&](ValueRange place) { finishRow(list, place, zero); });
  // Query blocks come in order: a repeated one is the last of its row.
  forEachRow(from.counts, [&](ValueRange place) {
    Value row = place[2];
    loop(zero, countOf(from, place), [&](Value l) {
      Value block = load(from.indices, place, l);
      Value inside = both(less(index(-1), block), less(block, blocks));
      ifThen(inside, [&] {
        SmallVector<Value> target{place[0], place[1], block};
        Value n = load(list.counts, target);
        ifThen(less(zero, room), [&] {
          Value last = load(list.indices, target, max(sub(n, one), zero));
          Value fresh =
              both(compare(arith::CmpIPredicate::ne, last, row), less(n, room));
          ifThen(fresh, [&] {
            store(row, list.indices, target, n);
            store(add(n, one), list.counts, target);
          });
        });
      });
    });
  });
  replace(op, list);
}

/// Counts, sums the counts up, and puts every query block in its place.
void ListWriter::write(ListIndexOp op) {
  Value list = read(op.getList());
  Value lengths = op.getLengths() ? read(op.getLengths()) : Value();
  Value counts = op.getCounts() ? read(op.getCounts()) : Value();
  Value zero = index(0), one = index(1), blocks = max(op.getBlocks(), zero);
  auto offsetsType = cast<RankedTensorType>(op.getOffsets().getType());
  auto makeBuffer = [&](ArrayRef<Value> sizes, Type element) -> Value {
    SmallVector<int64_t> shape(sizes.size(), ShapedType::kDynamic);
    return memref::AllocOp::create(b, loc, MemRefType::get(shape, element),
                                   sizes, b.getI64IntegerAttr(64));
  };
  Value batch = dim(list, 0), groups = dim(list, 1), rows = dim(list, 2);
  Value offsets = makeBuffer({batch, groups, add(blocks, one)},
                             offsetsType.getElementType());
  // Calls `body` for every block that the list of (batch, group) names.
  auto forEachName = [&](Value x, Value g,
                         function_ref<void(Value row, Value block)> body) {
    loop(zero, rows, [&](Value row) {
      Value count = dim(list, 3);
      if (counts) {
        auto inside = [&](Value k, int64_t d) {
          return min(k, sub(dim(counts, d), one));
        };
        Value used = load(counts, {inside(x, 0), g, inside(row, 2)});
        count = min(max(used, zero), count);
      }
      loop(zero, count, [&](Value l) {
        Value first = load(list, {x, g, row, l});
        Value end = add(first, lengths ? load(lengths, {x, g, row, l}) : one);
        loop(max(first, zero), min(end, blocks),
             [&](Value block) { body(row, block); });
      });
    });
  };
  Value total = loop(zero, batch, zero, [&](Value x, Value largest) {
    return loop(zero, groups, largest, [&](Value g, Value so) {
      loop(zero, add(blocks, one),
           [&](Value k) { store(zero, offsets, {x, g, k}); });
      forEachName(x, g, [&](Value, Value block) {
        SmallVector<Value> place{x, g, add(block, one)};
        store(add(load(offsets, place), one), offsets, place);
      });
      Value sum = loop(zero, blocks, zero, [&](Value k, Value before) {
        SmallVector<Value> place{x, g, add(k, one)};
        Value after = add(before, load(offsets, place));
        store(after, offsets, place);
        return after;
      });
      return max(so, sum);
    });
  });
  Value entries =
      makeBuffer({batch, groups, total}, offsetsType.getElementType());
  Value used = makeBuffer(blocks, b.getI64Type());
  loop(zero, batch, [&](Value x) {
    loop(zero, groups, [&](Value g) {
      loop(zero, total, [&](Value k) { store(index(-1), entries, {x, g, k}); });
      loop(zero, blocks, [&](Value k) { store(zero, used, k); });
      forEachName(x, g, [&](Value row, Value block) {
        Value n = load(used, block);
        store(row, entries, {x, g, add(load(offsets, {x, g, block}), n)});
        store(add(n, one), used, block);
      });
    });
  });
  auto cast = [&](Value buffer, Type tensor) -> Value {
    auto type = mlir::cast<RankedTensorType>(tensor);
    return memref::CastOp::create(
        b, loc, MemRefType::get(type.getShape(), type.getElementType()),
        buffer);
  };
  replace(op, {cast(entries, op.getEntries().getType()),
               cast(offsets, op.getOffsets().getType())});
}

bool mlir::attn::isListMaker(Operation *op) {
  return isa<ListOp, ListUnionOp, ListIntersectOp, ListTransposeOp,
             ListIndexOp>(op);
}

void mlir::attn::writeList(Operation *op) {
  ListWriter writer(op);
  if (auto list = dyn_cast<ListOp>(op)) {
    writer.write(list);
  } else if (auto transposed = dyn_cast<ListTransposeOp>(op)) {
    writer.write(transposed);
  } else if (auto index = dyn_cast<ListIndexOp>(op)) {
    writer.write(index);
  } else {
    auto operands = op->getOperands();
    writer.writePair(op, {operands[0], operands[1]}, {operands[2], operands[3]},
                     isa<ListIntersectOp>(op));
  }
}
