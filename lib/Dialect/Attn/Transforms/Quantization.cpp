//===- Quantization.cpp - codes from numbers and back ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decoding is row arithmetic that a stream evaluates on load. Encoding stores
// its results, so it is linalg on tensors: one op for scales and zeros, one for
// bytes of codes.
//
// 8-bit floats have no arithmetic of their own here. f8E5M2 is the upper byte
// of an f16; f8E4M3FN has the f16 bits `sign, 0, magnitude << 7` of a number
// 256 times smaller. Both extensions are exact, subnormals included.
//
//===----------------------------------------------------------------------===//

#include "Storage.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <limits>

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// Field `k` of `bits` bits of every byte, extended to the byte.
static Value extractField(RowWriter &w, Value bytes, unsigned bits, unsigned k,
                          bool isSigned) {
  Type type = bytes.getType();
  unsigned left = 8 - bits * (k + 1), right = 8 - bits;
  if (left) {
    bytes = arith::ShLIOp::create(w.b, w.loc, bytes, w.constantInt(type, left));
  }
  Value by = w.constantInt(type, right);
  return isSigned ? arith::ShRSIOp::create(w.b, w.loc, bytes, by).getResult()
                  : arith::ShRUIOp::create(w.b, w.loc, bytes, by).getResult();
}

static Value interleave(RowWriter &w, Value even, Value odd) {
  return vector::InterleaveOp::create(w.b, w.loc, even, odd);
}

static Value decodeFloats(RowWriter &w, Value codes, Type element) {
  Type format = getElementTypeOrSelf(codes.getType());
  if (format.isF64()) { // the same program on f64
    return w.convert(codes, element);
  }
  int64_t length = cast<VectorType>(codes.getType()).getNumElements();
  auto vectorOf = [&](Type type) { return VectorType::get(length, type); };
  Type i16 = vectorOf(w.b.getI16Type());
  Value bytes =
      arith::BitcastOp::create(w.b, w.loc, vectorOf(w.b.getI8Type()), codes);
  Value bits = arith::ExtUIOp::create(w.b, w.loc, i16, bytes);
  auto shifted = [&](Value x, int64_t by) -> Value {
    return arith::ShLIOp::create(w.b, w.loc, x, w.constantInt(i16, by));
  };
  auto masked = [&](Value x, int64_t mask) -> Value {
    return arith::AndIOp::create(w.b, w.loc, x, w.constantInt(i16, mask));
  };
  auto asFloat = [&](Value x) -> Value {
    return w.convert(
        arith::BitcastOp::create(w.b, w.loc, vectorOf(w.b.getF16Type()), x),
        element);
  };
  if (isa<Float8E5M2Type>(format)) {
    return asFloat(shifted(bits, 8));
  }
  Value magnitude = masked(bits, 0x7f);
  Value x = asFloat(arith::OrIOp::create(
      w.b, w.loc, shifted(masked(bits, 0x80), 8), shifted(magnitude, 7)));
  x = arith::MulFOp::create(w.b, w.loc, x, w.constant(x.getType(), 256.0));
  Value isNaN = arith::CmpIOp::create(w.b, w.loc, arith::CmpIPredicate::eq,
                                      magnitude, w.constantInt(i16, 0x7f));
  Value nan = w.constant(x.getType(), std::numeric_limits<double>::quiet_NaN());
  return arith::SelectOp::create(w.b, w.loc, isNaN, nan, x);
}

Value mlir::attn::decodeRow(RowWriter &w, QuantAttr scheme, Value codes,
                            int64_t features, Type element) {
  if (scheme.isFloat()) {
    return decodeFloats(w, codes, element);
  }
  bool isSigned = !scheme.hasZeros();
  auto field = [&](unsigned k) {
    return extractField(w, codes, scheme.getBits(), k, isSigned);
  };
  if (scheme.getBits() == 4) {
    codes = interleave(w, field(0), field(1));
  } else if (scheme.getBits() == 2) {
    codes = interleave(w, interleave(w, field(0), field(2)),
                       interleave(w, field(1), field(3)));
  }
  Type type = VectorType::get(features, element);
  return isSigned
             ? arith::SIToFPOp::create(w.b, w.loc, type, codes).getResult()
             : arith::UIToFPOp::create(w.b, w.loc, type, codes).getResult();
}

//===----------------------------------------------------------------------===//
// Encoding
//===----------------------------------------------------------------------===//

namespace {
class Encoder {
public:
  explicit Encoder(QuantizeOp op)
      : op(op), scheme(op.getScheme()), b(op), loc(op.getLoc()),
        number(getAccumulationType(op.getInput().getType().getElementType())) {}
  void run();

private:
  /// A tensor of `type` whose elements `body` computes from their indices.
  SmallVector<Value>
  generate(TypeRange types, ValueRange extents,
           function_ref<SmallVector<Value>(RowWriter &, ValueRange)> body);
  SmallVector<Value> extentsOf(Value tensor);
  SmallVector<Value> scaleExtents();
  std::pair<Value, Value> reduceGroup(RowWriter &w, ValueRange at);
  SmallVector<Value> makeScales(RowWriter &w, ValueRange at);
  Value quotient(RowWriter &w, ValueRange at);
  Value encodeInteger(RowWriter &w, Value x);
  Value encodeFloat(RowWriter &w, Value x);
  Value read(RowWriter &w, Value tensor, ValueRange at) {
    return w.convert(w.element(tensor, at), number);
  }
  template <typename OpTy> Value make(RowWriter &w, Value x, Value y) {
    return OpTy::create(w.b, w.loc, x, y).getResult();
  }
  Value compare(RowWriter &w, arith::CmpFPredicate p, Value x, Value y) {
    return arith::CmpFOp::create(w.b, w.loc, p, x, y);
  }
  Value select(RowWriter &w, Value c, Value x, Value y) {
    return arith::SelectOp::create(w.b, w.loc, c, x, y);
  }
  Value round(RowWriter &w, Value x) {
    return scheme.getRounding() == QuantRounding::NearestEven
               ? math::RoundEvenOp::create(w.b, w.loc, x).getResult()
               : math::RoundOp::create(w.b, w.loc, x).getResult();
  }

  QuantizeOp op;
  QuantAttr scheme;
  OpBuilder b;
  Location loc;
  Type number;
  Value scales, zeros;
};
} // namespace

SmallVector<Value> Encoder::generate(
    TypeRange types, ValueRange extents,
    function_ref<SmallVector<Value>(RowWriter &, ValueRange)> body) {
  SmallVector<Value> inits;
  for (Type type : types) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<Value> sizes;
    for (auto [dim, extent] : llvm::enumerate(extents)) {
      if (tensor.isDynamicDim(dim)) {
        sizes.push_back(extent);
      }
    }
    inits.push_back(tensor::EmptyOp::create(b, loc, tensor, sizes));
  }
  SmallVector<AffineMap> maps(inits.size(), b.getMultiDimIdentityMap(4));
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, types, ValueRange(), inits, maps, iterators,
      [&](OpBuilder &inner, Location l, ValueRange) {
        RowWriter w{inner, l};
        SmallVector<Value> at;
        for (int64_t dim = 0; dim < 4; ++dim) {
          at.push_back(linalg::IndexOp::create(inner, l, dim));
        }
        linalg::YieldOp::create(inner, l, body(w, at));
      });
  return llvm::to_vector_of<Value>(generic.getResults());
}

SmallVector<Value> Encoder::extentsOf(Value tensor) {
  SmallVector<Value> extents;
  for (int64_t dim = 0; dim < 4; ++dim) {
    extents.push_back(tensor::DimOp::create(b, loc, tensor, dim));
  }
  return extents;
}

SmallVector<Value> Encoder::scaleExtents() {
  SmallVector<Value> extents = extentsOf(op.getInput());
  if (scheme.getAxis() == QuantAxis::Channel && scheme.getGroup()) {
    Value group = arith::ConstantIndexOp::create(b, loc, scheme.getGroup());
    extents[2] = arith::CeilDivUIOp::create(b, loc, extents[2], group);
  }
  return extents;
}

/// The largest magnitude of a group, or its smallest and largest number.
std::pair<Value, Value> Encoder::reduceGroup(RowWriter &w, ValueRange at) {
  Value input = op.getInput(), one = w.index(1), zero = w.index(0);
  SmallVector<std::pair<Value, Value>> ranges;
  for (int64_t dim = 0; dim < 4; ++dim) {
    bool all = scheme.getAxis() == QuantAxis::Tensor ||
               (scheme.getAxis() == QuantAxis::Token && dim == 3) ||
               (scheme.getAxis() == QuantAxis::Channel && dim == 2);
    Value extent = tensor::DimOp::create(w.b, loc, input, dim);
    if (!all) {
      ranges.push_back({at[dim], make<arith::AddIOp>(w, at[dim], one)});
    } else if (!scheme.getGroup()) {
      ranges.push_back({zero, extent});
    } else {
      Value group = w.index(scheme.getGroup());
      Value first = make<arith::MulIOp>(w, at[dim], group);
      ranges.push_back(
          {first, make<arith::MinUIOp>(w, make<arith::AddIOp>(w, first, group),
                                       extent)});
    }
  }
  double infinity = std::numeric_limits<double>::infinity();
  bool both = scheme.hasZeros();
  SmallVector<Value> carried{w.constant(number, both ? infinity : 0.0)};
  if (both) {
    carried.push_back(w.constant(number, -infinity));
  }
  std::function<SmallVector<Value>(OpBuilder &, int64_t, SmallVector<Value>,
                                   ValueRange)>
      nest = [&](OpBuilder &inner, int64_t dim, SmallVector<Value> indices,
                 ValueRange so) -> SmallVector<Value> {
    if (dim == 4) {
      RowWriter x{inner, loc};
      Value value = read(x, input, indices);
      if (!both) {
        value = math::AbsFOp::create(inner, loc, value);
        return {make<arith::MaximumFOp>(x, so[0], value)};
      }
      return {make<arith::MinimumFOp>(x, so[0], value),
              make<arith::MaximumFOp>(x, so[1], value)};
    }
    auto loop = scf::ForOp::create(
        inner, loc, ranges[dim].first, ranges[dim].second, one, so,
        [&](OpBuilder &body, Location, Value k, ValueRange next) {
          SmallVector<Value> deeper(indices);
          deeper.push_back(k);
          scf::YieldOp::create(body, loc, nest(body, dim + 1, deeper, next));
        });
    return llvm::to_vector_of<Value>(loop.getResults());
  };
  SmallVector<Value> result = nest(w.b, 0, {}, carried);
  return {result[0], result.back()};
}

SmallVector<Value> Encoder::makeScales(RowWriter &w, ValueRange at) {
  Type stored = op.getScales().getType().getElementType();
  auto [low, high] = reduceGroup(w, at);
  Value largest = w.constant(number, scheme.getLargest());
  Value range = scheme.hasZeros() ? make<arith::SubFOp>(w, high, low) : low;
  // What decoding will see is what encoding divides by.
  Value scale = w.convert(make<arith::DivFOp>(w, range, largest), stored);
  if (!scheme.hasZeros()) {
    return {scale};
  }
  Value zero = low;
  if (scheme.getZero() == QuantZero::Point) {
    Value wide = w.convert(scale, number);
    Value nothing = w.constant(number, 0.0);
    Value point = arith::NegFOp::create(
        w.b, loc, round(w, make<arith::DivFOp>(w, low, wide)));
    Value flat = compare(w, arith::CmpFPredicate::OEQ, wide, nothing);
    zero = select(w, flat, nothing, point);
  }
  return {scale, w.convert(zero, stored)};
}

/// The code of number `at` before rounding to the format, in `number`.
Value Encoder::quotient(RowWriter &w, ValueRange at) {
  SmallVector<Value> place(at);
  Value zero = w.index(0);
  int64_t group = scheme.getGroup();
  auto grouped = [&](Value index) {
    return group ? make<arith::DivUIOp>(w, index, w.index(group)) : zero;
  };
  switch (scheme.getAxis()) {
  case QuantAxis::Tensor:
    place.assign(4, zero);
    break;
  case QuantAxis::Token:
    place[3] = grouped(at[3]);
    break;
  case QuantAxis::Channel:
    place[2] = grouped(at[2]);
    break;
  }
  Value x = read(w, op.getInput(), at), scale = read(w, scales, place);
  Value nothing = w.constant(number, 0.0);
  if (scheme.getZero() == QuantZero::Offset) {
    x = make<arith::SubFOp>(w, x, read(w, zeros, place));
  }
  x = make<arith::DivFOp>(w, x, scale);
  if (!scheme.isFloat()) {
    x = round(w, x);
  }
  if (scheme.getZero() == QuantZero::Point) {
    x = make<arith::AddFOp>(w, x, read(w, zeros, place));
  }
  Value flat = compare(w, arith::CmpFPredicate::OEQ, scale, nothing);
  return select(w, flat, nothing, x);
}

/// The lowest bits of an i32.
Value Encoder::encodeInteger(RowWriter &w, Value x) {
  // Codes beyond i32 have no meaning even where they wrap.
  double high = scheme.getClamp() ? scheme.getLargest() : 0x1p30;
  double low = scheme.getClamp() && scheme.hasZeros() ? 0.0 : -high;
  Value isNaN = compare(w, arith::CmpFPredicate::UNO, x, x);
  x = select(w, isNaN, w.constant(number, 0.0), x);
  x = make<arith::MaximumFOp>(w, x, w.constant(number, low));
  x = make<arith::MinimumFOp>(w, x, w.constant(number, high));
  Value code = arith::FPToSIOp::create(w.b, loc, w.b.getI32Type(), x);
  return make<arith::AndIOp>(
      w, code, w.constantInt(w.b.getI32Type(), (1 << scheme.getBits()) - 1));
}

/// The bits of an 8-bit float: the number in steps of its binade, counted from
/// the smallest one, is the code.
Value Encoder::encodeFloat(RowWriter &w, Value x) {
  auto &semantics = cast<FloatType>(scheme.getType()).getFloatSemantics();
  int64_t fraction = APFloat::semanticsPrecision(semantics) - 1;
  int64_t lowest = APFloat::semanticsMinExponent(semantics);
  bool isE4M3 = isa<Float8E4M3FNType>(scheme.getType());
  int64_t largest = isE4M3 ? 0x7e : 0x7b, beyond = isE4M3 ? 0x7f : 0x7c;
  Type f64 = w.b.getF64Type(), i64 = w.b.getI64Type();
  auto integer = [&](int64_t value) { return w.constantInt(i64, value); };
  x = w.convert(x, f64);
  Value bits = arith::BitcastOp::create(w.b, loc, i64, x);
  Value sign = make<arith::AndIOp>(
      w, make<arith::ShRUIOp>(w, bits, integer(56)), integer(0x80));
  Value magnitude = math::AbsFOp::create(w.b, loc, x);
  Value exponent = make<arith::SubIOp>(
      w,
      make<arith::AndIOp>(w, make<arith::ShRUIOp>(w, bits, integer(52)),
                          integer(0x7ff)),
      integer(1023));
  // Numbers that overflow anyway stay where the arithmetic is exact.
  exponent = make<arith::MaxSIOp>(w, exponent, integer(lowest));
  exponent = make<arith::MinSIOp>(w, exponent, integer(64));
  Value step = arith::BitcastOp::create(
      w.b, loc, f64,
      make<arith::ShLIOp>(
          w, make<arith::AddIOp>(w, exponent, integer(1023 - fraction)),
          integer(52)));
  Value steps = round(w, make<arith::DivFOp>(w, magnitude, step));
  steps = make<arith::MinimumFOp>(w, steps, w.constant(f64, 0x1p20));
  Value isNaN = compare(w, arith::CmpFPredicate::UNO, x, x);
  steps = select(w, isNaN, w.constant(f64, 0.0), steps);
  Value code = make<arith::AddIOp>(
      w,
      make<arith::ShLIOp>(w, make<arith::SubIOp>(w, exponent, integer(lowest)),
                          integer(fraction)),
      arith::FPToSIOp::create(w.b, loc, i64, steps));
  Value over = arith::CmpIOp::create(w.b, loc, arith::CmpIPredicate::sgt, code,
                                     integer(largest));
  code = select(w, over, integer(scheme.getClamp() ? largest : beyond), code);
  code = select(w, isNaN, integer(0x7f), code);
  code = make<arith::OrIOp>(w, code, sign);
  Value byte = arith::TruncIOp::create(w.b, loc, w.b.getI8Type(), code);
  return arith::BitcastOp::create(w.b, loc, scheme.getType(), byte);
}

void Encoder::run() {
  SmallVector<Type> types{op.getScales().getType()};
  if (op.getZeros()) {
    types.push_back(op.getZeros().getType());
  }
  SmallVector<Value> made =
      generate(types, scaleExtents(),
               [&](RowWriter &w, ValueRange at) { return makeScales(w, at); });
  scales = made.front();
  zeros = made.back();
  RankedTensorType codeType = op.getCodes().getType();
  int64_t perByte = scheme.getCodesPerByte();
  Value codes = generate(
      codeType, extentsOf(op.getInput()),
      [&](RowWriter &w, ValueRange at) -> SmallVector<Value> {
        if (scheme.isFloat()) {
          Value x = quotient(w, at);
          return {codeType.getElementType().isF64() ? w.convert(x, number)
                                                    : encodeFloat(w, x)};
        }
        Value byte;
        for (int64_t k = 0; k < perByte; ++k) {
          SmallVector<Value> place(at);
          Value first = make<arith::MulIOp>(w, at[3], w.index(perByte));
          place[3] = make<arith::AddIOp>(w, first, w.index(k));
          Value code = encodeInteger(w, quotient(w, place));
          Value shift = w.constantInt(code.getType(), k * scheme.getBits());
          code = make<arith::ShLIOp>(w, code, shift);
          byte = byte ? make<arith::OrIOp>(w, byte, code) : code;
        }
        return {arith::TruncIOp::create(w.b, loc, w.b.getI8Type(), byte)};
      })[0];
  op.getCodes().replaceAllUsesWith(codes);
  op.getScales().replaceAllUsesWith(scales);
  if (op.getZeros()) {
    op.getZeros().replaceAllUsesWith(zeros);
  }
  op.erase();
}

void mlir::attn::expandQuantize(QuantizeOp op) { Encoder(op).run(); }
