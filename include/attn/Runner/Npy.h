//===- Npy.h - NumPy's array files ------------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_NPY_H
#define ATTN_RUNNER_NPY_H

#include "attn/Runner/Array.h"
#include "llvm/Support/Error.h"
#include <string>
#include <utility>
#include <vector>

namespace mlir::attn {

/// An array and the name it goes by in a file.
using NamedArray = std::pair<std::string, Array>;

/// Parses the contents of a .npy file as an array of `type`. Floats must have
/// that very type; bf16 and the 8-bit floats, which NumPy lacks, are read from
/// `<u2` and `|u1` and from the void types of ml_dtypes. Integers of any width
/// are read where the values fit.
llvm::Expected<Array> parseNpy(StringRef bytes, ElementType type);

/// The type that an array file holds, as the nearest of ours (for messages and
/// for tools without a signature); two-byte words count as bf16, unsigned bytes
/// as f8E4M3FN.
llvm::Expected<ElementType> getNpyType(StringRef bytes);

/// The contents of a .npy file, format 1.0; bf16 as `<u2`, 8-bit
/// floats as `|u1`.
std::string formatNpy(const Array &array);

/// The members of a .npz file: names without the `.npy`, contents undecoded.
llvm::Expected<std::vector<std::pair<std::string, std::string>>>
parseNpz(StringRef bytes);

/// A .npz file with uncompressed members.
llvm::Expected<std::string> formatNpz(ArrayRef<NamedArray> arrays);

} // namespace mlir::attn

#endif // ATTN_RUNNER_NPY_H
