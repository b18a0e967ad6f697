//===- Registration.h - dialects, passes and pipelines ----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_REGISTRATION_H
#define ATTN_COMPILER_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace mlir::attn {

/// Every dialect, extension and external model that the tools need.
void registerDialects(DialectRegistry &registry);

/// Every pass of the project, the upstream passes its pipelines use, and the
/// pipelines by name.
void registerPasses();

} // namespace mlir::attn

#endif // ATTN_COMPILER_REGISTRATION_H
