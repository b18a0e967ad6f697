//===- RowKernel.cpp - one stream as a kernel with a thread per row -------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What tiles have no form for yet runs as it is written, one row and one key at
// a time:
//
//   attn.stream rows (%b, %h, %i) in [%B, %H, %M] ...
//   ->
//   gpu.func @f_stream0(%B, %H, %M, ...) {
//     %n = block * 128 + thread
//     scf.if %n < %B * %H * %M { ... row %n % %M of head ... }
//   }
//
//===----------------------------------------------------------------------===//

#include "RowKernel.h"

#include "../../Conversion/StreamToLoops/StreamToLoops.h"
#include "Kernels.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

constexpr int64_t kThreads = 128;

/// Whether rows add to the same bins: then one thread does them all.
static bool sharesTallies(StreamOp stream) {
  return stream
      .walk([](BinsOp bins) {
        return bins.isTally() && bins.getRowBlock() ? WalkResult::interrupt()
                                                    : WalkResult::advance();
      })
      .wasInterrupted();
}

void gpu_target::emitRowKernel(StreamOp stream, StringRef name) {
  Emit e(stream.getLoc(), stream);
  bool together = sharesTallies(stream);
  Value total = e.mul(stream.getBatch(), stream.getHeads());
  if (!together) {
    total = e.mul(total, stream.getRows());
  }
  auto write = [&](Emit &k, Value number, ValueRange arguments) {
    IRMapping map;
    map.map(stream->getOperands(), arguments);
    auto copy = cast<StreamOp>(k.clone(*stream, map));
    loops::lowerRow(copy, /*useBounds=*/true, [&](OpBuilder &builder) {
      Emit at(copy.getLoc(), copy);
      Value row = together ? Value() : takeIndex(at, number, copy.getRows());
      Value head = takeIndex(at, number, copy.getHeads()), batch = number;
      if (together) {
        auto rows =
            scf::ForOp::create(at, at.index(0), copy.getRows(), at.index(1));
        row = rows.getInductionVar();
        builder.setInsertionPointToStart(rows.getBody());
      } else {
        builder.setInsertionPoint(copy);
      }
      return SmallVector<Value>{batch, head, row};
    });
  };
  createThreadKernel(e, stream->getParentOfType<ModuleOp>(), name, total,
                     kThreads, stream->getOperands(), write);
  stream.erase();
}
