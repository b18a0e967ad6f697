//===- CollectiveAnalysis.cpp - regions of stencils and mixtures ----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A collective reads its region at many places around an entry, or at many
// heads. Its region is evaluated once, on a tile that is larger by a halo and,
// for a mixture, once per head; how often is decided by what it depends on:
//
//   %y = attn.mix { (%g)                 heads loop %g:
//     %x = attn.stencil { (%i2, %j2)       tile of %x (+ 5 rows, + 10 keys)
//     uses
//       %m = attn.mix { (%h)                 row %g of the mixture below
//         %s = attn.dot ..%h, %i2, %j2   before it, once, heads loop %h:
//       exp(%m - lse[%g, %i2]) } }         tile of %s, with the halo of %x
//
//===----------------------------------------------------------------------===//

#include "StreamAnalysis.h"

#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

void StreamAnalysis::classifyRegion(Operation &collective) {
  if (auto stencil = dyn_cast<StencilOp>(collective)) {
    for (auto [argument, centre] :
         llvm::zip(stencil.getBody().getArguments(),
                   ValueRange{stencil.getQuery(), stencil.getKey()})) {
      ValueClass c = getClass(centre);
      classes[argument] = {c.row, c.key, /*head=*/false, /*level=*/0};
    }
  } else {
    classes[cast<MixOp>(collective).getBody().getArgument(0)].head = true;
  }
  for (Operation &inner : collective.getRegion(0).front()) {
    classify(inner);
  }
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

/// A mixture behind the stencils of `around` that is evaluated right before
/// `plan`, once, and whose result at a head only this head of `plan` reads.
static CollectivePlan *findDonor(CollectivePlan &plan, TilePlan &around,
                                 ArrayRef<CollectivePlan *> fills) {
  MixOp mix = plan.getMix();
  for (CollectivePlan *inner : around.collectives) {
    MixOp other = inner->getMix();
    if (!mix || !other) {
      CollectivePlan *donor =
          mix ? findDonor(plan, inner->inside, fills) : nullptr;
      if (donor) {
        return donor;
      }
      continue;
    }
    if (other.getOutputHeads() == mix.getInputHeads() &&
        other.getHead() == mix.getBody().getArgument(0) &&
        other.getResult().getType() == mix.getResult().getType() &&
        llvm::is_contained(fills, inner)) {
      return inner;
    }
  }
  return nullptr;
}

CollectivePlan *StreamAnalysis::planCollective(SweepPlan &sweep,
                                               TilePlan &around,
                                               CollectivePlan *parent,
                                               Operation *op) {
  auto owned = std::make_unique<CollectivePlan>();
  CollectivePlan &plan = *owned;
  sweep.allCollectives.push_back(std::move(owned));
  plan.op = op;
  plan.parent = parent;
  plan.rows = plan.getRowsAround();
  plan.keys = plan.getKeysAround();
  if (StencilOp stencil = plan.getStencil()) {
    bool queriesStay = getClass(stencil.getQuery()).row;
    auto extend = [](Halo &halo, int64_t before, int64_t taps) {
      halo.before += before;
      halo.total += taps - 1;
    };
    ArrayRef<int64_t> origin = stencil.getOrigin();
    extend(queriesStay ? plan.rows : plan.keys, origin[0],
           stencil.getQueryExtent());
    extend(queriesStay ? plan.keys : plan.rows, origin[1],
           stencil.getKeyExtent());
    Value i = stencil.getBody().getArgument(0);
    Value j = stencil.getBody().getArgument(1);
    plan.inside.rowArg = queriesStay ? i : j;
    plan.inside.keyArg = queriesStay ? j : i;
    plan.rowExtent = queriesStay ? stencil.getQueries() : stencil.getKeys();
    plan.keyExtent = queriesStay ? stencil.getKeys() : stencil.getQueries();
  } else {
    plan.inside.rowArg = around.rowArg;
    plan.inside.keyArg = around.keyArg;
    plan.rowExtent = parent ? parent->rowExtent : Value();
    plan.keyExtent = parent ? parent->keyExtent : Value();
  }
  planInside(sweep, plan);
  SmallVector<CollectivePlan *> &fills = placeCollective(sweep, plan);
  plan.donor = findDonor(plan, plan.inside, fills);
  fills.push_back(&plan);
  around.collectives.push_back(&plan);
  return &plan;
}

/// Collects what the yielded entries are made of, also outside of the region: a
/// mixture may share masks with what is around it.
void StreamAnalysis::planInside(SweepPlan &sweep, CollectivePlan &plan) {
  SetVector<Value> rowValues;
  DenseSet<Value> seen, seenFilled;
  auto planOnce = [&](Operation *op) {
    bool planned = llvm::any_of(plan.inside.collectives,
                                [&](auto *known) { return known->op == op; });
    if (!planned) {
      planCollective(sweep, plan.inside, &plan, op);
    }
  };
  // What a filled entry is made of is evaluated with it, collectives aside.
  std::function<void(Value)> collectFilled = [&](Value value) {
    noteRowValue(value, rowValues);
    Operation *op = value.getDefiningOp();
    if (!op || !getClass(value).key || !seenFilled.insert(value).second) {
      return;
    }
    if (isCollective(op)) {
      planOnce(op);
      return;
    }
    llvm::for_each(op->getOperands(), collectFilled);
  };
  std::function<void(Value)> collect = [&](Value value) {
    noteRowValue(value, rowValues);
    Operation *op = value.getDefiningOp();
    if (!op || !getClass(value).key || !seen.insert(value).second) {
      return;
    }
    if (isCollective(op)) {
      planOnce(op);
    } else if (isContraction(op)) {
      planContraction(plan.inside, op);
    } else if (auto inner = dyn_cast<SweepOp>(op)) {
      unplannable |= failed(planProduct(plan.inside, inner));
    } else if (isFilled(op)) {
      plan.inside.filled.push_back(value);
      llvm::for_each(op->getOperands(), collectFilled);
    } else {
      llvm::for_each(op->getOperands(), collect);
    }
  };
  collect(plan.getValue());
  collect(plan.getPresence());
  plan.inside.rowValues = rowValues.takeVector();
}

//===----------------------------------------------------------------------===//
// Where a collective is evaluated
//===----------------------------------------------------------------------===//

/// The heads, of the stream and of mixtures around `op`, on which its result
/// depends; the row of weights of a mixture is picked later.
void StreamAnalysis::collectHeads(Operation *op,
                                  SetVector<Value> &heads) const {
  SetVector<Value> read;
  getUsedValuesDefinedAbove(op->getRegions(), read);
  if (!isa<MixOp>(op)) {
    read.insert(op->operand_begin(), op->operand_end());
  }
  for (Value value : read) {
    if (!getClass(value).head) {
      continue;
    }
    if (Operation *def = value.getDefiningOp()) {
      collectHeads(def, heads);
      if (isa<MixOp>(def)) {
        // Read as an entry, the row of weights matters after all.
        heads.insert(cast<MixOp>(def).getHead());
      }
    } else {
      heads.insert(value);
    }
  }
}

/// Where `plan` is evaluated.
SmallVector<CollectivePlan *> &
StreamAnalysis::placeCollective(SweepPlan &sweep, CollectivePlan &plan) {
  SetVector<Value> heads;
  collectHeads(plan.op, heads);
  for (CollectivePlan *around = plan.parent; around; around = around->parent) {
    MixOp mix = around->getMix();
    if (mix && heads.contains(mix.getBody().getArgument(0))) {
      return around->inside.fills;
    }
  }
  bool ofHead = heads.contains(stream.getHeadArg());
  return ofHead ? sweep.fills : sweep.sharedFills;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

LogicalResult StreamAnalysis::checkCollective(const CollectivePlan &plan) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(plan.op->getRegions(), captured);
  for (Value value : captured) {
    ValueClass c = getClass(value);
    if (c.level) {
      return plan.op->emitError("the region of a collective must not depend on "
                                "a running value of its sweep");
    }
    if (plan.getStencil() && (c.row || c.key)) {
      return plan.op->emitError(
          "the region of a stencil must not depend on its centre");
    }
  }
  if (StencilOp stencil = plan.getStencil()) {
    ValueClass i = getClass(stencil.getQuery()), j = getClass(stencil.getKey());
    auto isArgument = [](Value value) { return isa<BlockArgument>(value); };
    if (!isArgument(stencil.getQuery()) || !isArgument(stencil.getKey()) ||
        i.row == j.row || i.key == j.key) {
      return plan.op->emitError(
          "the centre of a stencil must be the row and the key of its entry");
    }
  }
  return success();
}
