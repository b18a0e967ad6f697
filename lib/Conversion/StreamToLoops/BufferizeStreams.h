//===- BufferizeStreams.h - parts of attn-bufferize-streams -----*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_CONVERSION_STREAMTOLOOPS_BUFFERIZESTREAMS_H
#define ATTN_LIB_CONVERSION_STREAMTOLOOPS_BUFFERIZESTREAMS_H

#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

namespace mlir::attn {

/// Whether an append can write its cache; reports why it cannot.
LogicalResult verifyInPlace(AppendOp op);

/// Writes an append out as loops on buffers.
void bufferizeAppend(AppendOp op);

} // namespace mlir::attn

#endif // ATTN_LIB_CONVERSION_STREAMTOLOOPS_BUFFERIZESTREAMS_H
