//===- JitSymbols.h - what compiled code may call ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_JITSYMBOLS_H
#define ATTN_LIB_COMPILER_JITSYMBOLS_H

#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/Mangling.h"

namespace mlir::attn {

/// Exit code of a process whose program asked for more memory than there is.
constexpr int kOutOfMemoryExitCode = 3;

void *jitMalloc(size_t bytes);
void jitFree(void *pointer);

/// The allocator, the runtime library, and conversions of small floats that
/// not every C library has. All else comes from the process.
llvm::orc::SymbolMap getJitSymbols(llvm::orc::MangleAndInterner &mangle);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_JITSYMBOLS_H
