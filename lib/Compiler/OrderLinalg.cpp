//===- OrderLinalg.cpp - unit strides innermost ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a user writes around attention (projections, norms) becomes plain loops
// in the order of the iterators, and a product that reduces innermost cannot be
// vectorized without reordering its sum. With the last dimension of the result
// innermost, LLVM's loop vectorizer can, and every sum keeps its order:
//
//   for m, n, k: c[m, n] += a[m, k] * b[k, n]
//   =>
//   for m, k, n: c[m, n] += a[m, k] * b[k, n]
//
//===----------------------------------------------------------------------===//

#include "Boundary.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"

using namespace mlir;

namespace {

/// Whether a loop steps through an operand by units, or not at all.
bool hasUnitStride(AffineMap map, unsigned loop) {
  for (AffineExpr expr : map.getResults()) {
    bool isLast = expr == map.getResults().back();
    if (expr.isFunctionOfDim(loop) && !(isLast && isa<AffineDimExpr>(expr))) {
      return false;
    }
  }
  return true;
}

/// The loop that walks along the last dimension of the only result, if the map
/// says so and no operand would be walked across.
std::optional<unsigned> getInnermostResultLoop(linalg::GenericOp op) {
  if (op.getNumDpsInits() != 1) {
    return std::nullopt;
  }
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (map.getNumResults() == 0) {
    return std::nullopt;
  }
  auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
  if (!last || !llvm::all_of(op.getIndexingMapsArray(), [&](AffineMap operand) {
        return hasUnitStride(operand, last.getPosition());
      })) {
    return std::nullopt;
  }
  return last.getPosition();
}

/// The order of the loops: other parallel ones, reductions, and `innermost`.
SmallVector<unsigned> getOrder(linalg::GenericOp op, unsigned innermost) {
  SmallVector<unsigned> order, reductions;
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (linalg::isReductionIterator(kind)) {
      reductions.push_back(loop);
    } else if (loop != innermost) {
      order.push_back(loop);
    }
  }
  order.append(reductions);
  order.push_back(innermost);
  return order;
}

struct OrderLinalgPass
    : PassWrapper<OrderLinalgPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OrderLinalgPass)

  StringRef getArgument() const override { return "attn-order-linalg"; }
  StringRef getDescription() const override {
    return "loops over the last dimension of a result innermost";
  }

  void runOnOperation() override {
    SmallVector<linalg::GenericOp> products;
    getOperation().walk([&](linalg::GenericOp op) {
      if (op.getNumReductionLoops() > 0) {
        products.push_back(op);
      }
    });
    IRRewriter rewriter(&getContext());
    for (linalg::GenericOp op : products) {
      std::optional<unsigned> innermost = getInnermostResultLoop(op);
      if (!innermost || !linalg::isParallelIterator(
                            op.getIteratorTypesArray()[*innermost])) {
        continue;
      }
      SmallVector<unsigned> order = getOrder(op, *innermost);
      if (llvm::is_sorted(order)) {
        continue;
      }
      rewriter.setInsertionPoint(op);
      // Fails only on what is no permutation.
      (void)linalg::interchangeGenericOp(rewriter, op, order);
    }
  }
};

} // namespace

std::unique_ptr<Pass> attn::createOrderLinalgPass() {
  return std::make_unique<OrderLinalgPass>();
}

void attn::registerOrderLinalgPass() { PassRegistration<OrderLinalgPass>(); }
