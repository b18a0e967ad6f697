//===- DeviceRun.h - a program's call on a GPU ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_RUNNER_DEVICERUN_H
#define ATTN_LIB_RUNNER_DEVICERUN_H

#include "attn/Compiler/Compiler.h"
#include "attn/Runner/Arguments.h"

namespace mlir::attn {

/// Copies the arrays to the first GPU of the chip's vendor, calls the function
/// of the signature there, and copies back what it computed.
llvm::Expected<std::vector<Array>> runOnDevice(const Program &program,
                                               StringRef chip,
                                               const Signature &signature,
                                               ArrayRef<Array> inputs);

} // namespace mlir::attn

#endif // ATTN_LIB_RUNNER_DEVICERUN_H
