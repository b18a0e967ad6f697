//===- Bounds.cpp - what is known of a number before a call ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %n = memref.dim %q, %c2               exactly the extent of axis 2 of %q
//   %l = memref.load %lengths[%b]         nothing is known
//   %m = arith.minsi %l, %n               at most that extent
//   %a = memref.alloc(%m)                 so much will always do
//
//===----------------------------------------------------------------------===//

#include "Bounds.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

/// Longer ones are given up: no extent of a sane program needs them.
static constexpr size_t kMaxTerms = 200;

static Bounds getNumber(int64_t value) {
  return Bounds::getExact(getConstant(value), value >= 0);
}

static Bounds trim(Bounds bounds) {
  for (ExtentExpression *side : {&bounds.lower, &bounds.upper}) {
    if (side->size() > kMaxTerms || getStackDepth(*side) > ATTN_MAX_STACK / 2) {
      side->clear();
    }
  }
  return bounds;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static Bounds add(const Bounds &a, const Bounds &b) {
  return {combine(a.lower, b.lower, ATTN_OP_ADD),
          combine(a.upper, b.upper, ATTN_OP_ADD),
          a.isNonNegative && b.isNonNegative};
}

static Bounds subtract(const Bounds &a, const Bounds &b) {
  Bounds result = {combine(a.lower, b.upper, ATTN_OP_SUB),
                   combine(a.upper, b.lower, ATTN_OP_SUB), false};
  if (result.upper.empty() && b.isNonNegative) {
    result.upper = a.upper;
  }
  return result;
}

static Bounds multiply(const Bounds &a, const Bounds &b) {
  if (a.isExact() && b.isExact()) {
    return Bounds::getExact(combine(a.lower, b.lower, ATTN_OP_MUL),
                            a.isNonNegative && b.isNonNegative);
  }
  if (!a.isNonNegative || !b.isNonNegative) {
    return {};
  }
  return {combine(a.lower, b.lower, ATTN_OP_MUL),
          combine(a.upper, b.upper, ATTN_OP_MUL), true};
}

static Bounds divide(const Bounds &a, const Bounds &b, attn_op op) {
  std::optional<int64_t> number = getConstant(b.upper);
  if (!b.isExact() || !b.isNonNegative || number == 0) {
    // A quotient of numbers that are not negative is at most the dividend.
    bool isLess = a.isNonNegative && b.isNonNegative;
    return {{}, isLess ? a.upper : ExtentExpression(), isLess};
  }
  // The program would stop at zero, and the question is not to.
  ExtentExpression divisor =
      number ? b.upper : combine(b.upper, getConstant(1), ATTN_OP_MAX);
  return {combine(a.lower, divisor, op), combine(a.upper, divisor, op),
          a.isNonNegative};
}

static Bounds getRemainder(const Bounds &a, const Bounds &b) {
  if (!a.isNonNegative || !b.isNonNegative) {
    return {};
  }
  ExtentExpression least = combine(b.upper, getConstant(1), ATTN_OP_SUB);
  return {getConstant(0), least.empty() ? a.upper : least, true};
}

static ExtentExpression choose(const ExtentExpression &a,
                               const ExtentExpression &b, attn_op op,
                               bool oneWillDo) {
  if (oneWillDo && (a.empty() || b.empty())) {
    return a.empty() ? b : a;
  }
  return combine(a, b, op);
}

static Bounds getMin(const Bounds &a, const Bounds &b) {
  return {choose(a.lower, b.lower, ATTN_OP_MIN, /*oneWillDo=*/false),
          choose(a.upper, b.upper, ATTN_OP_MIN, /*oneWillDo=*/true),
          a.isNonNegative && b.isNonNegative};
}

static Bounds getMax(const Bounds &a, const Bounds &b) {
  return {choose(a.lower, b.lower, ATTN_OP_MAX, /*oneWillDo=*/true),
          choose(a.upper, b.upper, ATTN_OP_MAX, /*oneWillDo=*/false),
          a.isNonNegative || b.isNonNegative};
}

static Bounds getEither(const Bounds &a, const Bounds &b) {
  return {choose(a.lower, b.lower, ATTN_OP_MIN, /*oneWillDo=*/false),
          choose(a.upper, b.upper, ATTN_OP_MAX, /*oneWillDo=*/false),
          a.isNonNegative && b.isNonNegative};
}

/// 1 for numbers from 1 on, else 0.
static ExtentExpression isPositive(ExtentExpression value) {
  return combine(combine(std::move(value), getConstant(0), ATTN_OP_MAX),
                 getConstant(1), ATTN_OP_MIN);
}

/// 1 where a <= b, else 0.
static ExtentExpression isAtMost(const ExtentExpression &a,
                                 const ExtentExpression &b) {
  return negate(isPositive(combine(a, b, ATTN_OP_SUB)));
}

/// 1 where a is not b, else 0.
static ExtentExpression isOther(const ExtentExpression &a,
                                const ExtentExpression &b) {
  return combine(combine(combine(a, b, ATTN_OP_SUB), combine(b, a, ATTN_OP_SUB),
                         ATTN_OP_MAX),
                 getConstant(1), ATTN_OP_MIN);
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

BoundsReader::BoundsReader(func::FuncOp entry)
    : entry(entry), numArguments(entry.getNumArguments()) {
  for (auto &extents : getCallFacts(entry).results) {
    if (extents) {
      passed.push_back(*extents);
      --numArguments;
    }
  }
}

void BoundsReader::enter(Block &body, ValueRange operands) {
  entered.push_back(&body);
  for (auto [argument, operand] : llvm::zip(body.getArguments(), operands)) {
    bindings[argument] = operand;
  }
  numbers.clear();
  dims.clear();
}

void BoundsReader::leave(Block &body) {
  entered.pop_back();
  for (BlockArgument argument : body.getArguments()) {
    bindings.erase(argument);
  }
  numbers.clear();
  dims.clear();
}

Value BoundsReader::findStored(LLVM::LoadOp load) {
  auto place = load.getAddr().getDefiningOp<LLVM::GEPOp>();
  if (!place || !place.getDynamicIndices().empty()) {
    return {};
  }
  Value stored;
  for (Operation *user : look(place.getBase()).getUsers()) {
    auto other = dyn_cast<LLVM::GEPOp>(user);
    if (!other || other == place ||
        other.getRawConstantIndices() != place.getRawConstantIndices()) {
      continue;
    }
    for (Operation *access : other->getUsers()) {
      auto store = dyn_cast<LLVM::StoreOp>(access);
      if (!store || store.getAddr() != other || stored) {
        return {};
      }
      stored = store.getValue();
    }
  }
  return stored;
}

Value BoundsReader::look(Value value) {
  while (true) {
    Value next = bindings.lookup(value);
    if (auto cast = value.getDefiningOp<UnrealizedConversionCastOp>()) {
      next = cast->getNumOperands() == 1 ? cast.getOperand(0) : Value();
    } else if (auto load = value.getDefiningOp<LLVM::LoadOp>()) {
      next = findStored(load);
    }
    if (!next) {
      return value;
    }
    value = next;
  }
}

Bounds BoundsReader::readResult(func::CallOp call, unsigned result,
                                llvm::function_ref<Bounds(Value)> read) {
  auto callee = entry->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(
      call.getCallee());
  if (!callee || callee.isExternal() || isEntered(callee.front()) ||
      callee == entry) {
    return {};
  }
  auto end = dyn_cast<func::ReturnOp>(callee.back().getTerminator());
  if (!end) {
    return {};
  }
  enter(callee.front(), call.getOperands());
  Bounds bounds = read(end.getOperand(result));
  leave(callee.front());
  return bounds;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Bounds BoundsReader::read(Value value) {
  value = look(value);
  for (auto *known : {&given, &numbers}) {
    auto found = known->find(value);
    if (found != known->end()) {
      return found->second;
    }
  }
  Bounds bounds = trim(compute(value));
  numbers[value] = bounds;
  return bounds;
}

Bounds BoundsReader::read(OpFoldResult value) {
  std::optional<int64_t> number = getConstantIntValue(value);
  return number ? getNumber(*number) : read(cast<Value>(value));
}

Bounds BoundsReader::computeParameter(BlockArgument argument) {
  Operation *parent = argument.getOwner()->getParentOp();
  if (isEntryParameter(argument)) {
    Type type = argument.getType();
    bool isNumber = type.isIndex() || type.isInteger(8) || type.isInteger(32) ||
                    type.isInteger(64);
    return isNumber ? Bounds::getExact(
                          {{ATTN_OP_ARGUMENT, argument.getArgNumber()}}, false)
                    : Bounds();
  }
  auto loop = dyn_cast<scf::ForOp>(parent);
  if (loop && argument == loop.getInductionVar()) {
    Bounds first = read(loop.getLowerBound());
    Bounds end = read(loop.getUpperBound());
    return {first.lower, combine(end.upper, getConstant(1), ATTN_OP_SUB),
            first.isNonNegative};
  }
  return {};
}

Bounds BoundsReader::readMetadata(memref::ExtractStridedMetadataOp op,
                                  unsigned result) {
  unsigned rank = cast<MemRefType>(op.getSource().getType()).getRank();
  constexpr unsigned before = 2; // the buffer and the offset
  if (result < before) {
    return {};
  }
  return result < before + rank
             ? readDim(op.getSource(), result - before)
             : readStride(op.getSource(), result - before - rank);
}

Bounds BoundsReader::compute(Value value) {
  APInt number;
  if (matchPattern(value, m_ConstantInt(&number))) {
    return getNumber(number.getSExtValue());
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    return computeParameter(argument);
  }
  Operation *op = value.getDefiningOp();
  unsigned result = cast<OpResult>(value).getResultNumber();
  auto both =
      [&](llvm::function_ref<Bounds(const Bounds &, const Bounds &)> f) {
        return f(read(op->getOperand(0)), read(op->getOperand(1)));
      };
  auto quotient = [&](attn_op code) {
    return divide(read(op->getOperand(0)), read(op->getOperand(1)), code);
  };
  return llvm::TypeSwitch<Operation *, Bounds>(op)
      .Case<arith::AddIOp>([&](auto) { return both(add); })
      .Case<arith::SubIOp>([&](auto) { return both(subtract); })
      .Case<arith::MulIOp>([&](auto) { return both(multiply); })
      .Case<arith::MinSIOp, arith::MinUIOp>([&](auto) { return both(getMin); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>([&](auto) { return both(getMax); })
      .Case<arith::RemUIOp, arith::RemSIOp>(
          [&](auto) { return both(getRemainder); })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>(
          [&](auto) { return quotient(ATTN_OP_CEILDIV); })
      .Case<arith::FloorDivSIOp>(
          [&](auto) { return quotient(ATTN_OP_FLOORDIV); })
      .Case<arith::DivSIOp, arith::DivUIOp>([&](auto) {
        // Rounds towards zero.
        return read(op->getOperand(0)).isNonNegative
                   ? quotient(ATTN_OP_FLOORDIV)
                   : Bounds();
      })
      .Case<arith::IndexCastOp, arith::ExtSIOp>(
          [&](auto) { return read(op->getOperand(0)); })
      .Case([&](arith::SelectOp select) {
        return getEither(read(select.getTrueValue()),
                         read(select.getFalseValue()));
      })
      .Case([&](affine::AffineApplyOp apply) {
        return readAffine(apply.getAffineMap().getResult(0),
                          apply.getDimOperands(), apply.getSymbolOperands());
      })
      .Case<affine::AffineMinOp, affine::AffineMaxOp>([&](auto choice) {
        bool isMin = isa<affine::AffineMinOp>(op);
        std::optional<Bounds> all;
        for (AffineExpr expr : choice.getMap().getResults()) {
          Bounds one = readAffine(expr, choice.getDimOperands(),
                                  choice.getSymbolOperands());
          all = !all ? one : isMin ? getMin(*all, one) : getMax(*all, one);
        }
        return all.value_or(Bounds());
      })
      .Case([&](memref::DimOp dim) {
        std::optional<int64_t> axis = dim.getConstantIndex();
        return axis ? readDim(dim.getSource(), *axis) : Bounds();
      })
      .Case([&](memref::ExtractStridedMetadataOp metadata) {
        return readMetadata(metadata, result);
      })
      .Case([&](scf::IfOp branch) {
        return getEither(read(branch.thenYield().getOperand(result)),
                         read(branch.elseYield().getOperand(result)));
      })
      .Case([&](func::CallOp call) {
        return readResult(call, result, [&](Value v) { return read(v); });
      })
      .Default([](auto) { return Bounds(); });
}

Bounds BoundsReader::readAffine(AffineExpr expr, ValueRange dimOperands,
                                ValueRange symbolOperands) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    return getNumber(constant.getValue());
  }
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    return read(dimOperands[dim.getPosition()]);
  }
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    return read(symbolOperands[symbol.getPosition()]);
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Bounds lhs = readAffine(binary.getLHS(), dimOperands, symbolOperands);
  Bounds rhs = readAffine(binary.getRHS(), dimOperands, symbolOperands);
  switch (expr.getKind()) {
  case AffineExprKind::Add: {
    // Affine maps write a - b as a + b * -1.
    auto product = dyn_cast<AffineBinaryOpExpr>(binary.getRHS());
    if (product && product.getKind() == AffineExprKind::Mul &&
        product.getRHS() == getAffineConstantExpr(-1, expr.getContext())) {
      return subtract(
          lhs, readAffine(product.getLHS(), dimOperands, symbolOperands));
    }
    return add(lhs, rhs);
  }
  case AffineExprKind::Mul:
    return multiply(lhs, rhs);
  case AffineExprKind::FloorDiv:
    return divide(lhs, rhs, ATTN_OP_FLOORDIV);
  case AffineExprKind::CeilDiv:
    return divide(lhs, rhs, ATTN_OP_CEILDIV);
  case AffineExprKind::Mod:
    return getRemainder(lhs, rhs);
  default:
    return {};
  }
}

ExtentExpression BoundsReader::readCondition(Value value) {
  value = look(value);
  APInt number;
  if (matchPattern(value, m_ConstantInt(&number))) {
    return getConstant(number.isZero() ? 0 : 1);
  }
  Operation *op = value.getDefiningOp();
  if (isa_and_present<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op)) {
    ExtentExpression lhs = readCondition(op->getOperand(0));
    ExtentExpression rhs = readCondition(op->getOperand(1));
    if (isa<arith::AndIOp>(op)) {
      return combine(lhs, rhs, ATTN_OP_MIN);
    }
    ExtentExpression any = combine(lhs, rhs, ATTN_OP_MAX);
    return isa<arith::OrIOp>(op)
               ? any
               : combine(any, combine(lhs, rhs, ATTN_OP_MIN), ATTN_OP_SUB);
  }
  auto compare = dyn_cast_if_present<arith::CmpIOp>(op);
  if (!compare) {
    return {};
  }
  Bounds lhs = read(compare.getLhs()), rhs = read(compare.getRhs());
  if (!lhs.isExact() || !rhs.isExact()) {
    return {};
  }
  const ExtentExpression &a = lhs.lower, &b = rhs.lower;
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::eq:
    return negate(isOther(a, b));
  case arith::CmpIPredicate::ne:
    return isOther(a, b);
  case arith::CmpIPredicate::sle:
    return isAtMost(a, b);
  case arith::CmpIPredicate::sge:
    return isAtMost(b, a);
  case arith::CmpIPredicate::slt:
    return negate(isAtMost(b, a));
  case arith::CmpIPredicate::sgt:
    return negate(isAtMost(a, b));
  default:
    return {};
  }
}

//===----------------------------------------------------------------------===//
// Extents and strides
//===----------------------------------------------------------------------===//

Bounds BoundsReader::readDim(Value buffer, unsigned axis) {
  buffer = look(buffer);
  auto type = dyn_cast<ShapedType>(buffer.getType());
  if (!type || !type.hasRank() || axis >= type.getRank()) {
    return {};
  }
  if (!type.isDynamicDim(axis)) {
    return getNumber(type.getDimSize(axis));
  }
  Axis key(buffer, axis);
  for (auto *known : {&assumed, &dims}) {
    auto found = known->find(key);
    if (found != known->end()) {
      return found->second;
    }
  }
  Bounds bounds = trim(computeDim(buffer, axis));
  // Extents are not negative, whatever they are computed from.
  bounds.isNonNegative = true;
  dims[key] = bounds;
  return bounds;
}

Bounds BoundsReader::readEntryDim(BlockArgument argument, unsigned axis) const {
  unsigned number = argument.getArgNumber();
  if (number < numArguments) {
    return Bounds::getExact({{ATTN_OP_SYMBOL, getAxisNumber(number, axis)}},
                            true);
  }
  unsigned result = number - numArguments;
  return result < passed.size() ? Bounds::getExact(passed[result][axis], true)
                                : Bounds();
}

Bounds BoundsReader::readCarriedDim(scf::ForOp loop, BlockArgument carried,
                                    unsigned axis) {
  Bounds before = readDim(loop.getTiedLoopInit(carried)->get(), axis);
  Axis key(carried, axis);
  assumed[key] = before;
  Bounds after = readDim(loop.getTiedLoopYieldedValue(carried)->get(), axis);
  assumed.erase(key);
  if (before.isExact() && before.lower == after.lower && after.isExact()) {
    return before;
  }
  // What was read on the way was read under a wrong assumption.
  numbers.clear();
  dims.clear();
  return {};
}

Bounds BoundsReader::computeDim(Value buffer, unsigned axis) {
  auto type = cast<ShapedType>(buffer.getType());
  if (auto argument = dyn_cast<BlockArgument>(buffer)) {
    if (isEntryParameter(argument)) {
      return readEntryDim(argument, axis);
    }
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    return loop ? readCarriedDim(loop, argument, axis) : Bounds();
  }
  unsigned result = cast<OpResult>(buffer).getResultNumber();
  return llvm::TypeSwitch<Operation *, Bounds>(buffer.getDefiningOp())
      .Case<memref::AllocOp, memref::AllocaOp>([&](auto alloc) {
        return read(alloc.getDynamicSizes()[type.getDynamicDimIndex(axis)]);
      })
      .Case<memref::CastOp, memref::ReshapeOp>([&](auto cast) {
        auto source = dyn_cast<ShapedType>(cast->getOperand(0).getType());
        bool isSame = source && source.hasRank() &&
                      isa<memref::CastOp>(cast.getOperation());
        return isSame ? readDim(cast->getOperand(0), axis) : Bounds();
      })
      .Case([&](memref::SubViewOp view) {
        llvm::SmallBitVector dropped = view.getDroppedDims();
        unsigned kept = 0;
        for (auto [k, size] : llvm::enumerate(view.getMixedSizes())) {
          if (!dropped.test(k) && kept++ == axis) {
            return read(size);
          }
        }
        return Bounds();
      })
      .Case([&](memref::ReinterpretCastOp view) {
        return read(view.getMixedSizes()[axis]);
      })
      .Case([&](memref::ExpandShapeOp view) {
        return read(view.getMixedOutputShape()[axis]);
      })
      .Case([&](memref::CollapseShapeOp view) {
        Bounds product = getNumber(1);
        ReassociationIndices joined = view.getReassociationIndices()[axis];
        for (int64_t from : joined) {
          product = multiply(product, readDim(view.getSrc(), from));
        }
        return product;
      })
      .Case([&](memref::TransposeOp view) {
        return readDim(view.getIn(),
                       view.getPermutation().getDimPosition(axis));
      })
      .Case([&](scf::IfOp branch) {
        return getEither(readDim(branch.thenYield().getOperand(result), axis),
                         readDim(branch.elseYield().getOperand(result), axis));
      })
      .Case([&](arith::SelectOp select) {
        return getEither(readDim(select.getTrueValue(), axis),
                         readDim(select.getFalseValue(), axis));
      })
      .Case([&](scf::ForOp loop) {
        return readDim(loop.getRegionIterArg(result), axis);
      })
      .Case([&](func::CallOp call) {
        return readResult(call, result,
                          [&](Value v) { return readDim(v, axis); });
      })
      .Default([](auto) { return Bounds(); });
}

Bounds BoundsReader::readStride(Value buffer, unsigned axis) {
  buffer = look(buffer);
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset))) {
    return {};
  }
  if (!ShapedType::isDynamic(strides[axis])) {
    return getNumber(strides[axis]);
  }
  if (auto argument = dyn_cast<BlockArgument>(buffer)) {
    return isEntryParameter(argument) && argument.getArgNumber() < numArguments
               ? Bounds::getExact(
                     {{ATTN_OP_STRIDE,
                       getAxisNumber(argument.getArgNumber(), axis)}},
                     false)
               : Bounds();
  }
  Operation *op = buffer.getDefiningOp();
  if (auto cast = dyn_cast<memref::CastOp>(op)) {
    return isa<MemRefType>(cast.getSource().getType())
               ? readStride(cast.getSource(), axis)
               : Bounds();
  }
  if (auto view = dyn_cast<memref::ReinterpretCastOp>(op)) {
    return read(view.getMixedStrides()[axis]);
  }
  if (auto view = dyn_cast<memref::SubViewOp>(op)) {
    llvm::SmallBitVector dropped = view.getDroppedDims();
    unsigned kept = 0;
    for (auto [k, step] : llvm::enumerate(view.getMixedStrides())) {
      if (!dropped.test(k) && kept++ == axis) {
        return multiply(readStride(view.getSource(), k), read(step));
      }
    }
  }
  return {};
}
