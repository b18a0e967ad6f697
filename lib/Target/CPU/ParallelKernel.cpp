//===- ParallelKernel.cpp - a function that threads run -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ParallelKernel.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

static func::FuncOp getParallelFor(ModuleOp module) {
  StringRef name = "attn_parallel_for";
  if (auto found = module.lookupSymbol<func::FuncOp>(name)) {
    return found;
  }
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto function = func::FuncOp::create(
      b, module.getLoc(), name,
      b.getFunctionType({pointer, pointer, b.getI64Type()}, {}));
  function.setPrivate();
  return function;
}

namespace {
/// The argument struct: one field per operand.
struct Arguments {
  Arguments(ValueRange operands, MLIRContext *context) : converter(context) {
    for (Value operand : operands) {
      types.push_back(operand.getType());
      fields.push_back(converter.convertType(operand.getType()));
    }
    type = LLVM::LLVMStructType::getLiteral(context, fields);
  }
  Value field(Emit &e, Value pointer, int32_t k) {
    return LLVM::GEPOp::create(e, LLVM::LLVMPointerType::get(e.getContext()),
                               type, pointer, ArrayRef<LLVM::GEPArg>{0, k});
  }
  void fill(Emit &e, Value pointer, ValueRange operands) {
    for (auto [k, operand] : llvm::enumerate(operands)) {
      Value converted = operand;
      if (operand.getType() != fields[k]) {
        converted = UnrealizedConversionCastOp::create(e, fields[k], operand)
                        .getResult(0);
      }
      LLVM::StoreOp::create(e, converted, field(e, pointer, k));
    }
  }
  SmallVector<Value> load(Emit &e, Value pointer) {
    SmallVector<Value> values;
    for (auto [k, want] : llvm::enumerate(types)) {
      Value loaded = LLVM::LoadOp::create(e, fields[k], field(e, pointer, k));
      values.push_back(want == fields[k]
                           ? loaded
                           : UnrealizedConversionCastOp::create(e, want, loaded)
                                 .getResult(0));
    }
    return values;
  }

  LLVMTypeConverter converter;
  SmallVector<Type> types, fields;
  Type type;
};
} // namespace

cpu::ParallelKernel cpu::createParallelKernel(Emit &e, func::FuncOp host,
                                              StringRef name,
                                              ValueRange operands, Value items,
                                              Value serial) {
  MLIRContext *context = e.getContext();
  Arguments arguments(operands, context);
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = e.getI64Type();
  Value args;
  {
    OpBuilder::InsertionGuard guard(e);
    e.setInsertionPointToStart(&host.getBody().front());
    args = LLVM::AllocaOp::create(e, pointer, arguments.type, e.constant64(1));
  }
  arguments.fill(e, args, operands);
  auto kernelType = e.getFunctionType({pointer, i64, i64}, {});
  Value count = arith::IndexCastOp::create(e, i64, items);
  auto callParallel = [&] {
    Value function = func::ConstantOp::create(
        e, kernelType, SymbolRefAttr::get(context, name));
    function =
        UnrealizedConversionCastOp::create(e, pointer, function).getResult(0);
    func::CallOp::create(e, getParallelFor(host->getParentOfType<ModuleOp>()),
                         ValueRange{function, args, count});
  };
  if (serial) {
    e.ifThen(
        serial,
        [&] {
          func::CallOp::create(e, name, TypeRange(),
                               ValueRange{args, e.constant64(0), count});
        },
        callParallel);
  } else {
    callParallel();
  }

  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPoint(host);
  ParallelKernel kernel;
  kernel.function = func::FuncOp::create(e, name, kernelType);
  kernel.function.setPrivate();
  Block *entry = kernel.function.addEntryBlock();
  e.setInsertionPointToStart(entry);
  kernel.operands = arguments.load(e, entry->getArgument(0));
  auto toIndex = [&](Value x) -> Value {
    return arith::IndexCastOp::create(e, e.getIndexType(), x);
  };
  kernel.begin = toIndex(entry->getArgument(1));
  kernel.end = toIndex(entry->getArgument(2));
  func::ReturnOp::create(e);
  return kernel;
}
