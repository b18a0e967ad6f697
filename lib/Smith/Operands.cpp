//===- Operands.cpp - where operands come from ----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Queries, keys and values as arguments, as results of earlier ops, as virtual
// tensors, and out of the ordinary tensor ops that programs have around
// attention.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/SelectionOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "Families.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

Tensor smith::makeTensor(const Request &request, Value value, double bound,
                         bool exact) {
  Tensor tensor;
  tensor.value = value;
  tensor.shape = request.getShape();
  tensor.bound = bound;
  tensor.exact = exact;
  return tensor;
}

Tensor smith::storePlain(Program &p, const Request &request) {
  return p.numbers(request.prefix, request.getShape(), request.element);
}

Tensor smith::storeNonFinite(Program &p, const Request &request) {
  const char *init = p.choose({"nan-row", "inf-row", "neg-inf-row"});
  return p.argument(request.prefix, request.getShape(), request.element, init);
}

Tensor smith::storeKnown(Program &p, const Request &request) {
  SmallVector<const Tensor *> known;
  SmallVector<DimRef> shape = request.getShape();
  for (const Tensor &tensor : p.tensors) {
    if (ArrayRef(tensor.shape) == ArrayRef(shape) &&
        tensor.getElement() == request.element && tensor.bound < 100.0) {
      known.push_back(&tensor);
    }
  }
  return known.empty() ? Tensor() : *p.chooseFrom(known);
}

Tensor smith::storeRope(Program &p, const Request &request) {
  int64_t width = request.features->size;
  if (width < 2) {
    return {};
  }
  Tensor input = storePlain(p, request);
  int64_t rotary = width / 2 * 2;
  if (p.chance(0.4) || rotary != width) {
    rotary = 2 + 2 * p.below(width / 2);
  }
  auto pairing = p.choose({RopePairing::Half, RopePairing::Interleaved});
  DimRef batch = p.orOne(request.batch);
  Value positions, cos, sin;
  if (p.chance(0.7)) {
    positions = p.integers("positions", {batch, request.length},
                           p.choose({"positions(1)", "positions(4)"}))
                    .value;
  } else {
    SmallVector<DimRef> shape{batch, request.length, p.constant(rotary / 2)};
    cos = p.argument("cos", shape, p.accumulation, "uniform(1)").value;
    sin = p.argument("sin", shape, p.accumulation, "uniform(1)").value;
  }
  Value rotated =
      RopeOp::create(p.e, input.value.getType(), input.value, positions, cos,
                     sin, RopePairingAttr::get(p.e.getContext(), pairing),
                     p.e.getF64FloatAttr(p.choose({10000.0, 100.0})),
                     p.e.getI64IntegerAttr(rotary == width ? 0 : rotary));
  return makeTensor(request, rotated, 1.5 * input.bound);
}

Tensor smith::storeHadamard(Program &p, const Request &request) {
  if (!llvm::isPowerOf2_64(static_cast<uint64_t>(request.features->size))) {
    return {};
  }
  Tensor input = storePlain(p, request);
  return makeTensor(request,
                    HadamardOp::create(p.e, input.value.getType(), input.value),
                    1.5 * input.bound);
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

/// Arithmetic on a row, or on an element.
static Value drawViewArithmetic(Program &p, Emit &e, Value x, Value y) {
  Type type = x.getType();
  switch (p.below(5)) {
  case 0:
    return arith::NegFOp::create(e, x);
  case 1:
    return arith::AddFOp::create(e, x, y);
  case 2:
    return arith::MulFOp::create(e, x, y);
  case 3:
    return math::TanhOp::create(e, x);
  default:
    return arith::MulFOp::create(e, x, e.constant(type, 0.5));
  }
}

Tensor smith::storeView(Program &p, const Request &request) {
  bool isRows = p.chance(0.6);
  // The stored tensor may be narrower.
  Type stored = request.element.isF32() && p.chance(0.4)
                    ? Type(p.e.getF16Type())
                    : request.element;
  Tensor source = p.numbers(request.prefix, request.getShape(), stored);
  Tensor other = p.numbers(
      "other", {p.constant(1), request.heads, request.length, request.features},
      stored);
  RankedTensorType type = p.tensorType(request.getShape(), request.element);
  int64_t width = request.features->size;
  auto body = [&](OpBuilder &builder, ValueRange at) -> Value {
    Emit e(p.e.getLoc(), builder);
    auto read = [&](const Tensor &tensor, bool isFirst) -> Value {
      SmallVector<Value> place(at);
      place[0] = isFirst ? at[0] : e.index(0);
      Value value =
          isRows ? Value(AtOp::create(e, VectorType::get({width}, stored),
                                      tensor.value, place))
                 : Value(tensor::ExtractOp::create(e, tensor.value, place));
      return convertFloat(e, e.getLoc(), value, request.element);
    };
    Value x = read(source, true);
    return drawViewArithmetic(p, e, x, read(other, false));
  };
  Value view = ViewOp::create(p.e, type, p.dynamicExtents(request.getShape()),
                              isRows, body);
  return makeTensor(request, view,
                    std::max(source.bound, 1.0) * std::max(other.bound, 1.0));
}

//===----------------------------------------------------------------------===//
// Out of ordinary tensor ops
//===----------------------------------------------------------------------===//

Tensor smith::storeGather(Program &p, const Request &request) {
  DimRef length = p.dim("S");
  Request whole = request;
  whole.length = length;
  Tensor source = storePlain(p, whole);
  bool isBatched = p.chance(0.5);
  SmallVector<DimRef> places{request.length};
  if (isBatched) {
    places.insert(places.begin(), request.batch);
  }
  Tensor indices = p.integers(
      "at", places, "range(-1, " + std::to_string(length->size) + ")");
  Value gathered = GatherOp::create(
      p.e, p.tensorType(request.getShape(), request.element), source.value,
      indices.value, /*dim=*/2, /*batch=*/isBatched ? 1 : 0, /*along=*/false,
      TypedAttr());
  return makeTensor(request, gathered, source.bound, source.exact);
}

Tensor smith::storeSlice(Program &p, const Request &request) {
  int64_t before = p.below(4), after = p.below(3);
  DimRef length = p.dim("S", request.length->size + before + after,
                        request.length->isStatic);
  Request whole = request;
  whole.length = length;
  Tensor source = storePlain(p, whole);
  SmallVector<OpFoldResult> offsets(4, p.e.getIndexAttr(0)), sizes,
      strides(4, p.e.getIndexAttr(1));
  offsets[2] = p.e.getIndexAttr(before);
  for (DimRef dim : request.getShape()) {
    sizes.push_back(dim->isStatic ? OpFoldResult(p.e.getIndexAttr(dim->size))
                                  : OpFoldResult(p.extent(dim)));
  }
  Value slice = tensor::ExtractSliceOp::create(
      p.e, p.tensorType(request.getShape(), request.element), source.value,
      offsets, sizes, strides);
  return makeTensor(request, slice, source.bound, source.exact);
}

Tensor smith::storeTransposed(Program &p, const Request &request) {
  SmallVector<DimRef> tokens{request.batch, request.length, request.heads,
                             request.features};
  Tensor source;
  if (p.chance(0.5)) { // heads and features in one dimension
    DimRef model = p.constant(request.heads->size * request.features->size);
    source = p.numbers(request.prefix, {request.batch, request.length, model},
                       request.element);
    SmallVector<ReassociationIndices> groups{{0}, {1}, {2, 3}};
    SmallVector<OpFoldResult> shape;
    for (DimRef dim : tokens) {
      shape.push_back(dim->isStatic ? OpFoldResult(p.e.getIndexAttr(dim->size))
                                    : OpFoldResult(p.extent(dim)));
    }
    source.value = tensor::ExpandShapeOp::create(
        p.e, p.tensorType(tokens, request.element), source.value, groups,
        shape);
  } else {
    source = p.numbers(request.prefix, tokens, request.element);
  }
  SmallVector<DimRef> shape = request.getShape();
  Value empty = tensor::EmptyOp::create(
      p.e, p.tensorType(shape, request.element), p.dynamicExtents(shape));
  int64_t permutation[] = {0, 2, 1, 3};
  Value transposed =
      linalg::TransposeOp::create(p.e, source.value, empty, permutation)
          ->getResult(0);
  return makeTensor(request, transposed, source.bound, source.exact);
}

Tensor smith::storeProjection(Program &p, const Request &request) {
  DimRef model = p.constant(p.choose<int64_t>({1, 6, 16, 24}));
  Request whole = request;
  whole.features = model;
  Tensor source = storePlain(p, whole);
  Tensor weights = p.argument("weights", {model, request.features},
                              request.element, "normal(0.25)");
  Value init = p.filled(request.getShape(), p.accumulation, 0.0);
  MLIRContext *context = p.e.getContext();
  SmallVector<AffineExpr> d;
  for (unsigned k = 0; k < 5; ++k) {
    d.push_back(getAffineDimExpr(k, context));
  }
  SmallVector<AffineMap> maps{
      AffineMap::get(5, 0, {d[0], d[1], d[2], d[4]}, context),
      AffineMap::get(5, 0, {d[4], d[3]}, context),
      AffineMap::get(5, 0, {d[0], d[1], d[2], d[3]}, context)};
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  Value projected =
      linalg::GenericOp::create(
          p.e, init.getType(), ValueRange{source.value, weights.value}, init,
          maps, iterators,
          [&](OpBuilder &builder, Location loc, ValueRange args) {
            Value x = convertFloat(builder, loc, args[0], p.accumulation);
            Value w = convertFloat(builder, loc, args[1], p.accumulation);
            Value product = arith::MulFOp::create(builder, loc, x, w);
            Value sum = arith::AddFOp::create(builder, loc, args[2], product);
            linalg::YieldOp::create(builder, loc, sum);
          })
          .getResult(0);
  if (request.element != p.accumulation) { // arithmetic on whole tensors
    Type type = p.tensorType(request.getShape(), request.element);
    bool isWider = request.element.getIntOrFloatBitWidth() >
                   p.accumulation.getIntOrFloatBitWidth();
    projected = isWider ? Value(arith::ExtFOp::create(p.e, type, projected))
                        : Value(arith::TruncFOp::create(p.e, type, projected));
  }
  return makeTensor(request, projected,
                    source.bound * std::sqrt(static_cast<double>(model->size)));
}
