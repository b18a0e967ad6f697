//===- attn-smith.cpp - random programs over the algebra ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Prints the programs of some seeds, or runs a campaign: many programs, each
// compiled, run and compared with the reference, in processes of their own.
//
//===----------------------------------------------------------------------===//

#include "Campaign.h"
#include "attn/Compiler/Registration.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static int printPrograms(const DialectRegistry &registry,
                         const CommandLine &options) {
  for (int64_t k = 0; k < options.count; ++k) {
    auto seed = static_cast<uint64_t>(options.seed + k);
    std::string text = printProgram(registry, options, seed);
    if (options.output.empty()) {
      llvm::outs() << (k ? "// -----\n" : "") << text;
    } else if (llvm::Error error = saveProgram(options, seed, text)) {
      llvm::errs() << "error: " << llvm::toString(std::move(error)) << "\n";
      return kBadFile;
    }
  }
  return kSuccess;
}

int main(int argc, char **argv) {
  CommandLine options;
  if (std::optional<int> code = parseCommandLine(argc, argv, options)) {
    return *code;
  }
  DialectRegistry registry;
  registerDialects(registry);
  return options.run ? runCampaign(registry, options)
                     : printPrograms(registry, options);
}
