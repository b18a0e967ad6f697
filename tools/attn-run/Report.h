//===- Report.h - results as lines and as files -----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_ATTN_RUN_REPORT_H
#define ATTN_TOOLS_ATTN_RUN_REPORT_H

#include "attn/Runner/Arguments.h"
#include "attn/Runner/Npy.h"

namespace mlir::attn {

/// "o: tensor<2x8x257x64xf32> min ... max ... mean ... checksum ...".
std::string formatSummary(const Parameter &parameter, const Array &array);

/// Arrays into an archive of NumPy, by name.
llvm::Error writeArchive(StringRef path, ArrayRef<NamedArray> arrays);

/// Writes results into a directory, or into an archive if `path` ends in .npz.
llvm::Error writeResults(StringRef path, ArrayRef<Parameter> parameters,
                         ArrayRef<Array> arrays);

} // namespace mlir::attn

#endif // ATTN_TOOLS_ATTN_RUN_REPORT_H
