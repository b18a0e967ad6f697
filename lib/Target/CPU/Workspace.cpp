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

/// Zeros everywhere, a cache line at a time: kernels are called for few items.
static void clear(Emit &e, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t count = type.getNumElements();
  Value flat = memref::ReinterpretCastOp::create(
      e, MemRefType::get({count}, type.getElementType()), buffer,
      /*offset=*/0, ArrayRef<int64_t>{count}, ArrayRef<int64_t>{1});
  Type element = type.getElementType();
  // Vectors of bits are packed, single bits are not: those go one by one.
  int64_t bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  int64_t line = 512 / std::max<int64_t>(bits, 8);
  int64_t whole = bits < 8 ? 0 : count / line * line;
  Value zeros = e.constant(VectorType::get({line}, element), 0);
  e.loop(e.index(0), e.index(whole), line,
         [&](Value k) { e.storeVector(zeros, flat, k); });
  Value zero = e.constant(element, 0);
  e.loop(e.index(whole), e.index(count), 1,
         [&](Value k) { e.store(zero, flat, k); });
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
                            int64_t group) {
  if (group == 1) {
    return {get({rows, columns}, element), {}};
  }
  Value bytes = get({rows * columns * 4 / group}, e.getI8Type());
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPointAfterValue(bytes);
  Value start = e.index(0);
  auto view = [&](int64_t width, Type type) -> Value {
    return memref::ViewOp::create(e, MemRefType::get({rows, width}, type),
                                  bytes, start, ValueRange());
  };
  return {view(columns, element), view(columns / group, e.getI32Type())};
}
