//===- Emit.cpp - writing loops and index arithmetic ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Support/Emit.h"

using namespace mlir;
using namespace mlir::attn;

static TypedAttr splat(Type type, Attribute scalar) {
  if (auto vector = dyn_cast<VectorType>(type)) {
    return DenseElementsAttr::get(vector, scalar);
  }
  return cast<TypedAttr>(scalar);
}

Value Emit::constant(Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  Attribute scalar;
  if (isa<FloatType>(element)) {
    scalar = getFloatAttr(element, value);
  } else if (element.isInteger(1)) {
    scalar = getBoolAttr(value != 0);
  } else {
    scalar = getIntegerAttr(element, static_cast<int64_t>(value));
  }
  return arith::ConstantOp::create(*this, splat(type, scalar));
}

Value Emit::infinity(Type type, bool negative) {
  auto element = cast<FloatType>(getElementTypeOrSelf(type));
  APFloat value = APFloat::getInf(element.getFloatSemantics(), negative);
  return arith::ConstantOp::create(*this,
                                   splat(type, FloatAttr::get(element, value)));
}

Value Emit::convertFloat(Value x, Type element) {
  Type from = getElementTypeOrSelf(x.getType());
  if (from == element) {
    return x;
  }
  Type to = element;
  if (auto shaped = dyn_cast<ShapedType>(x.getType())) {
    to = shaped.clone(element);
  }
  if (isa<IntegerType>(from)) {
    return arith::SIToFPOp::create(*this, to, x);
  }
  if (from.getIntOrFloatBitWidth() == element.getIntOrFloatBitWidth()) {
    // f16 and bf16 meet in f32.
    return convertFloat(convertFloat(x, getF32Type()), element);
  }
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth()) {
    return arith::ExtFOp::create(*this, to, x);
  }
  return arith::TruncFOp::create(*this, to, x);
}

Value Emit::fromBits(Value bits, Type element) {
  unsigned width = element.getIntOrFloatBitWidth();
  if (width < 64) {
    bits = arith::TruncIOp::create(*this, getIntegerType(width), bits);
  }
  return arith::BitcastOp::create(*this, element, bits);
}

void Emit::loop(Value lower, Value upper, int64_t step,
                llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*this, lower, upper, index(step));
  InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

SmallVector<Value>
Emit::loop(Value lower, Value upper, int64_t step, ValueRange inits,
           llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  if (inits.empty()) {
    loop(lower, upper, step, [&](Value iv) { body(iv, {}); });
    return {};
  }
  auto loop = scf::ForOp::create(*this, lower, upper, index(step), inits);
  InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  scf::YieldOp::create(*this, next);
  return llvm::to_vector_of<Value>(loop.getResults());
}

SmallVector<Value> Emit::whileLoop(
    ValueRange inits,
    llvm::function_ref<std::pair<Value, SmallVector<Value>>(ValueRange)> test,
    llvm::function_ref<SmallVector<Value>(ValueRange)> next) {
  SmallVector<Location> locs(inits.size(), getLoc());
  auto loop = scf::WhileOp::create(*this, inits.getTypes(), inits);
  InsertionGuard guard(*this);
  Block *before = createBlock(&loop.getBefore(), {}, inits.getTypes(), locs);
  auto [cond, values] = test(before->getArguments());
  scf::ConditionOp::create(*this, cond, values);
  Block *after = createBlock(&loop.getAfter(), {}, inits.getTypes(), locs);
  scf::YieldOp::create(*this, next(after->getArguments()));
  return llvm::to_vector_of<Value>(loop.getResults());
}

void Emit::ifThen(Value cond, llvm::function_ref<void()> then,
                  llvm::function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(*this, cond,
                              /*withElseRegion=*/static_cast<bool>(otherwise));
  InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  then();
  if (otherwise) {
    setInsertionPointToStart(op.elseBlock());
    otherwise();
  }
}

Value Emit::ifValue(Value cond, Type type, llvm::function_ref<Value()> then,
                    llvm::function_ref<Value()> otherwise) {
  return ifValues(
      cond, type, [&] { return SmallVector<Value>{then()}; },
      [&] { return SmallVector<Value>{otherwise()}; })[0];
}

SmallVector<Value>
Emit::ifValues(Value cond, TypeRange types,
               llvm::function_ref<SmallVector<Value>()> then,
               llvm::function_ref<SmallVector<Value>()> otherwise) {
  auto op = scf::IfOp::create(*this, types, cond, /*withElseRegion=*/true);
  InsertionGuard guard(*this);
  auto fill = [&](Block *block, auto body) {
    // Without results, blocks come with their terminators.
    setInsertionPointToStart(block);
    SmallVector<Value> values = body();
    if (!types.empty()) {
      scf::YieldOp::create(*this, values);
    }
  };
  fill(op.thenBlock(), then);
  fill(op.elseBlock(), otherwise);
  return llvm::to_vector_of<Value>(op.getResults());
}
