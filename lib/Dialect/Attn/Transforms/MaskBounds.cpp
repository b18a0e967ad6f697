//===- MaskBounds.cpp - ranges of keys from presence conditions -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Solves a condition for the key: which keys can satisfy it on some row of a
// tile. A comparison e(j) <= x implies e(j) <= max x over the rows, and the
// rules peel e until the key is left:
//
//   j + 3 <= x        j <= x - 3
//   j div 4 <= x      j <= 4 x + 3
//   max(j, c) <= x    j <= x (and c <= x)
//
// A range may be too wide, never too narrow: a rule that does not apply gives
// no constraint, conjunctions intersect, disjunctions take the hull.
//
//===----------------------------------------------------------------------===//

#include "MaskEvaluator.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using arith::CmpIPredicate;

KeyRange MaskEvaluator::intersect(KeyRange x, KeyRange y) {
  auto pick = [&](Value a, Value b, bool larger) {
    if (!a || !b || a == b) {
      return a ? a : b;
    }
    return larger ? ib.fold<arith::MaxSIOp>(a, b)
                  : ib.fold<arith::MinSIOp>(a, b);
  };
  return {pick(x.lo, y.lo, true), pick(x.hi, y.hi, false)};
}

KeyRange MaskEvaluator::unite(KeyRange x, KeyRange y) {
  auto pick = [&](Value a, Value b, bool larger) {
    if (!a || !b || a == b) {
      return a == b ? a : Value();
    }
    return larger ? ib.fold<arith::MaxSIOp>(a, b)
                  : ib.fold<arith::MinSIOp>(a, b);
  };
  return {pick(x.lo, y.lo, false), pick(x.hi, y.hi, true)};
}

/// Every key where `condition` holds, none where it does not. The empty range
/// is written end to start, which makes it neutral in `unite`.
KeyRange MaskEvaluator::whenever(Value condition) {
  if (matchPattern(condition, m_One())) {
    return {};
  }
  Value first = key.lo, end = ib.fold<arith::AddIOp>(key.hi, ib.constant(1));
  return {ib.select(condition, first, end), ib.select(condition, end, first)};
}

KeyRange MaskEvaluator::keysWhere(Value value, bool holds) {
  auto known = ranges.find({value, holds});
  if (known != ranges.end()) {
    return known->second;
  }
  KeyRange result = computeKeys(value, holds);
  ranges[{value, holds}] = result;
  return result;
}

KeyRange MaskEvaluator::computeKeys(Value value, bool holds) {
  if (!getTraits(value).ofKey) {
    Predicate p = predicate(value);
    return whenever(holds ? p.may : ib.negate(p.must));
  }
  Operation *op = value.getDefiningOp();
  auto of = [&](unsigned k, bool h) { return keysWhere(op->getOperand(k), h); };
  auto isTrue = [&](unsigned k) {
    return matchPattern(op->getOperand(k), m_One());
  };
  return TypeSwitch<Operation *, KeyRange>(op)
      .Case<arith::AndIOp>([&](auto) {
        return holds ? intersect(of(0, true), of(1, true))
                     : unite(of(0, false), of(1, false));
      })
      .Case<arith::OrIOp>([&](auto) {
        return holds ? unite(of(0, true), of(1, true))
                     : intersect(of(0, false), of(1, false));
      })
      .Case<arith::XOrIOp>([&](auto) {
        return isTrue(1)   ? of(0, !holds)
               : isTrue(0) ? of(1, !holds)
                           : KeyRange();
      })
      .Case<arith::SelectOp>([&](auto) {
        return unite(intersect(of(0, true), of(1, holds)),
                     intersect(of(0, false), of(2, holds)));
      })
      .Case<arith::CmpIOp>(
          [&](arith::CmpIOp cmp) { return keysWhereCompared(cmp, holds); })
      .Default([](Operation *) { return KeyRange(); });
}

KeyRange MaskEvaluator::keysWhereCompared(arith::CmpIOp cmp, bool holds) {
  if (cmp.getLhs().getType().isInteger(1)) {
    return {};
  }
  CmpIPredicate predicate = cmp.getPredicate();
  if (!holds) {
    predicate = arith::invertPredicate(predicate);
  }
  Interval x = interval(cmp.getLhs()), y = interval(cmp.getRhs());
  if (predicate != CmpIPredicate::eq && predicate >= CmpIPredicate::ult) {
    x = ib.require(x, 0, x.max);
    y = ib.require(y, 0, y.max);
  }
  if (!x || !y || predicate == CmpIPredicate::ne) {
    return {};
  }
  Value valid = ib.both(x.valid, y.valid);
  x.valid = y.valid = valid;
  // lhs + gap <= rhs, then for equality also the other way round.
  auto ordered = [&](Value lhs, const Interval &l, Value rhs, const Interval &r,
                     int64_t gap) {
    return intersect(
        solve(lhs, /*atMost=*/true, ib.sub(ib.upper(r), ib.constantPoint(gap))),
        solve(rhs, /*atMost=*/false,
              ib.add(ib.lower(l), ib.constantPoint(gap))));
  };
  Value lhs = cmp.getLhs(), rhs = cmp.getRhs();
  switch (predicate) {
  case CmpIPredicate::eq:
    return intersect(ordered(lhs, x, rhs, y, 0), ordered(rhs, y, lhs, x, 0));
  case CmpIPredicate::slt:
  case CmpIPredicate::ult:
    return ordered(lhs, x, rhs, y, 1);
  case CmpIPredicate::sle:
  case CmpIPredicate::ule:
    return ordered(lhs, x, rhs, y, 0);
  case CmpIPredicate::sgt:
  case CmpIPredicate::ugt:
    return ordered(rhs, y, lhs, x, 1);
  default:
    return ordered(rhs, y, lhs, x, 0);
  }
}

/// Keys for which value <= limit (or value >= limit). The limit is a point and
/// carries the validity of everything in the comparison.
KeyRange MaskEvaluator::solve(Value value, bool atMost, Interval limit) {
  if (!limit || !getTraits(value).ofKey) {
    return {};
  }
  if (value == sweep.getKeyArg()) {
    Value end = ib.fold<arith::AddIOp>(key.hi, ib.constant(1));
    Value bound =
        atMost ? ib.fold<arith::AddIOp>(limit.lo, ib.constant(1)) : limit.lo;
    if (limit.valid) {
      bound = ib.select(limit.valid, bound, atMost ? end : key.lo);
    }
    return atMost ? KeyRange{Value(), bound} : KeyRange{bound, Value()};
  }
  Operation *op = value.getDefiningOp();
  auto arg = [&](unsigned k) { return op->getOperand(k); };
  // What the other operand leaves of the limit, at its most generous.
  auto least = [&](unsigned k) { return ib.lower(interval(arg(k))); };
  auto most = [&](unsigned k) { return ib.upper(interval(arg(k))); };
  auto other = [&](unsigned k) { return atMost ? least(k) : most(k); };
  auto extremum = [&](bool all) {
    KeyRange x = solve(arg(0), atMost, limit), y = solve(arg(1), atMost, limit);
    // Where one operand does not depend on the key, it may satisfy the
    // comparison by itself: no constraint then.
    return all ? intersect(x, y) : unite(x, y);
  };
  return TypeSwitch<Operation *, KeyRange>(op)
      .Case<arith::AddIOp>([&](auto) {
        return intersect(solve(arg(0), atMost, ib.sub(limit, other(1))),
                         solve(arg(1), atMost, ib.sub(limit, other(0))));
      })
      .Case<arith::SubIOp>([&](auto) {
        // x - y <= c: x <= c + max y, and y >= min x - c.
        Interval y = atMost ? most(1) : least(1);
        return intersect(solve(arg(0), atMost, ib.add(limit, y)),
                         solve(arg(1), !atMost, ib.sub(other(0), limit)));
      })
      .Case<arith::MulIOp>(
          [&](arith::MulIOp mul) { return solveProduct(mul, atMost, limit); })
      .Case<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(
          [&](auto) { return solveDivision(arg(0), arg(1), atMost, limit); })
      .Case<arith::MinSIOp, arith::MinUIOp>(
          [&](auto) { return extremum(/*all=*/!atMost); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>(
          [&](auto) { return extremum(/*all=*/atMost); })
      .Case<math::AbsIOp>([&](auto) {
        if (!atMost) {
          return KeyRange();
        }
        Interval negated = ib.sub(ib.constantPoint(0), limit);
        return intersect(solve(arg(0), true, limit),
                         solve(arg(0), false, negated));
      })
      .Case<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
            arith::ExtUIOp, arith::TruncIOp>(
          [&](auto) { return solve(arg(0), atMost, limit); })
      .Default([](Operation *) { return KeyRange(); });
}

/// x div k <= c implies x <= c k + (k - 1) for truncation and for floor;
/// x div k >= c implies x >= c k - (k - 1), and x >= c k if x >= 0.
KeyRange MaskEvaluator::solveDivision(Value dividend, Value divisor,
                                      bool atMost, Interval limit) {
  APInt k;
  if (!matchPattern(divisor, m_ConstantInt(&k)) || !k.isStrictlyPositive() ||
      k.getActiveBits() > 40) {
    return {};
  }
  Interval scaled = ib.mul(limit, ib.constantPoint(k.getSExtValue()));
  Interval slack = ib.constantPoint(k.getSExtValue() - 1);
  if (atMost) {
    return solve(dividend, true, ib.add(scaled, slack));
  }
  bool natural = interval(dividend).isNonNegative();
  return solve(dividend, false, natural ? scaled : ib.sub(scaled, slack));
}

/// x k <= c implies x <= c div k rounded towards zero, which is at least the
/// exact bound; x k >= c likewise.
KeyRange MaskEvaluator::solveProduct(arith::MulIOp op, bool atMost,
                                     Interval limit) {
  APInt k;
  Value factor = op.getLhs(), constant = op.getRhs();
  if (!matchPattern(constant, m_ConstantInt(&k))) {
    std::swap(factor, constant);
  }
  if (!matchPattern(constant, m_ConstantInt(&k)) || !k.isStrictlyPositive() ||
      k.getActiveBits() > 40) {
    return {};
  }
  return solve(
      factor, atMost,
      ib.div<arith::DivSIOp>(limit, ib.constantPoint(k.getSExtValue())));
}
