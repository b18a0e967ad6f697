//===- Report.h - what a compiled program came to ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_ATTN_COMPILE_REPORT_H
#define ATTN_TOOLS_ATTN_COMPILE_REPORT_H

#include "attn/Compiler/AheadOfTime.h"
#include "attn/Compiler/DeviceCode.h"

namespace mlir::attn {

/// The target, the plan, the sizes of the code, and how functions are called.
llvm::Expected<std::string> makeReport(ModuleOp module,
                                       const CompileOptions &options,
                                       const AheadOfTimeProgram &program);

/// The plan, and the resources of each kernel.
llvm::Expected<std::string> makeDeviceReport(ModuleOp module,
                                             const CompileOptions &options,
                                             const DeviceCode &code);

} // namespace mlir::attn

#endif // ATTN_TOOLS_ATTN_COMPILE_REPORT_H
