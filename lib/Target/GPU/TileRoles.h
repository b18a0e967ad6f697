//===- TileRoles.h - kernels whose warps have roles -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_TILEROLES_H
#define ATTN_LIB_TARGET_GPU_TILEROLES_H

#include "attn/Dialect/Tile/IR/Tile.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::attn::gpu_target {

struct TileRoles {
  /// Null where warps have no roles.
  tile::RolesOp op;
  /// What the consumer computes and the producer needs too, in the producer.
  IRMapping known;
};

/// Gives a kernel one warp more, its producer, and makes the rest of it the
/// consumer. Where what `visits` bring depends on what the kernel computes,
/// leaves it as it is, with a remark.
TileRoles splitRoles(gpu::GPUFuncOp kernel, ArrayRef<tile::VisitOp> visits);

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_TILEROLES_H
