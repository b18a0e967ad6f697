//===- StreamToLoops.cpp - stub -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Conversion/Passes.h"

namespace mlir::attn {
#define GEN_PASS_DEF_STREAMTOLOOPSPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

namespace {
struct StreamToLoopsPass : attn::impl::StreamToLoopsPassBase<StreamToLoopsPass> {
  using Base::Base;
  void runOnOperation() override {}
};
} // namespace
