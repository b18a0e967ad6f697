//===- Emit.h - writing loops and index arithmetic --------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels are written op by op; this builder makes that read like the loop nest
// it produces.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SUPPORT_EMIT_H
#define ATTN_SUPPORT_EMIT_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::attn {

class Emit : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(*this, value);
  }
  /// A float or integer constant, splat over a vector type.
  Value constant(Type type, double value);
  Value constant64(int64_t value) {
    return arith::ConstantOp::create(*this, getI64IntegerAttr(value));
  }
  Value infinity(Type type, bool negative);

  Value add(Value a, Value b) { return arith::AddIOp::create(*this, a, b); }
  Value add(Value a, int64_t b) { return b ? add(a, index(b)) : a; }
  Value sub(Value a, Value b) { return arith::SubIOp::create(*this, a, b); }
  Value sub(Value a, int64_t b) { return sub(a, index(b)); }
  Value mul(Value a, Value b) { return arith::MulIOp::create(*this, a, b); }
  Value mul(Value a, int64_t b) {
    return arith::MulIOp::create(*this, a, index(b));
  }
  Value min(Value a, Value b) { return arith::MinSIOp::create(*this, a, b); }
  Value max(Value a, Value b) { return arith::MaxSIOp::create(*this, a, b); }
  /// Quotient and multiples of a constant, for values that are not negative.
  Value div(Value a, int64_t b) {
    return arith::DivUIOp::create(*this, a, index(b));
  }
  Value roundUp(Value a, int64_t b) { return mul(div(add(a, b - 1), b), b); }
  Value roundDown(Value a, int64_t b) { return mul(div(a, b), b); }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::slt, a, b);
  }
  Value equal(Value a, Value b) {
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::eq, a, b);
  }
  Value either(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }
  Value both(Value a, Value b) { return arith::AndIOp::create(*this, a, b); }
  Value truth(bool value) {
    return arith::ConstantOp::create(*this, getBoolAttr(value));
  }
  Value select(Value cond, Value a, Value b) {
    return arith::SelectOp::create(*this, cond, a, b);
  }
  Value broadcast(Value scalar, int64_t lanes) {
    return vector::BroadcastOp::create(
        *this, VectorType::get({lanes}, scalar.getType()), scalar);
  }
  Value load(Value buffer, ValueRange indices) {
    return memref::LoadOp::create(*this, buffer, indices);
  }
  void store(Value value, Value buffer, ValueRange indices) {
    memref::StoreOp::create(*this, value, buffer, indices);
  }
  Value loadVector(Value buffer, ValueRange indices, int64_t lanes) {
    Type element = cast<MemRefType>(buffer.getType()).getElementType();
    return vector::LoadOp::create(*this, VectorType::get({lanes}, element),
                                  buffer, indices);
  }
  void storeVector(Value value, Value buffer, ValueRange indices) {
    vector::StoreOp::create(*this, value, buffer, indices);
  }
  /// x, of floats or signed integers, converted to the float element type
  /// `element`, scalar or vector.
  Value convertFloat(Value x, Type element);
  /// The float whose bits are the low ones of the i64 `bits`.
  Value fromBits(Value bits, Type element);
  /// x == y bit for bit is not meant: unordered or not equal.
  Value differs(Value x, Value y) {
    return arith::CmpFOp::create(*this, arith::CmpFPredicate::UNE, x, y);
  }
  /// x > y ? x : y, the hardware's maximum: y where x is not a number.
  Value greater(Value x, Value y) {
    Value more = arith::CmpFOp::create(*this, arith::CmpFPredicate::OGT, x, y);
    return select(more, x, y);
  }

  void loop(Value lower, Value upper, int64_t step,
            llvm::function_ref<void(Value)> body);
  SmallVector<Value>
  loop(Value lower, Value upper, int64_t step, ValueRange inits,
       llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body);
  /// Repeats `body` while the condition that it starts with holds: `test` gives
  /// the condition and the values that `next` gets if it holds, or the results.
  SmallVector<Value> whileLoop(
      ValueRange inits,
      llvm::function_ref<std::pair<Value, SmallVector<Value>>(ValueRange)> test,
      llvm::function_ref<SmallVector<Value>(ValueRange)> next);
  void ifThen(Value cond, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise = nullptr);
  Value ifValue(Value cond, Type type, llvm::function_ref<Value()> then,
                llvm::function_ref<Value()> otherwise);
  /// The same with any number of results.
  SmallVector<Value>
  ifValues(Value cond, TypeRange types,
           llvm::function_ref<SmallVector<Value>()> then,
           llvm::function_ref<SmallVector<Value>()> otherwise);
};

} // namespace mlir::attn

#endif // ATTN_SUPPORT_EMIT_H
