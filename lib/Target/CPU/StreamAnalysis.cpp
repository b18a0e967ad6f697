//===- StreamAnalysis.cpp - what a stream's values depend on --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See StreamAnalysis.h.
//
//===----------------------------------------------------------------------===//

#include "StreamAnalysis.h"

#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

bool cpu::isElementwise(Operation *op) {
  return OpTrait::hasElementwiseMappableTraits(op) && isMemoryEffectFree(op);
}

SmallVector<Value> cpu::getReducedValues(Operation *op) {
  return TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([](RunningOp running) {
        return SmallVector<Value>{running.getValue()};
      })
      .Case([](CarryOp carry) {
        return carry.getValue() ? SmallVector<Value>{carry.getValue()}
                                : SmallVector<Value>{};
      })
      .Case([](FoldOp fold) {
        return llvm::to_vector_of<Value>(fold.getValues());
      })
      .Case([](TopOp top) {
        SmallVector<Value> values{top.getValue()};
        if (top.getForced()) {
          values.push_back(top.getForced());
        }
        return values;
      })
      .Case([](BinsOp bins) {
        SmallVector<Value> values{bins.getBin()};
        if (bins.getValue()) {
          values.insert(values.begin(), bins.getValue());
        }
        return values;
      });
}

Value cpu::getCondition(Operation *op) {
  return cast<ReducerOpInterface>(op).getCond();
}

SmallVector<CarryOp> SweepPlan::getOuters() {
  SmallVector<CarryOp> outers;
  for (auto &stage : stages) {
    for (Operation *op : stage) {
      if (auto carry = dyn_cast<CarryOp>(op);
          carry && carry.getKind() == CarryKind::Outer) {
        outers.push_back(carry);
      }
    }
  }
  return outers;
}

static bool isReducer(Operation *op) { return isa<ReducerOpInterface>(op); }

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

unsigned StreamAnalysis::levelOf(ValueRange values) const {
  unsigned level = 0;
  for (Value value : values) {
    level = std::max(level, getClass(value).level);
  }
  return level;
}

void StreamAnalysis::classify(Operation &op) {
  for (Type type : op.getResultTypes()) {
    if (auto floating = dyn_cast<FloatType>(getElementTypeOrSelf(type))) {
      elementBits = std::max<int64_t>(elementBits, floating.getWidth());
    }
  }
  if (auto sweep = dyn_cast<SweepOp>(op)) {
    classes[sweep.getKeyArg()].key = true;
    for (Operation &inner : sweep.getBody().front()) {
      classify(inner);
    }
    for (Value result : sweep.getResults()) {
      classes[result].row = true;
    }
    return;
  }
  ValueClass merged;
  for (Value operand : op.getOperands()) {
    merged |= getClass(operand);
  }
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op.getRegions(), captured);
  for (Value value : captured) {
    merged |= getClass(value);
  }
  if (isa<RunningOp>(op)) {
    merged = {/*row=*/true, /*key=*/false, merged.level + 1};
  } else if (isReducer(&op)) {
    merged = {/*row=*/true, /*key=*/false, merged.level};
  }
  for (Value result : op.getResults()) {
    classes[result] = merged;
  }
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

void StreamAnalysis::planContraction(SweepPlan &plan, Operation *op) {
  auto lhs = isa<DotOp>(op) ? RowOf{cast<DotOp>(op).getLhs(),
                                    cast<DotOp>(op).getLhsIndices()}
                            : RowOf{cast<DotWithOp>(op).getLhs(),
                                    cast<DotWithOp>(op).getLhsIndices()};
  auto rhs = isa<DotOp>(op) ? RowOf{cast<DotOp>(op).getRhs(),
                                    cast<DotOp>(op).getRhsIndices()}
                            : RowOf{cast<DotWithOp>(op).getRhs(),
                                    cast<DotWithOp>(op).getRhsIndices()};
  auto classOf = [&](const RowOf &side) {
    ValueClass merged;
    for (Value index : side.indices) {
      merged |= getClass(index);
    }
    return merged;
  };
  ValueClass left = classOf(lhs), right = classOf(rhs);
  auto stays = [](ValueClass c) { return !c.key && !c.level; };
  auto streams = [](ValueClass c) { return c.key && !c.row && !c.level; };
  bool swapped = streams(left) && stays(right);
  if (!swapped && !(stays(left) && streams(right))) {
    plan.filled.push_back(op->getResult(0));
    return;
  }
  Contraction contraction{op, swapped ? rhs : lhs, swapped ? lhs : rhs,
                          swapped};
  auto isBF16 = [](Value v) {
    return cast<ShapedType>(v.getType()).getElementType().isBF16();
  };
  contraction.pairs = target.hasBF16Dot && isa<DotOp>(op) &&
                      isBF16(lhs.source) && isBF16(rhs.source) &&
                      op->getResult(0).getType().isF32();
  plan.contractions.push_back(contraction);
}

/// Values whose recomputation in a later stage costs more than a load.
static bool isExpensive(Operation *op) {
  return op->getName().getDialectNamespace() ==
             math::MathDialect::getDialectNamespace() ||
         isa<arith::DivFOp, arith::RemFOp>(op);
}

void StreamAnalysis::visit(SweepPlan &plan, Value value, unsigned stage,
                           DenseSet<Value> &seen,
                           DenseMap<Value, unsigned> &computed) {
  if (!value || !getClass(value).key || !seen.insert(value).second) {
    return;
  }
  Operation *op = value.getDefiningOp();
  if (!op || op->getParentOp() != plan.op || op == plan.driver) {
    return;
  }
  if (llvm::is_contained(plan.filled, value) || isa<DotOp, DotWithOp>(op)) {
    plan.lastUse[value] = stage;
    return;
  }
  if (isExpensive(op)) {
    auto [it, fresh] = computed.try_emplace(value, stage);
    if (!fresh) {
      plan.saved.insert({value, it->second});
      return;
    }
  }
  for (Value operand : op->getOperands()) {
    visit(plan, operand, stage, seen, computed);
  }
}

void StreamAnalysis::planSweep(SweepOp op) {
  SweepPlan &plan = sweeps.emplace_back();
  plan.op = op;
  plan.driver = getDriver(op);
  for (auto listed : op.getBody().getOps<ListedOp>()) {
    bool perRow = listed.getKey() == op.getKeyArg() &&
                  llvm::none_of(listed.getIndices(), [&](Value index) {
                    return getClass(index).key || getClass(index).level;
                  });
    if (perRow && listed != plan.driver) {
      plan.tests.push_back(listed);
    }
    if (perRow) {
      rowPeriod =
          std::gcd(rowPeriod, static_cast<int64_t>(listed.getRowBlock()));
    }
  }
  unsigned last = 0;
  for (Operation &inner : op.getBody().front()) {
    if (&inner == plan.driver) {
      continue; // holds for every key that is visited
    }
    if (isReducer(&inner)) {
      unsigned stage = levelOf(inner.getOperands());
      last = std::max(last, stage);
      plan.stages.resize(last + 1);
      plan.stages[stage].push_back(&inner);
      plan.conditional |= static_cast<bool>(getCondition(&inner));
      continue;
    }
    for (Value result : inner.getResults()) {
      if (!getClass(result).key) {
        continue;
      }
      if (isa<DotOp, DotWithOp>(inner)) {
        planContraction(plan, &inner);
      } else if (isa<VectorType>(result.getType())) {
        continue; // Rows are read where they are packed.
      } else if ((!isElementwise(&inner) && !isa<AtOp, GuardOp>(inner)) ||
                 (isa<AtOp>(inner) && result.getType().isInteger(1))) {
        plan.filled.push_back(result);
      }
    }
  }
  DenseMap<Value, unsigned> computed;
  for (auto [stage, ops] : llvm::enumerate(plan.stages)) {
    DenseSet<Value> seen;
    for (Operation *reducer : ops) {
      visit(plan, getCondition(reducer), stage, seen, computed);
      for (Value value : getReducedValues(reducer)) {
        visit(plan, value, stage, seen, computed);
      }
    }
  }
  collectRowValues(plan);
}

/// Row values at level 0 are computed once per row and kept in an array when
/// they, or anything they are made of, are more than integer arithmetic.
void StreamAnalysis::collectRowValues(SweepPlan &plan) {
  DenseMap<Value, bool> cheap;
  std::function<bool(Value)> isCheap = [&](Value value) {
    Operation *op = value.getDefiningOp();
    if (!op || isBlockUniform(value) || isa<SweepOp>(op)) {
      return true;
    }
    if (auto it = cheap.find(value); it != cheap.end()) {
      return it->second;
    }
    bool result = isElementwise(op) &&
                  isa<arith::ArithDialect>(op->getDialect()) &&
                  !isExpensive(op) && llvm::all_of(op->getOperands(), isCheap);
    return cheap[value] = result;
  };
  SetVector<Value> values;
  auto note = [&](Value value) {
    ValueClass c = getClass(value);
    if (c.row && !c.key && c.level == 0 &&
        !isa<VectorType, ShapedType>(value.getType()) && !isCheap(value)) {
      values.insert(value);
    }
  };
  for (Operation &inner : plan.op.getBody().front()) {
    bool entry = isReducer(&inner);
    for (Value result : inner.getResults()) {
      ValueClass c = getClass(result);
      entry |= c.key || c.level > 0;
    }
    if (!entry || &inner == plan.driver) {
      continue;
    }
    llvm::for_each(inner.getOperands(), note);
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(inner.getRegions(), captured);
    llvm::for_each(captured, note);
  }
  plan.rowValues = values.takeVector();
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

LogicalResult StreamAnalysis::checkSweep(SweepPlan &plan) {
  SweepOp op = plan.op;
  if (!isBlockUniform(op.getLower()) || !isBlockUniform(op.getUpper())) {
    return op.emitError(
        "the range of a sweep must not depend on the row of its "
        "stream; give it in the sweep's bounds");
  }
  for (CarryOp outer : plan.getOuters()) {
    ValueClass row = getClass(outer.getRow());
    if (row.row || row.level) {
      return outer.emitError("the row of an outer carry must not depend on the "
                             "row of its stream");
    }
  }
  return success();
}

LogicalResult StreamAnalysis::run() {
  classes[stream.getRowArg()].row = true;
  for (auto operand :
       llvm::concat<Value>(stream.getInputs(), stream.getOutputs())) {
    if (isa<TensorType>(operand.getType())) {
      return stream.emitError("a stream has memref operands here, got ")
             << operand.getType() << "; run attn-bufferize-streams first";
    }
  }
  for (Operation &op : stream.getBody().front()) {
    classify(op);
  }
  for (auto op : stream.getBody().getOps<SweepOp>()) {
    planSweep(op);
    if (failed(checkSweep(sweeps.back()))) {
      return failure();
    }
  }
  return success();
}
