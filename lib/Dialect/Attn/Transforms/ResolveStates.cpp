//===- ResolveStates.cpp - states as concatenations of their keys ---------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A state stands for a program and some of its keys. Finishing it runs the
// program once over all of them:
//
//   %x = attn.partial(%s1, %v1) { P }        %s = attn.concat %s1, %s2
//   %y = attn.partial(%s2, %v2) { P }   ==>  P of %s, with the values (%v1,
//   %v2) %o, %l = attn.finish (merge %x, %y)
//
// What was finished elsewhere is one more key of each query, whose score is the
// lse and whose value is the output. The parts become sweeps of one stream, and
// their merge is the one that its carries define (SplitSegments.cpp).
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include <limits>

namespace mlir::attn {
#define GEN_PASS_DEF_RESOLVESTATESPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

namespace {
/// Whether two regions do the same, up to the number of keys and how values
/// are stored.
class ProgramComparison {
public:
  bool same(Region &a, Region &b) {
    if (!llvm::hasSingleElement(a) || !llvm::hasSingleElement(b)) {
      return a.empty() && b.empty();
    }
    return same(a.front(), b.front());
  }

private:
  static bool sameType(Type a, Type b, bool isArgument) {
    auto x = dyn_cast<ScoresType>(a), y = dyn_cast<ScoresType>(b);
    if (x && y) {
      return x.getShape().drop_back() == y.getShape().drop_back() &&
             x.getElementType() == y.getElementType();
    }
    auto s = dyn_cast<RankedTensorType>(a), t = dyn_cast<RankedTensorType>(b);
    if (s && t && isArgument) {
      return s.getShape().back() == t.getShape().back();
    }
    return a == b;
  }

  bool same(Value x, Value y) {
    if (Value known = counterparts.lookup(x)) {
      return known == y;
    }
    Attribute a, b;
    return x == y || (matchPattern(x, m_Constant(&a)) &&
                      matchPattern(y, m_Constant(&b)) && a == b);
  }

  bool same(Block &a, Block &b) {
    if (a.getNumArguments() != b.getNumArguments()) {
      return false;
    }
    for (auto [x, y] : llvm::zip(a.getArguments(), b.getArguments())) {
      if (!sameType(x.getType(), y.getType(), /*isArgument=*/true)) {
        return false;
      }
      counterparts[x] = y;
    }
    auto i = a.begin(), j = b.begin();
    for (; i != a.end() && j != b.end(); ++i, ++j) {
      if (!same(*i, *j)) {
        return false;
      }
    }
    return i == a.end() && j == b.end();
  }

  /// Maps say how values are stored: they may differ.
  bool same(AggregateOp a, AggregateOp b) {
    if (a.getValues().size() != b.getValues().size() ||
        a.getOperandType() != b.getOperandType() ||
        a.getResult().getType() != b.getResult().getType() ||
        !same(a.getWeights(), b.getWeights()) ||
        !llvm::all_of(llvm::zip(a.getValues(), b.getValues()), [&](auto pair) {
          return same(std::get<0>(pair), std::get<1>(pair));
        })) {
      return false;
    }
    counterparts[a.getResult()] = b.getResult();
    return true;
  }

  bool same(Operation &a, Operation &b) {
    if (isa<AggregateOp>(a) && isa<AggregateOp>(b)) {
      return same(cast<AggregateOp>(a), cast<AggregateOp>(b));
    }
    if (a.getName() != b.getName() ||
        a.getNumOperands() != b.getNumOperands() ||
        a.getNumResults() != b.getNumResults() ||
        a.getAttrDictionary() != b.getAttrDictionary()) {
      return false;
    }
    for (auto [x, y] : llvm::zip(a.getOperands(), b.getOperands())) {
      if (!same(x, y)) {
        return false;
      }
    }
    for (auto [x, y] : llvm::zip(a.getResults(), b.getResults())) {
      if (!sameType(x.getType(), y.getType(), /*isArgument=*/false)) {
        return false;
      }
      counterparts[x] = y;
    }
    return llvm::all_of(
        llvm::zip(a.getRegions(), b.getRegions()),
        [&](auto pair) { return same(std::get<0>(pair), std::get<1>(pair)); });
  }

  DenseMap<Value, Value> counterparts;
};
} // namespace

/// Whether the program is the one that attn.state_from imports: the aggregate
/// and the lse of a softmax without options.
static bool isPlainSoftmax(PartialOp partial) {
  auto yield = cast<YieldOp>(partial.getBody().front().getTerminator());
  if (yield.getNumOperands() != 2 || partial.getInputs().size() != 2) {
    return false;
  }
  auto aggregate = yield.getOperand(0).getDefiningOp<AggregateOp>();
  auto lse = yield.getOperand(1).getDefiningOp<ReduceOp>();
  auto softmax = aggregate ? aggregate.getWeights().getDefiningOp<SoftmaxOp>()
                           : SoftmaxOp();
  return softmax && lse && lse.getKind() == ReduceKind::Lse &&
         isa<BlockArgument>(softmax.getInput()) &&
         lse.getInput() == softmax.getInput() && !softmax.getTemperature() &&
         !softmax.getSink() && !softmax.getPlusOne() &&
         softmax.getScale().convertToDouble() == 1.0 &&
         softmax.getBase().convertToDouble() == 0.0;
}

//===----------------------------------------------------------------------===//
// Finishing
//===----------------------------------------------------------------------===//

namespace {
class StateFinisher {
public:
  explicit StateFinisher(FinishOp finish)
      : finish(finish), b(finish), loc(finish.getLoc()) {}

  LogicalResult run();

private:
  LogicalResult collectLeaves(Value state);
  LogicalResult checkPrograms();
  Value joinScores(ArrayRef<Value> parts);
  Value importScores(StateFromOp leaf);
  Value importValue(StateFromOp leaf);
  Value inputOf(Operation *leaf, Value argument);
  void inlineProgram();
  void runSoftmax();
  Operation *copyAggregate(AggregateOp op, IRMapping &map);

  FinishOp finish;
  OpBuilder b;
  Location loc;
  SmallVector<Operation *> leaves;
  PartialOp program; // of the first leaf that has one
};
} // namespace

LogicalResult StateFinisher::collectLeaves(Value state) {
  Operation *op = state.getDefiningOp();
  if (auto merge = dyn_cast_if_present<MergeOp>(op)) {
    for (Value part : merge.getStates()) {
      if (failed(collectLeaves(part))) {
        return failure();
      }
    }
    return success();
  }
  leaves.push_back(op);
  return success();
}

LogicalResult StateFinisher::checkPrograms() {
  bool imports = false;
  for (Operation *leaf : leaves) {
    auto partial = dyn_cast<PartialOp>(leaf);
    imports |= !partial;
    if (partial && !program) {
      program = partial;
    } else if (partial && !ProgramComparison().same(program.getBody(),
                                                    partial.getBody())) {
      InFlightDiagnostic diag =
          finish.emitError("the merged states belong to different programs");
      diag.attachNote(program.getLoc()) << "one of them";
      diag.attachNote(partial.getLoc()) << "another one";
      return diag;
    }
  }
  if (imports && program && !isPlainSoftmax(program)) {
    InFlightDiagnostic diag = finish.emitError(
        "attn.state_from is merged with a program that is not plain softmax "
        "attention");
    diag.attachNote(program.getLoc())
        << "its results are to be the aggregate and the lse of an attn.softmax "
           "without options; scale and mask the scores before attn.partial";
    return diag;
  }
  return success();
}

/// One key per query, of score lse.
Value StateFinisher::importScores(StateFromOp leaf) {
  Value lse = leaf.getLse();
  auto tensor = cast<RankedTensorType>(lse.getType());
  Type element = tensor.getElementType();
  SmallVector<int64_t> shape(tensor.getShape());
  shape.push_back(1);
  auto type = ScoresType::get(shape, element);
  SmallVector<Value> sizes;
  for (int64_t d = 0; d < 3; ++d) {
    if (tensor.isDynamicDim(d)) {
      sizes.push_back(tensor::DimOp::create(b, loc, lse, d));
    }
  }
  auto entry = [&](Region &region, unsigned elements,
                   function_ref<Value(ValueRange)> body) {
    OpBuilder::InsertionGuard guard(b);
    SmallVector<Type> types(elements, element);
    types.append(kNumEntryIndices, b.getIndexType());
    SmallVector<Location> locs(types.size(), loc);
    Block *block = b.createBlock(&region, {}, types, locs);
    YieldOp::create(b, loc, body(block->getArguments()));
  };
  auto map = MapOp::create(b, loc, type, ValueRange(), sizes);
  entry(map.getBody(), 0, [&](ValueRange at) -> Value {
    return tensor::ExtractOp::create(b, loc, lse, at.take_front(3));
  });
  auto mask =
      MaskOp::create(b, loc, type, map.getResult(), Value(), Attribute());
  entry(mask.getBody(), 1, [&](ValueRange at) -> Value {
    Value nothing = arith::ConstantOp::create(
        b, loc,
        b.getFloatAttr(element, -std::numeric_limits<double>::infinity()));
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, at[0],
                                 nothing);
  });
  return mask.getResult();
}

/// The value of that key: the output.
Value StateFinisher::importValue(StateFromOp leaf) {
  auto type = cast<RankedTensorType>(leaf.getOutput().getType());
  SmallVector<int64_t> shape(type.getShape());
  shape.insert(shape.begin() + 3, 1);
  SmallVector<ReassociationIndices> groups{{0}, {1}, {2, 3}, {4}};
  return tensor::ExpandShapeOp::create(
      b, loc, RankedTensorType::get(shape, type.getElementType()),
      leaf.getOutput(), groups);
}

Value StateFinisher::joinScores(ArrayRef<Value> parts) {
  if (parts.size() == 1) {
    return parts.front();
  }
  SmallVector<int64_t> shape(cast<ScoresType>(parts[0].getType()).getShape());
  shape[ScoresType::Keys] = 0;
  for (Value part : parts) {
    auto type = cast<ScoresType>(part.getType());
    for (unsigned d : {ScoresType::Batch, ScoresType::Heads}) {
      shape[d] = shape[d] == 1 ? type.getDim(d) : shape[d];
    }
    int64_t &keys = shape[ScoresType::Keys],
            own = type.getDim(ScoresType::Keys);
    keys = ShapedType::isDynamic(keys) || ShapedType::isDynamic(own)
               ? ShapedType::kDynamic
               : keys + own;
  }
  Type element = cast<ScoresType>(parts[0].getType()).getElementType();
  return ConcatOp::create(b, loc, ScoresType::get(shape, element), parts);
}

/// What a leaf gives for an argument of the program.
Value StateFinisher::inputOf(Operation *leaf, Value argument) {
  auto from = dyn_cast<StateFromOp>(leaf);
  if (!from) {
    return leaf->getOperand(cast<BlockArgument>(argument).getArgNumber());
  }
  return isa<ScoresType>(argument.getType()) ? importScores(from)
                                             : importValue(from);
}

/// The op of the program of `leaf` in the place of `op` in the first one; null
/// for what was imported.
static AggregateOp getCounterpart(Operation *leaf, AggregateOp op) {
  auto partial = dyn_cast<PartialOp>(leaf);
  if (!partial) {
    return {};
  }
  Block *block = op->getBlock();
  auto distance = std::distance(block->begin(), op->getIterator());
  return cast<AggregateOp>(
      *std::next(partial.getBody().front().begin(), distance));
}

/// One value per leaf, with the maps that it has there, in the place of each
/// value. Maps come from outside of the programs.
Operation *StateFinisher::copyAggregate(AggregateOp op, IRMapping &map) {
  struct Maps {
    SmallVector<Value> values;
    SmallVector<bool> mapped;
    void add(Value map) {
      mapped.push_back(static_cast<bool>(map));
      if (map) {
        values.push_back(map);
      }
    }
  };
  SmallVector<Value> values;
  Maps heads, batches;
  for (Operation *leaf : leaves) {
    AggregateOp own = getCounterpart(leaf, op);
    for (auto [k, value] : llvm::enumerate(op.getValues())) {
      values.push_back(inputOf(leaf, value));
      heads.add(own ? own.getHeadMap(k) : Value());
      batches.add(own ? own.getBatchMap(k) : Value());
    }
  }
  return AggregateOp::create(
      b, op.getLoc(), op.getResult().getType(), map.lookup(op.getWeights()),
      values, heads.values, batches.values,
      b.getDenseBoolArrayAttr(heads.mapped),
      b.getDenseBoolArrayAttr(batches.mapped), op.getOperandTypeAttr());
}

void StateFinisher::inlineProgram() {
  Block &block = program.getBody().front();
  IRMapping map;
  int64_t keys = ShapedType::kDynamic;
  for (BlockArgument argument : block.getArguments()) {
    if (isa<ScoresType>(argument.getType())) {
      Value joined = joinScores(llvm::map_to_vector(
          leaves, [&](Operation *leaf) { return inputOf(leaf, argument); }));
      keys = cast<ScoresType>(joined.getType()).getDim(ScoresType::Keys);
      map.map(argument, joined);
    }
  }
  for (Operation &op : block.without_terminator()) {
    if (auto aggregate = dyn_cast<AggregateOp>(op)) {
      map.map(aggregate.getResult(),
              copyAggregate(aggregate, map)->getResult(0));
      continue;
    }
    Operation *copy = b.clone(op, map);
    for (Value result : copy->getResults()) {
      if (auto type = dyn_cast<ScoresType>(result.getType())) {
        SmallVector<int64_t> shape(type.getShape());
        shape[ScoresType::Keys] = keys;
        result.setType(ScoresType::get(shape, type.getElementType()));
      }
    }
  }
  for (auto [result, value] :
       llvm::zip(finish.getResults(), block.getTerminator()->getOperands())) {
    result.replaceAllUsesWith(map.lookupOrDefault(value));
  }
}

/// Imported parts alone: the program is known.
void StateFinisher::runSoftmax() {
  SmallVector<Value> scores, values;
  for (Operation *leaf : leaves) {
    scores.push_back(importScores(cast<StateFromOp>(leaf)));
    values.push_back(importValue(cast<StateFromOp>(leaf)));
  }
  Value joined = joinScores(scores);
  Value weights = SoftmaxOp::create(b, loc, joined.getType(), joined, Value(),
                                    Value(), b.getF64FloatAttr(1.0),
                                    b.getF64FloatAttr(0.0), UnitAttr());
  auto none = b.getDenseBoolArrayAttr(SmallVector<bool>(values.size(), false));
  Value output = AggregateOp::create(
      b, loc, finish.getResult(0).getType(), weights, values,
      /*head_maps=*/ValueRange(), /*batch_maps=*/ValueRange(), none, none,
      TypeAttr());
  auto lse =
      ReduceOp::create(b, loc, finish.getResult(1).getType(), ReduceKind::Lse,
                       Axis::Keys, joined);
  finish.getResult(0).replaceAllUsesWith(output);
  finish.getResult(1).replaceAllUsesWith(lse.getResult(0));
}

LogicalResult StateFinisher::run() {
  if (failed(collectLeaves(finish.getState())) || failed(checkPrograms())) {
    return failure();
  }
  if (program) {
    inlineProgram();
  } else {
    runSoftmax();
  }
  finish.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

static bool hasStates(TypeRange types) {
  return llvm::any_of(types, llvm::IsaPred<StateType>);
}

/// Reports a state that leaves the ops that know what it is.
static LogicalResult checkUses(Operation *op) {
  bool carried = llvm::any_of(op->getRegions(), [](Region &region) {
    return llvm::any_of(region, [](Block &block) {
      return hasStates(block.getArgumentTypes());
    });
  });
  bool foreign = !isa_and_present<AttnDialect>(op->getDialect());
  if (!carried && (!foreign || (!hasStates(op->getOperandTypes()) &&
                                !hasStates(op->getResultTypes())))) {
    return success();
  }
  InFlightDiagnostic diag =
      op->emitError() << "'" << op->getName()
                      << "' takes, carries or returns a state, which lives in "
                         "one function";
  diag.attachNote() << "of softmax attention, carry the output and its lse as "
                       "tensors, and import them with attn.state_from";
  return diag;
}

namespace {
struct ResolveStatesPass
    : attn::impl::ResolveStatesPassBase<ResolveStatesPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<FinishOp> finishes;
    WalkResult checked =
        getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
          if (auto finish = dyn_cast<FinishOp>(op)) {
            finishes.push_back(finish);
          }
          return failed(checkUses(op)) ? WalkResult::interrupt()
                                       : WalkResult::advance();
        });
    if (checked.wasInterrupted()) {
      return signalPassFailure();
    }
    for (FinishOp finish : finishes) {
      if (failed(StateFinisher(finish).run())) {
        return signalPassFailure();
      }
    }
    // Users come after what they use.
    SmallVector<Operation *> states;
    getOperation().walk([&](Operation *op) {
      if (isa<PartialOp, MergeOp, StateFromOp>(op)) {
        states.push_back(op);
      }
    });
    for (Operation *op : llvm::reverse(states)) {
      op->erase();
    }
  }
};
} // namespace
