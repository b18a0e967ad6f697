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
  /// No check applies to the program.
  Unchecked,
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
  /// In exact mode, bits differ.
  WrongBits,
  TimedOut
};

StringRef getName(Verdict verdict);
inline bool isFailure(Verdict verdict) { return verdict >= Verdict::Rejected; }

struct Outcome {
  Verdict verdict = Verdict::Ok;
  /// Why, where it is not ok or one of its checks does not apply: a sentence,
  /// or lines of a comparison.
  std::string reason;
  /// The checks that it passed: bit k is that of the k-th in the list.
  uint32_t passed = 0;
};

struct TrialOptions {
  ExecutableOptions compile;
  /// Some of the names that `getCheckHelp` lists.
  SmallVector<std::string> checks = {"f64"};
  /// Of the operands.
  uint64_t seed = 0;
};

/// Tries a module of one public function, with the sizes of its attn.sizes.
Outcome tryProgram(ModuleOp module, const TrialOptions &options);

/// Reads "f64,exact" into `checks`; an error names what is no check.
llvm::Error parseChecks(StringRef text, SmallVectorImpl<std::string> &checks);
/// One line per check.
StringRef getCheckHelp();

} // namespace mlir::attn

#endif // ATTN_SMITH_TRIAL_H
