//===- RowElements.cpp - rows of features, element by element -------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowElements.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

FeatureRow FeatureRow::get(Value value) {
  // Products widen what they take.
  if (auto wide = value.getDefiningOp<arith::ExtFOp>()) {
    value = wide.getIn();
  }
  if (auto at = value.getDefiningOp<AtOp>()) {
    return get(at.getSource(), at.getIndices());
  }
  return {Value(), {}, value};
}

static bool reads(Value value, Value argument, DenseSet<Value> &seen) {
  if (value == argument) {
    return true;
  }
  Operation *op = value.getDefiningOp();
  return seen.insert(value).second && op &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           return reads(operand, argument, seen);
         });
}

bool FeatureRow::reads(Value argument) const {
  DenseSet<Value> seen;
  return (value && ::reads(value, argument, seen)) ||
         llvm::any_of(indices, [&](Value index) {
           return ::reads(index, argument, seen);
         });
}

SmallVector<FeatureRow, 2> gpu_target::getFactors(Operation *op) {
  if (auto inner = dyn_cast<InnerOp>(op)) {
    return {FeatureRow::get(inner.getLhs()), FeatureRow::get(inner.getRhs())};
  }
  auto ofIndices = [](auto dot) -> SmallVector<FeatureRow, 2> {
    return {FeatureRow::get(dot.getLhs(), dot.getLhsIndices()),
            FeatureRow::get(dot.getRhs(), dot.getRhsIndices())};
  };
  if (auto dot = dyn_cast<DotOp>(op)) {
    return ofIndices(dot);
  }
  if (auto dot = dyn_cast<DotWithOp>(op)) {
    return ofIndices(dot);
  }
  return {};
}

FailureOr<Value> RowElements::get(const FeatureRow &row, Value feature) {
  return row.source ? load(row.source, row.indices, feature)
                    : getElement(row.value, feature);
}

FailureOr<Value> RowElements::load(Value source, ValueRange indices,
                                   Value feature) {
  SmallVector<Value> at;
  for (Value index : indices) {
    FailureOr<Value> here = getScalar(index);
    if (failed(here)) {
      return failure();
    }
    at.push_back(*here);
  }
  at.push_back(feature);
  return e.load(map.lookup(source), at);
}

/// term(0) + ... + term(count - 1).
FailureOr<Value>
RowElements::sum(int64_t count, Type type,
                 llvm::function_ref<FailureOr<Value>(Value)> term) {
  // What the loop computes is not known after it.
  IRMapping known = map;
  auto before = elements;
  LogicalResult result = success();
  Value total =
      e.loop(e.index(0), e.index(count), 1, e.constant(type, 0.0),
             [&](Value k, ValueRange sofar) {
               FailureOr<Value> next = term(k);
               result = failed(next) ? failure() : result;
               Value sum = sofar[0];
               if (succeeded(next)) {
                 sum = isa<FloatType>(type)
                           ? arith::AddFOp::create(e, sum, *next).getResult()
                           : e.add(sum, *next);
               }
               return SmallVector<Value>{sum};
             })[0];
  map = known;
  elements = std::move(before);
  if (failed(result)) {
    return failure();
  }
  return total;
}

FailureOr<Value> RowElements::elementwise(Operation &op, Value feature) {
  OperationState state(op.getLoc(), op.getName());
  for (Value operand : op.getOperands()) {
    bool vector = isa<VectorType>(operand.getType());
    FailureOr<Value> x =
        vector ? getElement(operand, feature) : getScalar(operand);
    if (failed(x)) {
      return failure();
    }
    state.operands.push_back(*x);
  }
  for (Type type : op.getResultTypes()) {
    state.types.push_back(getElementTypeOrSelf(type));
  }
  state.addAttributes(op.getAttrs());
  return e.create(state)->getResult(0);
}

FailureOr<Value> RowElements::getScalar(Value value) {
  if (Value known = map.lookupOrNull(value)) {
    return known;
  }
  Operation *op = value.getDefiningOp();
  if (!op) {
    return failure();
  }
  FailureOr<Value> result = failure();
  if (auto reduction = dyn_cast<vector::ReductionOp>(op);
      reduction && reduction.getKind() == vector::CombiningKind::ADD &&
      !reduction.getAcc()) {
    int64_t count = reduction.getSourceVectorType().getNumElements();
    result = sum(count, value.getType(),
                 [&](Value k) { return getElement(reduction.getVector(), k); });
  } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    result = e.clone(*op)->getResult(0);
  } else if (isa<AtOp, memref::LoadOp, memref::DimOp, GuardOp>(op) ||
             OpTrait::hasElementwiseMappableTraits(op)) {
    for (Value operand : op->getOperands()) {
      if (isa<MemRefType>(operand.getType())) {
        continue;
      }
      FailureOr<Value> x = getScalar(operand);
      if (failed(x)) {
        return failure();
      }
      map.map(operand, *x);
    }
    result =
        e.clone(*op, map)->getResult(cast<OpResult>(value).getResultNumber());
  }
  if (succeeded(result)) {
    map.map(value, *result);
  }
  return result;
}

/// Where a lane of a shuffle comes from is linear over stretches of lanes.
FailureOr<Value> RowElements::shuffle(vector::ShuffleOp op, Value feature) {
  ArrayRef<int64_t> mask = op.getMask();
  int64_t first = op.getV1VectorType().getNumElements();
  int64_t second = op.getV2VectorType().getNumElements();
  bool readsSecond = op.getV1() != op.getV2();
  Value from, ofSecond;
  for (size_t k = 0; k < mask.size(); ++k) {
    if (k && mask[k] == mask[k - 1] + 1 && mask[k] != first) {
      continue;
    }
    int64_t start = k;
    bool other = mask[k] >= first;
    Value here =
        e.add(feature, e.index((other ? mask[k] - first : mask[k]) - start));
    Value which = e.truth(other);
    if (from) {
      Value after = e.less(feature, e.index(start));
      from = e.select(after, from, here);
      ofSecond = e.select(after, ofSecond, which);
    } else {
      from = here;
      ofSecond = which;
    }
  }
  auto clamp = [&](int64_t count) {
    return e.max(e.min(from, e.index(count - 1)), e.index(0));
  };
  FailureOr<Value> a = getElement(op.getV1(), clamp(first));
  if (failed(a) || !readsSecond ||
      llvm::all_of(mask, [&](int64_t lane) { return lane < first; })) {
    return a;
  }
  FailureOr<Value> b = getElement(op.getV2(), clamp(second));
  if (failed(b)) {
    return failure();
  }
  return e.select(ofSecond, *b, *a);
}

FailureOr<Value> RowElements::getElement(Value vector, Value feature) {
  auto known = elements.find({vector, feature});
  if (known != elements.end()) {
    return known->second;
  }
  Operation *op = vector.getDefiningOp();
  if (!op) {
    return failure();
  }
  Type element = getElementTypeOrSelf(vector.getType());
  FailureOr<Value> result = failure();
  if (auto at = dyn_cast<AtOp>(op)) {
    result = load(at.getSource(), at.getIndices(), feature);
  } else if (auto broadcast = dyn_cast<vector::BroadcastOp>(op)) {
    result = getScalar(broadcast.getSource());
  } else if (auto shuffled = dyn_cast<vector::ShuffleOp>(op)) {
    result = shuffle(shuffled, feature);
  } else if (auto both = dyn_cast<vector::InterleaveOp>(op)) {
    Value half = e.div(feature, 2);
    FailureOr<Value> even = getElement(both.getLhs(), half);
    FailureOr<Value> odd = getElement(both.getRhs(), half);
    if (succeeded(even) && succeeded(odd)) {
      Value rest = arith::RemUIOp::create(e, feature, e.index(2));
      result = e.select(e.equal(rest, e.index(0)), *even, *odd);
    }
  } else if (auto expand = dyn_cast<ExpandOp>(op)) {
    auto coefficients = cast<VectorType>(expand.getCoefficients().getType());
    result = sum(coefficients.getNumElements(), element, [&](Value r) {
      FailureOr<Value> x = getElement(expand.getCoefficients(), r);
      SmallVector<Value> at(expand.getIndices());
      map.map(r, r);
      at.push_back(r);
      FailureOr<Value> y = load(expand.getMatrix(), at, feature);
      if (failed(x) || failed(y)) {
        return FailureOr<Value>(failure());
      }
      return FailureOr<Value>(arith::MulFOp::create(e,
                                                    e.convertFloat(*x, element),
                                                    e.convertFloat(*y, element))
                                  .getResult());
    });
  } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto dense = cast<DenseElementsAttr>(constant.getValue());
    if (dense.isSplat()) {
      result = arith::ConstantOp::create(
                   e, cast<TypedAttr>(dense.getSplatValue<Attribute>()))
                   .getResult();
    }
  } else if (OpTrait::hasElementwiseMappableTraits(op) &&
             op->getNumResults() == 1) {
    result = elementwise(*op, feature);
  }
  if (succeeded(result)) {
    elements[{vector, feature}] = *result;
  }
  return result;
}
