//===- Lowering.cpp - what the lowerings of selection ops share -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "attn/Support/Buffers.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::selection;

/// Elements that are worth handing to another thread.
static constexpr int64_t kItemWork = 16384;

SmallVector<Value> selection::insertAt(ValueRange values, int64_t position,
                                       Value value) {
  SmallVector<Value> result(values);
  result.insert(result.begin() + position, value);
  return result;
}

SmallVector<Value> selection::dropAt(ValueRange values, int64_t position,
                                     int64_t count) {
  SmallVector<Value> result(values);
  auto first = result.begin() + position;
  result.erase(first, first + count);
  return result;
}

Value Lowering::read(Value tensor) {
  return getReadOnlyBuffer(*this, getLoc(), tensor);
}

Value Lowering::extent(Value tensor, int64_t dim) {
  int64_t known = cast<RankedTensorType>(tensor.getType()).getDimSize(dim);
  return ShapedType::isDynamic(known)
             ? tensor::DimOp::create(*this, tensor, dim).getResult()
             : index(known);
}

SmallVector<Value> Lowering::extents(Value tensor) {
  SmallVector<Value> result;
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  for (int64_t dim = 0; dim < rank; ++dim) {
    result.push_back(extent(tensor, dim));
  }
  return result;
}

Value Lowering::allocate(OpResult result, ValueRange extents, Type element) {
  auto type = cast<RankedTensorType>(result.getType());
  SmallVector<Value> sizes;
  for (auto [known, size] : llvm::zip_equal(type.getShape(), extents)) {
    if (ShapedType::isDynamic(known)) {
      sizes.push_back(size);
    }
  }
  bool isResult = !element || element == type.getElementType();
  auto buffer = allocateBuffer(*this, getLoc(),
                               isResult ? type : type.clone(element), sizes);
  if (isResult) {
    buffers[result.getResultNumber()] = buffer;
  }
  return buffer;
}

Value Lowering::allocate(OpResult result, Type element) {
  ReifiedRankedShapedTypeDims shapes;
  // The ops reify every shape; their verifiers saw to the types.
  (void)cast<ReifyRankedShapedTypeOpInterface>(op).reifyResultShapes(*this,
                                                                     shapes);
  SmallVector<Value> sizes;
  for (OpFoldResult size : shapes[result.getResultNumber()]) {
    sizes.push_back(getValueOrCreateConstantIndexOp(*this, getLoc(), size));
  }
  return allocate(result, sizes, element);
}

void Lowering::finish() {
  SmallVector<Value> tensors;
  for (auto [buffer, type] : llvm::zip_equal(buffers, op->getResultTypes())) {
    tensors.push_back(toTensor(*this, getLoc(), type, buffer));
  }
  op->replaceAllUsesWith(tensors);
  op->erase();
}

void Lowering::forEachRow(
    ValueRange extents, Value work, ArrayRef<Scratch> scratch,
    llvm::function_ref<void(ValueRange, ValueRange)> body) {
  Value rows = product(extents);
  Value one = index(1);
  Value chunk =
      max(arith::DivUIOp::create(*this, index(kItemWork), max(work, one)), one);
  Value items = arith::CeilDivUIOp::create(*this, rows, chunk);
  auto parallel = scf::ParallelOp::create(*this, ValueRange{index(0)},
                                          ValueRange{items}, ValueRange{one});
  InsertionGuard guard(*this);
  setInsertionPointToStart(parallel.getBody());
  SmallVector<Value> made;
  for (const Scratch &wanted : scratch) {
    SmallVector<int64_t> shape;
    SmallVector<Value> sizes;
    for (Value size : wanted.extents) {
      std::optional<int64_t> known = getConstantIntValue(size);
      shape.push_back(known.value_or(ShapedType::kDynamic));
      if (!known) {
        sizes.push_back(size);
      }
    }
    made.push_back(allocateBuffer(
        *this, getLoc(), RankedTensorType::get(shape, wanted.element), sizes));
  }
  Value first = mul(parallel.getInductionVars().front(), chunk);
  loop(first, min(add(first, chunk), rows), 1,
       [&](Value row) { body(delinearize(row, extents), made); });
}

void Lowering::forEach(ValueRange extents,
                       llvm::function_ref<void(ValueRange)> body) {
  SmallVector<Value> indices;
  std::function<void()> emit = [&] {
    if (indices.size() == extents.size()) {
      return body(indices);
    }
    loop(index(0), extents[indices.size()], 1, [&](Value k) {
      indices.push_back(k);
      emit();
      indices.pop_back();
    });
  };
  emit();
}

SmallVector<Value> Lowering::delinearize(Value linear, ValueRange extents) {
  SmallVector<Value> indices(extents.size());
  for (size_t d = extents.size(); d-- > 0;) {
    indices[d] =
        d == 0 ? linear
               : arith::RemUIOp::create(*this, linear, extents[d]).getResult();
    if (d != 0) {
      linear = arith::DivUIOp::create(*this, linear, extents[d]);
    }
  }
  return indices;
}

Value Lowering::product(ValueRange values) {
  Value result = index(1);
  for (Value value : values) {
    result = mul(result, value);
  }
  return result;
}

Value Lowering::toIndex(Value integer) {
  if (integer.getType().isIndex()) {
    return integer;
  }
  return arith::IndexCastOp::create(*this, getIndexType(), integer);
}
