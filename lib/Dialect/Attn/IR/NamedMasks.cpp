//===- NamedMasks.cpp - predicates of the named masks -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NamedMasks.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;
using namespace mlir::attn;

namespace {
/// Index arithmetic in a row.
struct Index {
  OpBuilder &b;
  Location loc;

  Value constant(int64_t c) {
    return arith::ConstantIndexOp::create(b, loc, c);
  }
  Value add(Value x, int64_t c) {
    return c == 0 ? x : arith::AddIOp::create(b, loc, x, constant(c));
  }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value div(Value x, int64_t c) {
    return c == 1 ? x : arith::DivSIOp::create(b, loc, x, constant(c));
  }
  Value rem(Value x, int64_t c) {
    return c == 1 ? constant(0)
                  : arith::RemSIOp::create(b, loc, x, constant(c));
  }
  Value cmp(arith::CmpIPredicate p, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, p, x, y);
  }
  Value le(Value x, Value y) { return cmp(arith::CmpIPredicate::sle, x, y); }
  Value lt(Value x, Value y) { return cmp(arith::CmpIPredicate::slt, x, y); }
  Value eq(Value x, Value y) { return cmp(arith::CmpIPredicate::eq, x, y); }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, loc, x, y); }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
  Value max(Value x, Value y) { return arith::MaxSIOp::create(b, loc, x, y); }
  Value min(Value x, Value y) { return arith::MinSIOp::create(b, loc, x, y); }
};
} // namespace

using EmitError = function_ref<InFlightDiagnostic()>;

/// Distances stay below this, so that adding one to a position cannot wrap.
constexpr int64_t kMaxDistance = int64_t(1) << 62;

Value CausalMaskAttr::buildPredicate(OpBuilder &builder, Location loc,
                                     const MaskSite &site) const {
  return Index{builder, loc}.le(site.keyPosition, site.queryPosition);
}

LogicalResult WindowMaskAttr::verify(EmitError emitError, int64_t left,
                                     int64_t right) {
  if (left < 0 || right < 0) {
    return emitError() << "window: left and right are at least 0, got " << left
                       << " and " << right;
  }
  if (left > kMaxDistance || right > kMaxDistance) {
    return emitError() << "window: left and right are at most 2^62, got "
                       << left << " and " << right;
  }
  return success();
}
Value WindowMaskAttr::buildPredicate(OpBuilder &builder, Location loc,
                                     const MaskSite &site) const {
  Index x{builder, loc};
  Value first = x.add(site.queryPosition, -getLeft());
  Value last = x.add(site.queryPosition, getRight());
  return x.both(x.le(first, site.keyPosition), x.le(site.keyPosition, last));
}

Value PrefixMaskAttr::buildPredicate(OpBuilder &builder, Location loc,
                                     const MaskSite &site) const {
  Index x{builder, loc};
  return x.either(x.le(site.keyPosition, site.queryPosition),
                  x.lt(site.keyPosition, site.prefix));
}

Value DocumentMaskAttr::buildPredicate(OpBuilder &builder, Location loc,
                                       const MaskSite &site) const {
  return Index{builder, loc}.eq(site.keySegment, site.querySegment);
}
bool DocumentMaskAttr::comparesPositions() const { return false; }
bool DocumentMaskAttr::needsSegments() const { return true; }
bool PrefixMaskAttr::takesPrefix() const { return true; }

LogicalResult DilatedMaskAttr::verify(EmitError emitError, int64_t window,
                                      int64_t dilation) {
  if (window < 1 || dilation < 1) {
    return emitError() << "dilated: window and dilation are at least 1, got "
                       << window << " and " << dilation;
  }
  if (window > kMaxDistance / dilation) {
    return emitError() << "dilated: window * dilation is at most 2^62, got "
                       << window << " * " << dilation;
  }
  return success();
}
Value DilatedMaskAttr::buildPredicate(OpBuilder &builder, Location loc,
                                      const MaskSite &site) const {
  Index x{builder, loc};
  Value distance = x.sub(site.queryPosition, site.keyPosition);
  Value inside =
      x.both(x.le(site.keyPosition, site.queryPosition),
             x.lt(distance, x.constant(getWindow() * getDilation())));
  return x.both(inside, x.eq(x.rem(distance, getDilation()), x.constant(0)));
}

LogicalResult ChunkedMaskAttr::verify(EmitError emitError, int64_t size) {
  if (size < 1) {
    return emitError() << "chunked: size is at least 1, got " << size;
  }
  return success();
}
Value ChunkedMaskAttr::buildPredicate(OpBuilder &builder, Location loc,
                                      const MaskSite &site) const {
  Index x{builder, loc};
  Value same = x.eq(x.div(site.queryPosition, getSize()),
                    x.div(site.keyPosition, getSize()));
  return x.both(x.le(site.keyPosition, site.queryPosition), same);
}

LogicalResult NeighborhoodMaskAttr::verify(EmitError emitError,
                                           ArrayRef<int64_t> shape,
                                           ArrayRef<int64_t> window,
                                           ArrayRef<int64_t> dilation,
                                           ArrayRef<int64_t> causal) {
  size_t axes = shape.size();
  if (axes < 1 || axes > 3 || window.size() != axes ||
      (!dilation.empty() && dilation.size() != axes) ||
      (!causal.empty() && causal.size() != axes)) {
    return emitError() << "neighborhood: shape has 1 to 3 axes, and window, "
                          "dilation and causal as many";
  }
  for (size_t a = 0; a < axes; ++a) {
    int64_t d = dilation.empty() ? 1 : dilation[a];
    if (shape[a] < 1 || window[a] < 1 || d < 1 || window[a] > shape[a] / d) {
      return emitError() << "neighborhood: 1 <= window * dilation <= extent, "
                            "got "
                         << window[a] << " * " << d << " on axis " << a
                         << " of extent " << shape[a];
    }
    if (!causal.empty() && causal[a] != 0 && causal[a] != 1) {
      return emitError() << "neighborhood: causal is 0 or 1, got " << causal[a];
    }
  }
  return success();
}

/// One axis: query coordinate i, key coordinate j, extent n, window w.
static Value visibleOnAxis(Index x, Value i, Value j, int64_t n, int64_t w,
                           int64_t d, bool causal) {
  Value u = x.div(i, d), s = x.div(j, d);
  Value visible;
  if (causal) {
    visible = x.both(x.le(s, u), x.lt(u, x.add(s, w)));
  } else {
    // The window starts at clamp(u - w div 2, 0, length - w), where length is
    // that of the residue class of i: (n - i mod d + d - 1) div d.
    Value group = x.rem(i, d);
    Value room = x.sub(x.constant(n + d - 1), group);
    Value last = x.add(x.div(room, d), -w);
    Value first = x.min(x.max(x.add(u, -(w / 2)), x.constant(0)), last);
    visible = x.both(x.le(first, s), x.lt(s, x.add(first, w)));
  }
  if (d == 1) {
    return visible;
  }
  return x.both(visible, x.eq(x.rem(i, d), x.rem(j, d)));
}

Value NeighborhoodMaskAttr::buildPredicate(OpBuilder &builder, Location loc,
                                           const MaskSite &site) const {
  Index x{builder, loc};
  Value i = site.queryPosition, j = site.keyPosition, visible;
  for (size_t a = getShape().size(); a-- > 0;) {
    int64_t n = getShape()[a];
    // The first axis is what remains; the others are peeled from the right.
    Value ia = a == 0 ? i : x.rem(i, n), ja = a == 0 ? j : x.rem(j, n);
    Value axis = visibleOnAxis(x, ia, ja, n, getWindow()[a],
                               getDilation().empty() ? 1 : getDilation()[a],
                               !getCausal().empty() && getCausal()[a]);
    visible = visible ? x.both(axis, visible) : axis;
    i = x.div(i, n);
    j = x.div(j, n);
  }
  return visible;
}

//===----------------------------------------------------------------------===//
// Syntax: `attn.mask %s causal`, `attn.mask %s window<left = 3, right = 0>`
//===----------------------------------------------------------------------===//

namespace {
template <typename... Ts> struct MaskList {};
/// Every named mask; a new one is added here.
using AllMasks =
    MaskList<CausalMaskAttr, WindowMaskAttr, PrefixMaskAttr, DocumentMaskAttr,
             DilatedMaskAttr, ChunkedMaskAttr, NeighborhoodMaskAttr>;
} // namespace

template <typename T>
static bool tryParse(AsmParser &parser, StringRef name, Attribute &result) {
  if (name != T::getMnemonic()) {
    return false;
  }
  if constexpr (requires { T::parse(parser, Type()); }) {
    result = T::parse(parser, Type());
  } else {
    result = T::get(parser.getContext());
  }
  return true;
}

template <typename... Ts>
static bool tryParseAny(MaskList<Ts...>, AsmParser &parser, StringRef name,
                        Attribute &result) {
  return (tryParse<Ts>(parser, name, result) || ...);
}

template <typename T>
static bool tryPrint(AsmPrinter &printer, Attribute mask) {
  auto typed = dyn_cast<T>(mask);
  if (!typed) {
    return false;
  }
  printer << T::getMnemonic();
  if constexpr (requires { typed.print(printer); }) {
    typed.print(printer);
  }
  return true;
}

template <typename... Ts>
static bool tryPrintAny(MaskList<Ts...>, AsmPrinter &printer, Attribute mask) {
  return (tryPrint<Ts>(printer, mask) || ...);
}

Attribute mlir::attn::parseNamedMask(AsmParser &parser, StringRef name,
                                     SMLoc loc) {
  Attribute result;
  if (!tryParseAny(AllMasks{}, parser, name, result)) {
    parser.emitError(loc) << "unknown mask '" << name << "'";
  }
  return result;
}

void mlir::attn::printNamedMask(AsmPrinter &printer, Attribute mask) {
  if (!tryPrintAny(AllMasks{}, printer, mask)) {
    printer << mask;
  }
}
