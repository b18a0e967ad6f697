//===- StreamToCPU.cpp - attn-stream-to-cpu -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The CPU lowering: every stream becomes a kernel and a call. Kernel.h draws
// the loop nest, Outline.cpp the call.
//
//===----------------------------------------------------------------------===//

#include "Outline.h"
#include "attn/Target/CPU/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::attn {
#define GEN_PASS_DEF_STREAMTOCPUPASS
#include "attn/Target/CPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

namespace {
struct StreamToCPUPass : attn::impl::StreamToCPUPassBase<StreamToCPUPass> {
  using Base::Base;

  void runOnOperation() override {
    std::string error;
    FailureOr<cpu::TargetInfo> target =
        cpu::TargetInfo::get(triple, cpu, error);
    if (failed(target)) {
      getOperation().emitError(error);
      return signalPassFailure();
    }
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions) {
      SmallVector<StreamOp> streams;
      function.walk([&](StreamOp stream) { streams.push_back(stream); });
      for (auto [k, stream] : llvm::enumerate(streams)) {
        std::string name = (function.getName() + "_stream" + Twine(k)).str();
        if (failed(cpu::outlineStream(stream, name, *target))) {
          return signalPassFailure();
        }
      }
    }
  }
};
} // namespace
