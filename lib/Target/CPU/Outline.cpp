//===- Outline.cpp - kernels with operands of unit stride -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stream becomes a kernel over blocks of rows and a call:
//
//   attn.stream rows (...) in [%B, %H, %M] over %N ins(%q ...) outs(%o ...)
//   ->
//   call @attn_parallel_for(@f_stream0, %args, B * H * ceil(M / rows))
//
// Where blocks of rows share the bins of a tally, an item is a multiple of such
// a block: what one thread adds up, in order.
//
// Kernels read their operands with vectors, so the last stride is 1 inside;
// operands where it is not are copied before the call.
//
//===----------------------------------------------------------------------===//

#include "Outline.h"

#include "Kernel.h"
#include "ParallelKernel.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// The type of an operand inside the kernel. What lies otherwise may come as a
/// copy, of which nothing but the last stride is known.
static Type getKernelType(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref || memref.getRank() == 0) {
    return type;
  }
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(memref.getStridesAndOffset(strides, offset)) ||
      strides.back() == 1) {
    return type;
  }
  strides.assign(strides.size(), ShapedType::kDynamic);
  strides.back() = 1;
  return MemRefType::get(
      memref.getShape(), memref.getElementType(),
      StridedLayoutAttr::get(type.getContext(), ShapedType::kDynamic, strides),
      memref.getMemorySpace());
}

/// Copies `from` to a fresh contiguous buffer of the same shape.
static Value copyContiguous(Emit &e, Value from, ValueRange sizes) {
  auto type = cast<MemRefType>(from.getType());
  SmallVector<Value> dynamic;
  for (auto [extent, size] : llvm::zip(type.getShape(), sizes)) {
    if (ShapedType::isDynamic(extent)) {
      dynamic.push_back(size);
    }
  }
  auto flat = MemRefType::get(type.getShape(), type.getElementType());
  auto copy =
      memref::AllocOp::create(e, flat, dynamic, e.getI64IntegerAttr(64));
  markManual(copy);
  SmallVector<Value> place;
  std::function<void()> emit = [&] {
    size_t dim = place.size();
    if (dim == sizes.size()) {
      e.store(e.load(from, place), copy, place);
      return;
    }
    e.loop(e.index(0), sizes[dim], 1, [&](Value k) {
      place.push_back(k);
      emit();
      place.pop_back();
    });
  };
  emit();
  return copy;
}

/// `value` with last stride 1; what has to be freed after the call is appended
/// to `frees`, with the condition under which it was copied.
static Value normalise(Emit &e, Value value,
                       SmallVectorImpl<std::pair<Value, Value>> &frees) {
  Type want = getKernelType(value.getType());
  if (want == value.getType()) {
    return value;
  }
  auto type = cast<MemRefType>(want);
  auto metadata = memref::ExtractStridedMetadataOp::create(e, value);
  auto view = [&](Value base, ValueRange strides, Value offset) -> Value {
    SmallVector<OpFoldResult> sizeList, strideList;
    for (auto [extent, size] :
         llvm::zip(type.getShape(), metadata.getSizes())) {
      sizeList.push_back(ShapedType::isDynamic(extent)
                             ? OpFoldResult(size)
                             : OpFoldResult(e.getIndexAttr(extent)));
    }
    auto [staticStrides, staticOffset] = type.getStridesAndOffset();
    for (auto [fixed, stride] : llvm::zip(staticStrides, strides)) {
      strideList.push_back(ShapedType::isDynamic(fixed)
                               ? OpFoldResult(stride)
                               : OpFoldResult(e.getIndexAttr(fixed)));
    }
    OpFoldResult start = ShapedType::isDynamic(staticOffset)
                             ? OpFoldResult(offset)
                             : OpFoldResult(e.getIndexAttr(staticOffset));
    return memref::ReinterpretCastOp::create(e, type, base, start, sizeList,
                                             strideList);
  };
  auto equalsOne = [&](Value x) -> Value {
    return arith::CmpIOp::create(e, arith::CmpIPredicate::sle, x, e.index(1));
  };
  Value unit = arith::OrIOp::create(
      e,
      arith::CmpIOp::create(e, arith::CmpIPredicate::eq,
                            metadata.getStrides().back(), e.index(1)),
      equalsOne(metadata.getSizes().back()));
  Value result = e.ifValue(
      unit, type,
      [&] { return view(value, metadata.getStrides(), metadata.getOffset()); },
      [&] {
        Value copy = copyContiguous(e, value, metadata.getSizes());
        auto strides = memref::ExtractStridedMetadataOp::create(e, copy);
        return view(copy, strides.getStrides(), e.index(0));
      });
  frees.push_back({arith::XOrIOp::create(e, unit, e.truth(true)), result});
  return result;
}

LogicalResult cpu::outlineParallelLoop(
    Emit &e, StringRef name, ValueRange operands, Value items, Value serial,
    function_ref<LogicalResult(Emit &, Value, Value, ValueRange)> body) {
  Operation *here = e.getInsertionBlock()->getParentOp();
  auto host = dyn_cast<func::FuncOp>(here);
  host = host ? host : here->getParentOfType<func::FuncOp>();
  SmallVector<std::pair<Value, Value>> frees;
  SmallVector<Value> passed;
  for (Value operand : operands) {
    passed.push_back(normalise(e, operand, frees));
  }
  ParallelKernel kernel =
      createParallelKernel(e, host, name, passed, items, serial);
  for (auto [copied, buffer] : frees) {
    e.ifThen(copied, [&] { markManual(memref::DeallocOp::create(e, buffer)); });
  }
  e.setInsertionPoint(kernel.function.getBody().front().getTerminator());
  return body(e, kernel.begin, kernel.end, kernel.operands);
}

LogicalResult cpu::outlineStream(StreamOp stream, StringRef name,
                                 const TargetInfo &target, bool sharesScores) {
  StreamAnalysis analysis(stream, target, sharesScores);
  if (failed(analysis.run())) {
    return failure();
  }
  Emit e(stream.getLoc(), stream);
  // A microkernel no taller than the blocks.
  Tiling tiling = Tiling::choose(stream, analysis, target);
  TargetInfo fitted = target;
  fitted.kernelRows = tiling.kernelRows;
  int64_t together = analysis.getPackedHeads();
  Value groups = stream.getBatch();
  if (!analysis.keepsHeads()) {
    groups = e.mul(groups, e.div(stream.getHeads(), together));
  }
  Value itemRows = tiling.getItemRows(e, analysis, stream->getOperands());
  Value rows = e.mul(stream.getRows(), together);
  Value items = e.mul(groups, tiling.countItems(e, rows, itemRows));
  if (failed(outlineParallelLoop(
          e, name, stream->getOperands(), items, /*serial=*/Value(),
          [&](Emit &e, Value begin, Value end, ValueRange inside) {
            return Kernel(e, stream, fitted, analysis).emit(begin, end, inside);
          }))) {
    return failure();
  }
  stream.erase();
  return success();
}
