//===- IndexDivision.cpp - whole quotients on vectors ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Positions in images are quotients and remainders of keys. No instruction
// divides vectors of 64-bit integers, and LLVM divides lane by lane. Up to 2^50
// a quotient by a constant comes exactly out of f64: x + 1/2 is at least 1/2
// away from all multiples of c, so that errors in the last places of
//
//   trunc((x +- 1/2) (1 / c))
//
// do not reach the next whole number. The bounds are those that follow from the
// program, with fewer than 2^47 rows and keys.
//
//===----------------------------------------------------------------------===//

#include "Entries.h"
#include "attn/Support/Positions.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

namespace {
struct Bounds {
  int64_t low, high;
};

constexpr int64_t kMostPositions = int64_t{1} << 47;
constexpr int64_t kMost = int64_t{1} << 50;

/// Bounds of integers, from operands up.
class BoundsOf {
public:
  BoundsOf(KernelState &kernel, const TilePlan &plan,
           int64_t positions = kMostPositions, int64_t most = kMost)
      : kernel(kernel), plan(plan), positions(positions), most(most) {}

  /// None where `value`, or what it is made of, may lie beyond `most`.
  std::optional<Bounds> get(Value value) {
    if (auto it = known.find(value); it != known.end()) {
      return it->second;
    }
    std::optional<Bounds> result = compute(value);
    if (result && (result->low < -most || result->high > most)) {
      result.reset();
    }
    return known[value] = result;
  }

private:
  std::optional<Bounds> compute(Value value) {
    if (value == plan.keyArg || value == plan.rowArg ||
        value == kernel.stream.getHeadArg() ||
        value == kernel.stream.getBatchArg()) {
      return Bounds{0, positions};
    }
    if (std::optional<int64_t> constant = getConstantIntValue(value)) {
      return std::abs(*constant) <= kMost
                 ? std::optional(Bounds{*constant, *constant})
                 : std::nullopt;
    }
    Operation *op = value.getDefiningOp();
    // Narrower sums may wrap.
    if (!op || !(value.getType().isIndex() || value.getType().isInteger(64))) {
      return std::nullopt;
    }
    if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op)) {
      return ofCast(op);
    }
    if (op->getNumOperands() == 0 || op->getNumOperands() > 2) {
      return std::nullopt;
    }
    SmallVector<Bounds> of;
    for (Value operand : op->getOperands()) {
      std::optional<Bounds> bounds = get(operand);
      if (!bounds) {
        return std::nullopt;
      }
      of.push_back(*bounds);
    }
    return combine(op, of);
  }

  std::optional<Bounds> ofCast(Operation *op) {
    Type from = op->getOperand(0).getType();
    unsigned bits = from.isIndex() ? 64 : from.getIntOrFloatBitWidth();
    if (bits > 32) {
      return get(op->getOperand(0));
    }
    int64_t half = int64_t{1} << (bits - 1);
    return isa<arith::IndexCastOp>(op) ? Bounds{-half, half - 1}
                                       : Bounds{0, 2 * half - 1};
  }

  static std::optional<Bounds> combine(Operation *op, ArrayRef<Bounds> of) {
    if (isa<math::AbsIOp>(op)) {
      return Bounds{0, std::max(std::abs(of[0].low), std::abs(of[0].high))};
    }
    if (of.size() != 2) {
      return std::nullopt;
    }
    auto [a, b] = std::pair(of[0], of[1]);
    bool positive = b.low == b.high && b.low > 0;
    return llvm::TypeSwitch<Operation *, std::optional<Bounds>>(op)
        .Case([&](arith::AddIOp) {
          return Bounds{a.low + b.low, a.high + b.high};
        })
        .Case([&](arith::SubIOp) {
          return Bounds{a.low - b.high, a.high - b.low};
        })
        .Case([&](arith::MaxSIOp) {
          return Bounds{std::max(a.low, b.low), std::max(a.high, b.high)};
        })
        .Case([&](arith::MinSIOp) {
          return Bounds{std::min(a.low, b.low), std::min(a.high, b.high)};
        })
        .Case<arith::DivSIOp, arith::DivUIOp>(
            [&](auto) -> std::optional<Bounds> {
              if (!positive || (isa<arith::DivUIOp>(op) && a.low < 0)) {
                return std::nullopt;
              }
              return Bounds{a.low / b.low, a.high / b.low};
            })
        .Case<arith::RemSIOp, arith::RemUIOp>(
            [&](auto) -> std::optional<Bounds> {
              if (!positive || (isa<arith::RemUIOp>(op) && a.low < 0)) {
                return std::nullopt;
              }
              return Bounds{a.low < 0 ? 1 - b.low : 0, b.low - 1};
            })
        .Default([](Operation *) { return std::nullopt; });
  }

  KernelState &kernel;
  const TilePlan &plan;
  int64_t positions, most;
  DenseMap<Value, std::optional<Bounds>> known;
};
} // namespace

Value Entries::divide(Operation *op) {
  KernelState &kernel = scope.kernel;
  if (!isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp>(
          op) ||
      !op->getResult(0).getType().isIndex() ||
      kernel.target.vectorBits != 512) {
    return {};
  }
  std::optional<int64_t> divisor = getConstantIntValue(op->getOperand(1));
  // Powers of two are shifts.
  if (!divisor || *divisor < 3 || *divisor > kMost ||
      llvm::isPowerOf2_64(*divisor)) {
    return {};
  }
  std::optional<Bounds> bounds =
      BoundsOf(kernel, tile.plan).get(op->getOperand(0));
  bool isUnsigned = isa<arith::DivUIOp, arith::RemUIOp>(op);
  if (!bounds || (isUnsigned && bounds->low < 0)) {
    return {};
  }
  Emit &e = builder();
  Value x = get(op->getOperand(0));
  Type integers = getVectorType(e.getI64Type());
  Type floats = getVectorType(e.getF64Type());
  // These floats are none of the program's.
  auto marked = [&](Operation *made) -> Value {
    made->setAttr(kPositionsAttr, e.getUnitAttr());
    return made->getResult(0);
  };
  auto constant = [&](double value) -> Value {
    return marked(LLVM::ConstantOp::create(
        e, floats, DenseElementsAttr::get(cast<VectorType>(floats), value)));
  };
  Value number = marked(LLVM::SIToFPOp::create(
      e, floats, arith::IndexCastOp::create(e, integers, x)));
  Value half = constant(0.5);
  if (bounds->low < 0) {
    half = marked(LLVM::CopySignOp::create(e, floats, half, number));
  }
  Value inverse = constant(1.0 / static_cast<double>(*divisor));
  Value sum = marked(LLVM::FAddOp::create(e, number, half));
  Value quotient = marked(LLVM::FMulOp::create(e, sum, inverse));
  Value whole = arith::IndexCastOp::create(
      e, x.getType(), marked(LLVM::FPToSIOp::create(e, integers, quotient)));
  if (isa<arith::DivSIOp, arith::DivUIOp>(op)) {
    return whole;
  }
  Value many = arith::ConstantOp::create(
      e, DenseElementsAttr::get(cast<VectorType>(x.getType()),
                                e.getIndexAttr(*divisor)));
  return e.sub(x, arith::MulIOp::create(e, whole, many));
}

Value Entries::getNarrow(Value value) {
  if (Value found = narrow.lookup(value)) {
    return found;
  }
  KernelState &kernel = scope.kernel;
  BoundsOf bounds(kernel, tile.plan, kRunPositions,
                  std::numeric_limits<int32_t>::max());
  if (!value.getType().isIndex() || !bounds.get(value)) {
    return {};
  }
  Emit &e = builder();
  auto spread = [&](Value scalar) {
    return e.broadcast(arith::IndexCastOp::create(e, e.getI32Type(), scalar),
                       getLanes());
  };
  Value result;
  if (!isKey(value)) {
    result = spread(scope.get(value));
  } else if (Value base = emitLaneBase(value, firstKey)) {
    result = e.add(spread(base), getIota());
  } else if (Operation *op = value.getDefiningOp()) {
    IRMapping mapping;
    for (Value operand : op->getOperands()) {
      Value lanes = getNarrow(operand);
      if (!lanes) {
        return {};
      }
      mapping.map(operand, lanes);
    }
    Operation *copy = e.clone(*op, mapping);
    copy->getResult(0).setType(getVectorType(e.getI32Type()));
    result = copy->getResult(0);
  }
  return narrow[value] = result;
}
