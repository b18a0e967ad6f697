//===- RowGroups.cpp - which reductions share a stream -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowGroups.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"

#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::attn;

std::optional<Sink> mlir::attn::getSink(Operation *op) {
  Sink sink{op, {}, true};
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    sink.scores = reduce.getInput();
    sink.queriesStay = reduce.getAxis() == Axis::Keys;
  } else if (auto aggregate = dyn_cast<AggregateOp>(op)) {
    sink.scores = aggregate.getWeights();
  } else if (auto topk = dyn_cast<TopkOp>(op)) {
    sink.scores = topk.getInput();
  } else {
    return std::nullopt;
  }
  while (auto transpose = sink.scores.getDefiningOp<TransposeOp>()) {
    sink.scores = transpose.getInput();
    sink.queriesStay = !sink.queriesStay;
  }
  return sink;
}

bool mlir::attn::isRowOp(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || !generic.hasPureTensorSemantics() ||
      generic.getNumParallelLoops() != generic.getNumLoops() ||
      generic.getNumLoops() != 3 || generic.hasIndexSemantics()) {
    return false;
  }
  for (OpOperand &init : generic.getDpsInitsMutable()) {
    if (!generic.getMatchingIndexingMap(&init).isIdentity() ||
        !generic.getMatchingBlockArgument(&init).use_empty()) {
      return false;
    }
  }
  // Inputs are read at dimensions or constants.
  return llvm::all_of(generic.getIndexingMapsArray(), [](AffineMap map) {
    return llvm::all_of(map.getResults(), [](AffineExpr e) {
      return isa<AffineDimExpr, AffineConstantExpr>(e);
    });
  });
}

//===----------------------------------------------------------------------===//
// What an expression reads
//===----------------------------------------------------------------------===//

namespace {
/// Walks the score ops behind a sink, tracking transposes. `here` says that the
/// entry at hand is the one of the sink: behind a convolution or a mixture of
/// heads, other rows and other heads are read.
struct CaptureWalk {
  Captures result;
  int64_t batch, heads;
  DenseSet<std::pair<Operation *, unsigned>> seen;

  /// `displaced`: the rows of `scores` are not those of the stream, so that
  /// nothing it reads is read at the row at hand.
  void visit(Value scores, bool queriesStay, bool displaced = false) {
    auto op = scores.getDefiningOp<ScoresOpInterface>();
    if (!op || !seen.insert({op, 2 * queriesStay + displaced}).second) {
      return;
    }
    // The factors of a product are swept inside of an entry, neighbours and
    // other heads are read at other rows: they read everything from memory.
    SmallVector<std::pair<Value, bool>> sources;
    if (!isa<MatmulOp, ConvolveOp, MixHeadsOp, ReduceHeadsOp>(op)) {
      sources = op.getAxisSources(queriesStay);
    }
    for (Value operand : op->getOperands()) {
      if (!isa<ScoresType>(operand.getType())) {
        result.others.insert(operand);
        continue;
      }
      auto *source = llvm::find_if(
          sources, [&](auto &source) { return source.first == operand; });
      bool kept = source != sources.end();
      visit(operand, kept ? source->second : queriesStay, displaced || !kept);
    }
    for (bool isQuery : {true, false}) {
      AxisInfo axis = getAxis(scores, isQuery);
      for (Value v :
           {axis.positions, axis.offset, axis.length, axis.segments}) {
        if (v) {
          result.others.insert(v);
        }
      }
    }
    for (Region &region : op->getRegions()) {
      visitRegion(op, region, queriesStay, displaced);
    }
  }

  void visitRegion(Operation *op, Region &region, bool queriesStay,
                   bool displaced) {
    visitUsedValuesDefinedAbove(region, [&](OpOperand *use) {
      auto extract = dyn_cast<tensor::ExtractOp>(use->getOwner());
      if (extract && use->getOperandNumber() == 0 && !displaced &&
          readsRow(op, region, extract, queriesStay)) {
        result.rows.insert(use->get());
      } else {
        result.others.insert(use->get());
      }
    });
  }

  /// tensor[b, h, row] with the indices of the entry region itself.
  bool readsRow(Operation *op, Region &region, tensor::ExtractOp extract,
                bool queriesStay) {
    if (!isa<MapOp, MaskOp>(op) || extract.getIndices().size() != 3 ||
        extract->getParentRegion() != &region) {
      return false;
    }
    auto type = cast<ScoresType>(op->getResult(0).getType());
    if (type.getDim(ScoresType::Batch) != batch ||
        type.getDim(ScoresType::Heads) != heads) {
      return false;
    }
    auto indices = region.getArguments().take_back(kNumEntryIndices);
    Value row = indices[queriesStay ? 2 : 3];
    return extract.getIndices()[0] == indices[0] &&
           extract.getIndices()[1] == indices[1] &&
           extract.getIndices()[2] == row;
  }
};
} // namespace

Captures mlir::attn::getCaptures(const Sink &sink) {
  auto type = cast<ScoresType>(sink.scores.getType());
  CaptureWalk walk{{}, type.getDim(0), type.getDim(1), {}};
  walk.visit(sink.scores, sink.queriesStay);
  for (Value operand : sink.op->getOperands()) {
    if (!isa<ScoresType>(operand.getType())) {
      walk.result.others.insert(operand);
    }
  }
  for (Region &region : sink.op->getRegions()) {
    visitUsedValuesDefinedAbove(
        region, [&](OpOperand *use) { walk.result.others.insert(use->get()); });
  }
  for (Value v : walk.result.others) {
    walk.result.rows.remove(v);
  }
  return walk.result;
}

/// Row reads and other reads of a row op or sink.
static Captures readsOf(Operation *op) {
  if (std::optional<Sink> sink = getSink(op)) {
    return getCaptures(*sink);
  }
  Captures captures;
  auto generic = cast<linalg::GenericOp>(op);
  for (OpOperand *input : generic.getDpsInputOperands()) {
    bool row = generic.getMatchingIndexingMap(input).isIdentity();
    (row ? captures.rows : captures.others).insert(input->get());
  }
  visitUsedValuesDefinedAbove(generic.getRegion(), [&](OpOperand *use) {
    captures.others.insert(use->get());
  });
  for (Value v : captures.others) {
    captures.rows.remove(v);
  }
  return captures;
}

//===----------------------------------------------------------------------===//
// Grouping
//===----------------------------------------------------------------------===//

namespace {
struct Grouping {
  SmallVector<std::unique_ptr<RowGroup>> groups;

  RowGroup *groupOf(Operation *op) {
    for (auto &group : groups) {
      if (group->contains(op)) {
        return group.get();
      }
    }
    return nullptr;
  }

  /// Whether `value` needs a finished `target`: some path of definitions leads
  /// to a member. A group is one kernel: reaching it means all its members.
  bool dependsOn(Value value, RowGroup *target) {
    DenseSet<Operation *> seen;
    SmallVector<Operation *> work;
    auto push = [&](Operation *op) {
      if (op && seen.insert(op).second) {
        work.push_back(op);
      }
    };
    push(value.getDefiningOp());
    while (!work.empty()) {
      Operation *op = work.pop_back_val();
      RowGroup *group = groupOf(op);
      if (group == target) {
        return true;
      }
      if (group) {
        for (Operation *member : group->members) {
          push(member);
        }
      }
      for (Value operand : op->getOperands()) {
        push(operand.getDefiningOp());
      }
      for (Region &region : op->getRegions()) {
        visitUsedValuesDefinedAbove(
            region, [&](OpOperand *use) { push(use->get().getDefiningOp()); });
      }
    }
    return false;
  }

  /// Whether `reads` allows a member: rows of the group may be read in place,
  /// nothing else may wait for the group.
  bool mayJoin(const Captures &reads, RowGroup *group) {
    for (Value v : reads.others) {
      if (dependsOn(v, group)) {
        return false;
      }
    }
    for (Value v : reads.rows) {
      if (!group->contains(v) && dependsOn(v, group)) {
        return false;
      }
    }
    return true;
  }

  /// Whether the tallies of two groups have the same blocks of rows, which a
  /// kernel works on one after the other.
  static bool shareRowBlocks(ArrayRef<Operation *> a, ArrayRef<Operation *> b) {
    SetVector<Value> blocks;
    for (Operation *op : llvm::concat<Operation *const>(a, b)) {
      auto reduce = dyn_cast<ReduceOp>(op);
      if (reduce && reduce.getRowBlock()) {
        blocks.insert(reduce.getRowBlock());
      }
    }
    return blocks.size() < 2;
  }

  bool mayMerge(RowGroup *a, RowGroup *b) {
    if (a->orientation != b->orientation ||
        !shareRowBlocks(a->members, b->members)) {
      return false;
    }
    auto independent = [&](RowGroup *from, RowGroup *to) {
      for (Operation *member : from->members) {
        Captures reads = readsOf(member);
        for (Value v : llvm::concat<const Value>(reads.rows, reads.others)) {
          if (!from->contains(v) && dependsOn(v, to)) {
            return false;
          }
        }
      }
      return true;
    };
    return independent(a, b) && independent(b, a);
  }

  static bool sameShape(Operation *a, Operation *b) {
    auto shape = [](Operation *op) {
      return cast<RankedTensorType>(op->getResult(0).getType())
          .getShape()
          .take_front(3);
    };
    return shape(a) == shape(b);
  }

  void add(Operation *op) {
    std::optional<Sink> sink = getSink(op);
    Captures reads = readsOf(op);
    SetVector<RowGroup *> candidates;
    for (Value v : reads.rows) {
      RowGroup *group =
          v.getDefiningOp() ? groupOf(v.getDefiningOp()) : nullptr;
      if (!group || !sameShape(op, group->members.front())) {
        continue;
      }
      bool oriented = !sink || sink->queriesStay ==
                                   (group->orientation == Orientation::Rows);
      if (oriented && shareRowBlocks(group->members, op)) {
        candidates.insert(group);
      }
    }
    RowGroup *home = nullptr;
    for (RowGroup *group : candidates) {
      if (!home) {
        home = mayJoin(reads, group) ? group : nullptr;
      } else if (mayMerge(home, group) && mayJoin(reads, group)) {
        merge(home, group);
      }
    }
    if (!home && !sink) {
      return; // an ordinary elementwise op
    }
    if (!home) {
      groups.push_back(std::make_unique<RowGroup>());
      home = groups.back().get();
      home->orientation =
          sink->queriesStay ? Orientation::Rows : Orientation::Cols;
    }
    home->members.push_back(op);
  }

  void merge(RowGroup *into, RowGroup *from) {
    llvm::append_range(into->members, from->members);
    llvm::sort(into->members, [](Operation *a, Operation *b) {
      return a->isBeforeInBlock(b);
    });
    llvm::erase_if(groups, [&](auto &group) { return group.get() == from; });
  }
};
} // namespace

SmallVector<std::unique_ptr<RowGroup>> mlir::attn::formGroups(Block &block) {
  Grouping grouping;
  for (Operation &op : block) {
    if (getSink(&op) || isRowOp(&op)) {
      grouping.add(&op);
    }
  }
  return std::move(grouping.groups);
}

bool mlir::attn::isNeededOutside(Value result, const RowGroup &group,
                                 ArrayRef<std::unique_ptr<RowGroup>> groups) {
  for (Operation *user : result.getUsers()) {
    // Uses inside regions of score ops are found through the sinks below.
    Operation *top = result.getParentBlock()->findAncestorOpInBlock(*user);
    if (top && isa<ScoresOpInterface>(top)) {
      continue;
    }
    if (!top || !group.contains(top) || !isRowOp(top)) {
      return true;
    }
    Captures reads = readsOf(top);
    if (!reads.rows.contains(result)) {
      return true;
    }
  }
  for (auto &other : groups) {
    for (Operation *member : other->members) {
      if (!getSink(member)) {
        continue;
      }
      Captures reads = readsOf(member);
      bool here = other.get() == &group;
      if (reads.others.contains(result) ||
          (!here && reads.rows.contains(result))) {
        return true;
      }
    }
  }
  // A matrix that is stored reads it from memory, and so does what loops and
  // branches make of the scores of this block.
  Block *block = result.getParentBlock();
  WalkResult walked = block->walk([&](Operation *op) {
    std::optional<Sink> sink;
    if (auto stored = dyn_cast<MaterializeOp>(op)) {
      sink = Sink{op, stored.getInput(), true};
    } else if (op->getBlock() != block) {
      sink = getSink(op);
    }
    if (!sink) {
      return WalkResult::advance();
    }
    Captures reads = getCaptures(*sink);
    bool needed = reads.rows.contains(result) || reads.others.contains(result);
    return needed ? WalkResult::interrupt() : WalkResult::advance();
  });
  return walked.wasInterrupted();
}
