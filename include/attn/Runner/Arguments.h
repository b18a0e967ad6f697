//===- Arguments.h - arrays beside a signature ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_ARGUMENTS_H
#define ATTN_RUNNER_ARGUMENTS_H

#include "attn/Compiler/Signature.h"
#include "attn/Runner/Array.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::attn {

/// Checks that page tables name pages of their pools, or -1 for none.
llvm::Error checkPages(const Signature &signature, ArrayRef<Array> inputs);

/// Checks that lists have a row for every block of queries.
llvm::Error checkLists(const Signature &signature, ArrayRef<Array> inputs);

/// An error if shapes do not agree as operations ask, or if an element of
/// lengths is beyond its axis.
llvm::Error checkExtents(const Signature &signature, ArrayRef<Array> inputs);

/// Checks that maps name heads or batches that are there.
llvm::Error checkMaps(const Signature &signature, ArrayRef<Array> inputs);

/// The arguments for a run that is not to change them: those that the program
/// writes are copies. An error names the one that there is no memory for.
llvm::Expected<std::vector<Array>> copyWritten(const Signature &signature,
                                               ArrayRef<Array> arguments);

/// Compares an array with the argument it is for, and enters the sizes that it
/// fixes into `sizes`; `origins` remembers where a size was first seen.
llvm::Error bindSizes(const Parameter &parameter, const Array &array,
                      SizeMap &sizes, llvm::StringMap<std::string> &origins);

} // namespace mlir::attn

#endif // ATTN_RUNNER_ARGUMENTS_H
