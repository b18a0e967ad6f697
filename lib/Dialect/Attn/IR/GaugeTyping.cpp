//===- GaugeTyping.cpp - how values move when a gauge moves -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/GaugeTyping.h"

#include "attn/Dialect/Attn/IR/ExactOps.h"

#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/MapVector.h"

#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Rates
//===----------------------------------------------------------------------===//

using Rates = SmallVector<std::pair<Value, Rate>>;

/// x + sign * y; nothing if the sum is no single product.
static std::optional<Rate> addRate(const Rate &x, const Rate &y, double sign) {
  if (x.isZero()) {
    return Rate{sign * y.factor, y.value};
  }
  if (y.isZero()) {
    return x;
  }
  if (x.value != y.value) {
    return std::nullopt;
  }
  return Rate{x.factor + sign * y.factor, x.value};
}

static std::optional<Rates> addRates(const Rates &x, const Rates &y,
                                     double sign) {
  Rates sum = x;
  for (auto &[gauge, rate] : y) {
    auto *it = llvm::find_if(sum, [&](auto &p) { return p.first == gauge; });
    if (it == sum.end()) {
      sum.push_back({gauge, Rate{sign * rate.factor, rate.value}});
      continue;
    }
    std::optional<Rate> total = addRate(it->second, rate, sign);
    if (!total) {
      return std::nullopt;
    }
    it->second = *total;
  }
  llvm::erase_if(sum, [](auto &p) { return p.second.isZero(); });
  return sum;
}

static bool sameRates(const Rates &x, const Rates &y) {
  std::optional<Rates> difference = addRates(x, y, -1);
  return difference && difference->empty();
}

static Rates scaleRates(Rates rates, double by) {
  for (auto &[gauge, rate] : rates) {
    rate.factor *= by;
  }
  return rates;
}

static bool isUniform(Value value, SweepOp sweep) {
  return !sweep->isAncestor(value.getParentRegion()->getParentOp());
}

static std::optional<double> constantOf(Value value) {
  FloatAttr attr;
  if (matchPattern(value, m_Constant(&attr))) {
    return attr.getValueAsDouble();
  }
  if (auto opaque = value.getDefiningOp<OpaqueOp>()) {
    return opaque.getValue().getValueAsDouble();
  }
  return std::nullopt;
}

/// rates * value, where value is uniform; nothing if not one product each.
static std::optional<Rates> scaleRates(Rates rates, Value by) {
  if (std::optional<double> c = constantOf(by)) {
    return scaleRates(rates, *c);
  }
  for (auto &[gauge, rate] : rates) {
    if (rate.value) {
      return std::nullopt;
    }
    rate.value = by;
  }
  return rates;
}

static bool isZero(Value value) { return constantOf(value) == 0.0; }

/// The rate behind a value: a constant, a uniform value, or their product.
static Rate rateOf(Value value) {
  if (std::optional<double> c = constantOf(value)) {
    return {*c, {}};
  }
  if (auto product = value.getDefiningOp<arith::MulFOp>()) {
    for (auto [x, y] : {std::pair(product.getLhs(), product.getRhs()),
                        std::pair(product.getRhs(), product.getLhs())}) {
      if (std::optional<double> c = constantOf(x)) {
        return {*c, y};
      }
    }
  }
  return {1, value};
}

/// Equal up to the rounding of a constant to the type of its gauge.
static bool closeRates(const Rates &x, const Rates &y) {
  std::optional<Rates> difference = addRates(x, y, -1);
  if (!difference) {
    return false;
  }
  return llvm::all_of(*difference, [&](auto &left) {
    return llvm::any_of(y, [&](auto &rate) {
      return rate.first == left.first &&
             std::abs(left.second.factor) <=
                 1e-6 * std::abs(rate.second.factor);
    });
  });
}

LogicalResult mlir::attn::verifyAction(CarryOp carry) {
  auto sweep = cast<SweepOp>(carry->getParentOp());
  GaugeTyping typing(sweep, nullptr);
  if (!carry.getValue()) {
    return success();
  }
  Movement m = typing.typeOf(carry.getValue());
  bool sums =
      carry.getKind() == CarryKind::Sum || carry.getKind() == CarryKind::Outer;
  if (m.kind == Movement::Top || (!sums && !m.isInvariant()) ||
      (m.kind == Movement::Linear && m.rates.size() > 1)) {
    return carry.emitOpError()
           << "C4: the operand moves with a gauge in a way that has no action"
           << (typing.getReason().empty() ? "" : ": ") << typing.getReason();
  }
  Rates exponent = m.rates;
  Value polyGauge = m.polyGauge;
  size_t degree = m.coefficients.size();
  if (m.kind == Movement::Linear && !m.rates.empty()) {
    polyGauge = m.rates[0].first;
    exponent.clear();
    degree = 1;
  }
  Rates recorded;
  for (auto [gauge, rate] : llvm::zip(carry.getGauges(), carry.getRates())) {
    recorded.push_back({gauge, rateOf(rate)});
  }
  if (!closeRates(recorded, exponent) ||
      degree != carry.getCompanions().size() ||
      (degree && polyGauge != carry.getPolyGauge())) {
    InFlightDiagnostic diag = carry.emitOpError()
                              << "C4: the recorded action is not that of the "
                                 "operand, which moves with";
    for (auto &[gauge, rate] : exponent) {
      SmallString<16> factor;
      llvm::raw_svector_ostream(factor) << llvm::format("%g", rate.factor);
      diag << " rate " << factor << (rate.value ? " times a row value," : ",");
    }
    return diag << " degree " << degree;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

void mlir::attn::collectConjuncts(Value cond,
                                  SmallVectorImpl<Value> &conjuncts) {
  if (!cond) {
    return;
  }
  if (auto both = cond.getDefiningOp<arith::AndIOp>()) {
    collectConjuncts(both.getLhs(), conjuncts);
    collectConjuncts(both.getRhs(), conjuncts);
    return;
  }
  if (!llvm::is_contained(conjuncts, cond)) {
    conjuncts.push_back(cond);
  }
}

bool mlir::attn::implies(Value cond, Value weaker) {
  SmallVector<Value> have, need;
  collectConjuncts(cond, have);
  collectConjuncts(weaker, need);
  return llvm::all_of(
      need, [&](Value value) { return llvm::is_contained(have, value); });
}

//===----------------------------------------------------------------------===//
// Typing
//===----------------------------------------------------------------------===//

Movement GaugeTyping::fail(const Twine &why) {
  reason = why.str();
  return Movement::top();
}

Value GaugeTyping::create(StringRef kind, Value a, Value b) {
  if (!builder) {
    return {};
  }
  Location loc = a.getLoc();
  if (kind == "add") {
    return arith::AddFOp::create(*builder, loc, a, b);
  }
  if (kind == "sub") {
    return arith::SubFOp::create(*builder, loc, a, b);
  }
  if (kind == "mul") {
    return arith::MulFOp::create(*builder, loc, a, b);
  }
  if (kind == "div") {
    return arith::DivFOp::create(*builder, loc, a, b);
  }
  return arith::NegFOp::create(*builder, loc, a);
}

Value GaugeTyping::materialize(const Rate &rate, Type type) {
  if (!builder) {
    return {};
  }
  Value factor = arith::ConstantOp::create(
      *builder, sweep.getLoc(), builder->getFloatAttr(type, rate.factor));
  return rate.value ? create("mul", factor, rate.value) : factor;
}

Movement GaugeTyping::asExponential(Movement m, Type type) {
  if (m.kind != Movement::Linear) {
    return m;
  }
  if (m.rates.empty()) {
    m.kind = Movement::Exponential;
    return m;
  }
  if (m.rates.size() > 1) {
    return fail("a polynomial in two running values has no action");
  }
  Movement result;
  result.kind = Movement::Exponential;
  result.polyGauge = m.rates[0].first;
  result.coefficients = {materialize(m.rates[0].second, type)};
  return result;
}

Movement GaugeTyping::typeOf(Value value) {
  auto known = cache.find(value);
  if (known != cache.end()) {
    return known->second;
  }
  Movement m = compute(value);
  cache[value] = m;
  return m;
}

Movement GaugeTyping::compute(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || isUniform(value, sweep)) {
    return {};
  }
  if (auto running = dyn_cast<RunningOp>(def)) {
    if (!typeOf(running.getValue()).isInvariant()) {
      return fail("a running value of something that moves with another");
    }
    Movement m;
    m.rates.push_back({value, Rate{1, {}}});
    return m;
  }
  return typeOp(def);
}

Movement GaugeTyping::typeOp(Operation *op) {
  bool invariant = true;
  SetVector<Value> read(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), read);
  for (Value operand : read) {
    Movement m = typeOf(operand);
    if (m.kind == Movement::Top) {
      return m;
    }
    invariant &= m.isInvariant();
  }
  if (invariant) {
    return {};
  }
  if (isa<arith::AddFOp>(op)) {
    return typeAdd(op, false);
  }
  if (isa<arith::SubFOp>(op)) {
    return typeAdd(op, true);
  }
  if (isa<arith::MulFOp>(op)) {
    return typeMul(op);
  }
  if (isa<arith::DivFOp>(op)) {
    return typeDiv(op);
  }
  if (isa<math::Exp2Op>(op)) {
    return typeExp(op, 1.0);
  }
  if (isa<math::ExpOp>(op)) {
    return typeExp(op, 1.0 / std::log(2.0));
  }
  if (isa<math::Log2Op>(op)) {
    return typeLog(op, 1.0);
  }
  if (isa<math::LogOp>(op)) {
    return typeLog(op, std::log(2.0));
  }
  if (isa<math::SqrtOp>(op)) {
    return typePower(op, 0.5);
  }
  if (isa<math::RsqrtOp>(op)) {
    return typePower(op, -0.5);
  }
  if (isa<math::PowFOp>(op)) {
    if (std::optional<double> e = constantOf(op->getOperand(1))) {
      return typePower(op, *e);
    }
  }
  if (isa<GuardOp>(op)) {
    return typeOf(op->getOperand(0));
  }
  if (isa<math::AbsFOp, arith::ExtFOp>(op)) {
    return typePower(op, 1.0);
  }
  if (isa<arith::NegFOp>(op)) {
    Movement m = typeOf(op->getOperand(0));
    if (m.kind == Movement::Linear) {
      m.rates = scaleRates(m.rates, -1);
    }
    for (Value &c : m.coefficients) {
      c = create("neg", c);
    }
    return m;
  }
  if (isa<arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
          arith::MinNumFOp, arith::CmpFOp>(op)) {
    return typeSame(op);
  }
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    return typeSelect(select);
  }
  return fail("'" + op->getName().getStringRef() +
              "' of a value that moves with a running maximum or mean");
}

Movement GaugeTyping::typeAdd(Operation *op, bool subtract) {
  Value x = op->getOperand(0), y = op->getOperand(1);
  Type type = x.getType();
  Movement a = typeOf(x), b = typeOf(y);
  double sign = subtract ? -1 : 1;
  if (a.kind == Movement::Linear && b.kind == Movement::Linear) {
    Movement m;
    if (std::optional<Rates> sum = addRates(a.rates, b.rates, sign)) {
      m.rates = *sum;
      return m;
    }
    return fail("shifts with different rates are added");
  }
  if (isZero(y)) {
    return a;
  }
  if (isZero(x) && !subtract) {
    return b;
  }
  a = asExponential(a, type);
  b = asExponential(b, type);
  if (a.kind == Movement::Top || b.kind == Movement::Top) {
    return Movement::top();
  }
  if (!sameRates(a.rates, b.rates)) {
    return fail("a sum of values that scale differently");
  }
  if (a.polyGauge && b.polyGauge && a.polyGauge != b.polyGauge) {
    return fail("a polynomial in two running values has no action");
  }
  Movement m = a;
  m.polyGauge = a.polyGauge ? a.polyGauge : b.polyGauge;
  for (auto [k, c] : llvm::enumerate(b.coefficients)) {
    if (k < m.coefficients.size()) {
      m.coefficients[k] =
          create(subtract ? "sub" : "add", m.coefficients[k], c);
    } else {
      m.coefficients.push_back(subtract ? create("neg", c) : c);
    }
  }
  return m;
}

Movement GaugeTyping::typeMul(Operation *op) {
  Value x = op->getOperand(0), y = op->getOperand(1);
  Type type = x.getType();
  Movement a = typeOf(x), b = typeOf(y);
  for (int swap = 0; swap < 2; ++swap) {
    // A uniform factor keeps a shift linear.
    if (a.kind == Movement::Linear && !a.rates.empty() && b.isInvariant() &&
        (isUniform(y, sweep) || constantOf(y))) {
      if (std::optional<Rates> scaled = scaleRates(a.rates, y)) {
        Movement m;
        m.rates = *scaled;
        return m;
      }
    }
    std::swap(x, y);
    std::swap(a, b);
  }
  a = asExponential(a, type);
  b = asExponential(b, type);
  if (a.kind == Movement::Top || b.kind == Movement::Top) {
    return Movement::top();
  }
  std::optional<Rates> rates = addRates(a.rates, b.rates, 1);
  if (!rates) {
    return fail("a product of values with different rates");
  }
  if (a.polyGauge && b.polyGauge && a.polyGauge != b.polyGauge) {
    return fail("a polynomial in two running values has no action");
  }
  Movement m;
  m.kind = Movement::Exponential;
  m.rates = *rates;
  m.polyGauge = a.polyGauge ? a.polyGauge : b.polyGauge;
  SmallVector<Value> p{x}, q{y};
  llvm::append_range(p, a.coefficients);
  llvm::append_range(q, b.coefficients);
  for (size_t k = 1; k < p.size() + q.size() - 1; ++k) {
    Value sum;
    for (size_t s = 0; s <= k; ++s) {
      if (s >= p.size() || k - s >= q.size()) {
        continue;
      }
      Value term = create("mul", p[s], q[k - s]);
      sum = sum ? create("add", sum, term) : term;
    }
    m.coefficients.push_back(sum);
  }
  return m;
}

Movement GaugeTyping::typeDiv(Operation *op) {
  Value y = op->getOperand(1);
  Type type = y.getType();
  Movement a = typeOf(op->getOperand(0)), b = typeOf(y);
  if (b.kind == Movement::Linear && !b.rates.empty()) {
    return fail("a division by a shifted value");
  }
  if (!b.coefficients.empty()) {
    return fail("a division by a polynomial in a running value");
  }
  a = asExponential(a, type);
  if (a.kind == Movement::Top) {
    return a;
  }
  std::optional<Rates> rates = addRates(a.rates, b.rates, -1);
  if (!rates) {
    return fail("a quotient of values with different rates");
  }
  Movement m = a;
  m.rates = *rates;
  for (Value &c : m.coefficients) {
    c = create("div", c, y);
  }
  return m;
}

Movement GaugeTyping::typeLog(Operation *op, double scale) {
  Movement m = typeOf(op->getOperand(0));
  if (m.kind != Movement::Exponential || !m.coefficients.empty()) {
    return fail("a logarithm of a value that does not scale");
  }
  m.kind = Movement::Linear;
  m.rates = scaleRates(m.rates, scale);
  return m;
}

Movement GaugeTyping::typePower(Operation *op, double exponent) {
  Movement m = typeOf(op->getOperand(0));
  if (m.kind != Movement::Exponential || !m.coefficients.empty()) {
    return fail("'" + op->getName().getStringRef() +
                "' of a value that does not scale");
  }
  m.rates = scaleRates(m.rates, exponent);
  return m;
}

/// Comparisons and extrema of values that move alike; 0 moves like anything
/// that scales.
Movement GaugeTyping::typeSame(Operation *op) {
  Value x = op->getOperand(0), y = op->getOperand(1);
  Movement a = typeOf(x), b = typeOf(y);
  bool compares = isa<arith::CmpFOp>(op);
  auto scales = [](const Movement &m) {
    return m.kind == Movement::Exponential && m.coefficients.empty();
  };
  bool zero = (scales(a) && isZero(y)) || (scales(b) && isZero(x));
  bool alike = a.kind == b.kind && a.coefficients.empty() &&
               b.coefficients.empty() && sameRates(a.rates, b.rates);
  if (!zero && !alike) {
    return fail("'" + op->getName().getStringRef() +
                "' of values that move differently");
  }
  if (compares) {
    return {};
  }
  return isZero(x) ? b : a;
}

Movement GaugeTyping::typeSelect(arith::SelectOp op) {
  Value x = op.getTrueValue(), y = op.getFalseValue();
  Movement a = typeOf(x), b = typeOf(y);
  if (a.kind == Movement::Linear && b.kind == Movement::Linear &&
      sameRates(a.rates, b.rates)) {
    return a;
  }
  a = asExponential(a, x.getType());
  b = asExponential(b, x.getType());
  if (a.kind == Movement::Top || b.kind == Movement::Top) {
    return Movement::top();
  }
  if (!isZero(x) && !isZero(y) && !sameRates(a.rates, b.rates)) {
    return fail("a select of values that scale differently");
  }
  if (a.polyGauge && b.polyGauge && a.polyGauge != b.polyGauge) {
    return fail("a polynomial in two running values has no action");
  }
  Movement m = isZero(x) ? b : a;
  m.polyGauge = a.polyGauge ? a.polyGauge : b.polyGauge;
  size_t degree = std::max(a.coefficients.size(), b.coefficients.size());
  m.coefficients.clear();
  Value zero;
  if (degree) {
    zero = materialize(Rate{0, {}}, x.getType());
  }
  for (size_t k = 0; k < degree; ++k) {
    Value c = k < a.coefficients.size() ? a.coefficients[k] : zero;
    Value d = k < b.coefficients.size() ? b.coefficients[k] : zero;
    m.coefficients.push_back(
        builder ? arith::SelectOp::create(*builder, op.getLoc(),
                                          op.getCondition(), c, d)
                      .getResult()
                : Value());
  }
  return m;
}

//===----------------------------------------------------------------------===//
// Exponentials: the bounded prefix
//===----------------------------------------------------------------------===//

namespace {
/// A value as a sum of coefficient * leaf.
using LinearForm = llvm::MapVector<Value, double>;
} // namespace

static void decompose(Value value, double scale, SweepOp sweep,
                      LinearForm &form) {
  Operation *op = value.getDefiningOp();
  if (isUniform(value, sweep) || !op) {
    form[value] += scale;
  } else if (isa<arith::AddFOp>(op)) {
    decompose(op->getOperand(0), scale, sweep, form);
    decompose(op->getOperand(1), scale, sweep, form);
  } else if (isa<arith::SubFOp>(op)) {
    decompose(op->getOperand(0), scale, sweep, form);
    decompose(op->getOperand(1), -scale, sweep, form);
  } else if (isa<arith::NegFOp>(op)) {
    decompose(op->getOperand(0), -scale, sweep, form);
  } else if (isa<GuardOp>(op)) {
    decompose(op->getOperand(0), scale, sweep, form);
  } else if (std::optional<double> c;
             isa<arith::MulFOp>(op) && ((c = constantOf(op->getOperand(1))) ||
                                        (c = constantOf(op->getOperand(0))))) {
    Value rest = op->getOperand(constantOf(op->getOperand(1)) ? 0 : 1);
    decompose(rest, scale * *c, sweep, form);
  } else {
    form[value] += scale;
  }
}

/// An exponent must be b (f - g) + R with b > 0, f the operand of the maximum
/// g and R uniform: then no prefix of the sweep exceeds the exponent that the
/// row's largest entry has. With anything else in R a prefix may overflow where
/// the final value does not.
bool GaugeTyping::isBounded(Operation *exp, Value exponent, Value gauge) {
  auto running = gauge.getDefiningOp<RunningOp>();
  if (running.getKind() != GaugeKind::Max) {
    fail("an exponential of a running mean");
    return false;
  }
  LinearForm form, f;
  decompose(exponent, 1.0, sweep, form);
  double b = -form[gauge];
  if (!(b > 0)) {
    fail("an exponent that grows with the running maximum, or whose rate is "
         "not a known positive number");
    return false;
  }
  decompose(running.getValue(), b, sweep, f);
  for (auto &[leaf, coefficient] : f) {
    form[leaf] -= coefficient;
  }
  for (auto &[leaf, coefficient] : form) {
    if (leaf != gauge && coefficient != 0 && !isUniform(leaf, sweep) &&
        !leaf.getDefiningOp<RunningOp>()) {
      fail("an exponent that differs from the operand of its maximum by more "
           "than a value of the row: a prefix could overflow");
      return false;
    }
  }
  return true;
}

Movement GaugeTyping::typeExp(Operation *op, double log2Base) {
  Value exponent = op->getOperand(0);
  Movement m = typeOf(exponent);
  if (m.kind != Movement::Linear) {
    return fail("an exponential of a value that scales");
  }
  if (m.rates.size() > 1) {
    return fail("an exponent with two running values");
  }
  for (auto &[gauge, rate] : m.rates) {
    if (!isBounded(op, exponent, gauge)) {
      return Movement::top();
    }
  }
  m.kind = Movement::Exponential;
  m.rates = scaleRates(m.rates, log2Base);
  return m;
}
