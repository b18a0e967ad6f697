//===- Caches.cpp - operands as caches store them -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "Families.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

//===----------------------------------------------------------------------===//
// Quantisation
//===----------------------------------------------------------------------===//

static QuantAttr drawScheme(Program &p, const Request &request) {
  int64_t width = request.features->size;
  SmallVector<Type> types{p.e.getIntegerType(8), p.e.getIntegerType(8),
                          Float8E4M3FNType::get(p.e.getContext()),
                          Float8E5M2Type::get(p.e.getContext())};
  if (width % 2 == 0) {
    types.push_back(p.e.getIntegerType(4));
  }
  if (width % 4 == 0) {
    types.push_back(p.e.getIntegerType(2));
  }
  Type type = p.chooseFrom(types);
  auto axis =
      p.choose({QuantAxis::Token, QuantAxis::Channel, QuantAxis::Tensor});
  int64_t group = 0;
  if (axis == QuantAxis::Token && width % 4 == 0 && p.chance(0.3)) {
    group = 4;
  }
  if (axis == QuantAxis::Channel && p.chance(0.3)) {
    group = p.choose<int64_t>({1, 8, 32});
  }
  auto zero =
      isa<FloatType>(type)
          ? QuantZero::None
          : p.choose({QuantZero::None, QuantZero::Point, QuantZero::Offset});
  auto rounding =
      p.choose({QuantRounding::NearestEven, QuantRounding::HalfAway});
  return QuantAttr::get(p.e.getContext(), type, axis, group, zero, rounding, 1);
}

static DimRef codeFeatures(Program &p, const Request &request,
                           QuantAttr scheme) {
  return scheme.isPacked()
             ? p.constant(request.features->size / scheme.getCodesPerByte())
             : request.features;
}

static Type getCodeType(Program &p, QuantAttr scheme) {
  return scheme.isFloat() ? scheme.getType() : Type(p.e.getI8Type());
}

/// The dimensions of scales and zeros.
static SmallVector<DimRef> scaleShape(Program &p, const Request &request,
                                      QuantAttr scheme) {
  int64_t group = scheme.getGroup();
  switch (scheme.getAxis()) {
  case QuantAxis::Tensor:
    return SmallVector<DimRef>(4, p.constant(1));
  case QuantAxis::Token:
    return {request.batch, request.heads, request.length,
            p.constant(group ? request.features->size / group : 1)};
  case QuantAxis::Channel: {
    int64_t length = request.length->size;
    int64_t groups = group ? (length + group - 1) / group : 1;
    DimRef dim = !group || request.length->isStatic
                     ? p.constant(groups)
                     : p.dim("groups", groups, false);
    return {request.batch, request.heads, dim, request.features};
  }
  }
  llvm_unreachable("all axes are handled");
}

Tensor smith::storeDequantized(Program &p, const Request &request) {
  if (!request.element.isF32() && !request.element.isF64()) {
    return {};
  }
  QuantAttr scheme = drawScheme(p, request);
  SmallVector<DimRef> codes{request.batch, request.heads, request.length,
                            codeFeatures(p, request, scheme)};
  Tensor stored =
      p.argument(std::string("codes"), codes, getCodeType(p, scheme));
  SmallVector<DimRef> scales = scaleShape(p, request, scheme);
  double largest = scheme.isFloat() ? 4.0 : scheme.getLargest() + 1.0;
  Type type = p.chance(0.8) ? p.accumulation : Type(p.e.getF16Type());
  std::string init = "positive(" + std::to_string(2.0 / largest) + ")";
  Tensor scale = p.argument("scales", scales, type, init);
  Value zeros;
  if (scheme.hasZeros()) {
    zeros = p.argument("zeros", scales, type,
                       scheme.getZero() == QuantZero::Point ? "constant(3)"
                                                            : "normal(0.5)")
                .value;
  }
  Value numbers = DequantizeOp::create(
      p.e, p.tensorType(request.getShape(), request.element), stored.value,
      scale.value, zeros, scheme);
  return makeTensor(request, numbers, 4.0);
}

Tensor smith::storeQuantized(Program &p, const Request &request) {
  if (!request.element.isF32() && !request.element.isF64()) {
    return {};
  }
  QuantAttr scheme = drawScheme(p, request);
  Tensor input = p.numbers(request.prefix, request.getShape(), request.element);
  SmallVector<DimRef> codes{request.batch, request.heads, request.length,
                            codeFeatures(p, request, scheme)};
  Type scales = p.tensorType(scaleShape(p, request, scheme), request.element);
  auto quantized = QuantizeOp::create(
      p.e, p.tensorType(codes, getCodeType(p, scheme)), scales,
      scheme.hasZeros() ? scales : Type(), input.value, scheme);
  Value numbers = DequantizeOp::create(
      p.e, p.tensorType(request.getShape(), request.element),
      quantized.getCodes(), quantized.getScales(), quantized.getZeros(),
      scheme);
  return makeTensor(request, numbers, input.bound);
}

//===----------------------------------------------------------------------===//
// Pages and appends
//===----------------------------------------------------------------------===//

Tensor smith::storePaged(Program &p, const Request &request) {
  int64_t length = request.length->size;
  int64_t page = p.choose<int64_t>({1, 4, 8, 16});
  if (request.length->isStatic && length % page) {
    page = 1;
  }
  bool slotsFirst = p.chance(0.3);
  DimRef pages = p.dim("pages", 1 + p.below(9), false);
  DimRef slots = p.constant(page);
  SmallVector<DimRef> shape{pages, request.heads, slots, request.features};
  if (slotsFirst) {
    std::swap(shape[1], shape[2]);
  }
  Tensor pool = p.numbers("pool", shape, request.element);
  int64_t count = (length + page - 1) / page;
  DimRef columns = request.length->isStatic ? p.constant(count)
                                            : p.dim("maxpages", count, false);
  Tensor table = p.integers("table", {request.batch, columns},
                            "table(" + std::to_string(pages->size) + ")");
  Value extent;
  if (!request.length->isStatic) {
    extent = p.extent(request.length);
  }
  Value view = PagedOp::create(
      p.e, p.tensorType(request.getShape(), request.element), pool.value,
      table.value, extent,
      slotsFirst ? PoolLayout::SlotsFirst : PoolLayout::HeadsFirst);
  return makeTensor(request, view, pool.bound, pool.exact);
}

Tensor smith::storeAppended(Program &p, const Request &request) {
  if (p.isNested) {
    return {};
  }
  Tensor cache = storePlain(p, request);
  p.setWritable(cache.value);
  int64_t count = p.choose<int64_t>({1, 1, 3});
  Request added = request;
  added.length = p.constant(count);
  added.prefix = "new";
  Tensor rows = storePlain(p, added);
  Value at;
  if (p.chance(0.5)) {
    at = p.scalar("at", p.below(std::max<int64_t>(request.length->size, 1)));
  } else {
    at = p.integers("at", {p.orOne(request.batch)},
                    "range(0, " + std::to_string(request.length->size) + ")")
             .value;
  }
  Value appended = AppendOp::create(p.e, cache.value.getType(), cache.value,
                                    rows.value, at, Value());
  Tensor result =
      makeTensor(request, appended, std::max(cache.bound, rows.bound),
                 cache.exact && rows.exact);
  if (p.chance(0.3)) {
    p.results.push_back(appended);
  }
  return result;
}
