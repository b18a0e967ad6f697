//===- Check.h - results against their error budget -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_CHECK_H
#define ATTN_RUNNER_CHECK_H

#include "attn/Runner/Executable.h"

namespace mlir::attn {

/// How one result compares. Errors are the largest absolute ones over all
/// elements that are finite in the f64 reference and in both results.
struct Comparison {
  std::string name;
  ElementType type = ElementType::F32;
  /// Of the materialised computation in the program's own types.
  double materialisedError = 0.0;
  double error = 0.0;
  double budget = 0.0;
  /// The largest finite magnitude of the f64 reference.
  double magnitude = 0.0;
  /// Elements that are NaN or infinite in one and not, or otherwise, in the
  /// other, and not as in the f64 reference either; for integers, elements that
  /// differ.
  int64_t mismatches = 0;
  /// Integers that differ, where the f64 reference agrees with the result.
  int64_t ties = 0;
  /// The element with the largest error, or the first mismatch.
  int64_t worst = 0;

  bool passes() const { return mismatches == 0 && error <= budget; }
};

/// How many units in the last place, of the result's largest magnitude, an
/// error may have in any case.
constexpr double kFloorUlps = 4.0;
/// In f64 the truth itself is rounded, in an order of its own.
constexpr double kFloorUlpsF64 = 64.0;

/// Compares `actual` with the same program on f64 and with the materialised
/// computation: the error may be twice that of the latter, plus a floor.
llvm::Expected<Comparison> compareResults(const Parameter &parameter,
                                          const Array &exact,
                                          const Array &materialised,
                                          const Array &actual);

/// The position of element `index`, as "[0, 3, 17]".
std::string formatPosition(const Array &array, int64_t index);

/// One line that says errors, budget and verdict.
std::string formatComparison(const Comparison &comparison, const Array &exact,
                             const Array &materialised, const Array &actual);

/// Inputs of a program in f64: floats widened exactly, the rest as they are.
llvm::Expected<std::vector<Array>> widenInputs(ArrayRef<Array> inputs,
                                               const Signature &widened);

} // namespace mlir::attn

#endif // ATTN_RUNNER_CHECK_H
