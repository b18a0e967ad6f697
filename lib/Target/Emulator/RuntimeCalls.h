//===- RuntimeCalls.h - what kernels call on the host -----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_EMULATOR_RUNTIMECALLS_H
#define ATTN_LIB_TARGET_EMULATOR_RUNTIMECALLS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::attn::emulator {

/// The places of ops in the source, numbered, as lines of one text. Place 0 is
/// the one that is not known.
class Sites {
public:
  int32_t get(Location loc);
  StringRef getText() const { return text; }

private:
  std::string text = "\n";
  llvm::StringMap<int32_t> numbers;
};

/// Writes calls of the emulator at an op of a kernel.
class Calls : public ImplicitLocOpBuilder {
public:
  Calls(Operation *op, ModuleOp host, Sites &sites)
      : ImplicitLocOpBuilder(op->getLoc(), op), op(op), host(host),
        sites(sites) {}

  Type pointer() { return LLVM::LLVMPointerType::get(getContext()); }
  Value constant(int32_t value) {
    return LLVM::ConstantOp::create(*this, getI32Type(), value);
  }
  Value constant64(int64_t value) {
    return LLVM::ConstantOp::create(*this, getI64Type(), value);
  }
  /// The number of the place of the op.
  Value site() { return constant(sites.get(op->getLoc())); }
  /// The 32 bits of an i32, of an f32, or of an i1 as 0 or 1.
  Value bits(Value value);
  /// The call of a function of the runtime; `result` may be null.
  Value call(StringRef name, Type result, ValueRange arguments);
  /// Memory of the thread for so many registers, shared by ops.
  Value registers(int64_t count);
  /// The address of register `index` of those.
  Value registerAt(Value registers, int64_t index);

private:
  Operation *op;
  ModuleOp host;
  Sites &sites;
};

/// A constant of the host's module, with a name like the one given.
LLVM::GlobalOp addText(ModuleOp host, SymbolTable &symbols, StringRef name,
                       StringRef text);

/// A name like this one that the module does not have.
std::string getUnusedName(const SymbolTable &symbols, StringRef name);

/// Each replaces an op of its kind. False for an op that is none of these;
/// failure with a message for one that is not emulated.
FailureOr<bool> replaceThreadOp(Operation *op, Calls &calls);
FailureOr<bool> replaceMatrixOp(Operation *op, Calls &calls);
FailureOr<bool> replaceBulkOp(Operation *op, Calls &calls);
FailureOr<bool> replaceMBarrierOp(Operation *op, Calls &calls);
FailureOr<bool> replaceMemoryOp(Operation *op, Calls &calls);
FailureOr<bool> replaceWaveOp(Operation *op, Calls &calls);
FailureOr<bool> replaceClusterOp(Operation *op, Calls &calls);
FailureOr<bool> replaceWarpgroupOp(Operation *op, Calls &calls);

/// Whether it is one of those that replaceProducts is for.
bool isOfProducts(Operation *op);
/// Replaces products of warpgroups and what their results go through, when all
/// else of the function has been replaced.
LogicalResult replaceProducts(LLVM::LLVMFuncOp function, ModuleOp host,
                              Sites &sites);

/// A kernel that has become a function of the host.
struct Kernel {
  LLVM::LLVMFuncOp function;
  /// The types of its arguments, before it took them all by one pointer.
  SmallVector<Type> arguments;
  std::string name;
  /// Text with the places of its ops.
  std::string sites;
  int64_t staticSharedBytes = 0;
  /// Of the GPU that the module is for; 0 for what is the most usual.
  int64_t warpSize = 0, maxSharedBytes = 0;
  /// Of a thread at first, if the kernel says so.
  int64_t registers = 0;
  /// Blocks of a cluster in each dimension, if the kernel says so.
  int64_t cluster[3] = {0, 0, 0};
  /// The bytes of each argument that is passed by value; 0 for others.
  SmallVector<int64_t> valueBytes;
  /// Constants of the GPU's module that are now the host's.
  SmallVector<LLVM::GlobalOp> constants;
};

/// Replaces a gpu.launch_func.
LogicalResult replaceLaunch(Operation *op, Kernel &kernel, ModuleOp host,
                            SymbolTable &symbols);

} // namespace mlir::attn::emulator

#endif // ATTN_LIB_TARGET_EMULATOR_RUNTIMECALLS_H
