//===- Options.h - the command line of attn-compile -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_ATTN_COMPILE_OPTIONS_H
#define ATTN_TOOLS_ATTN_COMPILE_OPTIONS_H

#include "CommandLine.h"
#include "attn/Compiler/AheadOfTime.h"

namespace mlir::attn {

/// A file to be written: an artifact, or the report if there is no kind.
struct Output {
  std::string path; // '-' for standard output
  std::optional<ArtifactKind> kind;
  /// Kernels of a GPU instead: ptx, cubin, hsaco or report.
  std::string deviceKind = {};
};

struct CompileToolOptions {
  std::string program;
  CompileOptions compile;
  std::vector<Output> outputs;
  bool cache = false;
};

/// Parses the command line. Prints a sentence and returns a code if the tool
/// should end here (also after --help).
std::optional<int> parseCommandLine(int argc, char **argv,
                                    CompileToolOptions &options);

} // namespace mlir::attn

#endif // ATTN_TOOLS_ATTN_COMPILE_OPTIONS_H
