//===- SweepFusion.cpp - fuses one sweep into an earlier one -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The work happens in a copy of the earlier sweep, which is dropped if some
// carry of the later one has no action.
//
//===----------------------------------------------------------------------===//

#include "SweepFusion.h"

#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::attn;

LogicalResult SweepFusion::fail(const Twine &why) {
  if (reason.empty()) {
    reason = why.str();
  }
  return failure();
}

//===----------------------------------------------------------------------===//
// Row values between the two sweeps
//===----------------------------------------------------------------------===//

/// Whether a row value needs results of the earlier sweep.
bool SweepFusion::dependsOnEarlier(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def) {
    return false;
  }
  if (def == earlier) {
    return true;
  }
  if (def->getBlock() != earlier->getBlock() || def->isBeforeInBlock(earlier)) {
    return false;
  }
  auto known = dependence.find(value);
  if (known != dependence.end()) {
    return known->second;
  }
  bool depends = def->getNumRegions() != 0;
  for (Value operand : def->getOperands()) {
    depends |= dependsOnEarlier(operand);
  }
  dependence[value] = depends;
  return depends;
}

void SweepFusion::hoistAbove(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != earlier->getBlock() ||
      def->isBeforeInBlock(earlier)) {
    return;
  }
  for (Value operand : def->getOperands()) {
    hoistAbove(operand);
  }
  def->moveBefore(earlier);
}

void SweepFusion::hoistIndependent() {
  for (Operation &op : llvm::make_early_inc_range(llvm::make_range(
           std::next(earlier->getIterator()), later->getIterator()))) {
    if (op.getNumRegions() == 0 && isPure(&op) &&
        llvm::none_of(op.getOperands(),
                      [&](Value v) { return dependsOnEarlier(v); })) {
      op.moveBefore(earlier);
    }
  }
  dependence.clear();
}

/// Whether a dependent row value can follow the sweep: it is made of maxima and
/// means, which have running forms.
bool SweepFusion::isGaugeable(Value value) {
  if (!dependsOnEarlier(value)) {
    return true;
  }
  Operation *def = value.getDefiningOp();
  if (def == earlier) {
    Value carry =
        earlier.getYield().getOperand(cast<OpResult>(value).getResultNumber());
    if (auto op = carry.getDefiningOp<CarryOp>()) {
      return op.getKind() == CarryKind::Max || op.getKind() == CarryKind::Mean;
    }
    return carry.getDefiningOp<RunningOp>() != nullptr;
  }
  return isPure(def) && def->getNumRegions() == 0 &&
         llvm::all_of(def->getOperands(),
                      [&](Value v) { return isGaugeable(v); });
}

/// Whether a value of the later body needs a finished result: one that has no
/// running form.
bool SweepFusion::isFinished(Value value) {
  if (isUniform(value, later)) {
    return !isGaugeable(value);
  }
  Operation *def = value.getDefiningOp();
  if (!def) {
    return false;
  }
  auto known = finished.find(value);
  if (known != finished.end()) {
    return known->second;
  }
  bool result =
      llvm::any_of(def->getOperands(), [&](Value v) { return isFinished(v); });
  for (Region &region : def->getRegions()) {
    visitUsedValuesDefinedAbove(
        region, [&](OpOperand *use) { result |= isFinished(use->get()); });
  }
  finished[value] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// Cloning into the trial sweep
//===----------------------------------------------------------------------===//

/// Clones `op`, or finds the equal op that is there already.
Value SweepFusion::cloneNumbered(Operation &op, IRMapping &mapping,
                                 unsigned result) {
  Operation *copy = body.clone(op, mapping);
  if (isPure(copy) || isa<SweepOp, AcrossOp>(copy)) {
    for (Operation &other : *copy->getBlock()) {
      if (&other == copy) {
        break;
      }
      if (OperationEquivalence::isEquivalentTo(
              &other, copy, OperationEquivalence::IgnoreLocations)) {
        copy->erase();
        return other.getResult(result);
      }
    }
  }
  return copy->getResult(result);
}

FailureOr<Value> SweepFusion::cloneIn(Value value) {
  if (value == later.getKeyArg()) {
    return trial.getKeyArg();
  }
  auto known = cloned.find(value);
  if (known != cloned.end()) {
    return known->second;
  }
  if (isUniform(value, later)) {
    return dependsOnEarlier(value) ? gaugeValue(value)
                                   : FailureOr<Value>(value);
  }
  Operation *def = value.getDefiningOp();
  IRMapping mapping;
  SetVector<Value> operands(def->operand_begin(), def->operand_end());
  for (Region &region : def->getRegions()) {
    visitUsedValuesDefinedAbove(
        region, [&](OpOperand *use) { operands.insert(use->get()); });
  }
  for (Value operand : operands) {
    FailureOr<Value> copy = cloneIn(operand);
    if (failed(copy)) {
      return failure();
    }
    mapping.map(operand, *copy);
  }
  Value copy =
      cloneNumbered(*def, mapping, cast<OpResult>(value).getResultNumber());
  cloned[value] = copy;
  return copy;
}

/// The running form of a result of the earlier sweep, started at `init`.
FailureOr<Value> SweepFusion::gaugeOf(OpResult result, Value init) {
  Value accumulator = trial.getYield().getOperand(result.getResultNumber());
  if (auto running = accumulator.getDefiningOp<RunningOp>()) {
    return running.getResult();
  }
  auto carry = accumulator.getDefiningOp<CarryOp>();
  GaugeKind kind =
      carry.getKind() == CarryKind::Max ? GaugeKind::Max : GaugeKind::Mean;
  for (auto running : trial.getBody().front().getOps<RunningOp>()) {
    if (running.getKind() == kind && running.getValue() == carry.getValue() &&
        running.getCond() == carry.getCond() && running.getInit() == init) {
      return running.getResult();
    }
  }
  return RunningOp::create(body, carry.getLoc(), carry.getType(), kind,
                           carry.getValue(), carry.getCond(), init)
      .getResult();
}

/// max(m, z1, z2, ...): the maximum m started at the largest z.
FailureOr<Value> SweepFusion::startedMaximum(Value value) {
  SmallVector<Value> work{value};
  OpResult maximum;
  Value init;
  OpBuilder before(trial);
  while (!work.empty()) {
    Value v = work.pop_back_val();
    Operation *def = v.getDefiningOp();
    if (!dependsOnEarlier(v)) {
      hoistAbove(v);
      init = init ? arith::MaximumFOp::create(before, v.getLoc(), init, v)
                        .getResult()
                  : v;
    } else if (isa<arith::MaximumFOp, arith::MaxNumFOp>(def)) {
      llvm::append_range(work, def->getOperands());
    } else if (def == earlier && !maximum) {
      maximum = cast<OpResult>(v);
    } else {
      return fail("a maximum of values that both follow the sweep");
    }
  }
  auto carry = earlier.getYield()
                   .getOperand(maximum.getResultNumber())
                   .getDefiningOp<CarryOp>();
  if (!carry || carry.getKind() != CarryKind::Max) {
    return fail("a maximum of something other than a running maximum");
  }
  return gaugeOf(maximum, init);
}

/// A dependent row value, evaluated on running values.
FailureOr<Value> SweepFusion::gaugeValue(Value value) {
  auto known = gauges.find(value);
  if (known != gauges.end()) {
    return known->second;
  }
  Operation *def = value.getDefiningOp();
  if (!isGaugeable(value)) {
    return fail("it needs a result that is finished only after the earlier "
                "sweep, not as a factor");
  }
  FailureOr<Value> result = failure();
  if (def == earlier) {
    result = gaugeOf(cast<OpResult>(value), {});
  } else if (isa<arith::MaximumFOp, arith::MaxNumFOp>(def)) {
    result = startedMaximum(value);
  } else {
    IRMapping mapping;
    for (Value operand : def->getOperands()) {
      if (!dependsOnEarlier(operand)) {
        hoistAbove(operand);
        continue;
      }
      FailureOr<Value> copy = gaugeValue(operand);
      if (failed(copy)) {
        return failure();
      }
      mapping.map(operand, *copy);
    }
    result =
        cloneNumbered(*def, mapping, cast<OpResult>(value).getResultNumber());
  }
  if (failed(result)) {
    return failure();
  }
  // exp2(f - g) must be 0, not NaN, while nothing has been seen.
  auto running = (*result).getDefiningOp<RunningOp>();
  if (running && running.getKind() == GaugeKind::Max &&
      !llvm::all_of(value.getUsers(),
                    [](Operation *user) { return isa<GuardOp>(user); })) {
    *result = GuardOp::create(body, value.getLoc(), *result);
  }
  gauges[value] = *result;
  return result;
}

//===----------------------------------------------------------------------===//
// Taking carries apart
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Term>> SweepFusion::splitAtom(Value value) {
  if (isFinished(value)) {
    Operation *def = value.getDefiningOp();
    return fail("'" + def->getName().getStringRef() +
                "' needs a result that is finished only after the earlier "
                "sweep, not as a factor");
  }
  FailureOr<Value> copy = cloneIn(value);
  if (failed(copy)) {
    return failure();
  }
  return SmallVector<Term>{Term{{}, false, *copy}};
}

FailureOr<SmallVector<Term>> SweepFusion::splitProduct(Value a, Value b,
                                                       Operation *op) {
  FailureOr<SmallVector<Term>> x = split(a), y = split(b);
  if (failed(x) || failed(y)) {
    return failure();
  }
  SmallVector<Term> product;
  for (const Term &s : *x) {
    for (const Term &t : *y) {
      Term p = s;
      llvm::append_range(p.factors, t.factors);
      p.negative ^= t.negative;
      if (!p.streamed) {
        p.streamed = t.streamed;
      } else if (t.streamed) {
        p.streamed =
            arith::MulFOp::create(body, op->getLoc(), p.streamed, t.streamed);
      }
      product.push_back(p);
    }
  }
  if (product.size() > maxTerms) {
    return fail("it has more than " + Twine(maxTerms) + " terms");
  }
  return product;
}

FailureOr<SmallVector<Term>> SweepFusion::splitQuotient(arith::DivFOp op) {
  FailureOr<SmallVector<Term>> x = split(op.getLhs()), y = split(op.getRhs());
  if (failed(x) || failed(y)) {
    return failure();
  }
  if (y->size() != 1) {
    return fail("a division by a sum with finished results");
  }
  const Term &d = y->front();
  for (Term &t : *x) {
    for (auto [factor, inverse] : d.factors) {
      t.factors.push_back({factor, !inverse});
    }
    t.negative ^= d.negative;
    if (d.streamed) {
      Value numerator = t.streamed;
      if (!numerator) {
        numerator = arith::ConstantOp::create(
            body, op.getLoc(), body.getFloatAttr(op.getType(), 1.0));
      }
      t.streamed =
          arith::DivFOp::create(body, op.getLoc(), numerator, d.streamed);
    }
  }
  return *x;
}

/// Writes a value as a sum of terms (row factors) * (streamed value). Sums and
/// differences of running values stay whole: re-centring is stable where
/// expanding is not.
FailureOr<SmallVector<Term>> SweepFusion::split(Value value) {
  if (isUniform(value, later) && dependsOnEarlier(value)) {
    return SmallVector<Term>{Term{{{value, false}}, false, {}}};
  }
  Operation *def = value.getDefiningOp();
  if (isUniform(value, later) || !def) {
    return splitAtom(value);
  }
  auto dependentRow = [&](Value v) {
    return isUniform(v, later) && dependsOnEarlier(v);
  };
  bool factors = isa<arith::MulFOp, arith::DivFOp>(def) &&
                 llvm::any_of(def->getOperands(), dependentRow);
  if (!isFinished(value) && !factors) {
    return splitAtom(value);
  }
  if (isa<arith::MulFOp>(def)) {
    return splitProduct(def->getOperand(0), def->getOperand(1), def);
  }
  if (auto divide = dyn_cast<arith::DivFOp>(def)) {
    return splitQuotient(divide);
  }
  if (isa<arith::AddFOp, arith::SubFOp>(def)) {
    FailureOr<SmallVector<Term>> x = split(def->getOperand(0));
    FailureOr<SmallVector<Term>> y = split(def->getOperand(1));
    if (failed(x) || failed(y)) {
      return failure();
    }
    for (Term &t : *y) {
      t.negative ^= isa<arith::SubFOp>(def);
      x->push_back(t);
    }
    if (x->size() > maxTerms) {
      return fail("it has more than " + Twine(maxTerms) + " terms");
    }
    return x;
  }
  if (isa<arith::NegFOp>(def)) {
    FailureOr<SmallVector<Term>> x = split(def->getOperand(0));
    if (succeeded(x)) {
      for (Term &t : *x) {
        t.negative = !t.negative;
      }
    }
    return x;
  }
  return splitAtom(value);
}

LogicalResult SweepFusion::plan(CarryOp carry) {
  Plan plan{carry, {}, {}, {}, {}, {}, {}};
  SmallVector<Value> conjuncts;
  collectConjuncts(carry.getCond(), conjuncts);
  for (Value cond : conjuncts) {
    if (isUniform(cond, later) && dependsOnEarlier(cond)) {
      plan.rowConds.push_back(cond); // the same for all keys: decided after
      continue;
    }
    if (isFinished(cond)) {
      return fail("a mask on values that are finished only after the earlier "
                  "sweep");
    }
    FailureOr<Value> copy = cloneIn(cond);
    if (failed(copy)) {
      return failure();
    }
    plan.cond = plan.cond ? arith::AndIOp::create(body, carry.getLoc(),
                                                  plan.cond, *copy)
                                .getResult()
                          : *copy;
  }
  if (carry.getRow()) {
    if (isFinished(carry.getRow())) {
      return fail("values that are finished only after the earlier sweep");
    }
    FailureOr<Value> line = cloneIn(carry.getRow());
    if (failed(line)) {
      return failure();
    }
    plan.line = *line;
  }
  bool sums =
      carry.getKind() == CarryKind::Sum || carry.getKind() == CarryKind::Outer;
  if (carry.getValue()) {
    FailureOr<SmallVector<Term>> terms =
        sums ? split(carry.getValue()) : splitAtom(carry.getValue());
    if (failed(terms)) {
      return failure();
    }
    // Terms may cancel, and each would be rounded by its own size.
    if (terms->size() > 1 && carry.getOperandType()) {
      return fail("the rounding of its operands is that of the whole sum");
    }
    plan.terms = *terms;
  }
  plans.push_back(plan);
  return success();
}

/// A user's monoid has no action: its operands must not move at all.
LogicalResult SweepFusion::fold(FoldOp op) {
  if (op.getCond() && isFinished(op.getCond())) {
    return fail("a mask on values that are finished only after the earlier "
                "sweep");
  }
  IRMapping mapping;
  SetVector<Value> operands(op->operand_begin(), op->operand_end());
  visitUsedValuesDefinedAbove(
      op.getCombine(), [&](OpOperand *use) { operands.insert(use->get()); });
  for (Value operand : operands) {
    FailureOr<SmallVector<Term>> atom = splitAtom(operand);
    if (failed(atom)) {
      return failure();
    }
    mapping.map(operand, atom->front().streamed);
  }
  folds.push_back({op, cast<FoldOp>(body.clone(*op, mapping))});
  return success();
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

static int64_t binomial(int64_t n, int64_t k) {
  int64_t result = 1;
  for (int64_t i = 1; i <= k; ++i) {
    result = result * (n - k + i) / i;
  }
  return result;
}

/// An accumulator of `value`, with companions for its polynomial: the i-th is
/// the accumulator of c_i, which itself moves with binomial multiples of the
/// higher coefficients.
Value SweepFusion::emitMoving(Plan &plan, Value value, const Movement &movement,
                              GaugeTyping &typing) {
  Location loc = plan.carry.getLoc();
  Type type = plan.carry.getType();
  SmallVector<Value> companions;
  for (size_t i = 0; i < movement.coefficients.size(); ++i) {
    Movement inner = movement;
    inner.coefficients.clear();
    for (size_t t = i + 1; t < movement.coefficients.size(); ++t) {
      Value scale = typing.materialize(
          Rate{static_cast<double>(binomial(t + 1, i + 1)), {}},
          value.getType());
      inner.coefficients.push_back(
          arith::MulFOp::create(body, loc, scale, movement.coefficients[t]));
    }
    companions.push_back(
        emitMoving(plan, movement.coefficients[i], inner, typing));
  }
  SmallVector<Value> gauges, rates;
  for (auto &[gauge, rate] : movement.rates) {
    gauges.push_back(gauge);
    rates.push_back(typing.materialize(rate, gauge.getType()));
  }
  return CarryOp::create(body, loc, type, plan.carry.getKind(), value,
                         plan.line, plan.cond, gauges, rates,
                         companions.empty() ? Value() : movement.polyGauge,
                         companions, plan.carry.getOperandTypeAttr());
}

FailureOr<Value> SweepFusion::emitTerm(Plan &plan, Value streamed,
                                       GaugeTyping &typing) {
  bool sums = plan.carry.getKind() == CarryKind::Sum ||
              plan.carry.getKind() == CarryKind::Outer;
  Movement m = typing.typeOf(streamed);
  if (m.kind == Movement::Top) {
    return fail(typing.getReason());
  }
  if (!sums && !m.isInvariant()) {
    return fail("'" + stringifyCarryKind(plan.carry.getKind()) +
                "' of a value that moves has no action");
  }
  if (m.kind == Movement::Linear && !m.rates.empty()) {
    if (m.rates.size() > 1) {
      return fail("a polynomial in two running values has no action");
    }
    Movement poly;
    poly.kind = Movement::Exponential;
    poly.polyGauge = m.rates[0].first;
    poly.coefficients = {
        typing.materialize(m.rates[0].second, streamed.getType())};
    m = poly;
  }
  if (plan.line && !typing.typeOf(plan.line).isInvariant()) {
    return fail("an outer product with a row that moves");
  }
  for (auto &[gauge, rate] : m.rates) {
    if (!implies(plan.cond, gauge.getDefiningOp<RunningOp>().getCond())) {
      return fail("entries that are not among those of the maximum: their "
                  "exponentials are not bounded by it");
    }
  }
  return emitMoving(plan, streamed, m, typing);
}

LogicalResult SweepFusion::emit(Plan &plan, GaugeTyping &typing) {
  Location loc = plan.carry.getLoc();
  // One condition in two orders is one value: targets evaluate it once.
  for (auto running : trial.getBody().front().getOps<RunningOp>()) {
    Value cond = running.getCond();
    if (plan.cond && cond && implies(plan.cond, cond) &&
        implies(cond, plan.cond)) {
      plan.cond = cond;
    }
  }
  if (plan.cond && !typing.typeOf(plan.cond).isInvariant()) {
    return fail("a mask on values that move with a running maximum");
  }
  if (!plan.carry.getValue()) {
    plan.results.push_back(createCarry(body, loc, plan.carry.getKind(),
                                       plan.carry.getType(), {}, {},
                                       plan.cond));
    return success();
  }
  bool factors = false;
  for (Term &term : plan.terms) {
    if (!term.streamed) {
      term.streamed =
          typing.materialize(Rate{1, {}}, plan.carry.getValue().getType());
    }
    FailureOr<Value> result = emitTerm(plan, term.streamed, typing);
    if (failed(result)) {
      return failure();
    }
    plan.results.push_back(*result);
    factors |= !term.factors.empty();
  }
  if (factors) {
    // A factor such as 1 / 0 must not reach a row without entries.
    plan.any = createCarry(body, loc, CarryKind::Any, body.getI1Type(), {}, {},
                           plan.cond);
  }
  return success();
}

/// A maximum that is also followed by a gauge is the gauge's final value.
void SweepFusion::useGaugesForMaxima() {
  YieldOp yield = trial.getYield();
  for (OpOperand &operand : yield->getOpOperands()) {
    auto carry = operand.get().getDefiningOp<CarryOp>();
    if (!carry || (carry.getKind() != CarryKind::Max &&
                   carry.getKind() != CarryKind::Mean)) {
      continue;
    }
    GaugeKind kind =
        carry.getKind() == CarryKind::Max ? GaugeKind::Max : GaugeKind::Mean;
    for (auto running : trial.getBody().front().getOps<RunningOp>()) {
      if (running.getKind() == kind && running.getValue() == carry.getValue() &&
          running.getCond() == carry.getCond() && !running.getInit()) {
        operand.set(running);
      }
    }
  }
}

/// The result of a carry of the later sweep, from those of the fused one.
Value SweepFusion::combine(OpBuilder &builder, Plan &plan, SweepOp fused) {
  Location loc = plan.carry.getLoc();
  auto resultOf = [&](Value accumulator) -> Value {
    for (auto [k, v] : llvm::enumerate(fused.getYield().getOperands())) {
      if (v == accumulator) {
        return fused.getResult(k);
      }
    }
    return {};
  };
  // Row values may be results of the sweep that the fused one replaces.
  auto current = [&](Value v) -> Value {
    return v.getDefiningOp() == earlier
               ? fused.getResult(cast<OpResult>(v).getResultNumber())
               : v;
  };
  Type type = plan.carry.getType();
  auto spread = [&](Value scalar) -> Value {
    if (scalar.getType() == type) {
      return scalar;
    }
    return vector::BroadcastOp::create(builder, loc, cast<VectorType>(type),
                                       scalar);
  };
  Value total;
  for (auto [k, accumulator] : llvm::enumerate(plan.results)) {
    Value value = resultOf(accumulator), factor, divisor;
    if (k < plan.terms.size()) {
      for (auto [old, inverse] : plan.terms[k].factors) {
        Value f = current(old);
        Value &product = inverse ? divisor : factor;
        product =
            product
                ? arith::MulFOp::create(builder, loc, product, f).getResult()
                : f;
      }
      if (divisor) {
        Value one = arith::ConstantOp::create(
            builder, loc, builder.getFloatAttr(divisor.getType(), 1.0));
        Value numerator = factor ? factor : one;
        factor = arith::DivFOp::create(builder, loc, numerator, divisor);
      }
      if (factor) {
        value = arith::MulFOp::create(builder, loc, value, spread(factor));
      }
      if (plan.terms[k].negative) {
        value = arith::NegFOp::create(builder, loc, value);
      }
    }
    total = total
                ? arith::AddFOp::create(builder, loc, total, value).getResult()
                : value;
  }
  Value keep = plan.any ? resultOf(plan.any) : Value();
  for (Value old : plan.rowConds) {
    Value cond = current(old);
    keep = keep ? arith::AndIOp::create(builder, loc, keep, cond).getResult()
                : cond;
  }
  if (!keep) {
    return total;
  }
  Value nothing = emptyValue(builder, loc, plan.carry);
  return arith::SelectOp::create(builder, loc, keep, total, nothing);
}

SweepOp SweepFusion::commit() {
  useGaugesForMaxima();
  SmallVector<Value> yields(trial.getYield().getOperands());
  for (Plan &plan : plans) {
    llvm::append_range(yields, plan.results);
    if (plan.any) {
      yields.push_back(plan.any);
    }
  }
  for (auto &[old, now] : folds) {
    llvm::append_range(yields, now.getResults());
  }
  trial.getYield()->setOperands(yields);
  for (auto [old, now] : llvm::zip(earlier.getResults(), trial.getResults())) {
    old.replaceAllUsesWith(now);
  }
  SweepOp fused = addSweepResults(trial);
  OpBuilder builder(later);
  DenseMap<Value, Value> results;
  for (Plan &plan : plans) {
    results[plan.carry] = combine(builder, plan, fused);
  }
  unsigned next = fused.getNumResults();
  for (auto &[old, now] : folds) {
    next -= now.getNumResults();
  }
  for (auto &[old, now] : folds) {
    for (Value result : old.getResults()) {
      results[result] = fused.getResult(next++);
    }
  }
  for (auto [result, accumulator] :
       llvm::zip(later.getResults(), later.getYield().getOperands())) {
    result.replaceAllUsesWith(results[accumulator]);
  }
  later.erase();
  earlier.erase();
  return fused;
}

FailureOr<SweepOp> SweepFusion::run() {
  if (!sameExtent(later.getLower(), earlier.getLower()) ||
      !sameExtent(later.getUpper(), earlier.getUpper())) {
    return fail("it runs over other keys than the earlier sweep");
  }
  hoistIndependent();
  OpBuilder before(earlier);
  trial = cast<SweepOp>(before.clone(*earlier, earlierToTrial));
  body = OpBuilder(trial.getYield());
  auto build = [&]() -> LogicalResult {
    for (Operation &op : later.getBody().front().without_terminator()) {
      if (auto carry = dyn_cast<CarryOp>(op)) {
        if (failed(plan(carry))) {
          return failure();
        }
      } else if (auto user = dyn_cast<FoldOp>(op)) {
        if (failed(fold(user))) {
          return failure();
        }
      } else if (isa<RunningOp>(op)) {
        return fail("it follows running values of its own");
      } else if (isa<ReducerOpInterface>(op)) {
        return fail("selections and bins read finished values only");
      }
    }
    GaugeTyping typing(trial, &body);
    for (auto &[old, now] : folds) {
      for (Value operand : now->getOperands()) {
        if (!typing.typeOf(operand).isInvariant()) {
          return fail("a user's monoid of a value that moves has no action");
        }
      }
    }
    for (Plan &plan : plans) {
      if (failed(emit(plan, typing))) {
        return failure();
      }
    }
    return success();
  };
  if (failed(build())) {
    trial.erase();
    return failure();
  }
  return commit();
}
