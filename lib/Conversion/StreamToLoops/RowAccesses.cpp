//===- RowAccesses.cpp - loads and contractions of rows -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ops of a stream that touch memory, one element at a time. A contraction
// adds in the order of the features and in the result type:
//
//   %s = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : ... -> f32
// becomes
//   %s = scf.for %d = 0 to 64 iter_args(%a = 0.0) { a + Q[b,h,i,d] * K[b,g,j,d]
//   }
//
// A row whose stride is not known to be 1 goes through a buffer on the stack,
// filled by a scalar loop.
//
//===----------------------------------------------------------------------===//

#include "Selection.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::loops;

Value attn::loops::floatConstant(OpBuilder &builder, Location loc, Type type,
                                 double value) {
  TypedAttr attr = builder.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type)) {
    attr = DenseElementsAttr::get(vector, attr);
  }
  return arith::ConstantOp::create(builder, loc, type, attr);
}

static Value indexConstant(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

static bool hasUnitStride(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(type.getStridesAndOffset(strides, offset)) &&
         !strides.empty() && strides.back() == 1;
}

Value attn::loops::createRowBuffer(Operation *user, VectorType row) {
  auto function = user->getParentOfType<FunctionOpInterface>();
  OpBuilder builder = OpBuilder::atBlockBegin(&function.front());
  auto type = MemRefType::get(row.getShape(), row.getElementType());
  return memref::AllocaOp::create(builder, user->getLoc(), type,
                                  builder.getI64IntegerAttr(64));
}

/// for d in [0, extent): body(d)
static void
forEachFeature(OpBuilder &builder, Location loc, int64_t extent,
               function_ref<void(OpBuilder &, Location, Value)> body) {
  scf::ForOp::create(builder, loc, indexConstant(builder, loc, 0),
                     indexConstant(builder, loc, extent),
                     indexConstant(builder, loc, 1), ValueRange(),
                     [&](OpBuilder &b, Location l, Value d, ValueRange) {
                       body(b, l, d);
                       scf::YieldOp::create(b, l);
                     });
}

static SmallVector<Value> append(ValueRange indices, Value last) {
  SmallVector<Value> all(indices);
  all.push_back(last);
  return all;
}

static Value loadRow(OpBuilder &builder, AtOp op, VectorType row) {
  Location loc = op.getLoc();
  Value zero = indexConstant(builder, loc, 0);
  if (hasUnitStride(op.getSource())) {
    return vector::LoadOp::create(builder, loc, row, op.getSource(),
                                  append(op.getIndices(), zero));
  }
  Value buffer = createRowBuffer(op->getParentOfType<StreamOp>(), row);
  forEachFeature(builder, loc, row.getDimSize(0),
                 [&](OpBuilder &b, Location l, Value d) {
                   Value x = memref::LoadOp::create(b, l, op.getSource(),
                                                    append(op.getIndices(), d));
                   memref::StoreOp::create(b, l, x, buffer, d);
                 });
  return vector::LoadOp::create(builder, loc, row, buffer, zero);
}

static Value expandAt(OpBuilder &builder, AtOp op) {
  if (auto row = dyn_cast<VectorType>(op.getType())) {
    return loadRow(builder, op, row);
  }
  return memref::LoadOp::create(builder, op.getLoc(), op.getSource(),
                                op.getIndices());
}

void attn::loops::storeElementOrRow(OpBuilder &builder, Location loc,
                                    Value value, Value output,
                                    ValueRange indices) {
  auto row = dyn_cast<VectorType>(value.getType());
  if (!row) {
    memref::StoreOp::create(builder, loc, value, output, indices);
    return;
  }
  Value zero = indexConstant(builder, loc, 0);
  if (hasUnitStride(output)) {
    vector::StoreOp::create(builder, loc, value, output, append(indices, zero));
    return;
  }
  Operation *user = builder.getInsertionBlock()->getParentOp();
  Value buffer = createRowBuffer(user, row);
  vector::StoreOp::create(builder, loc, value, buffer, zero);
  forEachFeature(builder, loc, row.getDimSize(0),
                 [&](OpBuilder &b, Location l, Value d) {
                   Value x = memref::LoadOp::create(b, l, buffer, d);
                   memref::StoreOp::create(b, l, x, output, append(indices, d));
                 });
}

/// Reduces `element(lhs[d], rhs[d], d)` over the features of two rows.
template <typename OpTy>
static Value reduceFeatures(
    OpBuilder &builder, OpTy op, Value init,
    function_ref<Value(OpBuilder &, Location, Value, Value, Value, Value)>
        combine) {
  Location loc = op.getLoc();
  Type type = op.getResult().getType();
  int64_t extent = cast<ShapedType>(op.getLhs().getType()).getShape().back();
  auto loop = scf::ForOp::create(
      builder, loc, indexConstant(builder, loc, 0),
      indexConstant(builder, loc, extent), indexConstant(builder, loc, 1), init,
      [&](OpBuilder &b, Location l, Value d, ValueRange iter) {
        Value x = memref::LoadOp::create(b, l, op.getLhs(),
                                         append(op.getLhsIndices(), d));
        Value y = memref::LoadOp::create(b, l, op.getRhs(),
                                         append(op.getRhsIndices(), d));
        x = convertOperand(b, l, x, type);
        y = convertOperand(b, l, y, type);
        scf::YieldOp::create(b, l, combine(b, l, iter.front(), x, y, d));
      });
  return loop.getResult(0);
}

static Value expandDot(OpBuilder &builder, DotOp op) {
  return reduceFeatures(
      builder, op, createZero(builder, op.getLoc(), op.getResult().getType()),
      [](OpBuilder &b, Location l, Value acc, Value x, Value y, Value) {
        return createSum(b, l, acc, createProduct(b, l, x, y));
      });
}

static Value expandInner(OpBuilder &builder, InnerOp op) {
  Location loc = op.getLoc();
  Type type = op.getResult().getType();
  Value product = createProduct(
      builder, loc, convertOperand(builder, loc, op.getLhs(), type),
      convertOperand(builder, loc, op.getRhs(), type));
  return vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD,
                                     product, createZero(builder, loc, type));
}

static Value expandExpand(OpBuilder &builder, ExpandOp op) {
  Location loc = op.getLoc();
  VectorType type = op.getResult().getType();
  Type element = type.getElementType();
  int64_t rank = op.getCoefficients().getType().getNumElements();
  auto loop = scf::ForOp::create(builder, loc, indexConstant(builder, loc, 0),
                                 indexConstant(builder, loc, rank),
                                 indexConstant(builder, loc, 1),
                                 floatConstant(builder, loc, type, 0.0));
  // The loop is in its stream by now, where a strided row finds its buffer.
  OpBuilder b = OpBuilder::atBlockEnd(loop.getBody());
  Value r = loop.getInductionVar();
  Value x = vector::ExtractOp::create(b, loc, op.getCoefficients(),
                                      ArrayRef<OpFoldResult>{r});
  x = vector::BroadcastOp::create(b, loc, type,
                                  convertFloat(b, loc, x, element));
  Type stored = getElementTypeOrSelf(op.getMatrix().getType());
  auto row = VectorType::get(type.getShape(), stored);
  auto at =
      AtOp::create(b, loc, row, op.getMatrix(), append(op.getIndices(), r));
  Value features = convertFloat(b, loc, loadRow(b, at, row), element);
  at.erase();
  Value product = arith::MulFOp::create(b, loc, x, features);
  Value sum =
      arith::AddFOp::create(b, loc, loop.getRegionIterArgs()[0], product);
  scf::YieldOp::create(b, loc, sum);
  return loop.getResult(0);
}

static Value expandDotWith(OpBuilder &builder, DotWithOp op) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  FeatureReduceKind kind = op.getKind();
  double init = kind == FeatureReduceKind::Sum   ? 0.0
                : kind == FeatureReduceKind::Max ? -kInf
                                                 : kInf;
  return reduceFeatures(
      builder, op,
      floatConstant(builder, op.getLoc(), op.getResult().getType(), init),
      [&](OpBuilder &b, Location l, Value acc, Value x, Value y, Value d) {
        IRMapping map;
        map.map(op.getBody().getArguments(), ValueRange{x, y, d});
        Block &body = op.getBody().front();
        for (Operation &inner : body.without_terminator()) {
          b.clone(inner, map);
        }
        Value term = map.lookupOrDefault(body.getTerminator()->getOperand(0));
        switch (kind) {
        case FeatureReduceKind::Sum:
          return arith::AddFOp::create(b, l, acc, term).getResult();
        case FeatureReduceKind::Max:
          return arith::MaximumFOp::create(b, l, acc, term).getResult();
        case FeatureReduceKind::Min:
          return arith::MinimumFOp::create(b, l, acc, term).getResult();
        }
        llvm_unreachable("kinds are listed");
      });
}

/// Minimum and maximum of an integer row between two clamped indices.
static SmallVector<Value> expandRange(OpBuilder &builder, RangeOp op) {
  Location loc = op.getLoc();
  Type type = op.getMin().getType();
  int64_t last = cast<ShapedType>(op.getSource().getType()).getRank() - 1;
  unsigned bits = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  auto constant = [&](const APInt &value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getIntegerAttr(type, value));
  };
  Value zero = indexConstant(builder, loc, 0);
  Value one = indexConstant(builder, loc, 1);
  Value extent = memref::DimOp::create(builder, loc, op.getSource(), last);
  Value end = arith::SubIOp::create(builder, loc, extent, one);
  Value from = arith::MaxSIOp::create(builder, loc, op.getFirst(), zero);
  from = arith::MinSIOp::create(builder, loc, from, end);
  from = arith::MaxSIOp::create(builder, loc, from, zero);
  Value to = arith::MaxSIOp::create(builder, loc, op.getLast(), zero);
  to = arith::MinSIOp::create(builder, loc, to, end);
  to = arith::AddIOp::create(builder, loc, to, one);
  auto loop = scf::ForOp::create(
      builder, loc, from, to, one,
      ValueRange{constant(APInt::getSignedMaxValue(bits)),
                 constant(APInt::getSignedMinValue(bits))},
      [&](OpBuilder &b, Location l, Value k, ValueRange iter) {
        Value x = memref::LoadOp::create(b, l, op.getSource(),
                                         append(op.getIndices(), k));
        Value lo = arith::MinSIOp::create(b, l, iter[0], x);
        Value hi = arith::MaxSIOp::create(b, l, iter[1], x);
        scf::YieldOp::create(b, l, ValueRange{lo, hi});
      });
  return llvm::to_vector(llvm::map_range(
      loop.getResults(), [](OpResult result) -> Value { return result; }));
}

static Value expandGuard(OpBuilder &builder, GuardOp op) {
  Location loc = op.getLoc();
  Value infinity = floatConstant(builder, loc, op.getType(),
                                 -std::numeric_limits<double>::infinity());
  Value zero = floatConstant(builder, loc, op.getType(), 0.0);
  Value empty = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                      op.getValue(), infinity);
  return arith::SelectOp::create(builder, loc, empty, zero, op.getValue());
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

/// sum + weight * value, where an absent value counts as 0.
static Value addTap(OpBuilder &b, Location loc, Value sum, Value weight,
                    Value value, Value present) {
  Type type = sum.getType();
  value = arith::SelectOp::create(b, loc, present, value,
                                  floatConstant(b, loc, type, 0.0));
  weight = convertFloat(b, loc, weight, type);
  Value product = arith::MulFOp::create(b, loc, weight, value);
  return arith::AddFOp::create(b, loc, sum, product);
}

/// for k in [0, extent): carried = body(k, carried)
static SmallVector<Value> forEachTap(
    OpBuilder &builder, Location loc, int64_t extent, ValueRange init,
    function_ref<SmallVector<Value>(OpBuilder &, Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(
      builder, loc, indexConstant(builder, loc, 0),
      indexConstant(builder, loc, extent), indexConstant(builder, loc, 1), init,
      [&](OpBuilder &b, Location l, Value k, ValueRange carried) {
        scf::YieldOp::create(b, l, body(b, k, carried));
      });
  return llvm::to_vector_of<Value>(loop.getResults());
}

namespace {
/// One coordinate of a tap: where it is, inside of the matrix or not, and
/// whether it counts.
struct TapPlace {
  Value index, counts;
};
} // namespace

static TapPlace placeTap(OpBuilder &b, Location loc, Value centre, Value tap,
                         int64_t origin, Value extent, Value segments,
                         Value batch) {
  Value zero = indexConstant(b, loc, 0), one = indexConstant(b, loc, 1);
  Value index = arith::AddIOp::create(b, loc, centre, tap);
  index = arith::SubIOp::create(b, loc, index, indexConstant(b, loc, origin));
  Value last = arith::SubIOp::create(b, loc, extent, one);
  Value inside = arith::MinSIOp::create(b, loc, index, last);
  inside = arith::MaxSIOp::create(b, loc, inside, zero);
  Value counts =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, index, inside);
  if (segments) {
    Value here =
        memref::LoadOp::create(b, loc, segments, ValueRange{batch, centre});
    Value there =
        memref::LoadOp::create(b, loc, segments, ValueRange{batch, inside});
    Value same =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, here, there);
    counts = arith::AndIOp::create(b, loc, counts, same);
  }
  return {inside, counts};
}

static Value expandStencil(OpBuilder &builder, StencilOp op) {
  Location loc = op.getLoc();
  Type type = op.getResult().getType();
  auto overKeys = [&](OpBuilder &outer, Value u, ValueRange sums) {
    TapPlace query =
        placeTap(outer, loc, op.getQuery(), u, op.getOrigin()[0],
                 op.getQueries(), op.getQuerySegments(), op.getQueryBatch());
    return forEachTap(
        outer, loc, op.getKeyExtent(), sums,
        [&](OpBuilder &b, Value v, ValueRange sum) -> SmallVector<Value> {
          TapPlace key =
              placeTap(b, loc, op.getKey(), v, op.getOrigin()[1], op.getKeys(),
                       op.getKeySegments(), op.getKeyBatch());
          SmallVector<Value> entry =
              cloneRegion(b, op.getBody(), {query.index, key.index});
          Value present = arith::AndIOp::create(b, loc, entry[1], query.counts);
          present = arith::AndIOp::create(b, loc, present, key.counts);
          Value weight = memref::LoadOp::create(
              b, loc, op.getTaps(), ValueRange{op.getTapHead(), u, v});
          return {addTap(b, loc, sum[0], weight, entry[0], present)};
        });
  };
  return forEachTap(builder, loc, op.getQueryExtent(),
                    floatConstant(builder, loc, type, 0.0), overKeys)[0];
}

/// The reduction over the heads of a group.
static SmallVector<Value> expandGroup(OpBuilder &builder, MixOp op) {
  Location loc = op.getLoc();
  Type type = op.getResult().getType();
  FeatureReduceKind kind = *op.getKind();
  double infinity = std::numeric_limits<double>::infinity();
  double neutral = kind == FeatureReduceKind::Sum   ? 0.0
                   : kind == FeatureReduceKind::Max ? -infinity
                                                    : infinity;
  Value none = arith::ConstantIntOp::create(builder, loc, 0, 1);
  Value size =
      arith::ConstantIndexOp::create(builder, loc, op.getHeadsOfResult());
  Value first = arith::MulIOp::create(builder, loc, op.getHead(), size);
  return forEachTap(
      builder, loc, op.getHeadsOfResult(),
      {floatConstant(builder, loc, type, neutral), none},
      [&](OpBuilder &b, Value k, ValueRange carried) -> SmallVector<Value> {
        Value h = arith::AddIOp::create(b, loc, first, k);
        SmallVector<Value> entry = cloneRegion(b, op.getBody(), h);
        Value x = entry[0], next;
        switch (kind) {
        case FeatureReduceKind::Sum:
          next = arith::AddFOp::create(b, loc, carried[0], x);
          break;
        case FeatureReduceKind::Max:
          next = arith::MaximumFOp::create(b, loc, carried[0], x);
          break;
        case FeatureReduceKind::Min:
          next = arith::MinimumFOp::create(b, loc, carried[0], x);
          break;
        }
        return {arith::SelectOp::create(b, loc, entry[1], next, carried[0]),
                arith::OrIOp::create(b, loc, carried[1], entry[1])};
      });
}

static SmallVector<Value> expandMix(OpBuilder &builder, MixOp op) {
  if (op.isGrouped()) {
    return expandGroup(builder, op);
  }
  Location loc = op.getLoc();
  Value none = arith::ConstantIntOp::create(builder, loc, 0, 1);
  Value zero = floatConstant(builder, loc, op.getResult().getType(), 0.0);
  return forEachTap(
      builder, loc, op.getInputHeads(), {zero, none},
      [&](OpBuilder &b, Value h, ValueRange carried) -> SmallVector<Value> {
        SmallVector<Value> entry = cloneRegion(b, op.getBody(), h);
        Value weight = memref::LoadOp::create(b, loc, op.getWeights(),
                                              ValueRange{op.getHead(), h});
        return {addTap(b, loc, carried[0], weight, entry[0], entry[1]),
                arith::OrIOp::create(b, loc, carried[1], entry[1])};
      });
}

void attn::loops::expandRowAccesses(Operation *root) {
  // Post-order: a region is expanded before it is copied.
  root->walk([&](Operation *op) {
    OpBuilder builder(op);
    SmallVector<Value> results;
    if (auto at = dyn_cast<AtOp>(op)) {
      results = {expandAt(builder, at)};
    } else if (auto dot = dyn_cast<DotOp>(op)) {
      results = {expandDot(builder, dot)};
    } else if (auto inner = dyn_cast<InnerOp>(op)) {
      results = {expandInner(builder, inner)};
    } else if (auto expand = dyn_cast<ExpandOp>(op)) {
      results = {expandExpand(builder, expand)};
    } else if (auto with = dyn_cast<DotWithOp>(op)) {
      results = {expandDotWith(builder, with)};
    } else if (auto range = dyn_cast<RangeOp>(op)) {
      results = expandRange(builder, range);
    } else if (auto listed = dyn_cast<ListedOp>(op)) {
      results = {expandListed(builder, listed)};
    } else if (auto guard = dyn_cast<GuardOp>(op)) {
      results = {expandGuard(builder, guard)};
    } else if (auto stencil = dyn_cast<StencilOp>(op)) {
      results = {expandStencil(builder, stencil)};
    } else if (auto mix = dyn_cast<MixOp>(op)) {
      results = expandMix(builder, mix);
    } else {
      return;
    }
    op->replaceAllUsesWith(results);
    op->erase();
  });
}
