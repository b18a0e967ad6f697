//===- RingFunctions.cpp - long ring operations as functions --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RingFunctions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::exact;

/// "attn_exact_exp2_16xi32".
static std::string getFunctionName(StringRef name, Type type) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "attn_exact_" << name << "_";
  if (auto vector = dyn_cast<VectorType>(type)) {
    for (int64_t extent : vector.getShape()) {
      os << extent << "x";
    }
  }
  os << getElementTypeOrSelf(type);
  return text;
}

Value RingFunctions::call(OpBuilder &builder, Location loc, StringRef name,
                          ValueRange operands,
                          function_ref<Value(Ring &, ValueRange)> body) {
  Type type = operands.front().getType();
  std::string symbol = getFunctionName(name, type);
  SymbolTable &symbols =
      tables.getSymbolTable(SymbolTable::getNearestSymbolTable(
          builder.getInsertionBlock()->getParentOp()));
  auto function = symbols.lookup<func::FuncOp>(symbol);
  if (!function) {
    OpBuilder outside(builder.getContext());
    function = func::FuncOp::create(
        loc, symbol,
        outside.getFunctionType(TypeRange(operands), TypeRange(type)));
    function.setPrivate();
    symbols.insert(function);
    outside.setInsertionPointToStart(function.addEntryBlock());
    Ring ring(outside, loc, type);
    Value result = body(ring, function.getArguments());
    func::ReturnOp::create(outside, loc, result);
  }
  return func::CallOp::create(builder, loc, function, operands).getResult(0);
}

Value RingFunctions::call(OpBuilder &builder, Location loc, StringRef name,
                          Unary function, Value x) {
  return call(builder, loc, name, x, [&](Ring &ring, ValueRange arguments) {
    return (ring.*function)(arguments[0]);
  });
}

Value RingFunctions::call(OpBuilder &builder, Location loc, StringRef name,
                          Binary function, Value x, Value y) {
  return call(builder, loc, name, ValueRange{x, y},
              [&](Ring &ring, ValueRange arguments) {
                return (ring.*function)(arguments[0], arguments[1]);
              });
}
