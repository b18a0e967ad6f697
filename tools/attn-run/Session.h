//===- Session.h - one program and its operands -----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_ATTN_RUN_SESSION_H
#define ATTN_TOOLS_ATTN_RUN_SESSION_H

#include "Options.h"
#include "attn/Runner/Work.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/SourceMgr.h"
#include <chrono>

namespace mlir::attn {

/// What one invocation of the tool works on. The steps return an exit code, and
/// have printed a sentence if it is not that of success.
class Session {
public:
  Session(MLIRContext &context, const RunOptions &options)
      : context(context), options(options),
        start(std::chrono::steady_clock::now()) {}

  /// Parses the program; then the step that the options ask for.
  int run();

private:
  int dump();
  /// Signature and operands.
  int prepare();
  int runPlain();
  int runCheck();
  int runExactCheck();
  int runBenchmark();
  int runPeakMemory();
  /// What the program computes on the operands, where that can be told.
  std::optional<Work> getWork();

  /// Compiles in the chosen mode, or in another one.
  std::unique_ptr<Executable> compile(ExecutableOptions how);
  std::optional<std::vector<Array>> execute(const Executable &executable,
                                            ArrayRef<Array> arguments);
  /// The last steps of a check: buffers, and the verdict.
  int finishCheck(std::vector<Array> &results, bool passed, StringRef kind);
  int writeOutput(const Signature &signature, ArrayRef<Array> results);
  /// What another machine needs to make this check.
  int writeRecord(ArrayRef<Array> operands, ArrayRef<Array> materialised,
                  ArrayRef<Array> truth);
  double getElapsed() const;

  MLIRContext &context;
  const RunOptions &options;
  std::chrono::steady_clock::time_point start;
  /// Of making or reading the operands, in milliseconds.
  double operandsTime = 0.0;
  llvm::SourceMgr sources;
  OwningOpRef<ModuleOp> module;
  Signature signature;
  SizeMap sizes;
  std::vector<Array> inputs;
  std::shared_ptr<const Cache> cache;
};

} // namespace mlir::attn

#endif // ATTN_TOOLS_ATTN_RUN_SESSION_H
