//===- LaunchArguments.cpp - what a launch passes -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Target/Device/LaunchArguments.h"

using namespace mlir;
using namespace mlir::attn;

Value LaunchArguments::i64(int64_t value) {
  return LLVM::ConstantOp::create(b, b.getI64Type(), value);
}

LogicalResult LaunchArguments::collect(
    function_ref<void(int64_t number, Value operand, size_t first)> visit) {
  if (op.getAsyncToken() || !op.getAsyncDependencies().empty()) {
    return op.emitOpError("is asynchronous, which launches on ")
           << who << " are not";
  }
  if (op.hasClusterSize()) {
    return op.emitOpError("has clusters, which launches on ")
           << who << " do not have";
  }
  for (auto [k, operand] : llvm::enumerate(op.getKernelOperands())) {
    auto index = static_cast<int64_t>(k);
    Type type = converter.convertType(operand.getType());
    if (!type || isa<UnrankedMemRefType>(operand.getType())) {
      return op.emitOpError("passes argument ")
             << index << " of type " << operand.getType() << ", which " << who
             << " cannot take";
    }
    Value converted = operand;
    if (type != operand.getType()) {
      converted =
          UnrealizedConversionCastOp::create(b, type, operand).getResult(0);
    }
    if (visit) {
      visit(index, operand, values.size());
    }
    llvm::append_range(
        values, converter.promoteOperands(op.getLoc(), operand, converted, b));
  }
  return success();
}

LogicalResult LaunchArguments::check(ArrayRef<Type> wanted) {
  if (values.size() != wanted.size()) {
    return op.emitOpError("passes ")
           << values.size() << " values to a kernel of " << wanted.size()
           << " arguments";
  }
  for (auto [k, value, type] : llvm::enumerate(values, wanted)) {
    bool arePointers = isa<LLVM::LLVMPointerType>(value.getType()) &&
                       isa<LLVM::LLVMPointerType>(type);
    if (value.getType() != type && !arePointers) {
      return op.emitOpError("passes a value of type ")
             << value.getType() << " for argument " << k << " of type " << type
             << " of the kernel";
    }
  }
  return success();
}

Value LaunchArguments::slot(Type type) {
  OpBuilder::InsertionGuard guard(b);
  Operation *scope =
      op->getParentWithTrait<OpTrait::AutomaticAllocationScope>();
  b.setInsertionPointToStart(&scope->getRegion(0).front());
  return LLVM::AllocaOp::create(b, pointer, type, i64(1));
}

Value LaunchArguments::packArguments() {
  SmallVector<Type> types;
  for (Value value : values) {
    types.push_back(value.getType());
  }
  auto fields = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  Value record = slot(fields);
  Value places = slot(LLVM::LLVMArrayType::get(pointer, values.size()));
  for (auto [k, value] : llvm::enumerate(values)) {
    auto index = static_cast<int32_t>(k);
    Value place = LLVM::GEPOp::create(b, pointer, fields, record,
                                      ArrayRef<LLVM::GEPArg>{0, index});
    LLVM::StoreOp::create(b, value, place);
    Value entry = LLVM::GEPOp::create(b, pointer, pointer, places,
                                      ArrayRef<LLVM::GEPArg>{index});
    LLVM::StoreOp::create(b, place, entry);
  }
  return places;
}

Value LaunchArguments::packSizes(ArrayRef<int64_t> more) {
  Type wide = b.getI64Type();
  SmallVector<Value> sizes;
  for (Value size :
       {op.getGridSizeX(), op.getGridSizeY(), op.getGridSizeZ(),
        op.getBlockSizeX(), op.getBlockSizeY(), op.getBlockSizeZ()}) {
    if (size.getType().isIndex()) {
      size = UnrealizedConversionCastOp::create(b, wide, size).getResult(0);
    } else if (size.getType() != wide) {
      size = LLVM::SExtOp::create(b, wide, size);
    }
    sizes.push_back(size);
  }
  for (int64_t number : more) {
    sizes.push_back(i64(number));
  }
  Value dynamic = op.getDynamicSharedMemorySize();
  sizes.push_back(dynamic ? LLVM::SExtOp::create(b, wide, dynamic).getResult()
                          : i64(0));
  Value table = slot(LLVM::LLVMArrayType::get(wide, sizes.size()));
  for (auto [k, size] : llvm::enumerate(sizes)) {
    LLVM::StoreOp::create(
        b, size,
        LLVM::GEPOp::create(b, pointer, wide, table,
                            ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(k)}));
  }
  return table;
}

LLVM::LLVMFuncOp attn::declareOnHost(ModuleOp host, StringRef name,
                                     LLVM::LLVMFunctionType type) {
  if (auto found = host.lookupSymbol<LLVM::LLVMFuncOp>(name)) {
    return found;
  }
  OpBuilder b = OpBuilder::atBlockEnd(host.getBody());
  return LLVM::LLVMFuncOp::create(b, host.getLoc(), name, type);
}
