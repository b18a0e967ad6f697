//===- Registration.cpp - dialects, passes and pipelines ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Registration.h"

#include "attn/Compiler/Pipelines.h"
#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "attn/Target/CPU/Passes.h"
#include "attn/Target/Device/Passes.h"
#include "attn/Target/Emulator/Passes.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

using namespace mlir;

namespace {

/// A launch reads and writes the buffers that it passes, for the deallocation
/// of those.
struct LaunchEffects
    : MemoryEffectOpInterface::ExternalModel<LaunchEffects, gpu::LaunchFuncOp> {
  void
  getEffects(Operation *op,
             SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
                 &effects) const {
    for (OpOperand &operand : op->getOpOperands()) {
      if (isa<BaseMemRefType>(operand.get().getType())) {
        effects.emplace_back(MemoryEffects::Read::get(), &operand);
        effects.emplace_back(MemoryEffects::Write::get(), &operand);
      }
    }
  }
};

} // namespace

void attn::registerDialects(DialectRegistry &registry) {
  registry.insert<AttnDialect, tile::TileDialect>();
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  registry.addExtension(+[](MLIRContext *context, gpu::GPUDialect *) {
    gpu::LaunchFuncOp::attachInterface<LaunchEffects>(*context);
  });
}

void attn::registerPasses() {
  registerAllPasses();
  registerAttnPasses();
  registerAttnConversionPasses();
  registerAttnCPUPasses();
  registerAttnGPUPasses();
  registerAttnDevicePasses();
  registerAttnEmulatorPasses();
  registerPipelines();
}
