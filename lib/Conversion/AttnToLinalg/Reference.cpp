//===- Reference.cpp - score matrices and the ops between them ------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One function per op that makes a score matrix, and what all of them share.
// Extents, head maps and positions are read with tensor.extract at linalg
// indices wherever an affine map cannot say it.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// linalg
//===----------------------------------------------------------------------===//

SmallVector<Value>
Reference::generic(ValueRange ins, ArrayRef<AffineMap> inMaps, ValueRange inits,
                   ArrayRef<AffineMap> outMaps,
                   ArrayRef<utils::IteratorType> iterators, Body body) {
  SmallVector<AffineMap> maps(inMaps);
  llvm::append_range(maps, outMaps);
  auto op = linalg::GenericOp::create(
      b, loc, TypeRange(inits), ins, inits, maps, iterators,
      [&](OpBuilder &inner, Location, ValueRange args) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        linalg::YieldOp::create(b, loc, body(args));
        inner.restoreInsertionPoint(b.saveInsertionPoint());
      });
  return llvm::to_vector_of<Value>(op.getResults());
}

/// The identity, with 0 where a static extent of `value` is 1 and that of the
/// loop is not.
static AffineMap broadcastMap(Value value, ArrayRef<int64_t> loops) {
  MLIRContext *context = value.getContext();
  auto shape = cast<RankedTensorType>(value.getType()).getShape();
  SmallVector<AffineExpr> exprs;
  for (auto [d, extent] : llvm::enumerate(shape)) {
    exprs.push_back(extent == 1 && loops[d] != 1
                        ? getAffineConstantExpr(0, context)
                        : getAffineDimExpr(d, context));
  }
  return AffineMap::get(loops.size(), 0, exprs, context);
}

SmallVector<Value> Reference::pointwise(ValueRange ins, ValueRange inits,
                                        Body body) {
  auto loops = cast<RankedTensorType>(inits.front().getType()).getShape();
  SmallVector<AffineMap> inMaps;
  for (Value in : ins) {
    inMaps.push_back(broadcastMap(in, loops));
  }
  SmallVector<AffineMap> outMaps(inits.size(),
                                 b.getMultiDimIdentityMap(loops.size()));
  SmallVector<utils::IteratorType> iterators(loops.size(),
                                             utils::IteratorType::parallel);
  return generic(ins, inMaps, inits, outMaps, iterators, body);
}

Value Reference::empty(Value scores, ArrayRef<unsigned> dims, Type element) {
  SmallVector<OpFoldResult> extents = getScoresShape(b, scores);
  auto type = cast<ScoresType>(scores.getType());
  SmallVector<int64_t> shape;
  SmallVector<Value> sizes;
  for (unsigned d : dims) {
    shape.push_back(type.getDim(d));
    if (ShapedType::isDynamic(type.getDim(d))) {
      sizes.push_back(getValueOrCreateConstantIndexOp(b, loc, extents[d]));
    }
  }
  return tensor::EmptyOp::create(b, loc, shape, element, sizes);
}

Value Reference::filled(Value scores, ArrayRef<unsigned> dims,
                        TypedAttr value) {
  Value scalar = arith::ConstantOp::create(b, loc, value);
  Value init = empty(scores, dims, value.getType());
  return linalg::FillOp::create(b, loc, scalar, init).getResult(0);
}

//===----------------------------------------------------------------------===//
// Scalars inside of a body
//===----------------------------------------------------------------------===//

Value Reference::toIndex(Value value) {
  if (value.getType().isIndex()) {
    return value;
  }
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), value);
}

Value Reference::convertFloat(Value value, Type type) {
  unsigned from = value.getType().getIntOrFloatBitWidth();
  unsigned to = type.getIntOrFloatBitWidth();
  if (value.getType() == type) {
    return value;
  }
  if (from == to) { // f16 and bf16: through a type that holds both
    value = arith::ExtFOp::create(b, loc, b.getF32Type(), value);
  } else if (from < to) {
    return arith::ExtFOp::create(b, loc, type, value);
  }
  return arith::TruncFOp::create(b, loc, type, value);
}

Value Reference::read(Value tensor, ArrayRef<Value> indices) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Value> at(indices);
  for (auto [index, extent] : llvm::zip_equal(at, type.getShape())) {
    if (extent == 1) {
      index = constantIndex(0);
    }
  }
  return tensor::ExtractOp::create(b, loc, tensor, at);
}

/// The head of `tensor` that belongs to head `h` of `heads`.
Value Reference::head(Value h, int64_t heads, Value tensor, Value headMap) {
  int64_t groups = cast<RankedTensorType>(tensor.getType()).getDimSize(1);
  if (!headMap) {
    return arith::DivUIOp::create(b, loc, h, constantIndex(heads / groups));
  }
  return mapped(headMap, h, constantIndex(groups));
}

Value Reference::mapped(Value map, Value index, Value extent) {
  Value named = toIndex(tensor::ExtractOp::create(b, loc, map, index));
  Value last = arith::SubIOp::create(b, loc, extent, constantIndex(1));
  Value low = arith::MinSIOp::create(b, loc, named, last);
  return arith::MaxSIOp::create(b, loc, low, constantIndex(0));
}

/// The batch of `tensor` that belongs to the batch of the current loop.
Value Reference::batch(Value tensor, Value batchMap) {
  if (!batchMap) {
    return index(0);
  }
  return mapped(batchMap, index(0),
                tensor::DimOp::create(b, loc, tensor, int64_t(0)));
}

Value Reference::position(const AxisInfo &axis, Value i) {
  if (axis.positions) {
    return toIndex(read(axis.positions, {index(0), index(1), i}));
  }
  if (!axis.offset) {
    return i;
  }
  Value offset = axis.offset;
  if (isa<RankedTensorType>(offset.getType())) {
    offset = toIndex(read(offset, {index(0)}));
  }
  return arith::AddIOp::create(b, loc, i, offset);
}

Value Reference::insideLength(const AxisInfo &axis, Value i) {
  if (!axis.length) {
    return {};
  }
  Value length = toIndex(read(axis.length, {index(0), index(1)}));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, i, length);
}

/// Whether the entry of the current loop is inside both lengths.
Value Reference::inside(const AxisInfo &query, const AxisInfo &key) {
  Value row = insideLength(query, index(2));
  Value column = insideLength(key, index(3));
  if (row && column) {
    return arith::AndIOp::create(b, loc, row, column);
  }
  if (!row && !column) {
    return arith::ConstantIntOp::create(b, loc, 1, 1);
  }
  return row ? row : column;
}

SmallVector<Value> Reference::inlineBlock(Block &block, ValueRange args) {
  IRMapping mapping;
  mapping.map(block.getArguments(), args);
  for (Operation &op : block.without_terminator()) {
    b.clone(op, mapping);
  }
  SmallVector<Value> results;
  for (Value value : block.getTerminator()->getOperands()) {
    results.push_back(mapping.lookupOrDefault(value));
  }
  return results;
}

SmallVector<Value> Reference::inlineEntry(Region &region, ValueRange elements,
                                          Value scores) {
  SmallVector<Value> at{index(0), index(1), index(2), index(3)};
  at.push_back(position(getAxis(scores, /*isQuery=*/true), at[2]));
  at.push_back(position(getAxis(scores, /*isQuery=*/false), at[3]));
  SmallVector<Value> args(elements);
  llvm::append_range(args, at);
  return inlineBlock(region.front(), args);
}

//===----------------------------------------------------------------------===//
// Where scores come from
//===----------------------------------------------------------------------===//

/// Presence of an op that starts an expression: everything inside the lengths
/// that it attaches itself.
Entries Reference::rooted(Value scores, Value values) {
  AxisInfo query, key;
  if (auto axes = scores.getDefiningOp<AxisOpInterface>()) {
    query = axes.getAxisInfo(/*isQuery=*/true);
    key = axes.getAxisInfo(/*isQuery=*/false);
  }
  Value present = pointwise({}, matrix(scores, b.getI1Type()), [&](ValueRange) {
    return SmallVector<Value>{inside(query, key)};
  })[0];
  return {values, present};
}

/// Loops (b, h, i, j, d) around `combine(q, k, d)`, which is given as the
/// function of the accumulator, q and k.
template <typename OpTy>
Value Reference::reduceProduct(
    OpTy op, TypedAttr identity,
    function_ref<Value(Value, Value, Value)> combine) {
  Value query = op.getQuery(), key = op.getKey(), result = op.getResult();
  auto type = cast<ScoresType>(result.getType());
  Type element = type.getElementType();
  MLIRContext *context = b.getContext();
  auto dims = [&](ArrayRef<unsigned> positions) {
    return AffineMap::getMultiDimMapWithTargets(5, positions, context);
  };
  AffineMap queryMap = dims({0, 1, 2, 4});
  if (cast<RankedTensorType>(query.getType()).getDimSize(0) == 1) {
    queryMap = queryMap.replace(b.getAffineDimExpr(0),
                                b.getAffineConstantExpr(0), 5, 0);
  }
  // The key takes part by its shape only (its rows fix the extent of j); its
  // elements are read, because its head is no affine function of h.
  Value init = filled(result, {0, 1, 2, 3}, identity);
  SmallVector<utils::IteratorType> iterators(5, utils::IteratorType::parallel);
  iterators[4] = utils::IteratorType::reduction;
  return generic(query, queryMap, init, dims({0, 1, 2, 3}), iterators,
                 [&](ValueRange args) {
                   Value g =
                       head(index(1), type.getDim(1), key, op.getHeadMap());
                   SmallVector<Value> at{batch(key, op.getBatchMap()), g,
                                         index(3), index(4)};
                   if (cast<RankedTensorType>(key.getType()).getRank() == 5) {
                     at.insert(at.begin() + 2, index(2)); // a key per query
                   }
                   Value k = read(key, at);
                   return SmallVector<Value>{combine(
                       args[1], convertOperand(b, loc, args[0], element),
                       convertOperand(b, loc, k, element))};
                 })[0];
}

/// attn.score and attn.lane: the scaled sum of products.
template <typename OpTy> Entries Reference::dot(OpTy op) {
  Type element = op.getResult().getType().getElementType();
  Value sum = reduceProduct(
      op, b.getZeroAttr(element), [&](Value acc, Value q, Value k) {
        return createSum(b, loc, acc, createProduct(b, loc, q, k));
      });
  double scale = op.getScale().convertToDouble();
  if (scale != 1.0) {
    Value factor =
        arith::ConstantOp::create(b, loc, b.getFloatAttr(element, scale));
    sum = pointwise(sum, matrix(op.getResult(), element), [&](ValueRange args) {
      return SmallVector<Value>{arith::MulFOp::create(b, loc, args[0], factor)};
    })[0];
  }
  return rooted(op.getResult(), sum);
}

Entries Reference::score(ScoreOp op) { return dot(op); }
Entries Reference::lane(LaneOp op) { return dot(op); }

Entries Reference::scoreWith(ScoreWithOp op) {
  FeatureReduceKind kind = op.getKind();
  double identity = kind == FeatureReduceKind::Sum   ? 0.0
                    : kind == FeatureReduceKind::Max ? -kInfinity
                                                     : kInfinity;
  Type element = op.getResult().getType().getElementType();
  Value values = reduceProduct(
      op, b.getFloatAttr(element, identity),
      [&](Value acc, Value q, Value k) -> Value {
        Value f = inlineBlock(op.getBody().front(), {q, k, index(4)})[0];
        switch (kind) {
        case FeatureReduceKind::Sum:
          return arith::AddFOp::create(b, loc, acc, f);
        case FeatureReduceKind::Max:
          return arith::MaximumFOp::create(b, loc, acc, f);
        case FeatureReduceKind::Min:
          return arith::MinimumFOp::create(b, loc, acc, f);
        }
        llvm_unreachable("all kinds handled");
      });
  return rooted(op.getResult(), values);
}

Entries Reference::bias(BiasOp op) {
  Type element = op.getResult().getType().getElementType();
  Value values = pointwise(
      op.getTensor(), matrix(op.getResult(), element), [&](ValueRange args) {
        return SmallVector<Value>{convertFloat(args[0], element)};
      })[0];
  return rooted(op.getResult(), values);
}

//===----------------------------------------------------------------------===//
// Scores to scores
//===----------------------------------------------------------------------===//

Entries Reference::withAxes(WithAxesOp op) {
  Entries in = entries.at(op.getInput());
  AxisInfo query = op.getAxisInfo(/*isQuery=*/true);
  AxisInfo key = op.getAxisInfo(/*isQuery=*/false);
  if (!query.length && !key.length) {
    return in;
  }
  Value present = pointwise(
      in.present, matrix(op.getResult(), b.getI1Type()), [&](ValueRange args) {
        return SmallVector<Value>{
            arith::AndIOp::create(b, loc, args[0], inside(query, key))};
      })[0];
  return {in.values, present};
}

Entries Reference::map(MapOp op) {
  SmallVector<Value> ins;
  for (Value input : op.getInputs()) {
    ins.push_back(entries.at(input).values);
  }
  for (Value input : op.getInputs()) {
    ins.push_back(entries.at(input).present);
  }
  Value result = op.getResult();
  unsigned n = op.getInputs().size();
  SmallVector<Value> outs =
      pointwise(ins,
                {matrix(result, op.getResult().getType().getElementType()),
                 matrix(result, b.getI1Type())},
                [&](ValueRange args) {
                  Value present = arith::ConstantIntOp::create(b, loc, 1, 1);
                  for (Value bit : args.slice(n, n)) {
                    present = arith::AndIOp::create(b, loc, present, bit);
                  }
                  Value value =
                      inlineEntry(op.getBody(), args.take_front(n), result)[0];
                  return SmallVector<Value>{value, present};
                });
  return {outs[0], outs[1]};
}

Entries Reference::mask(MaskOp op) {
  Entries in = entries.at(op.getInput());
  Value present = pointwise(
      {in.values, in.present}, matrix(op.getResult(), b.getI1Type()),
      [&](ValueRange args) {
        Value keep = inlineEntry(op.getBody(), args[0], op.getInput())[0];
        return SmallVector<Value>{arith::AndIOp::create(b, loc, args[1], keep)};
      })[0];
  return {in.values, present};
}

Entries Reference::fill(FillOp op) {
  Entries in = entries.at(op.getInput());
  Type element = op.getInput().getType().getElementType();
  Value result = op.getResult();
  Value value = createFillValue(b, loc, op);
  SmallVector<Value> outs = pointwise(
      {in.values, in.present},
      {matrix(result, element), matrix(result, b.getI1Type())},
      [&](ValueRange args) {
        Value within = inside(getAxis(result, /*isQuery=*/true),
                              getAxis(result, /*isQuery=*/false));
        return SmallVector<Value>{select(args[1], args[0], value), within};
      });
  return {outs[0], outs[1]};
}

Entries Reference::transpose(TransposeOp op) {
  Entries in = entries.at(op.getInput());
  Value result = op.getResult();
  AffineMap swapped =
      AffineMap::getMultiDimMapWithTargets(4, {0, 1, 3, 2}, b.getContext());
  AffineMap identity = b.getMultiDimIdentityMap(4);
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  SmallVector<Value> outs =
      generic({in.values, in.present}, {swapped, swapped},
              {matrix(result, op.getResult().getType().getElementType()),
               matrix(result, b.getI1Type())},
              {identity, identity}, iterators, [&](ValueRange args) {
                return SmallVector<Value>{args[0], args[1]};
              });
  return {outs[0], outs[1]};
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

LogicalResult Reference::convert(Operation *op) {
  auto mask = dyn_cast<MaskOp>(op);
  if (mask && mask.getNamedMask()) {
    return op->emitError("a named mask is composed; run attn-desugar first");
  }
  b.setInsertionPoint(op);
  loc = op->getLoc();
  auto keep = [&](auto scoresOp, auto method) {
    entries[scoresOp.getResult()] = (this->*method)(scoresOp);
    return success();
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](ScoreOp x) { return keep(x, &Reference::score); })
      .Case([&](ScoreWithOp x) { return keep(x, &Reference::scoreWith); })
      .Case([&](BiasOp x) { return keep(x, &Reference::bias); })
      .Case([&](WithAxesOp x) { return keep(x, &Reference::withAxes); })
      .Case([&](MapOp x) { return keep(x, &Reference::map); })
      .Case([&](MaskOp x) { return keep(x, &Reference::mask); })
      .Case([&](RestrictOp x) { return keep(x, &Reference::restrict); })
      .Case([&](FillOp x) { return keep(x, &Reference::fill); })
      .Case([&](TransposeOp x) { return keep(x, &Reference::transpose); })
      .Case([&](ConvolveOp x) { return keep(x, &Reference::convolve); })
      .Case([&](MixHeadsOp x) { return keep(x, &Reference::mixHeads); })
      .Case([&](ReduceHeadsOp x) { return keep(x, &Reference::reduceHeads); })
      .Case([&](ConcatOp x) { return keep(x, &Reference::concat); })
      .Case([&](LaneOp x) { return keep(x, &Reference::lane); })
      .Case([&](MatmulOp x) { return keep(x, &Reference::matmul); })
      .Case([&](ReduceOp x) {
        SmallVector<Value> results = reduce(x);
        if (results.empty()) {
          return LogicalResult(x.emitError()
                               << stringifyReduceKind(x.getKind())
                               << " is composed; run attn-desugar first");
        }
        x.replaceAllUsesWith(results);
        return success();
      })
      .Case([&](TopkOp x) {
        x->replaceAllUsesWith(topk(x));
        return success();
      })
      .Case([&](AggregateOp x) {
        x.replaceAllUsesWith(aggregate(x));
        return success();
      })
      .Case([&](MaterializeOp x) {
        x.replaceAllUsesWith(materialize(x));
        return success();
      })
      .Default([&](Operation *x) {
        return x->emitError() << "'" << x->getName()
                              << "' has no reference; run attn-desugar first";
      });
}
