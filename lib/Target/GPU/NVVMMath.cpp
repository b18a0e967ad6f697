//===- NVVMMath.cpp - attn-nvvm-math --------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Support/Emit.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::attn {
#define GEN_PASS_DEF_NVVMMATHPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

namespace {
struct NVVMMathPass : attn::impl::NVVMMathPassBase<NVVMMathPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<math::Exp2Op> ops;
    getOperation().walk([&](math::Exp2Op op) {
      auto type = dyn_cast<FloatType>(op.getType());
      if (type && type.getWidth() <= 32) {
        ops.push_back(op);
      }
    });
    for (math::Exp2Op op : ops) {
      Emit e(op.getLoc(), op);
      Value x = e.convertFloat(op.getOperand(), e.getF32Type());
      Value power =
          LLVM::CallIntrinsicOp::create(
              e, e.getF32Type(), e.getStringAttr("llvm.nvvm.ex2.approx.f32"), x)
              .getResult(0);
      op.replaceAllUsesWith(e.convertFloat(power, op.getType()));
      op.erase();
    }
  }
};
} // namespace
