//===- StreamToCPU.cpp - stub -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Target/CPU/Passes.h"

namespace mlir::attn {
#define GEN_PASS_DEF_STREAMTOCPUPASS
#include "attn/Target/CPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

namespace {
struct StreamToCPUPass : attn::impl::StreamToCPUPassBase<StreamToCPUPass> {
  using Base::Base;
  void runOnOperation() override {}
};
} // namespace
