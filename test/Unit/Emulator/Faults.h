//===- Faults.h - faults planted in good kernels ----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each fault is an edit or two of a kernel of Inputs, and has to be reported,
// in the words that belong to it, whatever the schedule.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TEST_UNIT_EMULATOR_FAULTS_H
#define ATTN_TEST_UNIT_EMULATOR_FAULTS_H

#include "Harness.h"
#include "gtest/gtest.h"

#include <ostream>

namespace mlir::attn::test {

struct Fault {
  const char *name;
  const char *file;
  std::vector<Edit> edits;
  /// A part of every report, or some between bars: one of them.
  const char *report;
};

void PrintTo(const Fault &fault, std::ostream *stream);

class PlantedFault : public testing::TestWithParam<Fault> {};

} // namespace mlir::attn::test

#endif // ATTN_TEST_UNIT_EMULATOR_FAULTS_H
