//===- ExactCheck.h - results that are equal or not -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_EXACTCHECK_H
#define ATTN_RUNNER_EXACTCHECK_H

#include "attn/Runner/Executable.h"

namespace mlir::attn {

/// How the program under test, otherwise compiled as `options` say, and its
/// reference are compiled for an exact check.
ExecutableOptions getExactOptions(ExecutableOptions options);
ExecutableOptions getExactReferenceOptions();

/// Whether an error says that the program, or its plan, has no meaning in exact
/// mode.
bool saysNotExact(StringRef message);

/// Operands of exact mode: the bits of every float become the integer that
/// stands for it (attn/Support/Ring.h). Integers are copied. An error names the
/// argument that there is no memory for.
llvm::Expected<std::vector<Array>>
embedInputs(const Signature &signature, ArrayRef<Array> inputs, uint64_t seed);

/// How one result of exact mode compares.
struct ExactComparison {
  std::string name;
  ElementType type = ElementType::F32;
  /// How many low bits must agree, and how many do in every element.
  unsigned required = 0, equal = 0;
  /// Elements that differ in the required bits, and the first of them.
  int64_t mismatches = 0, worst = 0;

  bool passes() const { return mismatches == 0; }
};

/// Compares bits. `determined` low bits of floats mean something; an error says
/// that shapes differ.
llvm::Expected<ExactComparison> compareBits(const Parameter &parameter,
                                            unsigned determined,
                                            const Array &wanted,
                                            const Array &actual);

/// One line that says what agrees, and where it does not.
std::string formatComparison(const ExactComparison &comparison,
                             const Array &wanted, const Array &actual);

/// All results, compared in the bits that both programs determine; `text` has a
/// line for each.
struct ExactReport {
  bool passes = true;
  std::string text;
};
llvm::Expected<ExactReport> compareExactly(const Executable &subject,
                                           const Executable &reference,
                                           ArrayRef<Array> wanted,
                                           ArrayRef<Array> actual);

} // namespace mlir::attn

#endif // ATTN_RUNNER_EXACTCHECK_H
