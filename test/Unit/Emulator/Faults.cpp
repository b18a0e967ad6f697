//===- Faults.cpp - faults planted in good kernels ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

using namespace mlir::attn::test;

void mlir::attn::test::PrintTo(const Fault &fault, std::ostream *stream) {
  *stream << fault.name;
}

TEST_P(PlantedFault, IsReported) {
  const Fault &fault = GetParam();
  Program program(fault.file, fault.edits);
  ASSERT_TRUE(program.isCompiled());
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Memory memory(fault.file);
    std::string report = program.run(memory.getViews(), seed);
    llvm::SmallVector<llvm::StringRef> parts;
    llvm::StringRef(fault.report).split(parts, '|');
    EXPECT_TRUE(llvm::any_of(parts,
                             [&](llvm::StringRef part) {
                               return llvm::StringRef(report).contains(part);
                             }))
        << report << "; seed " << seed;
    EXPECT_NE(report.find("kernel '"), std::string::npos) << report;
  }
}
