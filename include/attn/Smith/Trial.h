//===- Trial.h - one program, compiled, run and checked ---------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SMITH_TRIAL_H
#define ATTN_SMITH_TRIAL_H

#include "attn/Runner/Executable.h"
#include "attn/Runner/Inputs.h"

namespace mlir::attn {

/// How a program fared. All from `Rejected` on are failures.
enum class Verdict {
  Ok,
  /// The compiler said in a sentence why it does not compile the program.
  Refused,
  /// The verifier, or the generator of operands, does not take the program.
  Rejected,
  /// The compiler gave up without such a sentence, or crashed.
  Miscompiled,
  /// The reference cannot be compiled or run.
  NoReference,
  /// The compiled program crashed, or wrote beyond its buffers.
  Crashed,
  WrongResult,
  TimedOut
};

StringRef getName(Verdict verdict);
inline bool isFailure(Verdict verdict) { return verdict >= Verdict::Rejected; }

struct Outcome {
  Verdict verdict = Verdict::Ok;
  /// Why, where it is not ok: a sentence, or lines of a comparison.
  std::string reason;
};

struct TrialOptions {
  ExecutableOptions compile;
  /// One of the names that `getCheckHelp` lists.
  std::string check = "f64";
  /// Of the operands.
  uint64_t seed = 0;
};

/// Tries a module of one public function, with the sizes of its attn.sizes.
Outcome tryProgram(ModuleOp module, const TrialOptions &options);

/// Whether there is a check of that name, and one line per check.
bool isCheck(StringRef name);
StringRef getCheckHelp();

} // namespace mlir::attn

#endif // ATTN_SMITH_TRIAL_H
