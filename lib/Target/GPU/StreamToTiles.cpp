//===- StreamToTiles.cpp - attn-stream-to-tiles ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stream becomes a kernel and its launch, one block of threads for each block
// of rows, of a head or of a group of heads that read the same keys:
//
//   attn.stream rows (...) in [%B, %H, %M] over %n = %N ins(...) outs(...)
//   ->
//   gpu.launch_func @attn_kernels::@f_stream0
//       blocks in (B * H / G * ceil(M * G / rows), 1, 1) threads in (128, 1, 1)
//       args(...)
//
//===----------------------------------------------------------------------===//

#include "../../Conversion/StreamToLoops/StreamToLoops.h"
#include "Kernels.h"
#include "RowKernel.h"
#include "SharedMemory.h"
#include "TileKernel.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"

namespace mlir::attn {
#define GEN_PASS_DEF_STREAMTOTILESPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// x * 0.125 * log2(e), a product for each score, has one factor.
static void mergeFactors(StreamOp stream) {
  stream.walk([](arith::MulFOp op) {
    auto inner = op.getLhs().getDefiningOp<arith::MulFOp>();
    FloatAttr first, second;
    if (!inner || !inner->hasOneUse() ||
        !matchPattern(inner.getRhs(), m_Constant(&first)) ||
        !matchPattern(op.getRhs(), m_Constant(&second))) {
      return;
    }
    APFloat factor = first.getValue();
    factor.multiply(second.getValue(), APFloat::rmNearestTiesToEven);
    OpBuilder builder(op);
    Value merged = arith::ConstantOp::create(
        builder, op.getLoc(), builder.getFloatAttr(op.getType(), factor));
    op->setOperands({inner.getLhs(), merged});
    inner.erase();
  });
}

/// Weights, 2^(x - gauge), are at most 1 where the largest is 1: what is below
/// the normal numbers may as well be 0.
static void approximateWeights(StreamOp stream) {
  stream.walk([](math::Exp2Op op) {
    auto apart = op.getOperand().getDefiningOp<arith::SubFOp>();
    if (apart && apart.getRhs().getDefiningOp<GuardOp>()) {
      op.setFastmath(op.getFastmath() | arith::FastMathFlags::afn);
    }
  });
}

/// The kernel with tiles of a shape, and its launch. `tooLarge` is set, beside
/// a failure, for one whose block shares more memory than there is.
static LogicalResult emitTileKernel(StreamOp stream, StringRef name,
                                    const TileShape &shape,
                                    const Device &device, bool &tooLarge) {
  Emit e(stream.getLoc(), stream);
  SmallVector<Value> operands = {stream.getRows(), stream.getHeads(),
                                 stream.getExtent()};
  size_t inputs = stream.getInputs().size();
  llvm::append_range(operands, stream.getInputs());
  llvm::append_range(operands, stream.getOutputs());
  int64_t group = shape.group.size;
  auto countBlocks = [&](Emit &at, Value rows) {
    return at.div(at.add(at.mul(rows, group), shape.ownRows - 1),
                  shape.ownRows);
  };
  Value blocks =
      e.mul(e.mul(stream.getBatch(), e.div(stream.getHeads(), group)),
            countBlocks(e, stream.getRows()));
  auto write = [&](Emit &k, ValueRange arguments) -> LogicalResult {
    Value rows = arguments[0], heads = arguments[1];
    Value block = gpu::BlockIdOp::create(k, gpu::Dimension::x);
    Value rowBlock = takeIndex(k, block, countBlocks(k, rows));
    Value head = k.mul(takeIndex(k, block, k.div(heads, group)), group);
    TileKernel kernel(k, stream, shape);
    Value first = k.mul(rowBlock, shape.ownRows), end = k.mul(rows, group);
    if (shape.ownRows < shape.rows) {
      end = k.min(end, k.add(first, shape.ownRows));
    }
    if (failed(kernel.emit(first, end,
                           /*batch=*/block, head,
                           /*extent=*/arguments[2], arguments.slice(3, inputs),
                           arguments.drop_front(3 + inputs)))) {
      return failure();
    }
    Operation *function = rowBlock.getParentBlock()->getParentOp();
    // NVIDIA's limits differ, and are checked for the chips that code is for.
    tooLarge =
        device.vendor == Vendor::AMD &&
        placeBuffers(cast<gpu::GPUFuncOp>(function), countBufferBytes).bytes >
            device.sharedBytes;
    loops::expandRowAccesses(function);
    return failure(tooLarge);
  };
  return createKernel(e, stream->getParentOfType<ModuleOp>(), name, blocks,
                      tile::countThreads(shape.layout), operands, write);
}

static LogicalResult emitTileKernel(StreamOp stream, StringRef name,
                                    bool tensorCores, const Device &device) {
  FailureOr<TileShape> shape = TileShape::choose(stream, tensorCores, device);
  if (failed(shape)) {
    return failure();
  }
  mergeFactors(stream);
  approximateWeights(stream);
  bool tooLarge = false;
  while (failed(emitTileKernel(stream, name, *shape, device, tooLarge))) {
    if (!tooLarge) {
      return failure();
    }
    if (!shape->shrink()) {
      return stream.emitOpError()
             << "shares more than the " << device.sharedBytes
             << " bytes that a block has on " << device.chip;
    }
  }
  stream.erase();
  return success();
}

/// As tiles, or else row by row; then a warning says why.
static LogicalResult lowerStream(StreamOp stream, StringRef name,
                                 bool tensorCores, const Device &device) {
  for (Type type : stream->getOperandTypes()) {
    if (isa<RankedTensorType>(type)) {
      return stream.emitOpError() << "works on tensors; attn-bufferize-streams "
                                     "gives it memrefs";
    }
  }
  std::optional<Diagnostic> reason;
  {
    ScopedDiagnosticHandler handler(
        stream.getContext(), [&](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
            reason = std::move(diagnostic);
          }
          return success();
        });
    if (succeeded(emitTileKernel(stream, name, tensorCores, device))) {
      return success();
    }
  }
  InFlightDiagnostic warning = emitWarning(reason->getLocation());
  warning << reason->str() << "; a thread computes each row instead";
  for (Diagnostic &note : reason->getNotes()) {
    warning.attachNote(note.getLocation()) << note.str();
  }
  warning.report();
  emitRowKernel(stream, name);
  return success();
}

namespace {
struct StreamToTilesPass
    : attn::impl::StreamToTilesPassBase<StreamToTilesPass> {
  using Base::Base;
  void runOnOperation() override {
    FailureOr<const Device *> device = getDevice(getOperation(), chip);
    if (failed(device)) {
      return signalPassFailure();
    }
    for (auto function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      SmallVector<StreamOp> streams;
      function.walk([&](StreamOp stream) { streams.push_back(stream); });
      for (auto [k, stream] : llvm::enumerate(streams)) {
        std::string name = (function.getName() + "_stream" + Twine(k)).str();
        if (failed(lowerStream(stream, name, tensorCores, **device))) {
          return signalPassFailure();
        }
      }
    }
  }
};
} // namespace
