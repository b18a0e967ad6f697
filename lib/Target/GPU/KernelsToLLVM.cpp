//===- KernelsToLLVM.cpp - kernels of scalars to LLVM ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelsToLLVM.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static LogicalResult checkCalls(gpu::GPUModuleOp module,
                                const DeviceLibrary &library) {
  WalkResult found = module.walk([&](LLVM::CallOp call) {
    std::optional<StringRef> callee = call.getCallee();
    if (!callee || !callee->starts_with(library.prefix)) {
      return WalkResult::advance();
    }
    call.emitError() << library.vendor << " GPUs have no instruction for "
                     << callee->drop_front(library.prefix.size())
                     << ", and no polynomial stands for it";
    return WalkResult::interrupt();
  });
  return failure(found.wasInterrupted());
}

/// Blocks join elements of a buffer, which nothing else is ordered by: threads
/// of one device take part, and buffers of kernels lie in its own memory.
static void relaxAtomics(gpu::GPUModuleOp module,
                         const DeviceLibrary &library) {
  module.walk([&](LLVM::AtomicRMWOp op) {
    op.setOrdering(LLVM::AtomicOrdering::monotonic);
    op.setSyncscope(library.deviceScope);
    for (StringRef assurance : library.assurances) {
      op->setAttr(assurance, UnitAttr::get(op.getContext()));
    }
  });
}

LogicalResult gpu_target::convertKernels(gpu::GPUModuleOp module,
                                         LLVMTypeConverter &converter,
                                         LLVMConversionTarget &target,
                                         PopulateFn populate,
                                         const DeviceLibrary &library) {
  RewritePatternSet divisions(module.getContext());
  arith::populateCeilFloorDivExpandOpsPatterns(divisions);
  walkAndApplyPatterns(module, std::move(divisions));
  RewritePatternSet patterns(module.getContext());
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  // Functions that kernels call: those of exact mode.
  populateFuncToLLVMConversionPatterns(converter, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns,
                                       /*approximateLog1p=*/false,
                                       /*benefit=*/2);
  populate(converter, patterns);
  target.addLegalDialect<LLVM::LLVMDialect>();
  target.addIllegalDialect<math::MathDialect, arith::ArithDialect,
                           memref::MemRefDialect, func::FuncDialect>();
  // Upstream sends these to libraries; they are instructions.
  target.addLegalOp<LLVM::CopySignOp, LLVM::FAbsOp, LLVM::FCeilOp,
                    LLVM::FFloorOp, LLVM::RoundEvenOp, LLVM::SqrtOp>();
  if (failed(applyPartialConversion(module, target, std::move(patterns)))) {
    return failure();
  }
  relaxAtomics(module, library);
  // What a launch sizes is defined nowhere; with a definition, LLVM gives it
  // the byte that it does not have.
  for (auto global : module.getOps<LLVM::GlobalOp>()) {
    auto array = dyn_cast<LLVM::LLVMArrayType>(global.getType());
    if (array && array.getNumElements() == 0) {
      global.setLinkage(LLVM::Linkage::External);
    }
  }
  return checkCalls(module, library);
}
