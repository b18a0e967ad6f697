//===- RuntimeCalls.cpp - what kernels call on the host -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeCalls.h"

#include "attn/Target/Device/LaunchArguments.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::emulator;

int32_t Sites::get(Location loc) {
  auto place = loc->findInstanceOf<FileLineColLoc>();
  // The runtime has 16 bits for the number.
  if (!place || numbers.size() >= 0xfffe) {
    return 0;
  }
  std::string line = (place.getFilename().getValue() + ":" +
                      Twine(place.getLine()) + ":" + Twine(place.getColumn()))
                         .str();
  auto [entry, isNew] = numbers.try_emplace(line, numbers.size() + 1);
  if (isNew) {
    text += line + "\n";
  }
  return entry->second;
}

Value Calls::bits(Value value) {
  if (value.getType().isInteger(1)) {
    return LLVM::ZExtOp::create(*this, getI32Type(), value);
  }
  return value.getType().isInteger(32)
             ? value
             : LLVM::BitcastOp::create(*this, getI32Type(), value);
}

Value Calls::call(StringRef name, Type result, ValueRange arguments) {
  // Kernels tell address spaces apart, the host does not.
  SmallVector<Type> types;
  for (Type type : arguments.getTypes()) {
    types.push_back(isa<LLVM::LLVMPointerType>(type) ? pointer() : type);
  }
  Type returned = result ? result : LLVM::LLVMVoidType::get(getContext());
  LLVM::LLVMFuncOp function =
      declareOnHost(host, name, LLVM::LLVMFunctionType::get(returned, types));
  auto call = LLVM::CallOp::create(*this, function, arguments);
  return result ? call.getResult() : Value();
}

Value Calls::registers(int64_t count) {
  auto function = op->getParentOfType<LLVM::LLVMFuncOp>();
  Block &entry = function.getBody().front();
  constexpr StringLiteral kMark = "attn.registers";
  Type type = LLVM::LLVMArrayType::get(getI32Type(), count);
  for (Operation &first : entry) {
    auto slot = dyn_cast<LLVM::AllocaOp>(first);
    if (slot && slot->hasAttr(kMark) && slot.getElemType() == type) {
      return slot;
    }
  }
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(&entry);
  auto slot = LLVM::AllocaOp::create(*this, pointer(), type, constant64(1));
  slot->setAttr(kMark, getUnitAttr());
  return slot;
}

Value Calls::registerAt(Value registers, int64_t index) {
  return LLVM::GEPOp::create(
      *this, pointer(), getI32Type(), registers,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
}

std::string emulator::getUnusedName(const SymbolTable &symbols,
                                    StringRef name) {
  std::string unused = name.str();
  for (unsigned k = 0; symbols.lookup(unused); ++k) {
    unused = (name + "_" + Twine(k)).str();
  }
  return unused;
}

LLVM::GlobalOp emulator::addText(ModuleOp host, SymbolTable &symbols,
                                 StringRef name, StringRef text) {
  OpBuilder b(host.getContext());
  std::string bytes = text.str();
  bytes.push_back('\0');
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size());
  auto global = LLVM::GlobalOp::create(
      b, host.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Internal,
      getUnusedName(symbols, name), b.getStringAttr(bytes));
  symbols.insert(global);
  return global;
}
