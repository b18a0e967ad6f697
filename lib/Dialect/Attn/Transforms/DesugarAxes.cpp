//===- DesugarAxes.cpp - reductions over several axes ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sweep reduces one axis. What is reduced over more is reduced over keys (or
// queries) first, and the results of the rows are reduced once more, on
// tensors without the long axis:
//
//   %r = attn.reduce sum [both, heads] %s : ... -> tensor<BxT>
// becomes
//   %rows = attn.reduce sum keys %s : ... -> tensor<BxHxMxT>
//   %r = linalg.generic: sum over h and i of %rows
//
// Means come from sums and counts, a log-sum-exp from those of the rows and
// their maximum, moments from those of the rows (Chan, Golub and LeVeque, 1983:
// a row adds n (mean - its mean)^2), entropies by the chain rule. Bins over
// both axes are counted apart for blocks of rows, few enough that these are no
// larger than the operands.
//
//===----------------------------------------------------------------------===//

#include "Desugar.h"

#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::attn;

namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLn2 = 0.6931471805599453;
/// Bins over both axes are counted for this many blocks of rows apart, each of
/// at least so many rows.
constexpr int64_t kMostParts = 16, kFewestRows = 128;

/// Writes one reduction over several axes.
class AxesReduction {
public:
  explicit AxesReduction(ReduceOp op)
      : b(op), loc(op.getLoc()), op(op),
        element(op.getInput().getType().getElementType()),
        binned(op.isBinned()) {
    // Loops b, h, row, and that of bins; with groups, h is g and h in g.
    bool grouped = op.getGroups().has_value();
    reduced = {op.getBatch()};
    if (grouped) {
      reduced.push_back(false);
    }
    reduced.push_back(op.getHeads());
    rowLoop = reduced.size();
    reduced.push_back(op.getAxis() == Axis::Both);
    if (binned) {
      reduced.push_back(false);
    }
  }

  void run() {
    SmallVector<Value> results = build();
    op.replaceAllUsesWith(results);
    op.erase();
    llvm::for_each(firsts, desugarReduce);
  }

private:
  using Body = function_ref<SmallVector<Value>(ValueRange)>;

  SmallVector<Value> build();
  SmallVector<Value> buildExtrema();
  SmallVector<Value> buildCustom();
  Value buildMean();
  std::pair<Value, Value> buildLogSum(Value rows);
  Value buildEntropy();
  SmallVector<Value> buildMoments();
  Value buildBins();
  Value combine(ReduceKind kind, Value rows);

  /// The results of the rows, seen from the loops.
  SmallVector<Value> overRows(ReduceKind kind, ArrayRef<Type> elements);
  Value overRows(ReduceKind kind, Type type) {
    return overRows(kind, ArrayRef(type))[0];
  }
  /// Reduces `rows`; the body takes their elements, those of `results`, which
  /// have the shape of the result, and the accumulators.
  SmallVector<Value> reduce(ValueRange rows, ValueRange results,
                            ArrayRef<TypedAttr> inits, Body body);
  /// An elementwise op on tensors of the shape of the result.
  Value each(ValueRange inputs, Body body);
  Value empty(Type type);
  AffineMap keptLoops();

  TypedAttr number(double value) { return b.getFloatAttr(element, value); }
  ScalarBuilder scalars() { return {b, loc}; }
  Value constant(double value) { return scalars().constant(element, value); }
  Value isZero(Value count) {
    Value zero = arith::ConstantIntOp::create(b, loc, 0, 64);
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, count, zero);
  }
  Value toFloat(Value count) {
    return arith::SIToFPOp::create(b, loc, element, count);
  }

  OpBuilder b;
  Location loc;
  ReduceOp op;
  Type element;
  bool binned;
  SmallVector<bool> reduced; // per loop
  unsigned rowLoop;
  SmallVector<OpFoldResult> extents; // of the loops
  SmallVector<ReduceOp> firsts;      // to be desugared in turn
};
} // namespace

//===----------------------------------------------------------------------===//
// Two reductions
//===----------------------------------------------------------------------===//

SmallVector<Value> AxesReduction::overRows(ReduceKind kind,
                                           ArrayRef<Type> elements) {
  Axis axis = op.getAxis() == Axis::Queries ? Axis::Queries : Axis::Keys;
  ScoresType type = op.getInput().getType();
  SmallVector<int64_t> shape{
      type.getDim(0), type.getDim(1),
      type.getDim(axis == Axis::Keys ? ScoresType::Queries : ScoresType::Keys)};
  Value rowBlock;
  if (binned) {
    if (op.getAxis() == Axis::Both) {
      OpFoldResult rows = getScoresShape(b, op.getInput())[ScoresType::Queries];
      Value extent = getValueOrCreateConstantIndexOp(b, loc, rows);
      Value parts = arith::ConstantIndexOp::create(b, loc, kMostParts);
      Value least = arith::ConstantIndexOp::create(b, loc, kFewestRows);
      rowBlock = arith::MaxUIOp::create(
          b, loc, arith::CeilDivUIOp::create(b, loc, extent, parts), least);
      shape.back() = ShapedType::kDynamic;
    }
    shape.push_back(op.getBins().value_or(ShapedType::kDynamic));
  }
  SmallVector<Type> types;
  for (Type of : elements) {
    types.push_back(RankedTensorType::get(shape, of));
  }
  auto first = ReduceOp::create(b, loc, types, kind, axis, op.getInput());
  if (op.getBinCount()) {
    first.getBinCountMutable().assign(op.getBinCount());
  }
  if (rowBlock) {
    first.getRowBlockMutable().assign(rowBlock);
  }
  first.setBinsAttr(op.getBinsAttr());
  first.getBin().takeBody(op.getBin());
  if (kind == ReduceKind::Custom) {
    first.setIdentityAttr(op.getIdentityAttr());
    first.getLift().takeBody(op.getLift());
    b.cloneRegionBefore(op.getCombine(), first.getCombine(),
                        first.getCombine().end());
  }
  firsts.push_back(first);
  SmallVector<Value> results(first.getResults());
  if (std::optional<int64_t> groups = op.getGroups()) {
    SmallVector<int64_t> split(shape);
    split[1] = *groups;
    split.insert(split.begin() + 2, shape[1] / *groups);
    SmallVector<ReassociationIndices> dims{{0}, {1, 2}, {3}};
    if (binned) {
      dims.push_back({4});
    }
    for (Value &result : results) {
      Type of = getElementTypeOrSelf(result.getType());
      result = tensor::ExpandShapeOp::create(
          b, loc, RankedTensorType::get(split, of), result, dims);
    }
  }
  if (extents.empty()) {
    extents = tensor::getMixedSizes(b, loc, results[0]);
  }
  return results;
}

AffineMap AxesReduction::keptLoops() {
  SmallVector<AffineExpr> kept;
  for (auto [loop, isReduced] : llvm::enumerate(reduced)) {
    if (!isReduced) {
      kept.push_back(b.getAffineDimExpr(loop));
    }
  }
  return AffineMap::get(reduced.size(), 0, kept, b.getContext());
}

Value AxesReduction::empty(Type type) {
  auto like = cast<RankedTensorType>(op.getResultTypes()[0]);
  SmallVector<Value> sizes;
  unsigned dim = 0;
  for (auto [extent, isReduced] : llvm::zip(extents, reduced)) {
    if (!isReduced && like.isDynamicDim(dim++)) {
      sizes.push_back(getValueOrCreateConstantIndexOp(b, loc, extent));
    }
  }
  return tensor::EmptyOp::create(b, loc, like.getShape(), type, sizes);
}

SmallVector<Value> AxesReduction::reduce(ValueRange rows, ValueRange results,
                                         ArrayRef<TypedAttr> inits, Body body) {
  AffineMap all = b.getMultiDimIdentityMap(reduced.size()), kept = keptLoops();
  SmallVector<AffineMap> maps(rows.size(), all);
  maps.append(results.size() + inits.size(), kept);
  SmallVector<utils::IteratorType> iterators;
  for (bool isReduced : reduced) {
    iterators.push_back(isReduced ? utils::IteratorType::reduction
                                  : utils::IteratorType::parallel);
  }
  SmallVector<Value> inputs(rows), outputs;
  llvm::append_range(inputs, results);
  for (TypedAttr init : inits) {
    Value value = arith::ConstantOp::create(b, loc, init);
    outputs.push_back(
        linalg::FillOp::create(b, loc, value, empty(init.getType()))
            .getResult(0));
  }
  auto generic = linalg::GenericOp::create(
      b, loc, ValueRange(outputs).getTypes(), inputs, outputs, maps, iterators,
      [&](OpBuilder &inner, Location, ValueRange args) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(inner.getInsertionBlock());
        linalg::YieldOp::create(b, loc, body(args));
      });
  return llvm::to_vector_of<Value>(generic.getResults());
}

Value AxesReduction::each(ValueRange inputs, Body body) {
  Value init = empty(element);
  unsigned rank = cast<RankedTensorType>(init.getType()).getRank();
  SmallVector<AffineMap> maps(inputs.size() + 1,
                              b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, maps, iterators,
             [&](OpBuilder &inner, Location, ValueRange args) {
               OpBuilder::InsertionGuard guard(b);
               b.setInsertionPointToEnd(inner.getInsertionBlock());
               linalg::YieldOp::create(b, loc, body(args));
             })
      .getResult(0);
}

//===----------------------------------------------------------------------===//
// Kinds
//===----------------------------------------------------------------------===//

/// Reduces rows of a kind that combines with itself.
Value AxesReduction::combine(ReduceKind kind, Value rows) {
  Type type = getElementTypeOrSelf(rows.getType());
  TypedAttr init = b.getZeroAttr(type);
  if (kind == ReduceKind::Max || kind == ReduceKind::Min) {
    init = number(kind == ReduceKind::Max ? -kInfinity : kInfinity);
  }
  return reduce(rows, {}, init, [&](ValueRange v) -> SmallVector<Value> {
    switch (kind) {
    case ReduceKind::Max:
      return {arith::MaximumFOp::create(b, loc, v[1], v[0])};
    case ReduceKind::Min:
      return {arith::MinimumFOp::create(b, loc, v[1], v[0])};
    case ReduceKind::Any:
      return {arith::OrIOp::create(b, loc, v[1], v[0])};
    case ReduceKind::Count:
      return {arith::AddIOp::create(b, loc, v[1], v[0])};
    default:
      return {arith::AddFOp::create(b, loc, v[1], v[0])};
    }
  })[0];
}

Value AxesReduction::buildMean() {
  Value sum = combine(ReduceKind::Sum, overRows(ReduceKind::Sum, element));
  Value count =
      combine(ReduceKind::Count, overRows(ReduceKind::Count, b.getI64Type()));
  return each({sum, count}, [&](ValueRange v) -> SmallVector<Value> {
    Value mean = scalars().div(v[0], toFloat(v[1]));
    return {scalars().select(isZero(v[1]), constant(0.0), mean)};
  });
}

/// The log-sum-exp of rows, to base 2, and the largest of them.
std::pair<Value, Value> AxesReduction::buildLogSum(Value rows) {
  Value max = combine(ReduceKind::Max, rows);
  double log2e = 1.0 / kLn2;
  Value sum =
      reduce(rows, max, number(0.0), [&](ValueRange v) -> SmallVector<Value> {
        ScalarBuilder x = scalars();
        Value shift = x.select(x.isNegInf(v[1]), constant(0.0), v[1]);
        Value e = x.exp2(x.mul(x.sub(v[0], shift), log2e));
        return {x.add(v[2], e)};
      })[0];
  Value log = each({max, sum}, [&](ValueRange v) -> SmallVector<Value> {
    ScalarBuilder x = scalars();
    return {x.add(x.mul(v[0], log2e), x.log2(v[1]))};
  });
  return {log, max};
}

/// Of all entries: that of the choice of a row, and the mean of those in rows.
Value AxesReduction::buildEntropy() {
  Value lse = overRows(ReduceKind::Lse, element);
  Value entropy = overRows(ReduceKind::Entropy, element);
  auto [log, max] = buildLogSum(lse);
  Value sum = reduce(
      {lse, entropy}, log, number(0.0),
      [&](ValueRange v) -> SmallVector<Value> {
        ScalarBuilder x = scalars();
        // The logarithm of the weight of the row, to base 2.
        Value weight = x.sub(x.mul(v[0], 1.0 / kLn2), v[2]);
        Value term = x.mul(x.exp2(weight), x.sub(v[1], x.mul(weight, kLn2)));
        return {x.add(v[3], x.select(x.isNegInf(v[0]), constant(0.0), term))};
      })[0];
  return each({max, sum}, [&](ValueRange v) -> SmallVector<Value> {
    ScalarBuilder x = scalars();
    return {x.select(x.isNegInf(v[0]), constant(0.0), v[1])};
  });
}

SmallVector<Value> AxesReduction::buildMoments() {
  SmallVector<Value> rows = overRows(ReduceKind::Moments, {element, element});
  rows.push_back(overRows(ReduceKind::Count, b.getI64Type()));
  Value count = combine(ReduceKind::Count, rows[2]);
  Value sum = reduce({rows[0], rows[2]}, {}, number(0.0),
                     [&](ValueRange v) -> SmallVector<Value> {
                       ScalarBuilder x = scalars();
                       return {x.add(v[2], x.mul(v[0], toFloat(v[1])))};
                     })[0];
  auto divide = [&](Value total) {
    return each({total, count}, [&](ValueRange v) -> SmallVector<Value> {
      Value quotient = scalars().div(v[0], toFloat(v[1]));
      return {scalars().select(isZero(v[1]), constant(0.0), quotient)};
    });
  };
  Value mean = divide(sum);
  Value squares =
      reduce(rows, mean, number(0.0), [&](ValueRange v) -> SmallVector<Value> {
        ScalarBuilder x = scalars();
        Value d = x.sub(v[0], v[3]);
        Value one = x.add(v[1], x.mul(d, d));
        Value all = x.mul(one, toFloat(v[2]));
        return {x.add(v[4], x.select(isZero(v[2]), constant(0.0), all))};
      })[0];
  return {mean, divide(squares)};
}

/// The indices of the first row whose extremum beats all before it, and of the
/// extremum in it. A NaN beats every number.
SmallVector<Value> AxesReduction::buildExtrema() {
  bool isMax = op.getKind() == ReduceKind::ArgMax;
  Value where = overRows(op.getKind(), b.getI64Type());
  Value best = overRows(isMax ? ReduceKind::Max : ReduceKind::Min, element);
  SmallVector<TypedAttr> inits(op.getNumResults(), b.getI64IntegerAttr(-1));
  inits.push_back(number(0.0));
  using P = arith::CmpFPredicate;
  SmallVector<Value> results =
      reduce({where, best}, {}, inits, [&](ValueRange v) -> SmallVector<Value> {
        Value index = v[0], x = v[1], top = v.back();
        auto compare = [&](P predicate, Value s, Value t) -> Value {
          return arith::CmpFOp::create(b, loc, predicate, s, t);
        };
        auto either = [&](Value s, Value t) -> Value {
          return arith::OrIOp::create(b, loc, s, t);
        };
        auto both = [&](Value s, Value t) -> Value {
          return arith::AndIOp::create(b, loc, s, t);
        };
        auto isNone = [&](Value k) -> Value {
          Value zero = arith::ConstantIntOp::create(b, loc, 0, 64);
          return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, k,
                                       zero);
        };
        Value better =
            either(compare(isMax ? P::OGT : P::OLT, x, top),
                   both(compare(P::UNO, x, x), compare(P::ORD, top, top)));
        Value yes = arith::ConstantIntOp::create(b, loc, 1, 1);
        Value some = arith::XOrIOp::create(b, loc, isNone(index), yes);
        Value take = both(some, either(isNone(v[2]), better));
        // One index per reduced axis, that of the first reduction last.
        auto loop = [&](unsigned k) -> Value {
          return linalg::IndexOp::create(b, loc, k);
        };
        auto toInteger = [&](Value k) -> Value {
          return arith::IndexCastOp::create(b, loc, b.getI64Type(), k);
        };
        SmallVector<Value> here;
        if (op.getBatch()) {
          here.push_back(toInteger(loop(0)));
        }
        if (op.getHeads()) {
          Value h = loop(rowLoop - 1);
          if (std::optional<int64_t> groups = op.getGroups()) {
            int64_t heads = op.getInput().getType().getDim(ScoresType::Heads);
            Value size =
                arith::ConstantIndexOp::create(b, loc, heads / *groups);
            h = arith::AddIOp::create(
                b, loc, arith::MulIOp::create(b, loc, loop(1), size), h);
          }
          here.push_back(toInteger(h));
        }
        if (op.getAxis() == Axis::Both) {
          here.push_back(toInteger(loop(rowLoop)));
        }
        here.push_back(index);
        here.push_back(x);
        for (auto [next, old] : llvm::zip_equal(here, v.drop_front(2))) {
          next = scalars().select(take, next, old);
        }
        return here;
      });
  results.pop_back();
  return results;
}

SmallVector<Value> AxesReduction::buildCustom() {
  unsigned count = op.getNumResults();
  SmallVector<Value> rows =
      overRows(ReduceKind::Custom, SmallVector<Type>(count, element));
  // A row without entries leaves the result alone: combining with the identity
  // need not be exact.
  rows.push_back(overRows(ReduceKind::Any, b.getI1Type()));
  SmallVector<TypedAttr> inits;
  for (APFloat value : op.getIdentityAttr().getAsValueRange<FloatAttr>()) {
    inits.push_back(number(value.convertToDouble()));
  }
  return reduce(rows, {}, inits, [&](ValueRange v) -> SmallVector<Value> {
    SmallVector<Value> pair(v.drop_front(count + 1));
    llvm::append_range(pair, v.take_front(count));
    IRMapping mapping;
    Block &block = op.getCombine().front();
    mapping.map(block.getArguments(), pair);
    for (Operation &inner : block.without_terminator()) {
      b.clone(inner, mapping);
    }
    SmallVector<Value> results;
    for (auto [joined, old] :
         llvm::zip(block.getTerminator()->getOperands(), pair)) {
      results.push_back(
          scalars().select(v[count], mapping.lookupOrDefault(joined), old));
    }
    return results;
  });
}

Value AxesReduction::buildBins() {
  Type type = getElementTypeOrSelf(op.getResultTypes()[0]);
  return combine(op.getKind(), overRows(op.getKind(), type));
}

SmallVector<Value> AxesReduction::build() {
  if (binned) {
    return {buildBins()};
  }
  switch (ReduceKind kind = op.getKind()) {
  case ReduceKind::Sum:
  case ReduceKind::Max:
  case ReduceKind::Min:
    return {combine(kind, overRows(kind, element))};
  case ReduceKind::Count:
    return {combine(kind, overRows(kind, b.getI64Type()))};
  case ReduceKind::Any:
    return {combine(kind, overRows(kind, b.getI1Type()))};
  case ReduceKind::Mean:
    return {buildMean()};
  case ReduceKind::Lse: {
    Value log = buildLogSum(overRows(kind, element)).first;
    return {each(log, [&](ValueRange v) -> SmallVector<Value> {
      return {scalars().mul(v[0], kLn2)};
    })};
  }
  case ReduceKind::Entropy:
    return {buildEntropy()};
  case ReduceKind::Moments:
    return buildMoments();
  case ReduceKind::ArgMax:
  case ReduceKind::ArgMin:
    return buildExtrema();
  case ReduceKind::Custom:
    return buildCustom();
  }
  llvm_unreachable("all kinds handled");
}

void mlir::attn::desugarAxes(ReduceOp op) { AxesReduction(op).run(); }

//===----------------------------------------------------------------------===//
// Heads alone
//===----------------------------------------------------------------------===//

/// A count is the sum of ones, a mean a sum over a count.
void mlir::attn::desugarReduceHeads(ReduceHeadsOp op) {
  ReduceKind kind = op.getKind();
  if (kind != ReduceKind::Mean && kind != ReduceKind::Count) {
    return;
  }
  OpBuilder builder(op);
  Location loc = op.getLoc();
  auto sumOf = [&](Value scores) -> Value {
    return ReduceHeadsOp::create(builder, loc, op.getType(), ReduceKind::Sum,
                                 scores);
  };
  RowBuilder heads(builder, loc, op.getInput(), Axis::Keys);
  Value ones =
      heads.map(op.getInput(), [&](OpBuilder &b, ValueRange, ValueRange) {
        return ScalarBuilder{b, loc}.constant(heads.element(), 1.0);
      });
  Value result = sumOf(ones);
  if (kind == ReduceKind::Mean) {
    RowBuilder groups(builder, loc, result, Axis::Keys);
    result = groups.map({sumOf(op.getInput()), result},
                        [&](OpBuilder &b, ValueRange v, ValueRange) {
                          return ScalarBuilder{b, loc}.div(v[0], v[1]);
                        });
  }
  op.replaceAllUsesWith(result);
  op.erase();
}
