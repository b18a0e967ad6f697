//===- Gather.cpp - attn.gather and attn.scatter_reduce -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row of a gather is one stretch of the last dimension of the result: where
// the source has dimensions after `dim`, a copy of neighbours from one place.
//
// A row of a scatter is all that may be written to one place, whatever the
// indices are: it owns its part of the result, so that rows run in parallel and
// each of them combines its elements in the order of the indices.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::selection;

/// Neighbours of the last dimension that one row of a scatter has.
static constexpr int64_t kNeighbours = 64;

static SmallVector<Value> slice(ValueRange values, int64_t begin, int64_t end) {
  return SmallVector<Value>(values.slice(begin, end - begin));
}

static SmallVector<Value> join(ArrayRef<ValueRange> parts) {
  SmallVector<Value> result;
  for (ValueRange part : parts) {
    llvm::append_range(result, part);
  }
  return result;
}

static Value emitFill(Emit &e, TypedAttr fill, Type element) {
  return fill ? arith::ConstantOp::create(e, fill).getResult()
              : e.constant(element, 0);
}

/// A row of source per index: `dim` and those after it, copied together.
static void gatherRows(GatherOp op, Lowering &e) {
  int64_t dim = op.getDim(), batch = op.getBatch();
  auto sourceType = cast<RankedTensorType>(op.getSource().getType());
  auto indexType = cast<RankedTensorType>(op.getIndices().getType());
  int64_t inner = sourceType.getRank() - dim - 1;
  int64_t places = indexType.getRank() - batch;
  Value source = e.read(op.getSource()), indices = e.read(op.getIndices());
  Value extent = e.extent(op.getSource(), dim);
  Value result = e.allocate(op->getResult(0));
  int64_t rank = cast<MemRefType>(result.getType()).getRank();
  SmallVector<Value> extents;
  for (int64_t d = 0; d < rank; ++d) {
    extents.push_back(memref::DimOp::create(e, result, d));
  }
  Value fill = emitFill(e, cast_if_present<TypedAttr>(op.getFillAttr()),
                        sourceType.getElementType());
  /// The place in the source from which element `at` of the result comes, up
  /// to `dim`, with the index that was read.
  auto locate = [&](ValueRange at) {
    SmallVector<Value> from = slice(at, 0, dim);
    SmallVector<Value> which = slice(at, 0, batch);
    llvm::append_range(which, at.slice(dim, places));
    from.push_back(e.toIndex(e.load(indices, which)));
    if (batch > 0) {
      int64_t groups = sourceType.getDimSize(batch - 1);
      int64_t heads = indexType.getDimSize(batch - 1);
      if (areGrouped(groups, heads)) {
        from[batch - 1] = e.div(from[batch - 1], heads / groups);
      }
    }
    return from;
  };
  auto copyElement = [&](ValueRange at) {
    SmallVector<Value> from = locate(at);
    Value value = e.ifValue(
        e.inside(from[dim], extent), sourceType.getElementType(),
        [&] { return e.load(source, from); }, [&] { return fill; });
    e.store(value, result, at);
  };
  if (rank == 0) {
    copyElement({});
    return;
  }
  Value length = extents.back(), zero = e.index(0);
  e.forEachRow(
      ArrayRef(extents).drop_back(), length, {},
      [&](ValueRange row, ValueRange) {
        auto forLast = [&](llvm::function_ref<void(ValueRange)> body) {
          e.loop(zero, length, 1,
                 [&](Value c) { body(insertAt(row, rank - 1, c)); });
        };
        if (inner == 0) {
          forLast(copyElement);
          return;
        }
        SmallVector<Value> from = locate(row);
        e.ifThen(
            e.inside(from[dim], extent),
            [&] {
              forLast([&](ValueRange at) {
                SmallVector<Value> rest = slice(at, dim + places, rank);
                e.store(e.load(source, join({from, rest})), result, at);
              });
            },
            [&] {
              forLast([&](ValueRange at) { e.store(fill, result, at); });
            });
      });
}

/// One index per element, of the rank of the source.
static void gatherAlong(GatherOp op, Lowering &e) {
  int64_t dim = op.getDim();
  Type element = getElementTypeOrSelf(op.getSource().getType());
  Value source = e.read(op.getSource()), indices = e.read(op.getIndices());
  Value extent = e.extent(op.getSource(), dim);
  SmallVector<Value> extents = e.extents(op.getIndices());
  Value result = e.allocate(op->getResult(0), extents);
  Value fill =
      emitFill(e, cast_if_present<TypedAttr>(op.getFillAttr()), element);
  Value length = extents.pop_back_val();
  e.forEachRow(extents, length, {}, [&](ValueRange row, ValueRange) {
    e.loop(e.index(0), length, 1, [&](Value c) {
      SmallVector<Value> at = insertAt(row, row.size(), c), from = at;
      from[dim] = e.toIndex(e.load(indices, at));
      Value value = e.ifValue(
          e.inside(from[dim], extent), element,
          [&] { return e.load(source, from); }, [&] { return fill; });
      e.store(value, result, at);
    });
  });
}

void selection::lower(GatherOp op) {
  Lowering e(op);
  if (op.getAlong()) {
    gatherAlong(op, e);
  } else {
    gatherRows(op, e);
  }
  e.finish();
}

namespace {
struct ScatterLowering {
  ScatterLowering(ScatterReduceOp op)
      : op(op), e(op), dim(op.getDim()),
        element(getElementTypeOrSelf(op.getInit().getType())) {}

  void run();

private:
  Value combine(Value a, Value b) {
    bool isFloat = isa<FloatType>(element);
    switch (op.getKind()) {
    case ScatterKind::Sum:
      return isFloat ? arith::AddFOp::create(e, a, b).getResult() : e.add(a, b);
    case ScatterKind::Mul:
      return isFloat ? arith::MulFOp::create(e, a, b).getResult() : e.mul(a, b);
    case ScatterKind::Max:
      return isFloat ? arith::MaximumFOp::create(e, a, b).getResult()
                     : e.max(a, b);
    case ScatterKind::Min:
      return isFloat ? arith::MinimumFOp::create(e, a, b).getResult()
                     : e.min(a, b);
    case ScatterKind::Replace:
      return b;
    }
    llvm_unreachable("unknown kind");
  }
  Value load(Value buffer, ValueRange at) {
    Value value = e.load(buffer, at);
    return isa<FloatType>(element) ? e.convertFloat(value, accumulated) : value;
  }
  /// The row, but for `dim`, and where in the last dimension it starts and ends
  /// (null: the last dimension is `dim`).
  struct Part {
    ValueRange before, between;
    Value first, end;
  };
  /// Calls `body` for the neighbours in the last dimension.
  void forNeighbours(const Part &part,
                     llvm::function_ref<void(ValueRange)> body) {
    if (!part.first) {
      return body({});
    }
    e.loop(part.first, part.end, 1, [&](Value c) { body(c); });
  }
  void add(ValueRange target, ValueRange from) {
    e.store(combine(e.load(buffer, target), load(source, from)), buffer,
            target);
  }
  void scatter(const Part &part);

  ScatterReduceOp op;
  Lowering e;
  int64_t dim;
  Type element, accumulated;
  Value init, indices, source, extent, buffer;
  SmallVector<Value> places;
};
} // namespace

void ScatterLowering::scatter(const Part &part) {
  if (op.getAlong()) {
    e.loop(e.index(0), places.front(), 1, [&](Value p) {
      forNeighbours(part, [&](ValueRange c) {
        SmallVector<Value> from = join({part.before, p, part.between, c});
        SmallVector<Value> target = from;
        target[dim] = e.toIndex(e.load(indices, from));
        e.ifThen(e.inside(target[dim], extent), [&] { add(target, from); });
      });
    });
    return;
  }
  e.forEach(places, [&](ValueRange p) {
    SmallVector<Value> which = slice(part.before, 0, op.getBatch());
    Value target = e.toIndex(e.load(indices, join({which, p})));
    e.ifThen(e.inside(target, extent), [&] {
      forNeighbours(part, [&](ValueRange c) {
        add(join({part.before, target, part.between, c}),
            join({part.before, p, part.between, c}));
      });
    });
  });
}

void ScatterLowering::run() {
  bool rounds =
      op.getKind() == ScatterKind::Sum || op.getKind() == ScatterKind::Mul;
  accumulated = rounds && isa<FloatType>(element) ? getAccumulationType(element)
                                                  : element;
  SmallVector<Value> extents = e.extents(op.getInit());
  int64_t rank = extents.size();
  bool hasNeighbours = dim + 1 < rank;
  init = e.read(op.getInit());
  indices = e.read(op.getIndices());
  source = e.read(op.getSource());
  extent = extents[dim];
  places = op.getAlong() ? SmallVector<Value>{e.extent(op.getIndices(), dim)}
                         : dropAt(e.extents(op.getIndices()), 0, op.getBatch());
  Value result = e.allocate(op->getResult(0), extents);
  SmallVector<Value> rows = dropAt(extents, dim);
  SmallVector<Scratch> scratch;
  Value width = e.index(1);
  if (hasNeighbours) {
    width = e.index(kNeighbours);
    rows.back() = e.div(e.add(extents.back(), kNeighbours - 1), kNeighbours);
  }
  // A narrow sum is rounded once: it is accumulated elsewhere.
  bool isNarrow = accumulated != element;
  buffer =
      isNarrow ? e.allocate(op->getResult(0), extents, accumulated) : result;
  Value work = e.mul(e.add(extent, e.product(places)), width);
  e.forEachRow(rows, work, scratch, [&](ValueRange row, ValueRange) {
    Part part{row.take_front(dim), row.drop_front(dim), {}, {}};
    if (hasNeighbours) {
      part.between = part.between.drop_back();
      part.first = e.mul(row.back(), kNeighbours);
      part.end = e.min(e.add(part.first, kNeighbours), extents.back());
    }
    auto forPart = [&](llvm::function_ref<void(ValueRange)> body) {
      e.loop(e.index(0), extent, 1, [&](Value k) {
        forNeighbours(part, [&](ValueRange c) {
          body(join({part.before, k, part.between, c}));
        });
      });
    };
    forPart([&](ValueRange at) { e.store(load(init, at), buffer, at); });
    scatter(part);
    if (isNarrow) {
      forPart([&](ValueRange at) {
        e.store(e.convertFloat(e.load(buffer, at), element), result, at);
      });
    }
  });
  e.finish();
}

void selection::lower(ScatterReduceOp op) { ScatterLowering(op).run(); }
