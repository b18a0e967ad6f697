//===- Program.cpp - programs as tools read them --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include "CommandLine.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;

int attn::parseProgram(StringRef path, MLIRContext &context,
                       llvm::SourceMgr &sources,
                       OwningOpRef<ModuleOp> &module) {
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (!buffer) {
    return fail(kBadUsage,
                "cannot read '" + path + "': " + buffer.getError().message());
  }
  // The parser may read the byte behind the text: hand it a terminated copy.
  sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy((*buffer)->getBuffer(), path),
      llvm::SMLoc());
  if (llvm::Error error = runSafely("parsing", [&] {
        module = parseSourceFile<ModuleOp>(sources, &context);
      })) {
    return fail(kBadProgram, std::move(error));
  }
  if (!module) {
    return fail(kBadProgram, "'" + path + "' does not parse");
  }
  return kSuccess;
}

std::shared_ptr<const attn::Cache> attn::openCache() {
  auto cache = Cache::openDefault();
  if (!cache) {
    llvm::errs() << "warning: compiling without a cache: "
                 << llvm::toString(cache.takeError()) << "\n";
    return nullptr;
  }
  return std::move(*cache);
}
