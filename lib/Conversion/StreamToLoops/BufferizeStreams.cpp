//===- BufferizeStreams.cpp - streams on memrefs --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stream writes every element of its outputs exactly once, or tallies bins in
// an output that is filled here, and only reads its inputs, so that its
// bufferization needs no analysis: inputs are read-only buffers, outputs are
// fresh allocations. Doing it here keeps the rest of the function for
// one-shot-bufferize, which sees memrefs that come from and go to tensors.
//
//   %o = attn.stream rows (...) in [...] over %n = %N
//          ins(%Q = %q : tensor<..>) outs(%init : tensor<..>) { ... }
// becomes
//   %qb = bufferization.to_buffer %q read_only
//   %ob = memref.alloc(...)
//   attn.stream rows (...) in [...] over %n = %N
//          ins(%Q = %qb : memref<.., strided<[?, ...], offset: ?>>)
//          outs(%ob : memref<..>) { ... }
//   %o = bufferization.to_tensor %ob restrict writable
//
// Inputs have the fully dynamic layout that one-shot-bufferize gives to
// function arguments, so that no copy and, for arguments, no cast is left.
//
//===----------------------------------------------------------------------===//

#include "BufferizeStreams.h"
#include "Selection.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Support/Buffers.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::attn {
#define GEN_PASS_DEF_BUFFERIZESTREAMSPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// Allocates a buffer for an output. Its contents do not matter, only its size.
static Value allocateOutput(OpBuilder &builder, Location loc, Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Value> sizes;
  auto empty = tensor.getDefiningOp<tensor::EmptyOp>();
  if (empty) {
    llvm::append_range(sizes, empty.getDynamicSizes());
  } else {
    for (auto [k, extent] : llvm::enumerate(type.getShape())) {
      if (ShapedType::isDynamic(extent)) {
        sizes.push_back(tensor::DimOp::create(builder, loc, tensor, k));
      }
    }
  }
  return allocateBuffer(builder, loc, type, sizes);
}

/// Fills the outputs in which bins are tallied with what no entries give.
static void startTallies(OpBuilder &builder, StreamOp stream) {
  stream.walk([&](BinsOp bins) {
    if (!bins.isTally()) {
      return;
    }
    Location loc = bins.getLoc();
    Value neutral = loops::getNeutral(builder, bins);
    for (unsigned k : bins.getOutputs()) {
      linalg::FillOp::create(builder, loc, neutral, stream.getOutputs()[k]);
    }
  });
}

/// Rewrites the users of an input that became a memref. Ops of the plan take
/// either; of the others only element and size reads have a counterpart.
static LogicalResult convertUsers(BlockArgument input) {
  for (Operation *user : llvm::make_early_inc_range(input.getUsers())) {
    OpBuilder builder(user);
    if (auto extract = dyn_cast<tensor::ExtractOp>(user)) {
      extract.replaceAllUsesWith(AtOp::create(builder, user->getLoc(),
                                              extract.getType(), input,
                                              extract.getIndices())
                                     .getResult());
      user->erase();
    } else if (auto dim = dyn_cast<tensor::DimOp>(user)) {
      dim.replaceAllUsesWith(
          memref::DimOp::create(builder, user->getLoc(), input, dim.getIndex())
              .getResult());
      user->erase();
    } else if (!isa<AtOp, DotOp, DotWithOp, ExpandOp, RangeOp, StencilOp, MixOp,
                    ListedOp>(user)) {
      return user->emitOpError()
             << "reads a whole tensor inside of a stream; streams read "
                "elements and rows (attn.at)";
    }
  }
  return success();
}

static LogicalResult bufferizeStream(StreamOp stream) {
  OpBuilder builder(stream);
  Location loc = stream.getLoc();
  for (auto [k, input] : llvm::enumerate(stream.getInputsMutable())) {
    if (isa<RankedTensorType>(input.get().getType())) {
      input.set(getReadOnlyBuffer(builder, loc, input.get()));
      stream.getInputArg(k).setType(input.get().getType());
      if (failed(convertUsers(stream.getInputArg(k)))) {
        return failure();
      }
    }
  }
  SmallVector<Value> outputs, fresh;
  for (Value output : stream.getOutputs()) {
    bool isTensor = isa<RankedTensorType>(output.getType());
    outputs.push_back(isTensor ? allocateOutput(builder, loc, output) : output);
    if (isTensor) {
      fresh.push_back(outputs.back());
    }
  }
  SmallVector<Value> sizes{stream.getBatch(), stream.getHeads(),
                           stream.getRows(), stream.getExtent()};
  auto bufferized = StreamOp::create(builder, loc, stream.getOrientation(),
                                     sizes, stream.getInputs(), outputs);
  bufferized.getBody().takeBody(stream.getBody());
  bufferized->setDiscardableAttrs(stream->getDiscardableAttrDictionary());
  builder.setInsertionPoint(bufferized);
  startTallies(builder, bufferized);
  builder.setInsertionPoint(stream);
  SmallVector<Value> results;
  for (auto [buffer, type] : llvm::zip(fresh, stream.getResultTypes())) {
    results.push_back(toTensor(builder, loc, type, buffer));
  }
  stream->replaceAllUsesWith(results);
  // The tensors of the outputs are often empty ones without any other use.
  SmallVector<Operation *> inits;
  for (Value output : stream.getOutputs()) {
    if (auto empty = output.getDefiningOp<tensor::EmptyOp>()) {
      inits.push_back(empty);
    }
  }
  stream.erase();
  for (Operation *init :
       llvm::SetVector<Operation *>(inits.begin(), inits.end())) {
    if (init->use_empty()) {
      init->erase();
    }
  }
  return success();
}

namespace {
struct BufferizeStreamsPass
    : attn::impl::BufferizeStreamsPassBase<BufferizeStreamsPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<AppendOp> appends;
    getOperation()->walk([&](AppendOp append) { appends.push_back(append); });
    for (AppendOp append : appends) {
      if (failed(verifyInPlace(append))) {
        return signalPassFailure();
      }
    }
    llvm::for_each(appends, bufferizeAppend);
    SmallVector<StreamOp> streams;
    getOperation()->walk([&](StreamOp stream) {
      bool onTensors = llvm::any_of(stream->getOperandTypes(),
                                    llvm::IsaPred<RankedTensorType>);
      if (onTensors) {
        streams.push_back(stream);
      }
    });
    for (StreamOp stream : streams) {
      if (failed(bufferizeStream(stream))) {
        return signalPassFailure();
      }
    }
  }
};
} // namespace
