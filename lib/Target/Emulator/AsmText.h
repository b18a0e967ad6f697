//===- AsmText.h - inline assembly that is emulated -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The NVVM dialect has no wgmma with A in registers and no wait that results
// depend on. Kernels have them as inline assembly, of these texts alone:
//
//   wgmma.mma_async.sync.aligned.m64nNkK.f32.a.b {$0, ...}, ..., ...;
//   wgmma.wait_group.sync.aligned n;         with its operands as results
//   (nothing)                                with its operands as results
//   cvt.rn.bf16x2.f32 $0, $1, $2;            and to f16x2
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_EMULATOR_ASMTEXT_H
#define ATTN_LIB_TARGET_EMULATOR_ASMTEXT_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace mlir::attn::emulator {

struct ParsedAsm {
  enum Kind { Product, Tie, WaitGroup, Pack } kind;
  /// Of a WaitGroup.
  int32_t groups = 0;
  /// Of a Pack.
  bool isBFloat = false;

  /// Of a Product. Types as the instruction names them.
  int32_t columns = 0, depth = 0;
  StringRef typeA, typeB;
  bool negatesA = false, negatesB = false;
  bool transposedA = false, transposedB = false;
  /// The accumulators before it, unless it has none; the descriptor of A, or
  /// its registers; that of B.
  SmallVector<Value> accumulators, a;
  Value b;
  /// Whether it adds to them: the operand, or a constant.
  Value adds;
  bool alwaysAdds = false;
};

/// Nothing for a text that is not emulated.
std::optional<ParsedAsm> parseAsm(LLVM::InlineAsmOp op);

} // namespace mlir::attn::emulator

#endif // ATTN_LIB_TARGET_EMULATOR_ASMTEXT_H
