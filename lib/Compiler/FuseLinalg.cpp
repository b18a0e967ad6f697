//===- FuseLinalg.cpp - elementwise ops into their consumers --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Upstream fuses an elementwise op into whatever reads it. Into a product that
// would run it once for every column, so here it goes only where each of its
// elements is read once, or is merely converted:
//
//   sum += x * x              fused: a sum reads every square once
//   y[m, n] += silu(x[m, k]) w[k, n]     not fused
//   y[m, n] += extf(x[m, k]) w[k, n]     fused
//
// A reduction is never fused into another one. Two of them that read one tensor
// alike, such as its largest and smallest elements, become one op that reads it
// once.
//
// Named products and convolutions are written out as linalg.generic first. They
// are sums of products and promise no rounding in between, so theirs may be
// contracted; what a user wrote as a generic op keeps its roundings.
//
//===----------------------------------------------------------------------===//

#include "Boundary.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace {

/// Named ops as generic ones; a multiplication and an addition of a named
/// contraction may become one operation.
LogicalResult generalise(func::FuncOp func) {
  SmallVector<linalg::LinalgOp> named;
  func.walk([&](linalg::LinalgOp op) {
    if (!isa<linalg::GenericOp>(op)) {
      named.push_back(op);
    }
  });
  IRRewriter rewriter(func.getContext());
  for (linalg::LinalgOp op : named) {
    bool contracts =
        isa<linalg::ContractionOpInterface, linalg::ConvolutionOpInterface>(
            *op);
    rewriter.setInsertionPoint(op);
    FailureOr<linalg::GenericOp> generic =
        linalg::generalizeNamedOp(rewriter, op);
    if (failed(generic)) {
      return failure();
    }
    if (contracts) {
      generic->walk([](arith::ArithFastMathInterface inner) {
        if (isa<arith::MulFOp, arith::AddFOp>(inner)) {
          inner->setAttr(
              inner.getFastMathAttrName(),
              arith::FastMathFlagsAttr::get(inner->getContext(),
                                            arith::FastMathFlags::contract));
        }
      });
    }
  }
  return success();
}

bool isConversion(linalg::GenericOp op) {
  return llvm::all_of(op.getBody()->without_terminator(), [](Operation &inner) {
    return isa<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::UIToFPOp,
               arith::ExtSIOp, arith::ExtUIOp>(inner);
  });
}

/// Whether `operand` of an elementwise or reducing op may be computed there.
bool shouldFuse(OpOperand *operand) {
  auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
  auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
  if (!consumer || !producer || !producer->hasOneUse()) {
    return false;
  }
  AffineMap map = consumer.getMatchingIndexingMap(operand);
  return map.isPermutation() || isConversion(producer);
}

/// Whether `op` reduces one tensor, reading each of its elements once.
bool reducesOneTensor(linalg::GenericOp op) {
  return op.getNumDpsInputs() == 1 && op.getNumReductionLoops() > 0 &&
         op.getMatchingIndexingMap(op.getDpsInputOperand(0)).isPermutation();
}

/// Whether `second`, a later op of the same block, can run within `first`.
bool canJoin(linalg::GenericOp first, linalg::GenericOp second) {
  auto known = [&](Value value) {
    Operation *def = value.getDefiningOp();
    return !def || def->getBlock() != first->getBlock() ||
           def->isBeforeInBlock(first);
  };
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(second->getRegions(), captured);
  auto outputMap = [](linalg::GenericOp op) {
    return op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  };
  return first.getDpsInputOperand(0)->get() ==
             second.getDpsInputOperand(0)->get() &&
         first.getIteratorTypesArray() == second.getIteratorTypesArray() &&
         first.getIndexingMapsArray().front() ==
             second.getIndexingMapsArray().front() &&
         outputMap(first) == outputMap(second) &&
         llvm::all_of(second.getDpsInits(), known) &&
         llvm::all_of(captured, known);
}

linalg::GenericOp join(linalg::GenericOp first, linalg::GenericOp second) {
  OpBuilder builder(first);
  SmallVector<Value> inits(first.getDpsInits());
  llvm::append_range(inits, second.getDpsInits());
  SmallVector<AffineMap> maps = first.getIndexingMapsArray();
  llvm::append_range(maps,
                     ArrayRef(second.getIndexingMapsArray()).drop_front());
  auto joined = linalg::GenericOp::create(
      builder, first.getLoc(), TypeRange(ValueRange(inits)),
      first.getDpsInputs(), inits, maps, first.getIteratorTypesArray(),
      [&](OpBuilder &inside, Location loc, ValueRange arguments) {
        SmallVector<Value> results;
        unsigned next = 1;
        for (linalg::GenericOp op : {first, second}) {
          IRMapping mapping;
          mapping.map(op.getRegionInputArgs().front(), arguments.front());
          for (BlockArgument sum : op.getRegionOutputArgs()) {
            mapping.map(sum, arguments[next++]);
          }
          for (Operation &inner : op.getBody()->without_terminator()) {
            inside.clone(inner, mapping);
          }
          for (Value value : op.getBody()->getTerminator()->getOperands()) {
            results.push_back(mapping.lookupOrDefault(value));
          }
        }
        linalg::YieldOp::create(inside, loc, results);
      });
  unsigned results = first->getNumResults();
  first->replaceAllUsesWith(joined->getResults().take_front(results));
  second->replaceAllUsesWith(joined->getResults().drop_front(results));
  first->erase();
  second->erase();
  return joined;
}

/// Reductions of one tensor that can run as one op do.
void joinReductions(func::FuncOp func) {
  SmallVector<linalg::GenericOp> kept;
  SmallVector<linalg::GenericOp> reductions;
  func.walk([&](linalg::GenericOp op) {
    if (reducesOneTensor(op)) {
      reductions.push_back(op);
    }
  });
  for (linalg::GenericOp op : reductions) {
    auto *other = llvm::find_if(kept, [&](linalg::GenericOp earlier) {
      return earlier->getBlock() == op->getBlock() && canJoin(earlier, op);
    });
    if (other == kept.end()) {
      kept.push_back(op);
    } else {
      *other = join(*other, op);
    }
  }
}

struct FuseLinalgPass
    : PassWrapper<FuseLinalgPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseLinalgPass)

  StringRef getArgument() const override { return "attn-fuse-linalg"; }
  StringRef getDescription() const override {
    return "write out named linalg ops and fuse elementwise ones where no "
           "element is computed twice";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<affine::AffineDialect, linalg::LinalgDialect>();
  }

  void runOnOperation() override {
    if (failed(generalise(getOperation()))) {
      return signalPassFailure();
    }
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, shouldFuse);
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    affine::AffineApplyOp::getCanonicalizationPatterns(patterns, context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns)))) {
      return signalPassFailure();
    }
    joinReductions(getOperation());
  }
};

} // namespace

std::unique_ptr<Pass> attn::createFuseLinalgPass() {
  return std::make_unique<FuseLinalgPass>();
}

void attn::registerFuseLinalgPass() { PassRegistration<FuseLinalgPass>(); }
