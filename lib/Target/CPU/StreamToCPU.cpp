//===- StreamToCPU.cpp - attn-stream-to-cpu -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The CPU lowering: every stream becomes a kernel and a call, some two of which
// the number of rows chooses one (RowForms.cpp). Kernel.h draws the loop nest,
// Outline.cpp the call.
//
//===----------------------------------------------------------------------===//

#include "Outline.h"
#include "StreamAnalysis.h"
#include "attn/Target/CPU/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace mlir::attn {
#define GEN_PASS_DEF_STREAMTOCPUPASS
#include "attn/Target/CPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// The stream that computes what `value`, a buffer that `reader` reads, holds;
/// null if another op does.
static StreamOp findWriter(Value value, StreamOp reader) {
  while (auto cast = value.getDefiningOp<memref::CastOp>()) {
    value = cast.getSource();
  }
  SmallVector<Value> names = {value};
  for (size_t k = 0; k < names.size(); ++k) {
    for (Operation *user : names[k].getUsers()) {
      if (isa<memref::CastOp>(user)) {
        names.push_back(user->getResult(0));
      }
      auto writer = dyn_cast<StreamOp>(user);
      if (writer && writer != reader &&
          llvm::is_contained(writer.getOutputs(), names[k])) {
        return writer;
      }
    }
  }
  return nullptr;
}

/// Whether entries that read at `op` are those of the same rows as `writer`
/// had.
static bool isOfSameRows(AtOp op, StreamOp reader, StreamOp writer) {
  std::optional<int64_t> rows = getConstantIntValue(reader.getRows());
  Operation *sweep = op->getParentOp();
  return rows && rows == getConstantIntValue(writer.getRows()) &&
         reader.getOrientation() == writer.getOrientation() &&
         (sweep == reader || sweep->getParentOp() == reader);
}

/// Streams of which one computes scores again that the other has reduced: a
/// sum of exponentials, say, for a softmax whose columns are added up.
static DenseSet<Operation *> findSharedScores(ArrayRef<StreamOp> streams) {
  DenseSet<Operation *> result;
  for (StreamOp reader : streams) {
    bool hasScores = reader
                         .walk([](Operation *op) {
                           return cpu::isContraction(op)
                                      ? WalkResult::interrupt()
                                      : WalkResult::advance();
                         })
                         .wasInterrupted();
    reader.walk([&](AtOp op) {
      auto argument = dyn_cast<BlockArgument>(op.getSource());
      if (!hasScores || !argument || !isa<FloatType>(op.getType()) ||
          argument.getOwner()->getParentOp() != reader) {
        return;
      }
      Value buffer =
          reader.getInputs()[argument.getArgNumber() - StreamOp::kNumIndexArgs];
      StreamOp writer = findWriter(buffer, reader);
      if (writer && !isOfSameRows(op, reader, writer)) {
        result.insert(reader);
        result.insert(writer);
      }
    });
  }
  return result;
}

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
      DenseSet<Operation *> shared = findSharedScores(streams);
      for (auto [k, stream] : llvm::enumerate(streams)) {
        std::string name = (function.getName() + "_stream" + Twine(k)).str();
        bool isShared = shared.contains(stream);
        StreamOp one;
        if (oneRowForms && !isShared) {
          one = cpu::addOneRowForm(stream, *target);
        }
        if (failed(cpu::outlineStream(stream, name, *target, isShared)) ||
            (one && failed(cpu::outlineStream(one, name + "_one_row", *target,
                                              /*sharesScores=*/false)))) {
          return signalPassFailure();
        }
      }
    }
  }
};
} // namespace
