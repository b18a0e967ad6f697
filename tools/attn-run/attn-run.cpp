//===- attn-run.cpp - runs a function of an attn program ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles one function for this machine, runs it on operands from files or
// from a seed, and says what came out: the results, how they compare with the
// reference, how fast it was, how much memory it took.
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Session.h"
#include "attn/Compiler/Registration.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/SourceMgr.h"

int main(int argc, char **argv) {
  using namespace mlir;
  attn::RunOptions options;
  if (std::optional<int> code = attn::parseCommandLine(argc, argv, options)) {
    return *code;
  }
  DialectRegistry registry;
  attn::registerDialects(registry);
  // One program is too little work for a pool of threads.
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  return attn::Session(context, options).run();
}
