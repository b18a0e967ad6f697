//===- Isolation.h - a trial in a process of its own ------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SMITH_ISOLATION_H
#define ATTN_SMITH_ISOLATION_H

#include "attn/Smith/Trial.h"

namespace mlir::attn {

/// Tries a program in a forked process: whatever it does there, here it is an
/// outcome. The caller must not have run compiled programs itself.
Outcome tryProgramIsolated(ModuleOp module, const TrialOptions &options,
                           int64_t timeoutSeconds);

/// Whether a process has had its time since it began something: seconds of
/// its own, so that a busy machine fails nobody; or ten times that on the wall,
/// where it may be waiting for itself.
class TimeLimit {
public:
  TimeLimit(int pid, int64_t seconds);
  bool isOver() const;

private:
  int pid;
  double seconds, ownStart, wallStart;
};

/// What the end of a process says, in words.
std::string describeExit(int status);

} // namespace mlir::attn

#endif // ATTN_SMITH_ISOLATION_H
