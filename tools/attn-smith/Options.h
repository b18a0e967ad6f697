//===- Options.h - the command line of attn-smith ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_ATTN_SMITH_OPTIONS_H
#define ATTN_TOOLS_ATTN_SMITH_OPTIONS_H

#include "attn/Smith/Smith.h"
#include "attn/Smith/Trial.h"
#include <optional>

namespace mlir::attn {

/// Exit codes; part of the tool's interface.
enum ExitCode { kSuccess = 0, kFailures = 1, kBadUsage = 2, kBadFile = 4 };

struct CommandLine {
  SmithOptions smith;
  TrialOptions trial;
  /// Programs to run; 0 prints `count` of them.
  int64_t run = 0;
  int64_t count = 1;
  int64_t seed = 0;
  int64_t jobs = 0;
  int64_t threads = 2;
  int64_t timeout = 60;
  /// Where programs, or failing programs, are written.
  std::string output;
};

/// Prints a sentence and returns a code if the tool should end here.
std::optional<int> parseCommandLine(int argc, char **argv,
                                    CommandLine &options);

} // namespace mlir::attn

#endif // ATTN_TOOLS_ATTN_SMITH_OPTIONS_H
