//===- KernelsToROCDL.cpp - attn-kernels-to-rocdl -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %t = gpu.thread_id x    ->    %t = rocdl.workitem.id.x : i32
//
// What convert-gpu-to-rocdl does, without AMD's device libraries: functions are
// instructions (attn-gpu-math) or polynomials (attn-cpu-expand-math) by now.
//
//===----------------------------------------------------------------------===//

#include "KernelsToLLVM.h"
#include "attn/Target/GPU/Device.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Conversion/GPUCommon/GPUCommonPass.h"
#include "mlir/Conversion/GPUToROCDL/GPUToROCDLPass.h"
#include "mlir/Dialect/AMDGPU/Utils/Chipset.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"

namespace mlir::attn {
#define GEN_PASS_DEF_KERNELSTOROCDLPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static unsigned getAddressSpace(gpu::AddressSpace space) {
  switch (space) {
  case gpu::AddressSpace::Global:
    return ROCDL::ROCDLDialect::kGlobalMemoryAddressSpace;
  case gpu::AddressSpace::Workgroup:
    return ROCDL::ROCDLDialect::kSharedMemoryAddressSpace;
  case gpu::AddressSpace::Private:
    return ROCDL::ROCDLDialect::kPrivateMemoryAddressSpace;
  default:
    return 0;
  }
}

/// Memory of a thread is in an address space of its own.
static void placeSlots(gpu::GPUModuleOp module) {
  SmallVector<LLVM::AllocaOp> slots;
  module.walk([&](LLVM::AllocaOp op) {
    if (op.getType().getAddressSpace() == 0) {
      slots.push_back(op);
    }
  });
  for (LLVM::AllocaOp op : slots) {
    OpBuilder builder(op);
    auto type = LLVM::LLVMPointerType::get(
        op.getContext(), ROCDL::ROCDLDialect::kPrivateMemoryAddressSpace);
    auto slot = LLVM::AllocaOp::create(builder, op.getLoc(), type,
                                       op.getElemType(), op.getArraySize(),
                                       op.getAlignment().value_or(0));
    op.replaceAllUsesWith(
        LLVM::AddrSpaceCastOp::create(builder, op.getLoc(), op.getType(), slot)
            .getResult());
    op.erase();
  }
}

/// What the host passes lies in global memory. With pointers to anywhere, a
/// kernel would set up memory of its threads that it has none of.
static void placeArguments(LLVM::LLVMFuncOp kernel) {
  Block &entry = kernel.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&entry);
  auto global = LLVM::LLVMPointerType::get(
      kernel.getContext(), ROCDL::ROCDLDialect::kGlobalMemoryAddressSpace);
  SmallVector<Type> types;
  for (BlockArgument argument : entry.getArguments()) {
    auto pointer = dyn_cast<LLVM::LLVMPointerType>(argument.getType());
    if (pointer && pointer.getAddressSpace() == 0) {
      argument.setType(global);
      auto cast = LLVM::AddrSpaceCastOp::create(builder, kernel.getLoc(),
                                                pointer, argument);
      argument.replaceAllUsesExcept(cast, cast);
    }
    types.push_back(argument.getType());
  }
  kernel.setType(LLVM::LLVMFunctionType::get(
      kernel.getFunctionType().getReturnType(), types));
}

namespace {

struct KernelsToROCDLPass
    : attn::impl::KernelsToROCDLPassBase<KernelsToROCDLPass> {
  using Base::Base;
  void runOnOperation() override {
    gpu::GPUModuleOp module = getOperation();
    FailureOr<const Device *> device = getDevice(module, chip);
    if (failed(device)) {
      return signalPassFailure();
    }
    FailureOr<amdgpu::Chipset> chipset = amdgpu::Chipset::parse(chip);
    if ((*device)->vendor != Vendor::AMD || failed(chipset)) {
      module.emitError() << "'" << chip << "' is no GPU of AMD";
      return signalPassFailure();
    }
    LowerToLLVMOptions options(&getContext(), DataLayout(module));
    LLVMTypeConverter converter(&getContext(), options);
    populateGpuMemorySpaceAttributeConversions(converter, getAddressSpace);
    auto populate = [&](const LLVMTypeConverter &types,
                        RewritePatternSet &patterns) {
      populateGpuToROCDLConversionPatterns(types, patterns,
                                           gpu::amd::Runtime::HIP, *chipset);
    };
    LLVMConversionTarget target(getContext());
    configureGpuToROCDLConversionLegality(target);
    target.addLegalDialect<ROCDL::ROCDLDialect>();
    constexpr StringRef assurances[] = {"rocdl.no_fine_grained_memory",
                                        "rocdl.no_remote_memory",
                                        "rocdl.ignore_denormal_mode"};
    if (failed(convertKernels(module, converter, target, populate,
                              {"AMD", "__ocml_", "agent", assurances}))) {
      return signalPassFailure();
    }
    placeSlots(module);
    Builder builder(&getContext());
    module.setTargetsAttr(builder.getArrayAttr(ROCDL::ROCDLTargetAttr::get(
        &getContext(), /*optLevel=*/2, "amdgcn-amd-amdhsa", chip)));
    // Registers are limited for NVIDIA's compiler.
    for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
      function->removeAttr("nvvm.maxnreg");
      if (function->hasAttr(gpu::GPUDialect::getKernelFuncAttrName())) {
        placeArguments(function);
      }
      // From which the code generator knows how many registers there are.
      if (auto threads = function->getAttrOfType<DenseI32ArrayAttr>(
              "rocdl.reqd_work_group_size")) {
        std::string count = std::to_string(threads[0]);
        function->setAttr("rocdl.flat_work_group_size",
                          builder.getStringAttr(count + "," + count));
      }
    }
  }
};

} // namespace
