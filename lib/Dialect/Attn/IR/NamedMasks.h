//===- NamedMasks.h - syntax of named masks -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_IR_NAMEDMASKS_H
#define ATTN_LIB_DIALECT_ATTN_IR_NAMEDMASKS_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {

/// Parses what follows the keyword `name`; null, with an error, on failure.
Attribute parseNamedMask(AsmParser &parser, StringRef name, SMLoc loc);
void printNamedMask(AsmPrinter &printer, Attribute mask);

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_IR_NAMEDMASKS_H
