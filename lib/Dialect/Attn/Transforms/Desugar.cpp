//===- Desugar.cpp - composed ops in terms of primitive ones --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The planner and the reference know maps, masks with a region and primitive
// reductions. Whatever is composed of them is written out here once, so that a
// user's own normalizer and attn.softmax take the same way.
//
//   %p = attn.softmax %s
// becomes, with rows [B, H, M] as tensors,
//   %f = attn.map %s: s * log2(e)
//   %m = attn.reduce max keys %f
//   %e = attn.map %f: exp2(f - guard(%m[b, h, i]))
//   %l = attn.reduce sum keys %e
//   %w = attn.map %e: e / %l[b, h, i]
//   %p = attn.mask %w: %m[b, h, i] != -inf
//
//===----------------------------------------------------------------------===//

#include "Desugar.h"

#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <limits>

namespace mlir::attn {
#define GEN_PASS_DEF_DESUGARPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value ScalarBuilder::constant(Type type, double value) {
  return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
}

Value ScalarBuilder::mul(Value x, double y) {
  return y == 1.0 ? x : mul(x, constant(x.getType(), y));
}

Value ScalarBuilder::guard(Value x) {
  return GuardOp::create(b, loc, x.getType(), x);
}

Value ScalarBuilder::isNegInf(Value x) {
  Value inf = constant(x.getType(), -std::numeric_limits<double>::infinity());
  return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, inf);
}

Value mlir::attn::extractBroadcast(OpBuilder &builder, Location loc,
                                   Value tensor, ValueRange indices) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Value> at(indices);
  for (auto [index, extent] : llvm::zip_equal(at, type.getShape())) {
    if (extent == 1) {
      index = arith::ConstantIndexOp::create(builder, loc, 0);
    }
  }
  return tensor::ExtractOp::create(builder, loc, tensor, at);
}

//===----------------------------------------------------------------------===//
// Entries and rows
//===----------------------------------------------------------------------===//

/// Gives `op` the block of an entry region on `elements`.
static void buildEntryRegion(OpBuilder &builder, Location loc, Region &region,
                             TypeRange elements, EntryBody body) {
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> types(elements);
  types.append(kNumEntryIndices, builder.getIndexType());
  SmallVector<Location> locs(types.size(), loc);
  Block *block = builder.createBlock(&region, {}, types, locs);
  ValueRange args = block->getArguments();
  Value result = body(builder, args.take_front(elements.size()),
                      args.drop_front(elements.size()));
  YieldOp::create(builder, loc, result);
}

RowBuilder::RowBuilder(OpBuilder &builder, Location loc, Value scores,
                       Axis axis)
    : builder(builder), loc(loc), type(cast<ScoresType>(scores.getType())),
      axis(axis), extents(getScoresShape(builder, scores)) {
  extents.erase(extents.begin() +
                (axis == Axis::Keys ? ScoresType::Keys : ScoresType::Queries));
}

RankedTensorType RowBuilder::rowType(Type element) const {
  unsigned kept = axis == Axis::Keys ? ScoresType::Queries : ScoresType::Keys;
  return RankedTensorType::get(
      {type.getDim(0), type.getDim(1), type.getDim(kept)}, element);
}

Value RowBuilder::map(ValueRange inputs, EntryBody body) {
  auto op = MapOp::create(builder, loc, type, inputs, ValueRange());
  SmallVector<Type> elements(inputs.size(), element());
  buildEntryRegion(builder, loc, op.getBody(), elements, body);
  return op.getResult();
}

Value RowBuilder::mask(Value input, EntryBody body) {
  auto op = MaskOp::create(builder, loc, type, input, /*prefix=*/Value(),
                           /*kind=*/Attribute());
  buildEntryRegion(builder, loc, op.getBody(), element(), body);
  return op.getResult();
}

Value RowBuilder::reduce(ReduceKind kind, Value input) {
  Type result = kind == ReduceKind::Count ? builder.getI64Type() : element();
  return ReduceOp::create(builder, loc, TypeRange{rowType(result)}, kind, axis,
                          input)
      .getResult(0);
}

Value RowBuilder::row(ValueRange inputs, RowBody body) {
  MLIRContext *context = builder.getContext();
  AffineMap identity = builder.getMultiDimIdentityMap(3);
  SmallVector<AffineMap> maps;
  for (Value input : inputs) {
    auto operand = cast<RankedTensorType>(input.getType());
    if (operand.getRank() == 3) {
      maps.push_back(identity);
      continue;
    }
    AffineExpr head = operand.getDimSize(0) == 1
                          ? builder.getAffineConstantExpr(0)
                          : builder.getAffineDimExpr(1);
    maps.push_back(AffineMap::get(3, 0, head, context));
  }
  maps.push_back(identity);
  // Static extents of the type win: the extents of the scores may be known to
  // more digits than their type says.
  SmallVector<Value> sizes;
  RankedTensorType result = rowType(element());
  for (auto [extent, size] : llvm::zip_equal(extents, result.getShape())) {
    if (ShapedType::isDynamic(size)) {
      sizes.push_back(getValueOrCreateConstantIndexOp(builder, loc, extent));
    }
  }
  Value init = tensor::EmptyOp::create(builder, loc, result, sizes);
  SmallVector<utils::IteratorType> iterators(3, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             builder, loc, TypeRange{result}, inputs, ValueRange{init}, maps,
             iterators,
             [&](OpBuilder &b, Location l, ValueRange args) {
               linalg::YieldOp::create(b, l, body(b, args.drop_back()));
             })
      .getResult(0);
}

Value RowBuilder::at(OpBuilder &body, Value tensor, ValueRange indices) {
  Value kept = axis == Axis::Keys ? indices[2] : indices[3];
  return tensor::ExtractOp::create(body, loc, tensor,
                                   ValueRange{indices[0], indices[1], kept});
}

//===----------------------------------------------------------------------===//
// Named masks
//===----------------------------------------------------------------------===//

static Value toIndex(OpBuilder &builder, Location loc, Value value) {
  if (value.getType().isIndex()) {
    return value;
  }
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                    value);
}

void mlir::attn::desugarMask(MaskOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  NamedMaskInterface kind = op.getNamedMask();
  Value input = op.getInput(), prefix = op.getPrefix();
  RowBuilder rows(builder, loc, input, Axis::Keys);
  Value result = rows.mask(input, [&](OpBuilder &b, ValueRange, ValueRange at) {
    MaskSite site{at[4], at[5], {}, {}, {}};
    if (kind.needsSegments()) {
      auto read = [&](bool isQuery, Value index) {
        return toIndex(b, loc,
                       extractBroadcast(b, loc,
                                        getAxis(input, isQuery).segments,
                                        {at[0], index}));
      };
      site.querySegment = read(true, at[2]);
      site.keySegment = read(false, at[3]);
    }
    if (prefix) {
      site.prefix = toIndex(b, loc, extractBroadcast(b, loc, prefix, at[0]));
    }
    return kind.buildPredicate(b, loc, site);
  });
  op.replaceAllUsesWith(result);
  op.erase();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct DesugarPass : attn::impl::DesugarPassBase<DesugarPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(verifyResolvedScores(getOperation()))) {
      return signalPassFailure();
    }
    SmallVector<Operation *> composed;
    getOperation().walk([&](Operation *op) {
      if (isa<SoftmaxOp, MaskOp, ReduceOp, ReduceHeadsOp>(op)) {
        composed.push_back(op);
      }
    });
    for (Operation *op : composed) {
      if (auto mask = dyn_cast<MaskOp>(op)) {
        if (mask.getNamedMask()) {
          desugarMask(mask);
        }
      } else if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
        desugarSoftmax(softmax);
      } else if (auto heads = dyn_cast<ReduceHeadsOp>(op)) {
        desugarReduceHeads(heads);
      } else {
        desugarReduce(cast<ReduceOp>(op));
      }
    }
  }
};
} // namespace
