//===- SelectionToLoops.cpp - selection ops as loops over buffers ---------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Selection ops have one meaning on all targets, so they have one lowering,
// before bufferization: operands are read, results written once.
//
//   %i, %n = attn.compact %bits : tensor<?xi1> -> tensor<?xi64>, tensor<i64>
// becomes
//   %b = bufferization.to_buffer %bits read_only
//   %l = memref.alloc(...)
//   scf.parallel (...) { ... memref.store %k, %l[%count] ... }
//   %i = bufferization.to_tensor %l restrict writable
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "attn/Conversion/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::attn {
#define GEN_PASS_DEF_SELECTIONTOLOOPSPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

namespace {
struct SelectionToLoopsPass
    : attn::impl::SelectionToLoopsPassBase<SelectionToLoopsPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops) {
      llvm::TypeSwitch<Operation *>(op)
          .Case<SelectTopKOp, ArgSortOp, SearchSortedOp, PrefixOp, CompactOp,
                GatherOp, ScatterReduceOp, SolveOp, CholeskyOp, QROp>(
              [](auto op) { selection::lower(op); });
    }
  }
};
} // namespace
