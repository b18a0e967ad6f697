//===- Inputs.h - operands from files and from seeds ------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_INPUTS_H
#define ATTN_RUNNER_INPUTS_H

#include "attn/Runner/Arguments.h"
#include "attn/Runner/Npy.h"

namespace mlir::attn {

/// What the user said about the operands.
struct InputOptions {
  /// Contents of .npy files by argument name.
  llvm::StringMap<std::string> files;
  /// Patterns that override attn.init, by argument name.
  llvm::StringMap<std::string> patterns;
  /// Arguments to pass as views with a last stride of 2.
  llvm::StringMap<bool> strided;
  SizeMap sizes;
  uint64_t seed = 0;
};

/// Arrays for all arguments in order. `sizes` receives all sizes; those that
/// nobody gave are chosen, and listed in `chosen`.
llvm::Expected<std::vector<Array>> makeInputs(const Signature &signature,
                                              const InputOptions &options,
                                              SizeMap &sizes,
                                              std::vector<std::string> &chosen);

/// Fills an array by a pattern such as "normal", "segments(3)" or "table(N)";
/// sizes stand for the names in parentheses. An error lists the patterns.
llvm::Error fillArray(Array &array, StringRef pattern, const SizeMap &sizes,
                      uint64_t seed);

/// One line per pattern, for the help text.
StringRef getPatternHelp();

} // namespace mlir::attn

#endif // ATTN_RUNNER_INPUTS_H
