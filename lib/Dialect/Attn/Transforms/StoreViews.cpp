//===- StoreViews.cpp - views that are read as tensors --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whoever does not evaluate a view on load reads it from memory:
//
//   %k = attn.view (%b, %h, %l) { ... attn.yield %row }
// becomes
//   %k = attn.stream rows (%b, %h, %l) in [...] { ... attn.store_row %row }
//
// and a view of elements becomes a linalg.generic. Views that only streams read
// are dead by now.
//
//===----------------------------------------------------------------------===//

#include "EntryEvaluator.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::attn {
#define GEN_PASS_DEF_STOREVIEWSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

static Value storeRows(ViewOp view) {
  OpBuilder outer(view);
  Location loc = view.getLoc();
  RankedTensorType type = view.getResult().getType();
  SmallVector<Value> space;
  for (unsigned dim = 0; dim < 3; ++dim) {
    space.push_back(
        getValueOrCreateConstantIndexOp(outer, loc, view.getExtent(dim)));
  }
  space.push_back(arith::ConstantIndexOp::create(outer, loc, 0)); // no keys
  Value output = tensor::EmptyOp::create(outer, loc, type, view.getSizes());
  auto stream = StreamOp::create(outer, loc, Orientation::Rows, space,
                                 ValueRange(), output);
  outer.setInsertionPoint(stream);
  DenseMap<Value, int64_t> extents;
  SmallVector<Value> indices{stream.getBatchArg(), stream.getHeadArg(),
                             stream.getRowArg()};
  for (auto [index, extent] : llvm::zip(indices, type.getShape())) {
    extents[index] = extent;
  }
  OpBuilder body = OpBuilder::atBlockEnd(&stream.getBody().front());
  EntryEvaluator evaluator(
      body, outer, stream, [](Value) { return Value(); }, extents);
  SmallVector<Value> row = evaluator.inlineRegion(view.getBody(), indices);
  StoreRowOp::create(body, loc, row);
  return stream.getResult(0);
}

static Value storeElements(ViewOp view) {
  OpBuilder builder(view);
  Location loc = view.getLoc();
  RankedTensorType type = view.getResult().getType();
  Value init = tensor::EmptyOp::create(builder, loc, type, view.getSizes());
  auto generic = linalg::GenericOp::create(
      builder, loc, TypeRange{type}, ValueRange(), ValueRange{init},
      ArrayRef<AffineMap>{builder.getMultiDimIdentityMap(type.getRank())},
      SmallVector<utils::IteratorType>(type.getRank(),
                                       utils::IteratorType::parallel),
      [&](OpBuilder &b, Location, ValueRange) {
        IRMapping mapping;
        for (BlockArgument arg : view.getBody().getArguments()) {
          mapping.map(arg, linalg::IndexOp::create(b, loc, arg.getArgNumber()));
        }
        for (Operation &op : view.getBody().front().without_terminator()) {
          b.clone(op, mapping);
        }
        Operation *yield = view.getBody().front().getTerminator();
        linalg::YieldOp::create(b, loc,
                                mapping.lookupOrDefault(yield->getOperand(0)));
      });
  return generic.getResult(0);
}

/// Sizes are known without the tensor.
static void resolveSizes(ViewOp view) {
  for (Operation *user : llvm::make_early_inc_range(view->getUsers())) {
    auto dim = dyn_cast<tensor::DimOp>(user);
    if (dim && dim.getConstantIndex()) {
      OpBuilder builder(dim);
      dim.replaceAllUsesWith(getValueOrCreateConstantIndexOp(
          builder, dim.getLoc(), view.getExtent(*dim.getConstantIndex())));
      dim.erase();
    }
  }
}

namespace {
struct StoreViewsPass : attn::impl::StoreViewsPassBase<StoreViewsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ViewOp> views;
    getOperation().walk([&](ViewOp view) { views.push_back(view); });
    llvm::for_each(views, resolveSizes);
    // Users first: what a view reads on load need not be stored for it.
    for (ViewOp view : llvm::reverse(views)) {
      if (!view->use_empty()) {
        Value stored =
            view.yieldsRows() ? storeRows(view) : storeElements(view);
        view.getResult().replaceAllUsesWith(stored);
        resolveReads(stored);
      }
      view.erase();
    }
  }

  /// The sizes of views that the new ops have asked for.
  void resolveReads(Value stored) {
    SmallVector<ViewOp> left;
    getOperation().walk([&](ViewOp view) { left.push_back(view); });
    llvm::for_each(left, resolveSizes);
  }
};
} // namespace
