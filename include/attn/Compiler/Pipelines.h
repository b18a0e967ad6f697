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

struct PlanPipelineOptions : PassPipelineOptions<PlanPipelineOptions> {
  Option<int64_t> splits{
      *this, "splits",
      llvm::cl::desc("Number of key ranges of split streams; 0 for none"),
      llvm::cl::init(0)};
  Option<int64_t> maxRecomputeFactor{
      *this, "max-recompute-factor",
      llvm::cl::desc("Refuse streams that visit their scores more often; 0 for "
                     "no limit"),
      llvm::cl::init(4)};
};

struct LoopsPipelineOptions : PassPipelineOptions<LoopsPipelineOptions> {
  Option<bool> fuse{*this, "fuse",
                    llvm::cl::desc("Fuse sweeps and share streams first"),
                    llvm::cl::init(false)};
  Option<int64_t> splits{
      *this, "splits",
      llvm::cl::desc("With fuse: number of key ranges of split streams"),
      llvm::cl::init(0)};
  Option<bool> useBounds{
      *this, "use-bounds",
      llvm::cl::desc("With fuse: skip what mask analysis found empty"),
      llvm::cl::init(false)};
  Option<int64_t> maxRecomputeFactor{
      *this, "max-recompute-factor",
      llvm::cl::desc("With fuse: refuse streams that visit their scores more "
                     "often; 0 for no limit"),
      llvm::cl::init(4)};
};

struct CPUPipelineOptions : PassPipelineOptions<CPUPipelineOptions> {
  Option<std::string> triple{
      *this, "triple", llvm::cl::desc("Target triple; the host's if empty")};
  Option<std::string> cpu{
      *this, "cpu",
      llvm::cl::desc("Target CPU; the host's if it and triple are empty")};
  Option<int64_t> splits{
      *this, "splits",
      llvm::cl::desc("Number of key ranges of split streams; 0 for none"),
      llvm::cl::init(0)};
  Option<int64_t> maxRecomputeFactor{
      *this, "max-recompute-factor",
      llvm::cl::desc("Refuse streams that visit their scores more often; 0 for "
                     "no limit"),
      llvm::cl::init(4)};
};

/// `attn-plan`: score programs to the streams that run.
void buildPlanPipeline(OpPassManager &pm, const PlanPipelineOptions &options);

/// `attn-reference-pipeline`: every op by itself on materialised tensors.
void buildReferencePipeline(OpPassManager &pm);

/// `attn-loops-pipeline`: streams as scalar loops, naive unless `fuse` is set.
void buildLoopsPipeline(OpPassManager &pm, const LoopsPipelineOptions &options);

/// `attn-cpu-pipeline`: the plan as tiled vector code for one CPU.
void buildCPUPipeline(OpPassManager &pm, const CPUPipelineOptions &options);

/// Registers the four by name.
void registerPipelines();

} // namespace mlir::attn

#endif // ATTN_COMPILER_PIPELINES_H
