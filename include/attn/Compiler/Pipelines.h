//===- Pipelines.h - from programs to plans and to LLVM ---------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pipelines, each registered by name and callable from C++. All of them
// but `attn-plan` end in the LLVM dialect, with a C interface
// (`_mlir_ciface_<name>`) for every public function.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_PIPELINES_H
#define ATTN_COMPILER_PIPELINES_H

#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace mlir::attn {

struct ReferencePipelineOptions
    : PassPipelineOptions<ReferencePipelineOptions> {
  Option<bool> exact{
      *this, "exact",
      llvm::cl::desc("Integers modulo 2^w in place of floats (exact mode)"),
      llvm::cl::init(false)};
  Option<bool> passResults{
      *this, "pass-results",
      llvm::cl::desc("Callers pass buffers for results, and are told how much "
                     "memory a call takes"),
      llvm::cl::init(false)};
};

/// What every pipeline with a plan asks.
template <typename Derived> struct PlanOptions : PassPipelineOptions<Derived> {
  template <typename T> using Option = detail::PassOptions::Option<T>;

  Option<int64_t> splits{
      *this, "splits",
      llvm::cl::desc("Number of key ranges of split streams; 0 for none"),
      llvm::cl::init(0)};
  Option<int64_t> splitMostRows{
      *this, "split-most-rows",
      llvm::cl::desc("Split only streams known to have so many rows at most; 0 "
                     "for all"),
      llvm::cl::init(0)};
  Option<int64_t> maxRecomputeFactor{
      *this, "max-recompute-factor",
      llvm::cl::desc("Refuse streams that visit their scores more often; 0 for "
                     "no limit"),
      llvm::cl::init(4)};
  Option<bool> exact{
      *this, "exact",
      llvm::cl::desc("Integers modulo 2^w in place of floats (exact mode)"),
      llvm::cl::init(false)};
  Option<bool> passResults{
      *this, "pass-results",
      llvm::cl::desc("Callers pass buffers for results, and are told how much "
                     "memory a call takes"),
      llvm::cl::init(false)};
  Option<std::string> plantFault{
      *this, "plant-fault",
      llvm::cl::desc("Damage the plan, to test what tests it: see "
                     "attn-plant-fault"),
      llvm::cl::init("")};
};

struct PlanPipelineOptions : PlanOptions<PlanPipelineOptions> {};

struct LoopsPipelineOptions : PlanOptions<LoopsPipelineOptions> {
  Option<bool> fuse{*this, "fuse",
                    llvm::cl::desc("Fuse sweeps and share streams first; the "
                                   "options of the plan are for this"),
                    llvm::cl::init(false)};
  Option<bool> useBounds{
      *this, "use-bounds",
      llvm::cl::desc("With fuse: skip what mask analysis found empty"),
      llvm::cl::init(false)};
};

struct CPUPipelineOptions : PlanOptions<CPUPipelineOptions> {
  Option<std::string> triple{
      *this, "triple", llvm::cl::desc("Target triple; the host's if empty")};
  Option<std::string> cpu{
      *this, "cpu",
      llvm::cl::desc("Target CPU; the host's if it and triple are empty")};
  Option<bool> oneRowForms{
      *this, "one-row-forms",
      llvm::cl::desc(
          "Make kernels for one row where the number of rows is not known"),
      llvm::cl::init(true)};
};

struct GPUPipelineOptions : PlanOptions<GPUPipelineOptions> {
  Option<std::string> chip{
      *this, "chip", llvm::cl::desc("The GPU, in LLVM's naming: sm_80, gfx942"),
      llvm::cl::init("sm_80")};
  Option<bool> emulate{
      *this, "emulate",
      llvm::cl::desc("Make functions of the host of the kernels, down to LLVM"),
      llvm::cl::init(false)};
  Option<bool> launch{
      *this, "launch",
      llvm::cl::desc("Launch by calls of the runtime library, down to LLVM"),
      llvm::cl::init(false)};
  Option<int64_t> stages{
      *this, "stages",
      llvm::cl::desc("Tiles that kernels have in shared memory at a time; 0 "
                     "chooses by their size"),
      llvm::cl::init(0)};
  Option<bool> warpRoles{
      *this, "warp-roles",
      llvm::cl::desc("A warp of its own brings tiles to those that compute, "
                     "where a kernel allows it; not measured on hardware yet"),
      llvm::cl::init(false)};
  Option<bool> tiles{*this, "tiles",
                     llvm::cl::desc("Stop at kernels over tiles"),
                     llvm::cl::init(false)};
};

/// `attn-plan`: score programs to the streams that run.
void buildPlanPipeline(OpPassManager &pm, const PlanPipelineOptions &options);

/// `attn-reference-pipeline`: every op by itself on materialised tensors.
void buildReferencePipeline(OpPassManager &pm,
                            const ReferencePipelineOptions &options = {});

/// `attn-loops-pipeline`: streams as scalar loops, naive unless `fuse` is set.
void buildLoopsPipeline(OpPassManager &pm, const LoopsPipelineOptions &options);

/// `attn-cpu-pipeline`: the plan as tiled vector code for one CPU.
void buildCPUPipeline(OpPassManager &pm, const CPUPipelineOptions &options);

/// `attn-gpu-pipeline`: the plan as GPU kernels in LLVM's and a vendor's
/// dialect, launched by what is left of the program.
void buildGPUPipeline(OpPassManager &pm, const GPUPipelineOptions &options);

/// Registers the five by name.
void registerPipelines();

} // namespace mlir::attn

#endif // ATTN_COMPILER_PIPELINES_H
