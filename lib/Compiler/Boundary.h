//===- Boundary.h - small passes of the pipelines ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_BOUNDARY_H
#define ATTN_LIB_COMPILER_BOUNDARY_H

#include "mlir/Pass/Pass.h"

namespace mlir::attn {

/// `attn-prepare-entries`: what bufferization and the conversion to LLVM must
/// know of public functions.
std::unique_ptr<Pass> createPrepareEntriesPass();

/// `attn-pass-results`: results are written to buffers of the caller.
std::unique_ptr<Pass> createPassResultsPass();

/// `attn-measure-workspace`: how much memory a call takes, as attributes.
std::unique_ptr<Pass> createMeasureWorkspacePass();

/// `attn-legalize-buffers`: buffer copies, divisions, whole powers and the like
/// as plain loops and arithmetic, so that no runtime function is needed for them. The
/// measure of workspaces reads divisions as they were.
std::unique_ptr<Pass> createLegalizeBuffersPass(bool expandScalars = true);

void registerBoundaryPasses();

/// `attn-fuse-linalg`: elementwise linalg ops into consumers, where no element
/// is computed twice.
std::unique_ptr<Pass> createFuseLinalgPass();
void registerFuseLinalgPass();

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_BOUNDARY_H
