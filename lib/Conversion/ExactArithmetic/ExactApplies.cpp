//===- ExactApplies.cpp - plans that need more than a ring ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Online forms follow from laws of exponentials and sums, which the ring of
// exact mode has, and from a few that only real numbers have. Where a plan uses
// one of those, a difference would say nothing: the plan is refused.
//
//   %x = arith.maximumf %e, %c    error: exact mode does not apply: ..., where
//                                 %e and %c move with an attn.running max
//
//===----------------------------------------------------------------------===//

#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/IR/ExactOps.h"
#include "attn/Dialect/Attn/IR/GaugeTyping.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

namespace mlir::attn {
#define GEN_PASS_DEF_EXACTAPPLIESPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

static std::optional<double> getNumber(Operation *op) {
  if (auto opaque = dyn_cast<OpaqueOp>(op)) {
    return opaque.getValue().getValueAsDouble();
  }
  auto constant = dyn_cast<arith::ConstantOp>(op);
  auto value =
      constant ? dyn_cast<FloatAttr>(constant.getValue()) : FloatAttr();
  return value ? std::optional(value.getValueAsDouble()) : std::nullopt;
}

static std::optional<double> getNumber(Value value) {
  Operation *op = value.getDefiningOp();
  return op ? getNumber(op) : std::nullopt;
}

static bool isInteger(std::optional<double> x) {
  return x && std::trunc(*x) == *x;
}

static InFlightDiagnostic refuse(Operation *op) {
  return op->emitError() << "exact mode does not apply: ";
}

/// The constant part of a rate: of c or c * %value.
static std::optional<double> getRateConstant(Value rate) {
  if (auto product = rate.getDefiningOp<arith::MulFOp>()) {
    std::optional<double> first = getNumber(product.getLhs());
    return first ? first : getNumber(product.getRhs());
  }
  return getNumber(rate);
}

/// Whether the program has the number c or -c, so that nothing was computed.
static bool hasNumber(StreamOp stream, double c) {
  return stream
      .walk([&](Operation *op) {
        std::optional<double> number = getNumber(op);
        bool same = number && std::abs(*number) == std::abs(c);
        bool used = same && llvm::any_of(op->getUsers(), [](Operation *user) {
                      return !isa<CarryOp>(user);
                    });
        return used ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

static LogicalResult checkRates(CarryOp carry) {
  for (Value rate : carry.getRates()) {
    std::optional<double> c = getRateConstant(rate);
    if (c && !isInteger(c) &&
        !hasNumber(carry->getParentOfType<StreamOp>(), *c)) {
      return refuse(carry) << "a carry moves at the rate " << *c
                           << ", which was computed from several constants";
    }
  }
  return success();
}

/// Whether the sums of `stream` have operands that are rounded on the way.
static CarryOp findRoundedCarry(StreamOp stream) {
  CarryOp found;
  stream.walk([&](CarryOp carry) {
    if (carry.getOperandType()) {
      found = carry;
    }
  });
  return found;
}

/// Whether lower bits of what `op` computes depend on upper ones: anything but
/// sums, products, exponentials and moves.
static bool needsUpperBits(Operation *op) {
  if (isa<arith::CmpFOp, arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
          arith::MinNumFOp>(op)) {
    return true;
  }
  if (isa<math::MathDialect>(op->getDialect())) {
    return !isa<math::FmaOp, math::ExpOp, math::Exp2Op>(op);
  }
  return isa<AttnDialect>(op->getDialect()) &&
         !op->hasTrait<OpTrait::IsTerminator>() && !isa<StreamOp, OpaqueOp>(op);
}

/// An op on whole tensors among `readers` that needs the upper bits of what it
/// reads.
static Operation *findUpperBitsReader(ArrayRef<Operation *> readers) {
  Operation *found = nullptr;
  for (Operation *reader : readers) {
    if (!isa<StreamOp>(reader) && !reader->getParentOfType<StreamOp>()) {
      reader->walk(
          [&](Operation *op) { found = needsUpperBits(op) ? op : found; });
    }
  }
  return found;
}

/// The upper bits of such sums, and two of logarithms, are not determined;
/// maxima of another stream would depend on them. (Streams without a sweep
/// merge ranges of keys.)
static LogicalResult checkUpperBits(StreamOp stream) {
  CarryOp rounded = findRoundedCarry(stream);
  Operation *logarithm = nullptr;
  stream.walk([&](Operation *op) {
    if (isa<math::LogOp, math::Log2Op, math::Log1pOp, math::SqrtOp,
            math::RsqrtOp, math::PowFOp>(op)) {
      logarithm = op;
    }
  });
  if (!rounded && !logarithm) {
    return success();
  }
  SetVector<Operation *> readers;
  getForwardSlice(stream.getOperation(), &readers);
  Operation *found = findUpperBitsReader(readers.getArrayRef());
  for (Operation *reader : readers) {
    auto other = dyn_cast<StreamOp>(reader);
    if (rounded && other && !other.getBody().getOps<SweepOp>().empty()) {
      return refuse(rounded) << "a sum of operands that are rounded has low "
                                "bits only, and another sweep reads it";
    }
  }
  if (found && rounded) {
    return refuse(rounded) << "a sum of operands that are rounded has low "
                              "bits only, and '"
                           << found->getName() << "' needs more";
  }
  if (found) {
    return refuse(logarithm) << "two bits of a logarithm are not known, and '"
                             << found->getName() << "' needs all";
  }
  return success();
}

/// Whether `value` is what a sweep carries as a mean, here or in the stream
/// that stored it.
static bool isMean(Value value) {
  if (auto sweep = value.getDefiningOp<SweepOp>()) {
    unsigned k = cast<OpResult>(value).getResultNumber();
    auto carry = sweep.getYield()->getOperand(k).getDefiningOp<CarryOp>();
    return carry && carry.getKind() == CarryKind::Mean;
  }
  auto at = value.getDefiningOp<AtOp>();
  auto source = at ? dyn_cast<BlockArgument>(at.getSource()) : BlockArgument();
  auto reader = source ? dyn_cast<StreamOp>(source.getOwner()->getParentOp())
                       : StreamOp();
  if (!reader || source.getArgNumber() < StreamOp::kNumIndexArgs) {
    return false;
  }
  auto stored = dyn_cast<OpResult>(
      reader.getInputs()[source.getArgNumber() - StreamOp::kNumIndexArgs]);
  auto writer = stored ? dyn_cast<StreamOp>(stored.getOwner()) : StreamOp();
  return writer && isMean(writer.getBody().front().getTerminator()->getOperand(
                       stored.getResultNumber()));
}

/// A merge gives the mean of every range the weight of its count.
static LogicalResult checkMerge(arith::MulFOp product) {
  bool weighs = llvm::any_of(product->getOperands(), [](Value operand) {
    return isa_and_present<arith::SIToFPOp, arith::UIToFPOp>(
        operand.getDefiningOp());
  });
  if (weighs && (isMean(product.getLhs()) || isMean(product.getRhs()))) {
    return refuse(product) << "means of several ranges are merged by their "
                              "counts, and even ones have no inverse in the "
                              "ring";
  }
  return success();
}

static bool isZero(Value value) {
  return matchPattern(value, m_AnyZeroFloat());
}

static LogicalResult checkMoved(Operation *op) {
  if (auto cmp = dyn_cast<arith::CmpFOp>(op);
      cmp && (isZero(cmp.getLhs()) || isZero(cmp.getRhs()))) {
    return success();
  }
  if (isa<arith::CmpFOp, arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
          arith::MinNumFOp>(op)) {
    return refuse(op) << "'" << op->getName()
                      << "' compares values that move with a running maximum, "
                         "and no order of the ring moves with them";
  }
  auto power = dyn_cast<math::PowFOp>(op);
  if (isa<math::SqrtOp, math::RsqrtOp>(op) ||
      (power && !isInteger(getNumber(power.getRhs())))) {
    return refuse(op) << "'" << op->getName()
                      << "' takes a root of a value that moves with a running "
                         "maximum, and the ring has no roots";
  }
  return success();
}

namespace {
struct ExactAppliesPass : attn::impl::ExactAppliesPassBase<ExactAppliesPass> {
  using Base::Base;

  void runOnOperation() override {
    WalkResult result = getOperation().walk([](Operation *op) {
      LogicalResult checked =
          llvm::TypeSwitch<Operation *, LogicalResult>(op)
              .Case([](StreamOp stream) { return checkUpperBits(stream); })
              .Case([](SweepOp sweep) { return checkSweep(sweep); })
              .Case([](arith::MulFOp product) { return checkMerge(product); })
              .Default([](Operation *) { return success(); });
      return failed(checked) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted()) {
      signalPassFailure();
    }
  }

private:
  static LogicalResult checkSweep(SweepOp sweep) {
    GaugeTyping typing(sweep, nullptr);
    for (Operation &op : sweep.getBody().front()) {
      if (failed(check(&op, typing))) {
        return failure();
      }
    }
    return success();
  }

  static LogicalResult check(Operation *op, GaugeTyping &typing) {
    if (auto running = dyn_cast<RunningOp>(op)) {
      return running.getKind() == GaugeKind::Mean
                 ? refuse(op) << "a running mean divides by counts, and even "
                                 "ones have no inverse in the ring"
                 : LogicalResult(success());
    }
    if (auto carry = dyn_cast<CarryOp>(op)) {
      return checkRates(carry);
    }
    bool moved = llvm::any_of(op->getOperands(), [&](Value operand) {
      return isa<FloatType>(operand.getType()) &&
             !typing.typeOf(operand).isInvariant();
    });
    return moved ? checkMoved(op) : success();
  }
};
} // namespace
