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

#include "attn/Dialect/Attn/IR/GaugeTyping.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

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
      .Case(
          [](AcrossOp across) { return SmallVector<Value>{across.getValue()}; })
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
  if (auto across = dyn_cast<AcrossOp>(op)) {
    return across.getCond();
  }
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

RowOf RowOf::get(Value row) {
  if (auto at = row.getDefiningOp<AtOp>()) {
    return {at.getSource(), at.getIndices()};
  }
  return {{}, {}, row};
}

int64_t RowOf::getLength() const {
  return cast<ShapedType>((value ? value : source).getType()).getShape().back();
}

/// Both sides of an op that contracts two rows.
static std::pair<RowOf, RowOf> getSides(Operation *op) {
  using Sides = std::pair<RowOf, RowOf>;
  return TypeSwitch<Operation *, Sides>(op)
      .Case([](InnerOp inner) {
        return Sides(RowOf::get(inner.getLhs()), RowOf::get(inner.getRhs()));
      })
      .Case<DotOp, DotWithOp>([](auto dot) {
        return Sides(RowOf{dot.getLhs(), dot.getLhsIndices()},
                     RowOf{dot.getRhs(), dot.getRhsIndices()});
      });
}

bool cpu::isContraction(Operation *op) {
  return isa<DotOp, DotWithOp, InnerOp>(op);
}

/// Whether a sweep runs inside of the entries of another one.
static bool isInner(SweepOp sweep) {
  return sweep->getParentOfType<SweepOp>() != nullptr;
}

bool cpu::isReducer(Operation *op) {
  return isa<ReducerOpInterface, AcrossOp>(op);
}

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
  if (auto sweep = dyn_cast<SweepOp>(op); sweep && isInner(sweep)) {
    // Its key is neither of the two until a factor is looked at by itself.
    ValueClass merged{/*row=*/true, /*key=*/true, /*head=*/mixes, 0};
    for (Operation &inner : sweep.getBody().front()) {
      classify(inner);
      merged.level = std::max(merged.level, levelOf(inner.getOperands()));
    }
    for (Value result : sweep.getResults()) {
      classes[result] = merged;
    }
    return;
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
  if (isCollective(&op)) {
    classifyRegion(op);
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
    merged = {/*row=*/true, /*key=*/false, merged.head, merged.level + 1};
  } else if (isa<AcrossOp>(op)) {
    // As an entry, even if all rows have the same: it is known with them.
    merged = {/*row=*/true, /*key=*/true, merged.head, merged.level + 1};
  } else if (isReducer(&op)) {
    merged = {/*row=*/true, /*key=*/false, merged.head, merged.level};
  } else if (isCollective(&op)) {
    merged.row = merged.key = true;
  }
  if (packedHeads > 1 && llvm::is_contained(groups, &op)) {
    merged = {};
  }
  for (Value result : op.getResults()) {
    classes[result] = merged;
  }
}

//===----------------------------------------------------------------------===//
// Packed heads
//===----------------------------------------------------------------------===//

/// The most heads that read the same keys: those of a group.
int64_t StreamAnalysis::findGroups() {
  int64_t together = getConstantIntValue(stream.getHeads()).value_or(1);
  groups.clear();
  stream.walk([&](arith::DivUIOp op) {
    std::optional<int64_t> size = getConstantIntValue(op.getRhs());
    if (op.getLhs() == stream.getHeadArg() && size && *size > 0) {
      groups.push_back(op);
      together = std::gcd(together, *size);
    }
  });
  return together;
}

/// Collectives and products have tiles of their own, tallies an order of rows.
bool StreamAnalysis::mayPackHeads() {
  return !stream
              .walk([&](Operation *op) {
                auto inner = dyn_cast<SweepOp>(op);
                auto bins = dyn_cast<BinsOp>(op);
                return isCollective(op) || (inner && isInner(inner)) ||
                               (bins && bins.isTally())
                           ? WalkResult::interrupt()
                           : WalkResult::advance();
              })
              .wasInterrupted();
}

/// Blocks that are left for the threads.
static constexpr int64_t kFewestBlocks = 4;

static int64_t halve(int64_t together) {
  return together % 2 ? 1 : together / 2;
}

/// While decoding there is one query, or a few, per head, and the heads of a
/// group read the same keys: their rows share a block, so that a key is loaded
/// once for all of them.
void StreamAnalysis::choosePackedHeads() {
  constexpr int64_t mostRows = 8;
  auto has = [&](auto op) {
    return stream.walk([](decltype(op)) { return WalkResult::interrupt(); })
        .wasInterrupted();
  };
  if (has(ListedOp()) || !mayPackHeads()) {
    return;
  }
  std::optional<int64_t> rows = getConstantIntValue(stream.getRows());
  std::optional<int64_t> heads = getConstantIntValue(stream.getHeads());
  if (!rows || *rows < 1 || *rows > mostRows) {
    return;
  }
  fewRows = *rows;
  if (!heads || stream.getBody().getOps<SweepOp>().empty()) {
    return;
  }
  int64_t together = findGroups();
  // Rows that are joined lie in one tile.
  int64_t most = has(AcrossOp()) ? target.tileRows : target.blockRows;
  while (together > 1 &&
         (*heads / together < kFewestBlocks || together * fewRows > most)) {
    together = halve(together);
  }
  packedHeads = together;
}

/// A list of keys for few rows makes these keys worth little packing. Where the
/// heads of a group have the same list, as many rows of each share a block.
bool StreamAnalysis::packListedHeads() {
  std::optional<int64_t> heads = getConstantIntValue(stream.getHeads());
  if (!rowPeriod || mixes || rowBlock || !heads || !mayPackHeads()) {
    return false;
  }
  int64_t together = findGroups();
  std::optional<int64_t> rows = getConstantIntValue(stream.getRows());
  while (together > 1 &&
         (together * rowPeriod > target.blockRows ||
          (rows && *heads / together * llvm::divideCeil(*rows, rowPeriod) <
                       kFewestBlocks))) {
    together = halve(together);
  }
  bool differ = stream
                    .walk([&](ListedOp listed) {
                      return readsHead(listed) ? WalkResult::interrupt()
                                               : WalkResult::advance();
                    })
                    .wasInterrupted();
  packedHeads = differ ? 1 : together;
  return packedHeads > 1;
}

/// Whether a list is that of a head, and not of its group.
bool StreamAnalysis::readsHead(ListedOp listed) {
  SetVector<Value> values;
  auto add = [&](OperandRange operands) {
    values.insert(operands.begin(), operands.end());
  };
  add(listed.getIndices());
  add(listed.getFirstMutable());
  add(listed.getCountMutable());
  for (size_t k = 0; k < values.size(); ++k) {
    Operation *op = values[k].getDefiningOp();
    if (values[k] == stream.getHeadArg()) {
      return true;
    }
    if (op && !llvm::is_contained(groups, op)) {
      add(op->getOperands());
    }
  }
  return false;
}

/// Whether what was a key's alone still is.
bool StreamAnalysis::suitsPackedHeads() {
  auto usesRows = [&](Region &region) {
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(region, captured);
    return !llvm::all_of(captured, [&](Value v) { return isBlockUniform(v); });
  };
  return llvm::all_of(sweeps, [&](SweepPlan &plan) {
    return isBlockUniform(plan.op.getLower()) &&
           isBlockUniform(plan.op.getUpper()) &&
           !usesRows(plan.op.getTiles()) && !usesRows(plan.op.getBounds()) &&
           llvm::none_of(
               plan.filled,
               [](Value v) { return isContraction(v.getDefiningOp()); }) &&
           llvm::none_of(plan.getOuters(), [&](CarryOp outer) {
             return getClass(outer.getRow()).row;
           });
  });
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

void StreamAnalysis::planContraction(TilePlan &plan, Operation *op) {
  auto [lhs, rhs] = getSides(op);
  auto classOf = [&](const RowOf &side) {
    ValueClass merged = side.value ? getClass(side.value) : ValueClass();
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
    auto dot = dyn_cast<DotOp>(op);
    if (dot && !left.level && !right.level) {
      plan.pairs.push_back(dot);
    } else {
      plan.filled.push_back(op->getResult(0));
    }
    return;
  }
  Type result = op->getResult(0).getType();
  Contraction contraction{op, swapped ? rhs : lhs, swapped ? lhs : rhs, swapped,
                          result};
  if (result.isInteger()) {
    bool quads = target.hasInt8Dot && !contractsInPlace();
    contraction.element =
        quads ? lhs.getElementType() : Type(Float32Type::get(op->getContext()));
    contraction.group = quads ? 4 : 1;
  } else if (target.hasBF16Dot && !isa<DotWithOp>(op) &&
             lhs.getElementType().isBF16() && rhs.getElementType().isBF16() &&
             result.isF32()) {
    contraction.element = lhs.getElementType();
    contraction.group = 2;
  }
  plan.contractions.push_back(contraction);
}

/// Values whose recomputation in a later stage costs more than a load.
static bool isExpensive(Operation *op) {
  return op->getName().getDialectNamespace() ==
             math::MathDialect::getDialectNamespace() ||
         isa<arith::DivFOp, arith::RemFOp>(op);
}

/// Whether `value` only says which entries are present.
static bool isPresence(Value value) {
  return value.getType().isInteger(1) &&
         llvm::all_of(value.getUses(), [&](OpOperand &use) {
           auto reducer = dyn_cast<ReducerOpInterface>(use.getOwner());
           return reducer && reducer.getCond() == value &&
                  !llvm::is_contained(getReducedValues(reducer), value);
         });
}

/// Presence that a later stage had better load: more than a few operations per
/// entry.
bool StreamAnalysis::isCostlyPresence(Value value) {
  constexpr size_t kFew = 4;
  if (!isPresence(value)) {
    return false;
  }
  SetVector<Operation *> ops;
  SmallVector<Value> work{value};
  while (!work.empty() && ops.size() <= kFew) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (op &&
        llvm::any_of(op->getResults(),
                     [&](Value result) { return getClass(result).key; }) &&
        ops.insert(op)) {
      llvm::append_range(work, op->getOperands());
    }
  }
  return ops.size() > kFew;
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
  if (llvm::is_contained(plan.filled, value) || isContraction(op) ||
      isa<SweepOp, AcrossOp>(op) || isCollective(op)) {
    plan.lastUse[value] = stage;
    return;
  }
  bool presence = isCostlyPresence(value);
  if (presence || isExpensive(op)) {
    auto [it, fresh] = computed.try_emplace(value, stage);
    if (!fresh) {
      plan.saved.insert({value, it->second});
      if (presence) {
        plan.presences.insert(value);
      }
      return;
    }
  }
  for (Value operand : op->getOperands()) {
    visit(plan, operand, stage, seen, computed);
  }
}

/// Whether an entry has no vector form.
bool StreamAnalysis::isFilled(Operation *op) const {
  return (!isElementwise(op) && !isa<AtOp, GuardOp>(op)) ||
         (isa<AtOp>(op) && op->getResult(0).getType().isInteger(1));
}

/// Values that the entries of a sweep are made of: all but those that only rows
/// of features, which are packed, are made of.
static DenseSet<Value> getEntryValues(SweepOp op) {
  DenseSet<Value> seen;
  SmallVector<Value> work;
  for (Operation &inner : op.getBody().front()) {
    if (isReducer(&inner)) {
      llvm::append_range(work, getReducedValues(&inner));
      if (Value cond = getCondition(&inner)) {
        work.push_back(cond);
      }
    }
  }
  while (!work.empty()) {
    Value value = work.pop_back_val();
    Operation *def = value.getDefiningOp();
    if (isa<VectorType>(value.getType()) || !seen.insert(value).second ||
        !def || def->getParentOp() != op || isContraction(def)) {
      continue;
    }
    llvm::append_range(work, def->getOperands());
  }
  return seen;
}

/// The first stage in which a reducer can take its entries. A coefficient of a
/// polynomial waits for the gauge that moves the polynomial, whatever it is
/// made of itself: as it moves, all of them have to be of the same tiles.
unsigned StreamAnalysis::stageOf(Operation *reducer) const {
  unsigned stage = levelOf(reducer->getOperands());
  for (OpOperand &use : reducer->getUses()) {
    auto carry = dyn_cast<CarryOp>(use.getOwner());
    if (carry && llvm::is_contained(carry.getCompanions(), use.get())) {
      stage = std::max(stage, levelOf(carry.getPolyGauge()));
    }
  }
  return stage;
}

void StreamAnalysis::planSweep(SweepOp op) {
  SweepPlan &plan = sweeps.emplace_back();
  plan.op = op;
  plan.rowArg = stream.getRowArg();
  plan.keyArg = op.getKeyArg();
  // A list that differs between the heads of a block drives none of them.
  plan.driver = mixes ? ListedOp() : getDriver(op);
  for (auto listed : op.getBody().getOps<ListedOp>()) {
    bool perRow = !mixes && listed.getKey() == op.getKeyArg() &&
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
  DenseSet<Value> entries = getEntryValues(op);
  unsigned last = 0;
  for (Operation &inner : op.getBody().front()) {
    if (&inner == plan.driver) {
      continue; // holds for every key that is visited
    }
    if (isReducer(&inner)) {
      unsigned stage = stageOf(&inner);
      last = std::max(last, stage);
      plan.stages.resize(last + 1);
      plan.stages[stage].push_back(&inner);
      plan.conditional |= static_cast<bool>(getCondition(&inner));
      if (auto across = dyn_cast<AcrossOp>(inner)) {
        plan.joined.push_back(across);
      }
      continue;
    }
    if (isCollective(&inner)) {
      planCollective(plan, plan, /*parent=*/nullptr, &inner);
      continue;
    }
    for (Value result : inner.getResults()) {
      if (!getClass(result).key || !entries.contains(result)) {
        continue;
      }
      if (isContraction(&inner)) {
        planContraction(plan, &inner);
      } else if (isa<VectorType>(result.getType())) {
        continue; // Rows are read where they are packed.
      } else if (isFilled(&inner) && !isa<SweepOp>(inner)) {
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

/// Whether a row value is integer arithmetic, down to the ground.
bool StreamAnalysis::isCheap(Value value) {
  Operation *op = value.getDefiningOp();
  // Results of sweeps, and companions of carries, have arrays of their own.
  if (!op || isBlockUniform(value) || isa<SweepOp>(op) || isReducer(op)) {
    return true;
  }
  if (auto it = cheap.find(value); it != cheap.end()) {
    return it->second;
  }
  bool result =
      isElementwise(op) && isa<arith::ArithDialect>(op->getDialect()) &&
      !isExpensive(op) &&
      llvm::all_of(op->getOperands(), [&](Value v) { return isCheap(v); });
  return cheap[value] = result;
}

void StreamAnalysis::noteRowValue(Value value, SetVector<Value> &values) {
  ValueClass c = getClass(value);
  if (c.row && !c.key && c.level == 0 &&
      !isa<VectorType, ShapedType>(value.getType()) && !isCheap(value)) {
    values.insert(value);
  }
}

/// Row values at level 0 are computed once per row and kept in an array when
/// they, or anything they are made of, are more than integer arithmetic.
void StreamAnalysis::collectRowValues(SweepPlan &plan) {
  SetVector<Value> values;
  auto note = [&](Value value) { noteRowValue(value, values); };
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

/// All rows of a head must lie in one tile.
LogicalResult StreamAnalysis::checkJoined(AcrossOp op) {
  std::optional<int64_t> rows = getConstantIntValue(stream.getRows());
  if (!rows || *rows > target.tileRows) {
    return op.emitError("a stream that joins its rows has a constant number of "
                        "them, at most ")
           << target.tileRows << " on this target";
  }
  if (rowPeriod) {
    return op.emitError("a stream that joins its rows cannot follow lists per "
                        "block of rows");
  }
  return success();
}

LogicalResult StreamAnalysis::checkSweep(SweepPlan &plan) {
  SweepOp op = plan.op;
  for (AcrossOp joined : plan.joined) {
    if (failed(checkJoined(joined))) {
      return failure();
    }
  }
  if (!isBlockUniform(op.getLower()) || !isBlockUniform(op.getUpper())) {
    return op.emitError(
        "the range of a sweep must not depend on the row of its "
        "stream; give it in the sweep's bounds");
  }
  for (auto &collective : plan.allCollectives) {
    if (failed(checkCollective(*collective))) {
      return failure();
    }
  }
  for (CarryOp outer : plan.getOuters()) {
    ValueClass row = getClass(outer.getRow());
    if (row.level) {
      return outer.emitError("the row of an outer carry must not depend on a "
                             "gauge of its sweep");
    }
    if (row.row) {
      plan.ownRows.insert(outer);
    }
  }
  return success();
}

/// One size of the blocks of rows that share bins: what a thread works on.
LogicalResult StreamAnalysis::findRowBlock() {
  SmallVector<BinsOp> tallies;
  stream.walk([&](BinsOp bins) {
    if (bins.getRowBlock()) {
      tallies.push_back(bins);
    }
  });
  for (BinsOp bins : tallies) {
    Value block = bins.getRowBlock();
    std::optional<int64_t> constant = getConstantIntValue(block);
    if (!constant && !isa<BlockArgument>(block)) {
      return bins.emitError("the rows that share bins must be as many as a "
                            "constant or an input of the stream says");
    }
    rowBlock = rowBlock ? rowBlock : block;
    if (block != rowBlock &&
        (!constant || constant != getConstantIntValue(rowBlock))) {
      return bins.emitError("the bins of a stream must be shared by the same "
                            "blocks of rows");
    }
  }
  return success();
}

void StreamAnalysis::analyse() {
  classes.clear();
  cheap.clear();
  sweeps.clear();
  rowPeriod = 0;
  classes[stream.getRowArg()].row = true;
  mixes = stream.walk([](MixOp) { return WalkResult::interrupt(); })
              .wasInterrupted();
  for (auto sweep : stream.getBody().getOps<SweepOp>()) {
    // Tiles of a driven sweep speak of listed keys; with all heads in a block,
    // which have lists of their own, other keys are visited too.
    if (mixes && getDriver(sweep)) {
      sweep.getTiles().getBlocks().clear();
    }
  }
  ValueClass &head = classes[stream.getHeadArg()];
  head.head = mixes;
  head.row = packedHeads > 1;
  for (Operation &op : stream.getBody().front()) {
    classify(op);
  }
  for (auto op : stream.getBody().getOps<SweepOp>()) {
    planSweep(op);
    for (auto inner : op.getBody().getOps<SweepOp>()) {
      unplannable |= failed(planProduct(sweeps.back(), inner));
    }
  }
}

LogicalResult StreamAnalysis::run() {
  for (auto operand :
       llvm::concat<Value>(stream.getInputs(), stream.getOutputs())) {
    if (isa<TensorType>(operand.getType())) {
      return stream.emitError("a stream has memref operands here, got ")
             << operand.getType() << "; run attn-bufferize-streams first";
    }
  }
  if (failed(findRowBlock())) {
    return failure();
  }
  choosePackedHeads();
  analyse();
  if (packListedHeads()) {
    analyse();
  }
  if (mixes && !getConstantIntValue(stream.getHeads())) {
    return stream.emitError(
        "a stream that mixes heads must have a constant number of them");
  }
  if (packedHeads > 1 && !suitsPackedHeads()) {
    packedHeads = 1;
    analyse();
  }
  return success(!unplannable && llvm::all_of(sweeps, [&](SweepPlan &plan) {
    return succeeded(checkSweep(plan));
  }));
}
