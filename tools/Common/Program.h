//===- Program.h - programs as tools read them ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_COMMON_PROGRAM_H
#define ATTN_TOOLS_COMMON_PROGRAM_H

#include "attn/Compiler/Cache.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/SourceMgr.h"

namespace mlir::attn {

/// Parses a file, or standard input for '-', into `module`; `sources` keeps its
/// text for diagnostics. An exit code, after a sentence, if that fails.
int parseProgram(StringRef path, MLIRContext &context, llvm::SourceMgr &sources,
                 OwningOpRef<ModuleOp> &module);

/// The user's cache of compiled programs; null, after a warning, where it
/// cannot be had.
std::shared_ptr<const Cache> openCache();

} // namespace mlir::attn

#endif // ATTN_TOOLS_COMMON_PROGRAM_H
