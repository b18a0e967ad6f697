//===- Workspace.cpp - the buffers of a kernel call -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every buffer has a static shape, so that its strides fold into addresses.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Zeros in the first `count` elements of a flat view.
static void clear(Emit &e, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t count = type.getNumElements();
  Value flat = memref::ReinterpretCastOp::create(
      e, MemRefType::get({count}, type.getElementType()), buffer,
      /*offset=*/0, ArrayRef<int64_t>{count}, ArrayRef<int64_t>{1});
  // A cache line at a time: a kernel may be called for a few blocks only.
  Type element = type.getElementType();
  int64_t bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  int64_t line = 512 / std::max<int64_t>(8, bits);
  int64_t whole = count / line * line;
  auto clearBy = [&](Value from, int64_t end, int64_t step) {
    auto vector = VectorType::get({step}, type.getElementType());
    Value zero = e.constant(vector, 0);
    e.loop(from, e.index(end), step,
           [&](Value k) { e.storeVector(zero, flat, k); });
  };
  if (whole) {
    clearBy(e.index(0), whole, line);
  }
  if (whole < count) {
    clearBy(e.index(whole), count, 1);
  }
}

void cpu::markManual(Operation *op) {
  op->setAttr(bufferization::BufferizationDialect::kManualDeallocation,
              UnitAttr::get(op->getContext()));
}

Value Workspace::get(ArrayRef<int64_t> shape, Type element) {
  auto type = MemRefType::get(shape, element);
  SmallVector<Value> &made = buffers[type];
  unsigned &next = used[type];
  if (next < made.size()) {
    return made[next++];
  }
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPoint(lifetime);
  auto buffer = memref::AllocOp::create(e, type, e.getI64IntegerAttr(64));
  markManual(buffer);
  clear(e, buffer);
  e.setInsertionPointAfter(lifetime);
  markManual(memref::DeallocOp::create(e, buffer));
  ++next;
  made.push_back(buffer);
  return buffer;
}

Packed Workspace::getPacked(int64_t rows, int64_t columns, Type element,
                            bool pairs) {
  if (!pairs) {
    return {get({rows, columns}, element), {}};
  }
  Value bytes = get({rows * columns * 2}, e.getI8Type());
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPointAfterValue(bytes);
  Value start = e.index(0);
  auto view = [&](int64_t width, Type type) -> Value {
    return memref::ViewOp::create(e, MemRefType::get({rows, width}, type),
                                  bytes, start, ValueRange());
  };
  return {view(columns, e.getBF16Type()), view(columns / 2, e.getI32Type())};
}
