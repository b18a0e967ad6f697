//===- Pipelines.cpp - from programs to plans and to LLVM -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The order of the passes, in one place. The three executable pipelines differ
// in what they make of scores and streams, and share the rest:
//
//   scores --(reference: linalg on whole matrices)---------.
//     |                                                     |
//   naive streams --(loops: one scf loop per index)---------+-- bufferization,
//     |                                                     |   loops, LLVM
//   fused streams --(cpu: tiles, threads, vectors)----------'
//     |
//     '--(gpu: tiles of blocks, threads)-- kernels and launches
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Pipelines.h"

#include "Boundary.h"
#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "attn/Target/CPU/Passes.h"
#include "attn/Target/Device/Passes.h"
#include "attn/Target/Emulator/Passes.h"
#include "attn/Target/GPU/Device.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

void addCleanup(OpPassManager &pm, const GreedyRewriteConfig &config = {}) {
  pm.addNestedPass<func::FuncOp>(createCanonicalizerPass(config));
  pm.addNestedPass<func::FuncOp>(createCSEPass());
}

/// Scores to primitive ops on scores. In exact mode, whatever folds until here
/// folds for the reference and for the program under test alike.
void addDesugar(OpPassManager &pm, bool exact) {
  pm.addPass(createResolveStatesPass());
  pm.addPass(createResolveScoresPass());
  pm.addNestedPass<func::FuncOp>(createDesugarPass());
  pm.addNestedPass<func::FuncOp>(createExpandStoragePass());
  addCleanup(pm);
  if (exact) {
    pm.addNestedPass<func::FuncOp>(createExactOpaquePass());
  }
}

template <typename Derived>
void addPlan(OpPassManager &pm, const PlanOptions<Derived> &options) {
  addDesugar(pm, options.exact);
  pm.addNestedPass<func::FuncOp>(createFormStreamsPass());
  // Extents of what a program computes are those of what it is given.
  pm.addPass(memref::createResolveRankedShapeTypeResultDimsPass());
  pm.addNestedPass<func::FuncOp>(createResidentAxesPass());
  // Fusion asks whether two sweeps compute the same value: let equal ones be
  // the same first.
  addCleanup(pm);
  FuseSweepsPassOptions fuse;
  fuse.maxRecomputeFactor = options.maxRecomputeFactor;
  pm.addNestedPass<func::FuncOp>(createFuseSweepsPass(fuse));
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createShareStreamsPass());
  pm.addNestedPass<func::FuncOp>(createSplitSegmentsPass());
  pm.addNestedPass<func::FuncOp>(createFoldSingleKeysPass());
  pm.addNestedPass<func::FuncOp>(createAnalyzeMasksPass());
  SplitKeysPassOptions split;
  split.splits = options.splits;
  split.mostRows = options.splitMostRows;
  pm.addNestedPass<func::FuncOp>(createSplitKeysPass(split));
  pm.addNestedPass<func::FuncOp>(createStoreViewsPass());
  addCleanup(pm);
  if (options.exact) {
    pm.addNestedPass<func::FuncOp>(createExactAppliesPass());
  }
  if (!options.plantFault.empty()) {
    PlantFaultPassOptions fault;
    fault.kind = options.plantFault;
    pm.addNestedPass<func::FuncOp>(createPlantFaultPass(fault));
  }
}

/// A matrix that attn.materialize asks for is computed op by op; streams stay.
/// Arithmetic of the program on whole tensors joins its linalg.
void addMaterialization(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createConvertElementwiseToLinalgPass());
  pm.addNestedPass<func::FuncOp>(createAttnToLinalgPass());
  addCleanup(pm);
}

void addBufferization(OpPassManager &pm, bool passResults) {
  pm.addNestedPass<func::FuncOp>(createSelectionToLoopsPass());
  pm.addNestedPass<func::FuncOp>(createPrepareEntriesPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  // A loop may carry a fresh buffer per iteration; deallocation frees the old
  // one.
  options.allowReturnAllocsFromLoops = true;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  addCleanup(pm);
  if (passResults) {
    pm.addPass(createPassResultsPass());
  }
}

/// Frees what no caller receives. Runs where no op hides its use of buffers.
void addDeallocation(OpPassManager &pm) {
  bufferization::buildBufferDeallocationPipeline(
      pm, bufferization::BufferDeallocationPipelineOptions());
  pm.addPass(createConvertBufferizationToMemRefPass());
}

/// The same beside kernels, which own nothing.
void addHostDeallocation(OpPassManager &pm) {
  OpPassManager &host = pm.nest<func::FuncOp>();
  host.addPass(bufferization::createOwnershipBasedBufferDeallocationPass());
  host.addPass(createCanonicalizerPass());
  host.addPass(bufferization::createBufferDeallocationSimplificationPass());
  pm.addPass(bufferization::createLowerDeallocationsPass());
  pm.addPass(createConvertBufferizationToMemRefPass());
}

/// Ring arithmetic in place of floats.
void addExactArithmetic(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createLinalgGeneralizeNamedOpsPass());
  pm.addPass(createExactArithmeticPass());
}

void addLowerToLLVM(OpPassManager &pm, bool passResults) {
  if (passResults) {
    pm.addPass(createMeasureWorkspacePass());
  }
  pm.addNestedPass<func::FuncOp>(createLegalizeBuffersPass());
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  // Not in emulated kernels: these compare and merge blocks, of which there are
  // very many.
  pm.addNestedPass<func::FuncOp>(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  ConvertVectorToLLVMPassOptions vector;
  vector.x86Vector = true;
  pm.addNestedPass<func::FuncOp>(createConvertVectorToLLVMPass(vector));
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  // A fifth of what the conversions leave is repeated descriptor arithmetic.
  pm.addPass(createCSEPass());
}

} // namespace

void attn::buildPlanPipeline(OpPassManager &pm,
                             const PlanPipelineOptions &options) {
  addPlan(pm, options);
}

void attn::buildReferencePipeline(OpPassManager &pm,
                                  const ReferencePipelineOptions &options) {
  addDesugar(pm, options.exact);
  pm.addNestedPass<func::FuncOp>(createStoreViewsPass());
  addMaterialization(pm);
  pm.addNestedPass<func::FuncOp>(createBufferizeStreamsPass());
  addBufferization(pm, options.passResults);
  pm.addNestedPass<func::FuncOp>(createStreamToLoopsPass());
  addCleanup(pm);
  addDeallocation(pm);
  if (options.exact) {
    addExactArithmetic(pm);
  }
  addLowerToLLVM(pm, options.passResults);
}

void attn::buildLoopsPipeline(OpPassManager &pm,
                              const LoopsPipelineOptions &options) {
  if (options.fuse) {
    addPlan(pm, options);
  } else {
    addDesugar(pm, options.exact);
    pm.addNestedPass<func::FuncOp>(createFormStreamsPass());
    pm.addNestedPass<func::FuncOp>(createSplitSegmentsPass());
    pm.addNestedPass<func::FuncOp>(createStoreViewsPass());
    addCleanup(pm);
  }
  addMaterialization(pm);
  pm.addNestedPass<func::FuncOp>(createBufferizeStreamsPass());
  addBufferization(pm, options.passResults);
  StreamToLoopsPassOptions loops;
  loops.useBounds = options.fuse && options.useBounds;
  pm.addNestedPass<func::FuncOp>(createStreamToLoopsPass(loops));
  addCleanup(pm);
  addDeallocation(pm);
  if (options.exact) {
    addExactArithmetic(pm);
  }
  addLowerToLLVM(pm, options.passResults);
}

void attn::buildCPUPipeline(OpPassManager &pm,
                            const CPUPipelineOptions &options) {
  addPlan(pm, options);
  addMaterialization(pm);
  pm.addNestedPass<func::FuncOp>(createFuseLinalgPass());
  pm.addNestedPass<func::FuncOp>(createBufferizeStreamsPass());
  addBufferization(pm, options.passResults);
  StreamToCPUPassOptions target;
  target.triple = options.triple;
  target.cpu = options.cpu;
  target.oneRowForms = options.oneRowForms;
  // Bufferization writes padding and copies as named ops.
  pm.addNestedPass<func::FuncOp>(
      createLegalizeBuffersPass(/*expandScalars=*/false));
  pm.addNestedPass<func::FuncOp>(createLinalgGeneralizeNamedOpsPass());
  pm.addPass(createStreamToCPUPass(target));
  LinalgToCPUPassOptions linalg;
  linalg.triple = options.triple;
  linalg.cpu = options.cpu;
  pm.addPass(createLinalgToCPUPass(linalg));
  pm.addPass(createCPUOutlineParallelPass());
  // Kernels are long: a second look at all of their ops finds next to nothing.
  GreedyRewriteConfig once;
  once.setMaxIterations(1);
  once.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  addCleanup(pm, once);
  addHostDeallocation(pm);
  if (options.exact) {
    addExactArithmetic(pm);
  }
  // In exact mode, products of integers are left.
  CPUExpandMathPassOptions math;
  math.triple = options.triple;
  math.cpu = options.cpu;
  pm.addPass(createCPUExpandMathPass(math));
  addLowerToLLVM(pm, options.passResults);
}

void attn::buildGPUPipeline(OpPassManager &pm,
                            const GPUPipelineOptions &options) {
  addPlan(pm, options);
  addMaterialization(pm);
  pm.addNestedPass<func::FuncOp>(createWidenTalliesPass());
  pm.addNestedPass<func::FuncOp>(createBufferizeStreamsPass());
  addBufferization(pm, options.passResults);
  const Device *device = Device::get(options.chip);
  bool isAMD = device && device->vendor == Vendor::AMD;
  StreamToTilesPassOptions tiles;
  tiles.chip = options.chip;
  tiles.tensorCores = !options.exact;
  pm.addPass(createStreamToTilesPass(tiles));
  pm.addNestedPass<func::FuncOp>(
      createLegalizeBuffersPass(/*expandScalars=*/false));
  pm.addNestedPass<func::FuncOp>(createLinalgGeneralizeNamedOpsPass());
  pm.addPass(createLinalgToGPUPass());
  pm.addPass(createLoopsToGPUPass());
  addHostDeallocation(pm);
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  PipelineTilesPassOptions pipeline;
  pipeline.chip = options.chip;
  pipeline.stages = options.stages;
  pipeline.roles = options.warpRoles;
  if (isAMD) {
    // Copies by way of registers are not under way while threads compute.
    pipeline.stages = 1;
    pipeline.blockBytes = device->sharedBytes;
  }
  pm.addPass(createPipelineTilesPass(pipeline));
  if (options.tiles) {
    return;
  }
  DistributeTilesPassOptions threads;
  threads.chip = options.chip;
  pm.addPass(createDistributeTilesPass(threads));
  OpPassManager &scalars = pm.nest<gpu::GPUModuleOp>();
  scalars.addPass(createCanonicalizerPass());
  scalars.addPass(createCSEPass());
  scalars.addPass(createLoopInvariantCodeMotionPass());
  scalars.addPass(createCSEPass());
  if (options.exact) {
    pm.addPass(createExactArithmeticPass());
  }
  GPUMathPassOptions functions;
  functions.chip = options.chip;
  pm.addNestedPass<gpu::GPUModuleOp>(createGPUMathPass(functions));
  CPUExpandMathPassOptions math;
  math.isa = "generic";
  pm.addPass(createCPUExpandMathPass(math));
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  if (!isAMD) {
    kernels.addPass(createConvertNVGPUToNVVMPass());
  }
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
  kernels.addPass(createSCFToControlFlowPass());
  if (isAMD) {
    KernelsToROCDLPassOptions rocdl;
    rocdl.chip = options.chip;
    kernels.addPass(createKernelsToROCDLPass(rocdl));
  } else {
    kernels.addPass(createKernelsToNVVMPass());
  }
  kernels.addPass(createReconcileUnrealizedCastsPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  if (options.emulate) {
    pm.addPass(createEmulateGPUPass());
  } else if (options.launch) {
    pm.addPass(createLaunchOnDevicePass());
  }
  if (options.emulate || options.launch) {
    addLowerToLLVM(pm, options.passResults);
  }
}

void attn::registerPipelines() {
  registerBoundaryPasses();
  registerFuseLinalgPass();
  PassPipelineRegistration<PlanPipelineOptions>(
      "attn-plan",
      "score programs to the streams that run, and their plan in words",
      [](OpPassManager &pm, const PlanPipelineOptions &options) {
        buildPlanPipeline(pm, options);
        pm.addPass(createPrintPlanPass());
      });
  PassPipelineRegistration<ReferencePipelineOptions>(
      "attn-reference-pipeline",
      "every op by itself on materialised tensors, down to LLVM",
      buildReferencePipeline);
  PassPipelineRegistration<LoopsPipelineOptions>(
      "attn-loops-pipeline", "streams as scalar loops, down to LLVM",
      buildLoopsPipeline);
  PassPipelineRegistration<CPUPipelineOptions>(
      "attn-cpu-pipeline", "tiled vector kernels for one CPU, down to LLVM",
      buildCPUPipeline);
  PassPipelineRegistration<GPUPipelineOptions>(
      "attn-gpu-pipeline",
      "GPU kernels in the LLVM and the vendor's dialect, and their launches",
      buildGPUPipeline);
}
