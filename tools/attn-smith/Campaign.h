//===- Campaign.h - many programs in processes of their own -----*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_ATTN_SMITH_CAMPAIGN_H
#define ATTN_TOOLS_ATTN_SMITH_CAMPAIGN_H

#include "Options.h"

namespace mlir {
class DialectRegistry;
}

namespace mlir::attn {

/// The text of a seed's program, with a comment that says how to run it.
std::string printProgram(const DialectRegistry &registry,
                         const CommandLine &options, uint64_t seed);

/// Writes a program to SEED.mlir in the folder for output.
llvm::Error saveProgram(const CommandLine &options, uint64_t seed,
                        StringRef text);

/// Runs the programs and prints progress and a summary; an exit code.
int runCampaign(const DialectRegistry &registry, const CommandLine &options);

} // namespace mlir::attn

#endif // ATTN_TOOLS_ATTN_SMITH_CAMPAIGN_H
