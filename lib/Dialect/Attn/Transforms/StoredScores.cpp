//===- StoredScores.cpp - scores of matrices that are stored --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stored matrix that reads reductions of its own scores, such as the weights
// of a softmax, and the stream of these reductions would both compute dot
// products, in an order of their own each. A weight exp(s - max) is then off by
// the rounding of s, however large s is, even where s is the maximum. So the
// products are stored first, and both read them:
//
//   %s = attn.score %q, %k
//   %m = attn.reduce max keys %s          %m and %w from a dot product each
//   %w = attn.materialize of exp(%s - %m)
//
// becomes
//
//   %t = attn.materialize of attn.score %q, %k
//   %s = attn.bias %t                     %m and %w from %t
//
//===----------------------------------------------------------------------===//

#include "StoredScores.h"
#include "RowGroups.h"

#include "mlir/Analysis/SliceAnalysis.h"

using namespace mlir;
using namespace mlir::attn;

/// The products that scores are made of.
static void collectProducts(Value scores, SetVector<Operation *> &products) {
  Operation *op = scores.getDefiningOp();
  if (!op) {
    return;
  }
  if (isa<ScoreOp, ScoreWithOp>(op)) {
    products.insert(op);
    return;
  }
  for (Value operand : op->getOperands()) {
    if (isa<ScoresType>(operand.getType())) {
      collectProducts(operand, products);
    }
  }
}

/// Those of a stored matrix that reductions which it reads are made of, too.
/// Integers are exact in any order.
static SmallVector<Operation *> findShared(MaterializeOp matrix) {
  SetVector<Operation *> own, reduced;
  collectProducts(matrix.getInput(), own);
  SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.omitBlockArguments = true;
  options.omitUsesFromAbove = false;
  if (failed(getBackwardSlice(matrix.getOperation(), &slice, options))) {
    return {};
  }
  for (Operation *op : slice) {
    if (std::optional<Sink> sink = getSink(op)) {
      collectProducts(sink->scores, reduced);
    }
  }
  return llvm::filter_to_vector(own, [&](Operation *op) {
    auto type = cast<ScoresType>(op->getResult(0).getType());
    return reduced.contains(op) && isa<FloatType>(type.getElementType());
  });
}

template <typename Product> static void store(Product op) {
  OpBuilder builder(op);
  builder.setInsertionPointAfter(op);
  ScoresType type = op.getResult().getType();
  auto stored = RankedTensorType::get(type.getShape(), type.getElementType());
  auto matrix = MaterializeOp::create(builder, op.getLoc(), stored,
                                      op.getResult(), APFloat(0.0));
  auto read =
      BiasOp::create(builder, op.getLoc(), type, matrix, op.getQueryPositions(),
                     op.getQueryOffset(), op.getQueryLength(),
                     op.getQuerySegments(), op.getKeyPositions(),
                     op.getKeyOffset(), op.getKeyLength(), op.getKeySegments());
  op.getResult().replaceAllUsesExcept(read, matrix);
}

void attn::storeSharedScores(Operation *root) {
  SmallVector<MaterializeOp> matrices;
  root->walk([&](MaterializeOp op) { matrices.push_back(op); });
  for (MaterializeOp matrix : matrices) {
    for (Operation *op : findShared(matrix)) {
      if (auto score = dyn_cast<ScoreOp>(op)) {
        store(score);
      } else {
        store(cast<ScoreWithOp>(op));
      }
    }
  }
}
