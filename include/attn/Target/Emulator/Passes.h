//===- Passes.h - the emulated GPU ------------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_EMULATOR_PASSES_H
#define ATTN_TARGET_EMULATOR_PASSES_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::attn {

#define GEN_PASS_DECL
#include "attn/Target/Emulator/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "attn/Target/Emulator/Passes.h.inc"

} // namespace mlir::attn

#endif // ATTN_TARGET_EMULATOR_PASSES_H
