//===- ExactArithmetic.cpp - integers modulo 2^w in place of floats -------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fused kernel sums in another order, rescales, merges: with floats it is
// close to the program as written, and how close is a matter of judgement. In a
// ring it is equal to it or wrong. Every float op becomes integer arithmetic on
// the bits of its operands; what moves values stays:
//
//   %y = arith.addf %a, %b : f32
// becomes
//   %i = arith.bitcast %a : f32 to i32
//   %j = arith.bitcast %b : f32 to i32
//   %s = arith.addi %i, %j : i32
//   %y = arith.bitcast %s : i32 to f32
//
//===----------------------------------------------------------------------===//

#include "RingFunctions.h"

#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/IR/ExactOps.h"
#include "attn/Support/Positions.h"
#include "attn/Support/Ring.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/xxhash.h"

namespace mlir::attn {
#define GEN_PASS_DEF_EXACTARITHMETICPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::exact;

/// A float or a vector of floats.
static bool isFloat(Type type) {
  return isa<FloatType>(type) ||
         (isa<VectorType>(type) && isa<FloatType>(getElementTypeOrSelf(type)));
}

/// Whether `value` is the constant 0, in every lane.
static bool isZero(Value value) {
  while (auto broadcast = value.getDefiningOp<vector::BroadcastOp>()) {
    value = broadcast.getSource();
  }
  return matchPattern(value, m_AnyZeroFloat());
}

static APInt embed(const APFloat &value) {
  // Kernels mark places by the bits of a NaN, and compare with them.
  if (value.isNaN()) {
    return value.bitcastToAPInt();
  }
  APFloat wide = value;
  bool loses = false;
  wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
  unsigned width = APFloat::getSizeInBits(value.getSemantics());
  return APInt(width, embedConstant(wide.convertToDouble(), width));
}

namespace {

/// Rewrites one op.
class Rewriter {
public:
  Rewriter(RingFunctions &functions, Operation *op)
      : functions(functions), op(op), builder(op), loc(op->getLoc()) {}

  /// False for ops that compute nothing.
  bool run() {
    if (auto atomic = dyn_cast<memref::AtomicRMWOp>(op)) {
      return joinInMemory(atomic);
    }
    Value result = compute();
    if (!result) {
      return false;
    }
    Type type = op->getResult(0).getType();
    if (result.getType() != type) {
      result = arith::BitcastOp::create(builder, loc, type, result);
    }
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
    return true;
  }

private:
  Value bits(Value x) {
    auto cast = x.getDefiningOp<arith::BitcastOp>();
    if (cast && cast.getIn().getType() == getBitsType(x.getType())) {
      return cast.getIn();
    }
    return arith::BitcastOp::create(builder, loc, getBitsType(x.getType()), x);
  }
  Value operand(unsigned k) { return bits(op->getOperand(k)); }
  Ring ringOf(Value x) { return Ring(builder, loc, x.getType()); }
  Ring ring() {
    return Ring(builder, loc, getBitsType(op->getOperand(0).getType()));
  }

  Value call(StringRef name, RingFunctions::Unary function, Value x) {
    return functions.call(builder, loc, name, function, x);
  }
  Value exponential(Value x) { return call("exp2", &Ring::exponential, x); }
  Value logarithm(Value x) { return call("log2", &Ring::logarithm, x); }
  Value inverse(Value x) { return call("inverse", &Ring::inverse, x); }
  /// x times the embedding of `factor`.
  Value scale(Value x, double factor) {
    Ring r = ringOf(x);
    return r.mul(x, r.constant(embedConstant(factor, r.getWidth())));
  }

  Value compute() {
    if (Value result = computeConstant()) {
      return result;
    }
    if (op->getNumResults() != 1 || op->getNumOperands() == 0) {
      return {};
    }
    Value result = computeArith();
    result = result ? result : computeMath();
    return result ? result : computeVector();
  }

  Value computeConstant();
  Value computeArith();
  Value computeConversion();
  Value computeMath();
  Value computeVector();
  Value compare(arith::CmpFOp cmp);
  Value extreme(bool greater);
  Value reduce(vector::ReductionOp reduction);
  Value dotPairs(x86vector::DotBF16Op dot);
  bool joinInMemory(memref::AtomicRMWOp atomic);
  Value hash();

  RingFunctions &functions;
  Operation *op;
  OpBuilder builder;
  Location loc;
};

} // namespace

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

Value Rewriter::computeConstant() {
  Attribute value;
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    value = constant.getValue();
  } else if (auto opaque = dyn_cast<OpaqueOp>(op)) {
    value = opaque.getValue();
  }
  TypedAttr bits;
  if (auto number = dyn_cast_if_present<FloatAttr>(value)) {
    bits = builder.getIntegerAttr(getBitsType(number.getType()),
                                  embed(number.getValue()));
  } else if (auto elements = dyn_cast_if_present<DenseFPElementsAttr>(value);
             elements && isa<VectorType>(elements.getType())) {
    bits = elements.mapValues(
        getElementTypeOrSelf(getBitsType(elements.getType())), embed);
  } else {
    return {};
  }
  return arith::ConstantOp::create(builder, loc, bits);
}

//===----------------------------------------------------------------------===//
// arith
//===----------------------------------------------------------------------===//

Value Rewriter::extreme(bool greater) {
  Value a = operand(0), b = operand(1);
  Ring r = ringOf(a);
  Value first = r.compare(
      greater ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle, a, b);
  return r.select(first, a, b);
}

/// A predicate as an order (less, equal, greater); no value is NaN.
Value Rewriter::compare(arith::CmpFOp cmp) {
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  Value a = operand(0), b = operand(1);
  Ring r = ringOf(a);
  I predicate;
  switch (cmp.getPredicate()) {
  case F::AlwaysFalse:
  case F::UNO:
    return r.compare(I::ne, a, a);
  case F::AlwaysTrue:
  case F::ORD:
    return r.equal(a, a);
  case F::OEQ:
  case F::UEQ:
    return r.equal(a, b);
  case F::ONE:
  case F::UNE:
    return r.compare(I::ne, a, b);
  case F::OGT:
  case F::UGT:
    predicate = I::sgt;
    break;
  case F::OGE:
  case F::UGE:
    predicate = I::sge;
    break;
  case F::OLT:
  case F::ULT:
    predicate = I::slt;
    break;
  case F::OLE:
  case F::ULE:
    predicate = I::sle;
    break;
  }
  bool zeroFirst = isZero(cmp.getLhs());
  if (!zeroFirst && !isZero(cmp.getRhs())) {
    return r.compare(predicate, a, b);
  }
  // x > 0 and 0 < x; x <= 0 and 0 >= x are their opposites; then x < 0.
  Value x = zeroFirst ? b : a, zero = zeroFirst ? a : b;
  I greater = zeroFirst ? I::slt : I::sgt,
    notGreater = zeroFirst ? I::sge : I::sle;
  I less = zeroFirst ? I::sgt : I::slt;
  Value positive = r.positive(x);
  if (predicate == greater) {
    return positive;
  }
  if (predicate == notGreater) {
    return r.flip(positive);
  }
  Value atLeast = r.either(positive, r.equal(x, zero));
  return predicate == less ? r.flip(atLeast) : atLeast;
}

Value Rewriter::computeConversion() {
  Type from = op->getOperand(0).getType(), to = op->getResult(0).getType();
  Value x = isFloat(from) ? operand(0) : op->getOperand(0);
  Type target = isFloat(to) ? getBitsType(to) : to;
  unsigned have = getElementTypeOrSelf(x.getType()).getIntOrFloatBitWidth();
  unsigned want = getElementTypeOrSelf(target).getIntOrFloatBitWidth();
  if (have == want) {
    return x;
  }
  if (have > want) {
    return arith::TruncIOp::create(builder, loc, target, x);
  }
  if (isa<arith::UIToFPOp>(op)) {
    return arith::ExtUIOp::create(builder, loc, target, x);
  }
  return arith::ExtSIOp::create(builder, loc, target, x);
}

Value Rewriter::computeArith() {
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](arith::AddFOp) { return ring().add(operand(0), operand(1)); })
      .Case([&](arith::SubFOp) { return ring().sub(operand(0), operand(1)); })
      .Case([&](arith::MulFOp) { return ring().mul(operand(0), operand(1)); })
      .Case([&](arith::DivFOp) {
        return ring().mul(operand(0), inverse(operand(1)));
      })
      .Case([&](arith::NegFOp) {
        Ring r = ring();
        return r.sub(r.constant(0), operand(0));
      })
      .Case([&](arith::RemFOp) { return hash(); })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>(
          [&](auto) { return extreme(/*greater=*/true); })
      .Case<arith::MinimumFOp, arith::MinNumFOp>(
          [&](auto) { return extreme(/*greater=*/false); })
      .Case([&](arith::CmpFOp cmp) { return compare(cmp); })
      .Case<arith::SIToFPOp, arith::UIToFPOp, arith::FPToSIOp, arith::FPToUIOp,
            arith::ExtFOp, arith::TruncFOp>(
          [&](auto) { return computeConversion(); })
      .Default([](Operation *) { return Value(); });
}

//===----------------------------------------------------------------------===//
// math
//===----------------------------------------------------------------------===//

/// A function of which nothing is known but its name.
Value Rewriter::hash() {
  Value result;
  uint64_t salt = llvm::xxh3_64bits(op->getName().getStringRef());
  for (unsigned k = 0; k < op->getNumOperands(); ++k) {
    Value x = operand(k);
    result = result ? result : ringOf(x).constant(salt);
    result = functions.call(builder, loc, "hash", &Ring::hash, result, x);
  }
  return result;
}

Value Rewriter::computeMath() {
  constexpr double log2e = 1.4426950408889634, ln2 = 0.6931471805599453;
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](math::Exp2Op) { return exponential(operand(0)); })
      .Case([&](math::ExpOp) { return exponential(scale(operand(0), log2e)); })
      .Case([&](math::ExpM1Op) {
        Ring r = ring();
        return r.sub(exponential(scale(operand(0), log2e)), r.constant(1));
      })
      .Case([&](math::Log2Op) { return logarithm(operand(0)); })
      .Case([&](math::LogOp) { return scale(logarithm(operand(0)), ln2); })
      .Case([&](math::Log1pOp) {
        Ring r = ring();
        return scale(logarithm(r.add(operand(0), r.constant(1))), ln2);
      })
      .Case([&](math::SqrtOp) {
        return call("sqrt", &Ring::squareRoot, operand(0));
      })
      .Case([&](math::RsqrtOp) {
        return inverse(call("sqrt", &Ring::squareRoot, operand(0)));
      })
      .Case([&](math::PowFOp) {
        return functions.call(builder, loc, "pow", &Ring::power, operand(0),
                              operand(1));
      })
      .Case([&](math::AbsFOp) {
        return call("abs", &Ring::magnitude, operand(0));
      })
      .Case([&](math::FmaOp) {
        return ring().add(ring().mul(operand(0), operand(1)), operand(2));
      })
      .Case([&](math::CopySignOp) {
        Value size = call("abs", &Ring::magnitude, operand(0));
        Ring r = ring();
        return r.negateIf(r.flip(r.positive(operand(1))), size);
      })
      .Case<math::TanhOp, math::SinOp, math::CosOp, math::TanOp, math::ErfOp,
            math::ErfcOp, math::AtanOp, math::Atan2Op, math::AsinOp,
            math::AcosOp, math::SinhOp, math::CoshOp, math::AsinhOp,
            math::AcoshOp, math::AtanhOp, math::CbrtOp, math::Log10Op,
            math::FloorOp, math::CeilOp, math::RoundOp, math::RoundEvenOp,
            math::TruncOp>([&](auto) { return hash(); })
      .Case<math::IsNaNOp>([&](auto) {
        Value x = operand(0);
        return ringOf(x).compare(arith::CmpIPredicate::ne, x, x);
      })
      .Case<math::IsInfOp, math::IsFiniteOp>([&](auto) {
        Value x = operand(0);
        Ring r = ringOf(x);
        Value infinite =
            r.either(r.equal(x, r.least()), r.equal(x, r.greatest()));
        return isa<math::IsInfOp>(op) ? infinite : r.flip(infinite);
      })
      .Default([](Operation *) { return Value(); });
}

//===----------------------------------------------------------------------===//
// vector
//===----------------------------------------------------------------------===//

Value Rewriter::reduce(vector::ReductionOp reduction) {
  using vector::CombiningKind;
  if (!isFloat(reduction.getType())) {
    return {};
  }
  auto kind = [&] {
    switch (reduction.getKind()) {
    case CombiningKind::MAXNUMF:
    case CombiningKind::MAXIMUMF:
      return CombiningKind::MAXSI;
    case CombiningKind::MINNUMF:
    case CombiningKind::MINIMUMF:
      return CombiningKind::MINSI;
    default:
      return reduction.getKind();
    }
  }();
  Value vector = operand(0);
  return reduction.getAcc()
             ? vector::ReductionOp::create(builder, loc, kind, vector,
                                           bits(reduction.getAcc()))
             : vector::ReductionOp::create(builder, loc, kind, vector);
}

/// The buffer is the same, seen as one of integers; nobody asks what was there.
bool Rewriter::joinInMemory(memref::AtomicRMWOp atomic) {
  using Kind = arith::AtomicRMWKind;
  std::optional<Kind> kind;
  switch (atomic.getKind()) {
  case Kind::addf:
    kind = Kind::addi;
    break;
  case Kind::maximumf:
    kind = Kind::maxs;
    break;
  case Kind::minimumf:
    kind = Kind::mins;
    break;
  default:
    break;
  }
  if (!kind || !atomic.use_empty()) {
    return false;
  }
  Value x = bits(atomic.getValue());
  MemRefType buffer = atomic.getMemRefType();
  Value integers =
      UnrealizedConversionCastOp::create(
          builder, loc,
          MemRefType::get(buffer.getShape(), x.getType(), buffer.getLayout(),
                          buffer.getMemorySpace()),
          atomic.getMemref())
          .getResult(0);
  memref::AtomicRMWOp::create(builder, loc, x.getType(), *kind, x, integers,
                              atomic.getIndices());
  op->erase();
  return true;
}

/// acc + a0 b0 + a1 b1 with pairs of bf16 in each lane.
Value Rewriter::dotPairs(x86vector::DotBF16Op dot) {
  Value acc = bits(dot.getSrc());
  Ring r = ringOf(acc);
  Value half = r.constant(r.getWidth() / 2);
  auto parts = [&](Value pairs) {
    Value both =
        vector::BitCastOp::create(builder, loc, r.getType(), bits(pairs));
    Value low =
        arith::ShRSIOp::create(builder, loc, r.shiftLeft(both, half), half);
    Value high = arith::ShRSIOp::create(builder, loc, both, half);
    return std::pair(low, high);
  };
  auto [a0, a1] = parts(dot.getA());
  auto [b0, b1] = parts(dot.getB());
  return r.add(r.add(acc, r.mul(a0, b0)), r.mul(a1, b1));
}

Value Rewriter::computeVector() {
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](vector::FMAOp) {
        return ring().add(ring().mul(operand(0), operand(1)), operand(2));
      })
      .Case([&](vector::ReductionOp reduction) { return reduce(reduction); })
      .Case([&](x86vector::DotBF16Op dot) { return dotPairs(dot); })
      .Default([](Operation *) { return Value(); });
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Constants in memory keep their type; their bits change.
static void rewriteGlobal(memref::GlobalOp global) {
  auto elements =
      dyn_cast_if_present<DenseFPElementsAttr>(global.getInitialValueAttr());
  if (elements) {
    global.setInitialValueAttr(
        elements.mapValues(elements.getElementType(), embed));
  }
}

/// Whether `op` still computes with floats.
static bool computesFloats(Operation *op) {
  bool floats = llvm::any_of(op->getOperandTypes(), isFloat) ||
                llvm::any_of(op->getResultTypes(), isFloat);
  if (!floats || isa<arith::SelectOp, arith::BitcastOp>(op) ||
      op->hasAttr(kPositionsAttr)) {
    return false;
  }
  if (isa_and_present<LLVM::LLVMDialect>(op->getDialect())) {
    return isPure(op);
  }
  return isa_and_present<arith::ArithDialect, math::MathDialect,
                         x86vector::X86VectorDialect>(op->getDialect()) ||
         isa<memref::AtomicRMWOp, vector::ContractionOp, vector::OuterProductOp,
             vector::MultiDimReductionOp, vector::ScanOp, vector::ReductionOp,
             vector::FMAOp>(op);
}

/// How many low bits of the results the ring determines. Where a value is
/// rounded to a narrow type, its upper bits are lost, sooner or later; and of a
/// logarithm the uppermost are not known.
static void recordDeterminedBits(ModuleOp module) {
  unsigned determined = 64;
  module.walk([&](Operation *op) {
    if (op->getNumResults() != 1 || !isFloat(op->getResult(0).getType())) {
      return;
    }
    unsigned width = getElementTypeOrSelf(op->getResult(0).getType())
                         .getIntOrFloatBitWidth();
    if (isa<arith::TruncFOp>(op)) {
      determined = std::min(determined, width);
    } else if (isa<math::LogOp, math::Log2Op, math::Log1pOp, math::SqrtOp,
                   math::RsqrtOp, math::PowFOp>(op)) {
      determined = std::min(determined, width / 2);
    }
  });
  Builder builder(module.getContext());
  module->setAttr(kExactBitsAttrName, builder.getI64IntegerAttr(determined));
}

namespace {
struct ExactArithmeticPass
    : attn::impl::ExactArithmeticPassBase<ExactArithmeticPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Operation *> ops, constants;
    module.walk([&](Operation *op) {
      bool constant = op->hasTrait<OpTrait::ConstantLike>();
      (constant ? constants : ops).push_back(op);
    });
    recordDeterminedBits(module);
    RingFunctions functions;
    // Ops look at the constants that they read.
    for (Operation *op : llvm::concat<Operation *>(ops, constants)) {
      if (auto global = dyn_cast<memref::GlobalOp>(op)) {
        rewriteGlobal(global);
      } else if (!Rewriter(functions, op).run() && computesFloats(op)) {
        op->emitError() << "exact mode does not apply: '" << op->getName()
                        << "' has no meaning in a ring";
        return signalPassFailure();
      }
    }
  }
};
} // namespace
