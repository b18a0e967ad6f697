//===- ExpandStorage.cpp - pages, codes and rotations as views ------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each op that computes tokens from tokens becomes an attn.view, the one form
// that streams evaluate on load:
//
//   %k = attn.dequantize %q, %s scheme(<type = i8, axis = token>)
// becomes
//   %k = attn.view (%b, %g, %j) sizes(%n) {
//     %c = attn.at %q[%b, %g, %j] : ... -> vector<64xi8>
//     %x = arith.sitofp %c ...
//     %y = arith.mulf %x, splat(%s[%b, %g, %j, 0])
//     attn.yield %y }
//
// Views of views compose when they are read, so that any stack of these ops is
// one row program.
//
//===----------------------------------------------------------------------===//

#include "Storage.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

namespace mlir::attn {
#define GEN_PASS_DEF_EXPANDSTORAGEPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Writing rows
//===----------------------------------------------------------------------===//

Value RowWriter::toIndex(Value integer) {
  if (integer.getType().isIndex()) {
    return integer;
  }
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), integer);
}

Value RowWriter::row(Value tensor, ValueRange indices) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return AtOp::create(
      b, loc, VectorType::get(type.getShape().back(), type.getElementType()),
      tensor, indices);
}

Value RowWriter::splat(Value scalar, int64_t length) {
  return vector::BroadcastOp::create(
      b, loc, VectorType::get(length, scalar.getType()), scalar);
}

static TypedAttr splatAttr(Type type, TypedAttr value) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? DenseElementsAttr::get(vector, value) : value;
}

Value RowWriter::constant(Type type, double value) {
  return arith::ConstantOp::create(
      b, loc,
      splatAttr(type, b.getFloatAttr(getElementTypeOrSelf(type), value)));
}

Value RowWriter::constantInt(Type type, int64_t value) {
  return arith::ConstantOp::create(
      b, loc,
      splatAttr(type, b.getIntegerAttr(getElementTypeOrSelf(type), value)));
}

Value RowWriter::shuffle(Value x, Value y, int64_t length,
                         function_ref<int64_t(int64_t)> source) {
  SmallVector<int64_t> mask;
  for (int64_t d = 0; d < length; ++d) {
    mask.push_back(source(d));
  }
  return vector::ShuffleOp::create(b, loc, x, y, mask);
}

static Value getExtent(OpBuilder &builder, Location loc, Value tensor,
                       int64_t dim) {
  if (auto view = tensor.getDefiningOp<ViewOp>()) {
    if (auto size = dyn_cast<Value>(view.getExtent(dim))) {
      return size;
    }
  }
  return tensor::DimOp::create(builder, loc, tensor, dim);
}

SmallVector<Value> mlir::attn::getDynamicExtents(OpBuilder &builder,
                                                 Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Value> sizes;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    if (type.isDynamicDim(dim)) {
      sizes.push_back(getExtent(builder, tensor.getLoc(), tensor, dim));
    }
  }
  return sizes;
}

/// Replaces `op` by a view of its type that computes rows.
static void replaceByView(Operation *op, ValueRange sizes,
                          function_ref<Value(RowWriter &, ValueRange)> body) {
  OpBuilder builder(op);
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  auto view = ViewOp::create(builder, op->getLoc(), type, sizes, /*rows=*/true,
                             [&](OpBuilder &inner, ValueRange at) {
                               RowWriter writer{inner, op->getLoc()};
                               return body(writer, at);
                             });
  op->getResult(0).replaceAllUsesWith(view.getResult());
  op->erase();
}

/// Index 0 where the tensor has one batch element for all.
static Value batchOf(RowWriter &w, Value tensor, Value b) {
  bool one = cast<RankedTensorType>(tensor.getType()).getDimSize(0) == 1;
  return one ? w.index(0) : b;
}

//===----------------------------------------------------------------------===//
// Pages and codes
//===----------------------------------------------------------------------===//

static void expandPaged(PagedOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  int64_t slots = op.getPageSize();
  RankedTensorType type = op.getResult().getType();
  Value pool = op.getPool(), table = op.getTable();
  SmallVector<Value> sizes;
  if (type.isDynamicDim(0)) {
    sizes.push_back(getExtent(builder, loc, table, 0));
  }
  if (type.isDynamicDim(2)) {
    // Not more than there are pages for, whatever the program says.
    Value keys = arith::MulIOp::create(
        builder, loc, getExtent(builder, loc, table, 1),
        arith::ConstantIndexOp::create(builder, loc, slots));
    if (Value given = op.getExtent()) {
      Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
      given = arith::MaxSIOp::create(builder, loc, given, zero);
      keys = arith::MinSIOp::create(builder, loc, given, keys);
    }
    sizes.push_back(keys);
  }
  bool headsFirst = op.getLayout() == PoolLayout::HeadsFirst;
  replaceByView(op, sizes, [&](RowWriter &w, ValueRange at) {
    Value size = w.index(slots);
    Value block = arith::DivUIOp::create(w.b, loc, at[2], size);
    Value slot = arith::RemUIOp::create(w.b, loc, at[2], size);
    Value page = w.toIndex(w.element(table, {at[0], block}));
    return headsFirst ? w.row(pool, {page, at[1], slot})
                      : w.row(pool, {page, slot, at[1]});
  });
}

/// The scale or zero of every feature of row `at`.
static Value readScales(RowWriter &w, QuantAttr scheme, Value scales,
                        ValueRange at, int64_t features, Type element) {
  Value zero = w.index(0);
  int64_t group = scheme.getGroup();
  switch (scheme.getAxis()) {
  case QuantAxis::Tensor:
    return w.splat(
        w.convert(w.element(scales, {zero, zero, zero, zero}), element),
        features);
  case QuantAxis::Token: {
    if (group == 0 || group == features) {
      return w.splat(
          w.convert(w.element(scales, {at[0], at[1], at[2], zero}), element),
          features);
    }
    Value row = w.convert(w.row(scales, at), element);
    return w.shuffle(row, row, features, [&](int64_t d) { return d / group; });
  }
  case QuantAxis::Channel: {
    Value token = zero;
    if (group) {
      token = arith::DivUIOp::create(w.b, w.loc, at[2], w.index(group));
    }
    return w.convert(w.row(scales, {at[0], at[1], token}), element);
  }
  }
  llvm_unreachable("all axes are handled");
}

static void expandDequantize(DequantizeOp op) {
  OpBuilder builder(op);
  QuantAttr scheme = op.getScheme();
  RankedTensorType type = op.getResult().getType();
  Type element = type.getElementType();
  int64_t features = type.getDimSize(3);
  // Dynamic extents other than that of the features are those of the codes.
  SmallVector<Value> sizes;
  for (int64_t dim = 0; dim < 3; ++dim) {
    if (type.isDynamicDim(dim)) {
      sizes.push_back(getExtent(builder, op.getLoc(), op.getCodes(), dim));
    }
  }
  replaceByView(op, sizes, [&](RowWriter &w, ValueRange at) -> Value {
    Value codes = w.row(op.getCodes(), at);
    Value x = decodeRow(w, scheme, codes, features, element);
    Value scale = readScales(w, scheme, op.getScales(), at, features, element);
    if (!scheme.hasZeros()) {
      return arith::MulFOp::create(w.b, w.loc, x, scale);
    }
    Value zero = readScales(w, scheme, op.getZeros(), at, features, element);
    if (scheme.getZero() == QuantZero::Point) {
      x = arith::SubFOp::create(w.b, w.loc, x, zero);
      return arith::MulFOp::create(w.b, w.loc, x, scale);
    }
    x = arith::MulFOp::create(w.b, w.loc, x, scale);
    return arith::AddFOp::create(w.b, w.loc, x, zero);
  });
}

//===----------------------------------------------------------------------===//
// Rotations
//===----------------------------------------------------------------------===//

/// cos and sin of position * base^(-2 k / R) as tensors [B or 1, L, R / 2]; the
/// angles are computed in f64.
static std::pair<Value, Value> tabulateAngles(RopeOp op, Type element) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  int64_t pairs = op.getRotaryExtent() / 2;
  double base = op.getBase().convertToDouble();
  SmallVector<double> rates;
  for (int64_t k = 0; k < pairs; ++k) {
    rates.push_back(std::pow(base, -static_cast<double>(k) / pairs));
  }
  Type f64 = builder.getF64Type();
  Value rate = arith::ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(RankedTensorType::get({pairs}, f64),
                             ArrayRef<double>(rates)));
  Value positions = op.getPositions();
  auto shape = cast<RankedTensorType>(positions.getType()).getShape();
  Value init = tensor::EmptyOp::create(
      builder, loc, SmallVector<int64_t>{shape[0], shape[1], pairs}, element,
      getDynamicExtents(builder, positions));
  MLIRContext *context = builder.getContext();
  auto dims = [&](ArrayRef<unsigned> targets) {
    return AffineMap::getMultiDimMapWithTargets(3, targets, context);
  };
  AffineMap all = builder.getMultiDimIdentityMap(3);
  auto table = linalg::GenericOp::create(
      builder, loc, TypeRange{init.getType(), init.getType()},
      ValueRange{positions, rate}, ValueRange{init, init},
      ArrayRef<AffineMap>{dims({0, 1}), dims({2}), all, all},
      SmallVector<utils::IteratorType>(3, utils::IteratorType::parallel),
      [&](OpBuilder &b, Location l, ValueRange args) {
        Value position = args[0];
        if (position.getType().isIndex()) {
          position = arith::IndexCastOp::create(b, l, b.getI64Type(), position);
        }
        position = arith::SIToFPOp::create(b, l, f64, position);
        Value angle = arith::MulFOp::create(b, l, position, args[1]);
        Value cosine = math::CosOp::create(b, l, angle);
        Value sine = math::SinOp::create(b, l, angle);
        linalg::YieldOp::create(b, l,
                                ValueRange{convertFloat(b, l, cosine, element),
                                           convertFloat(b, l, sine, element)});
      });
  return {table.getResult(0), table.getResult(1)};
}

static void expandRope(RopeOp op) {
  RankedTensorType type = op.getInput().getType();
  Type element = getAccumulationType(type.getElementType());
  int64_t features = type.getDimSize(3), rotary = op.getRotaryExtent();
  int64_t half = rotary / 2;
  Value cosines = op.getCos(), sines = op.getSin();
  if (op.getPositions()) {
    std::tie(cosines, sines) = tabulateAngles(op, element);
  }
  bool isHalf = op.getPairing() == RopePairing::Half;
  auto pairOf = [&](int64_t d) { return isHalf ? d % half : d / 2; };
  auto isFirst = [&](int64_t d) { return isHalf ? d < half : d % 2 == 0; };
  auto partner = [&](int64_t d) {
    return isHalf ? (d + half) % rotary : d ^ 1;
  };
  OpBuilder builder(op);
  SmallVector<Value> sizes = getDynamicExtents(builder, op.getInput());
  replaceByView(op, sizes, [&](RowWriter &w, ValueRange at) -> Value {
    Value x = w.convert(w.row(op.getInput(), at), element);
    auto read = [&](Value table) {
      return w.convert(w.row(table, {batchOf(w, table, at[0]), at[2]}),
                       element);
    };
    Value c = read(cosines), s = read(sines);
    Value minus = arith::NegFOp::create(w.b, w.loc, s);
    c = w.shuffle(c, c, rotary, pairOf);
    s = w.shuffle(minus, s, rotary, [&](int64_t d) {
      return isFirst(d) ? pairOf(d) : half + pairOf(d);
    });
    Value whole = rotary == features
                      ? x
                      : w.shuffle(x, x, rotary, [](int64_t d) { return d; });
    Value turned = arith::AddFOp::create(
        w.b, w.loc, arith::MulFOp::create(w.b, w.loc, whole, c),
        arith::MulFOp::create(w.b, w.loc, w.shuffle(x, x, rotary, partner), s));
    if (rotary != features) {
      turned = w.shuffle(turned, x, features, [&](int64_t d) {
        return d < rotary ? d : rotary + d;
      });
    }
    return w.convert(turned, type.getElementType());
  });
}

static void expandHadamard(HadamardOp op) {
  RankedTensorType type = op.getInput().getType();
  Type element = getAccumulationType(type.getElementType());
  int64_t features = type.getShape().back();
  OpBuilder builder(op);
  // One row of signs per stride: 1 for the first of a pair, -1 for the second.
  SmallVector<Attribute> signs;
  int64_t strides = 0;
  for (int64_t stride = 1; stride < features; stride *= 2, ++strides) {
    for (int64_t d = 0; d < features; ++d) {
      signs.push_back(builder.getFloatAttr(element, d & stride ? -1.0 : 1.0));
    }
  }
  Value table;
  if (strides) {
    table = arith::ConstantOp::create(
        builder, op.getLoc(),
        DenseElementsAttr::get(
            RankedTensorType::get({strides, features}, element), signs));
  }
  SmallVector<Value> sizes = getDynamicExtents(builder, op.getInput());
  replaceByView(op, sizes, [&](RowWriter &w, ValueRange at) {
    Value x = w.convert(w.row(op.getInput(), at), element);
    for (int64_t k = 0; k < strides; ++k) {
      Value other = w.shuffle(x, x, features, [&](int64_t d) {
        return d ^ (static_cast<int64_t>(1) << k);
      });
      Value mine =
          arith::MulFOp::create(w.b, w.loc, x, w.row(table, w.index(k)));
      x = arith::AddFOp::create(w.b, w.loc, other, mine);
    }
    Value norm = w.constant(x.getType(), 1.0 / std::sqrt(features));
    x = arith::MulFOp::create(w.b, w.loc, x, norm);
    return w.convert(x, type.getElementType());
  });
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct ExpandStoragePass
    : attn::impl::ExpandStoragePassBase<ExpandStoragePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<PagedOp, DequantizeOp, QuantizeOp, RopeOp, HadamardOp>(op)) {
        ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      llvm::TypeSwitch<Operation *>(op)
          .Case(expandPaged)
          .Case(expandDequantize)
          .Case(expandQuantize)
          .Case(expandRope)
          .Case(expandHadamard);
    }
  }
};
} // namespace
