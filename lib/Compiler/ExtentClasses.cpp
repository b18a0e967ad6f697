//===- ExtentClasses.cpp - extents that must agree ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the operations of a program say of the shapes of its arguments, where
// types leave extents open and attn.dims does not name them:
//
//   %s = attn.score %q, %k                axis 0 of %q is axis 0 of %k
//   %o = attn.aggregate %p, %v            axis 2 of %v is axis 2 of %k
//   attn.with_axes %s key_length(%l)      %l is at most axis 2 of %k
//
// Axes of values are put into classes of one extent; what two arguments have in
// one class must agree. A static extent of 1 broadcasts where the operation
// says so, and says nothing then.
//
//===----------------------------------------------------------------------===//

#include "ExtentClasses.h"

#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

constexpr unsigned kBatch = 0, kHeads = 1, kQueries = 2, kKeys = 3;

/// Axes of tensors and of scores.
class Classes {
public:
  explicit Classes(func::FuncOp func) : entry(func.front()) {
    func.walk([&](Operation *op) { visit(op); });
  }

  /// What fixes an extent: a number, or the first argument that has it.
  std::optional<ExtentSource> find(Value value, unsigned axis) {
    unsigned leader = classes.getLeaderValue(getNumber(value, axis));
    if (auto fixed = extents.find(leader); fixed != extents.end()) {
      return ExtentSource{std::nullopt, 0, fixed->second};
    }
    std::optional<ExtentSource> product;
    for (unsigned number = 0; number < axes.size(); ++number) {
      if (classes.getLeaderValue(number) != leader) {
        continue;
      }
      auto [member, memberAxis] = axes[number];
      if (auto argument = dyn_cast<BlockArgument>(member);
          argument && argument.getOwner() == &entry) {
        return ExtentSource{argument.getArgNumber(), memberAxis, 1};
      }
      // Pages times their size.
      auto paged = member.getDefiningOp<PagedOp>();
      if (paged && memberAxis == kQueries && !paged.getExtent()) {
        product = find(paged.getTable(), 1);
        if (product) {
          product->factor *= paged.getPageSize();
        }
      }
    }
    return product;
  }

private:
  static int64_t getExtent(Value value, unsigned axis) {
    if (auto scores = dyn_cast<ScoresType>(value.getType())) {
      return scores.getDim(axis);
    }
    return cast<ShapedType>(value.getType()).getDimSize(axis);
  }

  unsigned getNumber(Value value, unsigned axis) {
    auto [entry, isNew] = numbers.try_emplace({value, axis}, axes.size());
    if (isNew) {
      axes.push_back({value, axis});
      classes.insert(entry->second);
      int64_t extent = getExtent(value, axis);
      if (!ShapedType::isDynamic(extent)) {
        extents[entry->second] = extent;
      }
    }
    return entry->second;
  }

  void join(Value a, unsigned axisOfA, Value b, unsigned axisOfB,
            bool broadcasts = false) {
    if (!a || !b) {
      return;
    }
    int64_t extentOfA = getExtent(a, axisOfA),
            extentOfB = getExtent(b, axisOfB);
    bool areStatic =
        !ShapedType::isDynamic(extentOfA) && !ShapedType::isDynamic(extentOfB);
    if (areStatic || (broadcasts && (extentOfA == 1 || extentOfB == 1))) {
      return;
    }
    unsigned first = classes.getLeaderValue(getNumber(a, axisOfA)),
             second = classes.getLeaderValue(getNumber(b, axisOfB));
    if (first == second) {
      return;
    }
    std::optional<int64_t> fixed;
    for (unsigned leader : {first, second}) {
      if (auto found = extents.find(leader); found != extents.end()) {
        fixed = found->second;
      }
    }
    unsigned leader = *classes.unionSets(first, second);
    if (fixed) {
      extents[leader] = *fixed;
    }
  }

  void joinBatch(Value a, Value b) {
    join(a, kBatch, b, kBatch, /*broadcasts=*/true);
  }
  void joinBatchAndHeads(Value a, Value b) {
    joinBatch(a, b);
    join(a, kHeads, b, kHeads, /*broadcasts=*/true);
  }

  /// Keys or values of rank 4 or 5 beside scores.
  void joinStored(Value stored, Value headMap, Value batchMap, Value scores) {
    if (!batchMap) {
      joinBatch(stored, scores);
    } else {
      join(batchMap, 0, scores, kBatch);
    }
    // Without a map, the numbers of heads are part of the types.
    join(headMap, 0, scores, kHeads);
    if (cast<RankedTensorType>(stored.getType()).getRank() == 5) {
      join(stored, 2, scores, kQueries);
    }
  }

  template <typename Op> void visitScore(Op op) {
    Value scores = op.getResult(), key = op.getKey();
    joinBatch(op.getQuery(), scores);
    join(op.getQuery(), kHeads, scores, kHeads);
    join(op.getQuery(), 2, scores, kQueries);
    joinStored(key, op.getHeadMap(), op.getBatchMap(), scores);
    join(key, cast<RankedTensorType>(key.getType()).getRank() - 2, scores,
         kKeys);
  }

  void visitAxes(AxisOpInterface op) {
    Value scores = op->getResult(0);
    for (bool isQuery : {true, false}) {
      unsigned axis = isQuery ? kQueries : kKeys;
      AxisInfo info = op.getAxisInfo(isQuery);
      if (info.positions) {
        joinBatchAndHeads(info.positions, scores);
        join(info.positions, 2, scores, axis);
      }
      if (info.length) {
        joinBatchAndHeads(info.length, scores);
      }
      if (info.segments) {
        joinBatch(info.segments, scores);
        join(info.segments, 1, scores, axis);
      }
      if (info.offset && isa<RankedTensorType>(info.offset.getType())) {
        joinBatch(info.offset, scores);
      }
    }
  }

  void visitSources(ScoresOpInterface op) {
    Value scores = op->getResult(0);
    for (bool isQuery : {true, false}) {
      for (auto [source, isTheirQuery] : op.getAxisSources(isQuery)) {
        join(scores, isQuery ? kQueries : kKeys, source,
             isTheirQuery ? kQueries : kKeys);
      }
    }
    bool keepsHeads = isa<MapOp, MaskOp, FillOp, SoftmaxOp, WithAxesOp,
                          TransposeOp, ConcatOp, RestrictOp>(op);
    for (Value operand : op->getOperands()) {
      if (!isa<ScoresType>(operand.getType())) {
        continue;
      }
      joinBatch(operand, scores);
      if (keepsHeads) {
        join(operand, kHeads, scores, kHeads, /*broadcasts=*/true);
      }
    }
  }

  void visitAggregate(AggregateOp op) {
    for (auto [k, value] : llvm::enumerate(op.getValues())) {
      joinStored(value, op.getHeadMap(k), op.getBatchMap(k), op.getWeights());
    }
    if (op.getValues().size() == 1) {
      Value value = op.getValues().front();
      join(value, cast<RankedTensorType>(value.getType()).getRank() - 2,
           op.getWeights(), kKeys);
    }
    for (unsigned axis : {kBatch, kHeads, kQueries}) {
      join(op.getResult(), axis, op.getWeights(), axis);
    }
  }

  /// Operands and results of one shape.
  void visitSameShape(ValueRange values) {
    Value first;
    for (Value value : values) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type ||
          (first && cast<RankedTensorType>(first.getType()).getRank() !=
                        type.getRank())) {
        continue;
      }
      for (int64_t axis = 0; first && axis < type.getRank(); ++axis) {
        join(first, axis, value, axis);
      }
      first = first ? first : value;
    }
  }

  void visitLinalg(linalg::LinalgOp op) {
    DenseMap<unsigned, std::pair<Value, unsigned>> loops;
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = op.getMatchingIndexingMap(&operand);
      if (!isa<RankedTensorType>(operand.get().getType())) {
        continue;
      }
      for (auto [axis, expr] : llvm::enumerate(map.getResults())) {
        auto dim = dyn_cast<AffineDimExpr>(expr);
        if (!dim) {
          continue;
        }
        auto [known, isNew] =
            loops.try_emplace(dim.getPosition(), operand.get(), axis);
        if (!isNew) {
          join(known->second.first, known->second.second, operand.get(), axis);
        }
      }
    }
    for (auto [init, result] : llvm::zip(op.getDpsInits(), op->getResults())) {
      visitSameShape({init, result});
    }
  }

  void visit(Operation *op) {
    llvm::TypeSwitch<Operation *>(op)
        .Case<ScoreOp, ScoreWithOp, LaneOp>(
            [&](auto score) { visitScore(score); })
        .Case([&](BiasOp bias) {
          joinBatchAndHeads(bias.getTensor(), bias.getResult());
          join(bias.getTensor(), 2, bias.getResult(), kQueries);
          join(bias.getTensor(), 3, bias.getResult(), kKeys);
        })
        .Case([&](AggregateOp aggregate) { visitAggregate(aggregate); })
        .Case([&](linalg::LinalgOp linalg) { visitLinalg(linalg); })
        .Case([&](PagedOp paged) {
          join(paged.getTable(), 0, paged.getResult(), 0);
        })
        .Case<DequantizeOp, RopeOp, HadamardOp, AppendOp, tensor::CastOp>(
            [&](auto same) {
              visitSameShape({same->getOperand(0), same->getResult(0)});
            });
    if (op->hasTrait<OpTrait::Elementwise>()) {
      SmallVector<Value> values(op->getOperands());
      llvm::append_range(values, op->getResults());
      visitSameShape(values);
    }
    if (auto axes = dyn_cast<AxisOpInterface>(op)) {
      visitAxes(axes);
    }
    if (auto scores = dyn_cast<ScoresOpInterface>(op)) {
      visitSources(scores);
    }
  }

  Block &entry;
  DenseMap<std::pair<Value, unsigned>, unsigned> numbers;
  SmallVector<std::pair<Value, unsigned>> axes;
  llvm::EquivalenceClasses<unsigned> classes;
  /// Static extents, by leader.
  DenseMap<unsigned, int64_t> extents;
};

} // namespace

/// Whether the signature says so already.
static bool isSaid(const Signature &signature, unsigned argument, unsigned axis,
                   const ExtentSource &source) {
  const Parameter &parameter = signature.arguments[argument];
  if (!source.argument) {
    return parameter.shape[axis] == source.factor;
  }
  const Parameter &other = signature.arguments[*source.argument];
  return source.factor == 1 &&
         (parameter.dims[axis] == other.dims[source.axis] ||
          (!ShapedType::isDynamic(parameter.shape[axis]) &&
           parameter.shape[axis] == other.shape[source.axis]));
}

void attn::readExtentRelations(func::FuncOp func, Signature &signature) {
  if (func.isExternal()) {
    return;
  }
  Classes classes(func);
  for (BlockArgument argument : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    unsigned number = argument.getArgNumber();
    for (int64_t axis = 0; type && axis < type.getRank(); ++axis) {
      std::optional<ExtentSource> source = classes.find(argument, axis);
      bool isItself =
          source && source->argument == number && source->axis == axis;
      if (source && !isItself && !isSaid(signature, number, axis, *source)) {
        signature.relations.push_back(
            {number, static_cast<unsigned>(axis), *source});
      }
    }
  }
  func.walk([&](AxisOpInterface op) {
    for (bool isQuery : {true, false}) {
      auto length =
          dyn_cast_if_present<BlockArgument>(op.getAxisInfo(isQuery).length);
      std::optional<ExtentSource> most =
          classes.find(op->getResult(0), isQuery ? kQueries : kKeys);
      if (most && length && length.getOwner() == &func.front()) {
        signature.arguments[length.getArgNumber()].lengths.push_back(*most);
      }
    }
  });
}

std::string attn::describe(const ExtentRelation &relation,
                           const Signature &signature) {
  const auto &[argument, axis, source] = relation;
  std::string what =
      !source.argument
          ? std::to_string(source.factor)
          : (source.factor == 1 ? ""
                                : std::to_string(source.factor) + " times ") +
                "what '" + signature.arguments[*source.argument].name +
                "' has on axis " + std::to_string(source.axis);
  return "needs on axis " + std::to_string(axis) + " " + what;
}
