//===- Options.h - the command line of attn-run -----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_ATTN_RUN_OPTIONS_H
#define ATTN_TOOLS_ATTN_RUN_OPTIONS_H

#include "CommandLine.h"
#include "attn/Runner/Executable.h"
#include "attn/Runner/Inputs.h"

namespace mlir::attn {

enum class DumpKind { None, Plan, LLVMIR, Assembly, Object };

struct RunOptions {
  std::string program;
  std::string entry;
  std::string output;
  std::string record;
  InputOptions inputs;
  ExecutableOptions compile;
  DumpKind dump = DumpKind::None;
  bool check = false;
  bool exactCheck = false;
  bool benchmark = false;
  bool peakMemory = false;
  bool time = false;
  bool cache = false;
  int64_t repetitions = 0;
  int threads = 0;
  /// Of the emulated GPU.
  int64_t schedule = 0;
};

/// Parses the command line. Prints a sentence and returns a code if the tool
/// should end here (also after --help).
std::optional<int> parseCommandLine(int argc, char **argv, RunOptions &options);

} // namespace mlir::attn

#endif // ATTN_TOOLS_ATTN_RUN_OPTIONS_H
