//===- Expressions.cpp - random regions -----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pointwise arithmetic as papers have it: nonlinearities, gates, slopes by
// distance, tables, captured rows and columns; and predicates on indices,
// positions, captured tensors and exact values.
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

/// Exact numbers stay so while they have few bits.
static constexpr double kExactBound = 2048.0;
/// Larger numbers are brought back into a range where their rounding errors say
/// something.
static constexpr double kLargest = 1000.0;

static Term make(Value value, double bound, bool exact = false) {
  Term term;
  term.value = value;
  term.bound = bound;
  term.exact = exact && bound <= kExactBound;
  return term;
}

/// An index as a float.
static Value toFloat(Emit &e, Value index, Type type) {
  Value integer = arith::IndexCastOp::create(e, e.getI64Type(), index);
  return arith::SIToFPOp::create(e, type, integer);
}

/// 1 / (1 + exp(-x)).
static Value sigmoid(Emit &e, Value x) {
  Value one = e.constant(x.getType(), 1.0);
  Value exp = math::ExpOp::create(e, arith::NegFOp::create(e, x));
  return arith::DivFOp::create(e, one, arith::AddFOp::create(e, exp, one));
}

/// A function that few papers have.
Term Program::rareFunction(const Term &x, Type type) {
  Value one = e.constant(type, 1.0);
  Value above = arith::AddFOp::create(e, math::AbsFOp::create(e, x.value), one);
  switch (below(9)) {
  case 0:
    return make(math::AsinhOp::create(e, x.value), std::asinh(x.bound));
  case 1:
    return make(math::AtanOp::create(e, x.value), 1.6);
  case 2:
    return make(math::Atan2Op::create(e, x.value, above), 0.8);
  case 3:
    return make(math::ClampFOp::create(e, x.value, e.constant(type, -2.0), one),
                2.0, x.exact);
  case 4:
    return make(math::ErfOp::create(e, x.value), 1.0);
  case 5:
    return make(math::Log1pOp::create(e, above), std::log(x.bound + 2.0));
  case 6: {
    double power = choose({0.5, -1.5, 0.75});
    return make(math::PowFOp::create(e, above, e.constant(type, power)),
                std::max(1.0, x.bound));
  }
  case 7: {
    Type count = e.getI32Type();
    int64_t power = choose({-3, -1, 0, 2});
    return make(math::FPowIOp::create(e, above, e.constant(count, power)),
                std::pow(x.bound + 1.0, 2.0));
  }
  default: { // two results
    Value angle = x.value;
    if (x.bound > 30.0) {
      angle = math::TanhOp::create(e, angle);
    }
    auto both = math::SincosOp::create(e, angle);
    Value half = arith::MulFOp::create(e, both.getCos(), e.constant(type, 0.5));
    return make(arith::AddFOp::create(e, both.getSin(), half), 1.5);
  }
  }
}

Term Program::unary(const Term &x, Type type) {
  auto number = [&](double value) { return e.constant(type, value); };
  switch (below(14)) {
  case 0:
    return make(math::TanhOp::create(e, x.value), 1.0);
  case 1:
    return make(math::AbsFOp::create(e, x.value), x.bound, x.exact);
  case 2:
    return make(arith::NegFOp::create(e, x.value), x.bound, x.exact);
  case 3:
    return make(sigmoid(e, x.value), 1.0);
  case 4: // a rectifier
    return make(arith::MaximumFOp::create(e, x.value, number(0.0)), x.bound,
                x.exact);
  case 5: {
    double factor = choose({0.5, 2.0, 0.25, -0.5, 1.0});
    return make(arith::MulFOp::create(e, x.value, number(factor)),
                x.bound * std::abs(factor), x.exact && factor >= 0.5);
  }
  case 6: {
    double factor = choose({0.3, -0.7, 1.3});
    return make(arith::MulFOp::create(e, x.value, number(factor)),
                x.bound * 1.3);
  }
  case 7: {
    double term = choose({1.0, -0.5, 0.25, 2.0});
    return make(arith::AddFOp::create(e, x.value, number(term)),
                x.bound + std::abs(term), x.exact);
  }
  case 8:
    if (x.bound > 12.0) {
      return unary(make(math::TanhOp::create(e, x.value), 1.0), type);
    }
    return make(math::ExpOp::create(e, x.value), std::exp(x.bound * 0.5));
  case 9: { // softcapping
    double cap = choose({4.0, 30.0});
    Value inner = arith::DivFOp::create(e, x.value, number(cap));
    Value tanh = math::TanhOp::create(e, inner);
    return make(arith::MulFOp::create(e, tanh, number(cap)),
                std::min(cap, x.bound));
  }
  case 10: { // sqrt and log of what is at least 1
    Value square = arith::MulFOp::create(e, x.value, x.value);
    Value above = arith::AddFOp::create(e, square, number(1.0));
    if (chance(0.5)) {
      return make(math::SqrtOp::create(e, above), x.bound + 1.0);
    }
    return make(math::LogOp::create(e, above), 2.0 * std::log(x.bound + 2.0));
  }
  case 11:
    return make(arith::MinimumFOp::create(e, x.value, number(1.5)), x.bound,
                x.exact);
  case 12:
    return rareFunction(x, type);
  default:
    if (x.bound > 30.0) {
      return make(math::AbsFOp::create(e, x.value), x.bound, x.exact);
    }
    return make(arith::MulFOp::create(e, x.value, x.value), x.bound * x.bound);
  }
}

Term Program::binary(const Term &x, const Term &y, Type type) {
  bool exact = x.exact && y.exact;
  switch (below(7)) {
  case 0:
    return make(arith::AddFOp::create(e, x.value, y.value), x.bound + y.bound,
                exact);
  case 1:
    return make(arith::SubFOp::create(e, x.value, y.value), x.bound + y.bound,
                exact);
  case 2:
    if (x.bound * y.bound > kLargest) {
      return binary(make(math::TanhOp::create(e, x.value), 1.0), y, type);
    }
    return make(arith::MulFOp::create(e, x.value, y.value), x.bound * y.bound);
  case 3:
    return make(arith::MaximumFOp::create(e, x.value, y.value),
                std::max(x.bound, y.bound), exact);
  case 4:
    return make(arith::MinimumFOp::create(e, x.value, y.value),
                std::max(x.bound, y.bound), exact);
  case 5: { // a quotient whose divisor is at least 1
    Value abs = math::AbsFOp::create(e, y.value);
    Value above = arith::AddFOp::create(e, abs, e.constant(type, 1.0));
    return make(arith::DivFOp::create(e, x.value, above), x.bound);
  }
  default: { // a gate
    Value gate = sigmoid(e, y.value);
    return make(arith::MulFOp::create(e, x.value, gate), x.bound);
  }
  }
}

Term Program::combine(ArrayRef<Term> terms, Type type, int64_t depth) {
  if (depth == 0) {
    return chooseFrom(terms);
  }
  Term x = combine(terms, type, depth - 1);
  return chance(0.4) ? unary(x, type)
                     : binary(x, combine(terms, type, below(depth)), type);
}

//===----------------------------------------------------------------------===//
// What a region reads
//===----------------------------------------------------------------------===//

/// Reads `tensor` [B or 1, H or 1, L] at the site, along queries or keys.
static Value readVector(Emit &e, const Tensor &tensor, const Site &site,
                        Value along) {
  auto at = [&](DimRef dim, Value index) {
    return dim->isStatic && dim->size == 1 ? e.index(0) : index;
  };
  return tensor::ExtractOp::create(e, tensor.value,
                                   ValueRange{at(tensor.shape[0], site.b),
                                              at(tensor.shape[1], site.h),
                                              along});
}

/// clamp(j - i + reach, 0, 2 reach).
static Value getDistance(Emit &e, const Site &site, int64_t reach) {
  Value distance = e.add(e.sub(site.pj, site.pi), reach);
  return e.min(e.max(distance, e.index(0)), e.index(2 * reach));
}

Term Program::captured(const Site &site, Type type) {
  bool isRow = site.keys->isSum || (!site.queries->isSum && chance(0.5));
  DimRef along = isRow ? site.queries : site.keys;
  Value index = isRow ? site.i : site.j;
  auto fits = [&](DimRef dim, DimRef want) {
    return dim == want || (dim->isStatic && dim->size == 1);
  };
  SmallVector<const Tensor *> known;
  for (const Tensor &tensor : tensors) {
    if (tensor.shape.size() == 3 && isa<FloatType>(tensor.getElement()) &&
        tensor.bound <= kLargest && fits(tensor.shape[0], site.batch) &&
        fits(tensor.shape[1], site.heads) && tensor.shape[2] == along) {
      known.push_back(&tensor);
    }
  }
  auto widen = [&](Value value, const Numbers &numbers) {
    return make(convertFloat(e, e.getLoc(), value, type), numbers.bound,
                numbers.exact);
  };
  if (!known.empty() && chance(0.7)) {
    const Tensor &tensor = *chooseFrom(known);
    return widen(readVector(e, tensor, site, index), tensor);
  }
  switch (along->isSum ? 0 : below(4)) {
  case 0: { // one number per head
    Tensor slopes = numbers("slope", {site.heads}, accumulation);
    return widen(tensor::ExtractOp::create(e, slopes.value, site.h), slopes);
  }
  case 1: { // a table by distance
    int64_t reach = choose<int64_t>({1, 4, 16});
    Tensor table =
        numbers("table", {orOne(site.heads), constant(2 * reach + 1)}, element);
    Value head = table.shape[0] == site.heads ? site.h : e.index(0);
    Value place = getDistance(e, site, reach);
    return widen(
        tensor::ExtractOp::create(e, table.value, ValueRange{head, place}),
        table);
  }
  default: {
    Tensor tensor = numbers(isRow ? "row" : "column",
                            {orOne(site.batch), orOne(site.heads), along},
                            chance(0.8) ? accumulation : element);
    return widen(readVector(e, tensor, site, index), tensor);
  }
  }
}

Term Program::leaf(const Site &site, Type type) {
  if (!site.elements.empty() && chance(0.6)) {
    return chooseFrom(site.elements);
  }
  if (chance(0.6)) {
    return captured(site, type);
  }
  if (chance(0.3)) {
    return make(e.constant(type, choose({0.5, 1.0, 2.0, -1.0})), 2.0, true);
  }
  Value index;
  double bound = 10.0;
  switch (below(4)) {
  case 0:
    index = e.sub(site.pj, site.pi);
    break;
  case 1:
    index = site.j;
    break;
  case 2:
    index = site.i;
    break;
  default:
    index = site.h;
  }
  Value number = toFloat(e, index, type);
  Value scaled = arith::MulFOp::create(
      e, number, e.constant(type, choose({0.01, 0.0625})));
  return make(scaled, bound);
}

Term Program::expression(const Site &site, Type type, int64_t depth) {
  if (depth == 0) {
    return leaf(site, type);
  }
  Term x = !site.elements.empty() && depth == 1 && chance(0.6)
               ? chooseFrom(site.elements)
               : expression(site, type, depth - 1);
  Term y = chance(0.4) ? unary(x, type)
                       : binary(x, expression(site, type, below(depth)), type);
  return y.bound <= kLargest ? y : make(math::TanhOp::create(e, y.value), 1.0);
}

//===----------------------------------------------------------------------===//
// Predicates and bins
//===----------------------------------------------------------------------===//

/// A bit that a captured tensor says.
Value Program::capturedBit(const Site &site) {
  bool isRow = site.keys->isSum || (!site.queries->isSum && chance(0.5));
  DimRef along = isRow ? site.queries : site.keys;
  Value index = isRow ? site.i : site.j;
  DimRef first = orOne(site.batch);
  if (chance(0.3)) { // a sign
    Tensor tensor = numbers(isRow ? "row" : "column",
                            {first, orOne(site.heads), along}, accumulation);
    Value value = readVector(e, tensor, site, index);
    return arith::CmpFOp::create(e, arith::CmpFPredicate::OGT, value,
                                 e.constant(value.getType(), -0.375));
  }
  Value b = first == site.batch ? site.b : e.index(0);
  if (chance(0.5)) { // a bound on the other index
    DimRef other = isRow ? site.keys : site.queries;
    Tensor tensor = integers(
        "until", {first, along},
        "range(0, " + std::to_string(std::max<int64_t>(other->size, 1)) + ")");
    Value until =
        tensor::ExtractOp::create(e, tensor.value, ValueRange{b, index});
    Value limit = arith::IndexCastOp::create(e, e.getIndexType(), until);
    return e.less(isRow ? site.j : site.i, limit);
  }
  Tensor tensor = integers("flag", {first, along}, "range(0, 3)");
  Value flag = tensor::ExtractOp::create(e, tensor.value, ValueRange{b, index});
  Value wanted =
      arith::ConstantOp::create(e, e.getIntegerAttr(flag.getType(), below(3)));
  return arith::CmpIOp::create(e, arith::CmpIPredicate::ne, flag, wanted);
}

Value Program::comparison(const Site &site) {
  auto compare = [&](Value a, Value b) -> Value {
    auto kind = choose({arith::CmpIPredicate::sle, arith::CmpIPredicate::slt,
                        arith::CmpIPredicate::sge, arith::CmpIPredicate::ne});
    return arith::CmpIOp::create(e, kind, a, b);
  };
  switch (below(7)) {
  case 0:
  case 1: // diagonals
    return compare(site.pj,
                   e.add(site.pi, choose<int64_t>({0, 0, 1, -1, 5, -7, 40})));
  case 2: // blocks
    return compare(e.div(site.j, choose<int64_t>({2, 8, 16, 64})),
                   e.div(site.i, choose<int64_t>({1, 4, 16})));
  case 3: { // strides
    Value remainder = arith::RemUIOp::create(
        e, e.add(site.j, site.i), e.index(choose<int64_t>({2, 3, 7})));
    return compare(remainder, e.index(below(3)));
  }
  case 4: // a border
    return compare(chance(0.5) ? site.j : site.i, e.index(below(70)));
  case 5:
    return compare(site.h, e.index(below(site.heads->size)));
  default:
    return site.queries->isSum && site.keys->isSum ? comparison(site)
                                                   : capturedBit(site);
  }
}

Value Program::predicate(const Site &site) {
  Value bit;
  SmallVector<Term> exact;
  for (const Term &x : site.elements) {
    if (x.exact) {
      exact.push_back(x);
    }
  }
  if (!exact.empty() && chance(0.6)) {
    const Term &x = chooseFrom(exact);
    Type type = x.value.getType();
    auto kind = choose({arith::CmpFPredicate::OGT, arith::CmpFPredicate::ULE,
                        arith::CmpFPredicate::ONE, arith::CmpFPredicate::OGE});
    bit = arith::CmpFOp::create(e, kind, x.value,
                                e.constant(type, choose({0.0, 0.25, -0.5})));
  } else {
    bit = comparison(site);
  }
  while (chance(0.35)) {
    Value other = comparison(site);
    switch (below(3)) {
    case 0:
      bit = e.both(bit, other);
      break;
    case 1:
      bit = e.either(bit, other);
      break;
    default:
      bit = arith::XOrIOp::create(e, bit, other);
    }
  }
  return bit;
}

Value Program::bin(const Site &site, int64_t bins) {
  switch (below(site.keys->isSum ? 3 : 4)) {
  case 0: // by key block
    return e.div(site.j, choose<int64_t>({1, 4, 16}));
  case 1: // by distance; some are outside
    return e.add(e.sub(site.j, site.i), bins / 2);
  case 2:
    return arith::RemUIOp::create(e, e.add(site.j, site.i), e.index(bins));
  default: { // by a table
    Tensor table =
        integers("bin", {site.keys}, "range(-1, " + std::to_string(bins) + ")");
    Value entry = tensor::ExtractOp::create(e, table.value, site.j);
    return arith::IndexCastOp::create(e, e.getIndexType(), entry);
  }
  }
}
