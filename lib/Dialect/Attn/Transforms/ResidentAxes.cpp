//===- ResidentAxes.cpp - a short axis stays in one block -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A reduction over a few queries (or keys) does not have to end a kernel: where
// all of them are rows of the stream that uses the result, it joins rows.
//
//   %l = attn.stream (%b, %h, %j) in [B, H, N] over 7 {
//     %s = attn.sweep %i { dot .. carry sum %e }        %o = attn.stream
//     attn.store_row %s }                                  (%b, %h, %i) in
//   %o = attn.stream (%b, %h, %i) in [B, H, 7] over %N     [B, H, 7] over %N {
//          ins(%l) {                                ==>   attn.sweep %j { dot
//          ..
//     attn.sweep %j { dot .. attn.at %l[%b, %h, %j]         %s = attn.across
//     sum
//       .. } }                                                %e over 7 .. } }
//
// The rows of the first stream are keys of the second one, its keys are rows
// there; then both compute the same entries.
//
//===----------------------------------------------------------------------===//

#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::attn {
#define GEN_PASS_DEF_RESIDENTAXESPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

namespace {
/// One stream over a short axis, and the streams that read its results.
class ResidentAxis {
public:
  ResidentAxis(StreamOp producer, int64_t rows)
      : producer(producer), rows(rows) {}

  /// Whether some stream holds the short axis as its rows and reads results at
  /// its keys.
  bool isRead();
  /// Whether every use of the results is such a read that can be computed in
  /// place; else says why not.
  LogicalResult check();
  void rewrite();
  StringRef getReason() const { return reason; }

private:
  LogicalResult fail(const Twine &why) {
    reason = why.str();
    return failure();
  }
  LogicalResult failInside(Operation *reader) {
    return fail("a result is read inside of '" +
                reader->getParentOp()->getName().getStringRef() + "'");
  }
  bool isResidentRead(AtOp read);
  LogicalResult checkProducer();
  LogicalResult checkConsumer(StreamOp consumer);
  LogicalResult checkUsers(AtOp read);
  void compute(ArrayRef<AtOp> reads);
  Value join(OpBuilder &builder, CarryOp carry, IRMapping &map);

  StreamOp producer;
  int64_t rows;
  SmallVector<AtOp> reads; // in the order of the streams
  std::string reason;
};
} // namespace

/// The argument of `stream` for `value`, if it has one.
static Value getArgumentFor(StreamOp stream, Value value) {
  for (auto [k, input] : llvm::enumerate(stream.getInputs())) {
    if (input == value) {
      return stream.getInputArg(k);
    }
  }
  return {};
}

/// Whether `value` differs between the rows of `stream`.
static bool dependsOnRow(Value value, StreamOp stream) {
  if (value == stream.getRowArg()) {
    return true;
  }
  Operation *def = value.getDefiningOp();
  return def && (isa<SweepOp>(def) ||
                 llvm::any_of(def->getOperands(), [&](Value operand) {
                   return dependsOnRow(operand, stream);
                 }));
}

/// In a sweep whose rows are the short axis, at a place that its key decides.
bool ResidentAxis::isResidentRead(AtOp read) {
  auto sweep = dyn_cast<SweepOp>(read->getParentOp());
  auto stream = sweep ? dyn_cast<StreamOp>(sweep->getParentOp()) : StreamOp();
  return stream && getConstantIntValue(stream.getRows()) == rows &&
         !isUniform(read.getIndices().back(), sweep) &&
         llvm::none_of(read.getIndices(), [&](Value index) {
           return dependsOnRow(index, stream);
         });
}

bool ResidentAxis::isRead() {
  for (Value result : producer.getResults()) {
    for (Operation *user : result.getUsers()) {
      auto consumer = dyn_cast<StreamOp>(user);
      Value input = consumer ? getArgumentFor(consumer, result) : Value();
      if (input && llvm::any_of(input.getUsers(), [&](Operation *op) {
            auto read = dyn_cast<AtOp>(op);
            return read && isResidentRead(read);
          })) {
        return true;
      }
    }
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

/// Every result is made of maxima, minima, sums, means and counts of numbers
/// over the whole axis.
LogicalResult ResidentAxis::checkProducer() {
  WalkResult walked = producer.walk([&](Operation *op) {
    auto before = dyn_cast<BeforeOp>(op);
    if (isa<ListedOp>(op)) {
      (void)fail("its entries are listed per block of rows");
    } else if (before && before.getIndex() != producer.getRowArg()) {
      (void)fail("it is a concatenation, whose parts have kernels of their "
                 "own");
    } else if (isa<SweepOp>(op) && isa<SweepOp>(op->getParentOp())) {
      (void)fail("its entries are products of two matrices");
    } else if (isa<FoldOp, TopOp, BinsOp, RunningOp>(op)) {
      (void)fail("it is reduced by '" + op->getName().getStringRef() + "'");
    } else if (auto carry = dyn_cast<CarryOp>(op)) {
      CarryKind kind = carry.getKind();
      if (kind == CarryKind::Outer || kind == CarryKind::ArgMax ||
          kind == CarryKind::ArgMin) {
        (void)fail("it is reduced by '" + stringifyCarryKind(kind) + "'");
      } else if (carry.getValue() &&
                 !isa<FloatType>(carry.getValue().getType())) {
        (void)fail("its scores are integers");
      }
    }
    return reason.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  if (walked.wasInterrupted()) {
    return failure();
  }
  for (auto sweep : producer.getBody().getOps<SweepOp>()) {
    bool whole = matchPattern(sweep.getLower(), m_Zero()) &&
                 (sweep.getUpper() == producer.getExtentArg() ||
                  getConstantIntValue(sweep.getUpper()) == rows);
    if (!whole || !sweep.getTiles().empty() || !sweep.getBounds().empty()) {
      return fail("a sweep visits a part of the axis");
    }
  }
  return success();
}

LogicalResult ResidentAxis::checkConsumer(StreamOp consumer) {
  WalkResult walked = consumer.walk([&](Operation *op) {
    auto before = dyn_cast<BeforeOp>(op);
    if (isa<ListedOp>(op)) {
      (void)fail("keys are listed per block of rows");
    } else if (before && dependsOnRow(before.getIndex(), consumer)) {
      (void)fail("it is a concatenation, whose parts have kernels of their "
                 "own");
    }
    return reason.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  return failure(walked.wasInterrupted());
}

/// What is made of a read value is pointwise arithmetic until it is reduced.
LogicalResult ResidentAxis::checkUsers(AtOp read) {
  DenseSet<Operation *> seen;
  SmallVector<Operation *> work{read};
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    for (OpOperand &use : op->getUses()) {
      Operation *user = use.getOwner();
      if (user->getParentOp() != read->getParentOp()) {
        return failInside(user);
      }
      if (isa<ReducerOpInterface>(user)) {
        continue; // a row of features would have been made of vectors
      }
      bool pointwise = OpTrait::hasElementwiseMappableTraits(user) ||
                       isa<GuardOp, AtOp, AcrossOp>(user);
      if (!pointwise || isa<VectorType>(user->getResult(0).getType())) {
        return fail("'" + user->getName().getStringRef() +
                    "' depends on a result");
      }
      if (seen.insert(user).second) {
        work.push_back(user);
      }
    }
  }
  return success();
}

LogicalResult ResidentAxis::check() {
  if (failed(checkProducer())) {
    return failure();
  }
  for (Value result : producer.getResults()) {
    for (OpOperand &use : result.getUses()) {
      auto consumer = dyn_cast<StreamOp>(use.getOwner());
      Value input = consumer ? getArgumentFor(consumer, result) : Value();
      if (!input || use.getOperandNumber() >=
                        consumer.getOutputs().getBeginOperandIndex()) {
        return fail("a result is needed as a tensor");
      }
      if (consumer->getBlock() != producer->getBlock()) {
        return fail("a loop or a branch reads a result");
      }
      if (failed(checkConsumer(consumer))) {
        return failure();
      }
      for (Operation *user : input.getUsers()) {
        auto read = dyn_cast<AtOp>(user);
        if (!isa<SweepOp, StreamOp>(user->getParentOp())) {
          return failInside(user);
        }
        if (!read || !isResidentRead(read)) {
          return fail("a stream of other rows reads a result");
        }
        if (failed(checkUsers(read))) {
          return failure();
        }
        reads.push_back(read);
      }
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// The result of a carry as values joined over the rows of the consumer.
Value ResidentAxis::join(OpBuilder &builder, CarryOp carry, IRMapping &map) {
  Location loc = carry.getLoc();
  CarryKind kind = carry.getKind();
  Value cond = carry.getCond() ? map.lookupOrDefault(carry.getCond()) : Value();
  auto across = [&](CarryKind kind, Value value) -> Value {
    return AcrossOp::create(builder, loc, kind, value, cond, rows);
  };
  auto constant = [&](Type type, double value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getFloatAttr(type, value));
  };
  if (kind == CarryKind::Max || kind == CarryKind::Min ||
      kind == CarryKind::Sum) {
    return across(kind, map.lookupOrDefault(carry.getValue()));
  }
  // The number of entries, small enough to be exact.
  Type type = carry.getValue() ? carry.getValue().getType()
                               : Type(builder.getF32Type());
  Value count = across(CarryKind::Sum, constant(type, 1));
  Value zero = constant(type, 0);
  Value none = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                     count, zero);
  if (kind == CarryKind::Mean) {
    Value sum = across(CarryKind::Sum, map.lookupOrDefault(carry.getValue()));
    Value mean = arith::DivFOp::create(builder, loc, sum, count);
    return arith::SelectOp::create(builder, loc, none, zero, mean);
  }
  if (kind == CarryKind::Count) {
    return arith::FPToSIOp::create(builder, loc, carry.getType(), count);
  }
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::ONE, count,
                               zero);
}

/// Computes in place of `reads`, of one place in one sweep, what they read.
void ResidentAxis::compute(ArrayRef<AtOp> reads) {
  AtOp first = reads.front();
  for (AtOp read : reads) {
    first = read->isBeforeInBlock(first) ? read : first;
  }
  auto consumer = first->getParentOfType<StreamOp>();
  OpBuilder builder(first);
  Location loc = first.getLoc();
  IRMapping map;
  map.map(producer.getBatchArg(), first.getIndices()[0]);
  map.map(producer.getHeadArg(), first.getIndices()[1]);
  map.map(producer.getRowArg(), first.getIndices()[2]);
  map.map(producer.getExtentArg(),
          arith::ConstantIndexOp::create(builder, loc, rows).getResult());
  for (auto [k, input] : llvm::enumerate(producer.getInputs())) {
    // Equal extents stay one value, so that equal entries are.
    map.map(producer.getInputArg(k), input.getType().isIndex()
                                         ? addExtent(consumer, input)
                                         : consumer.addInput(input));
  }
  for (Operation &op : producer.getBody().front().without_terminator()) {
    auto sweep = dyn_cast<SweepOp>(op);
    if (!sweep) {
      builder.clone(op, map);
      continue;
    }
    map.map(sweep.getKeyArg(), consumer.getRowArg());
    for (Operation &inner : sweep.getBody().front().without_terminator()) {
      if (auto carry = dyn_cast<CarryOp>(inner)) {
        map.map(carry.getResult(), join(builder, carry, map));
      } else {
        builder.clone(inner, map);
      }
    }
    for (auto [result, carried] :
         llvm::zip(sweep.getResults(), sweep.getYield().getValues())) {
      map.map(result, map.lookup(carried));
    }
  }
  SmallVector<Value> stored =
      llvm::map_to_vector(producer.getStoreRow().getValues(), [&](Value value) {
        return map.lookupOrDefault(value);
      });
  for (AtOp read : reads) {
    unsigned argument = cast<BlockArgument>(read.getSource()).getArgNumber();
    Value tensor = consumer.getInputs()[argument - StreamOp::kNumIndexArgs];
    read.replaceAllUsesWith(stored[cast<OpResult>(tensor).getResultNumber()]);
    read.erase();
  }
}

void ResidentAxis::rewrite() {
  // Also those that have a result as an input, but no longer read it.
  SetVector<StreamOp> consumers;
  for (Operation *user : producer->getUsers()) {
    consumers.insert(cast<StreamOp>(user));
  }
  SetVector<SweepOp> sweeps;
  while (!reads.empty()) {
    AtOp first = reads.front();
    SmallVector<AtOp> together;
    llvm::copy_if(reads, std::back_inserter(together), [&](AtOp read) {
      return read->getBlock() == first->getBlock() &&
             read.getIndices() == first.getIndices();
    });
    llvm::erase_if(
        reads, [&](AtOp read) { return llvm::is_contained(together, read); });
    sweeps.insert(cast<SweepOp>(first->getParentOp()));
    compute(together);
  }
  for (SweepOp sweep : sweeps) {
    eraseDeadOps(sweep.getBody().front());
    hoistUniform(sweep);
  }
  llvm::for_each(consumers, dropUnusedInputs);
  producer.erase();
}

namespace {
struct ResidentAxesPass : attn::impl::ResidentAxesPassBase<ResidentAxesPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<StreamOp> streams;
    getOperation().walk([&](StreamOp stream) { streams.push_back(stream); });
    // Results of an early stream are read by what a later one turns into.
    for (StreamOp stream : llvm::reverse(streams)) {
      std::optional<int64_t> rows = getConstantIntValue(stream.getExtent());
      if (!rows || *rows < 1 || *rows > maxRows) {
        continue;
      }
      ResidentAxis axis(stream, *rows);
      if (!axis.isRead()) {
        continue;
      }
      if (failed(axis.check())) {
        emitRemark(stream.getLoc())
            << "an axis of " << *rows
            << " entries is not resident: " << axis.getReason();
        continue;
      }
      emitRemark(stream.getLoc())
          << "an axis of " << *rows
          << " entries is resident: reductions over it are "
             "pointwise in the streams that read them";
      axis.rewrite();
    }
  }
};
} // namespace
