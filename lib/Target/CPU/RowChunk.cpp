//===- RowChunk.cpp - features of rows ------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A vector<Dxf32> of the stream is a row of D features. It is evaluated W
// features at a time, so that no wider vector reaches LLVM and D = 80 needs no
// scalar code:
//
//   %v = attn.at %V[%b, %g, %j] : ... -> vector<80xf32>
//   ->  scf.for %d = 0 to 80 step 16 { vector.load %V[%b, %g, %j, %d] ... }
//
//===----------------------------------------------------------------------===//

#include "Scope.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

void cpu::forEachChunk(Emit &e, int64_t extent, int64_t lanes,
                       llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = extent / lanes * lanes;
  if (whole == lanes) {
    body(e.index(0), lanes);
  } else if (whole) {
    e.loop(e.index(0), e.index(whole), lanes,
           [&](Value first) { body(first, lanes); });
  }
  if (extent > whole) {
    body(e.index(whole), extent - whole);
  }
}

Value cpu::foldChunks(Emit &e, int64_t extent, int64_t lanes, Value init,
                      llvm::function_ref<Value(Value, int64_t, Value)> body) {
  int64_t whole = extent / lanes * lanes;
  Value result = init;
  if (whole) {
    result = e.loop(e.index(0), e.index(whole), lanes, init,
                    [&](Value first, ValueRange carried) -> SmallVector<Value> {
                      return {body(first, lanes, carried[0])};
                    })[0];
  }
  if (extent > whole) {
    result = body(e.index(whole), extent - whole, result);
  }
  return result;
}

Operation *cpu::cloneElementwise(Emit &e, Operation *op, ValueRange operands,
                                 int64_t lanes) {
  IRMapping mapping;
  mapping.map(op->getOperands(), operands);
  Operation *copy = e.clone(*op, mapping);
  for (Value result : copy->getResults()) {
    Type element = getElementTypeOrSelf(result.getType());
    result.setType(lanes ? VectorType::get({lanes}, element) : element);
  }
  return copy;
}

Value cpu::inlineRegion(Emit &e, Region &region, ValueRange arguments,
                        Scope &outside, int64_t lanes, unsigned result) {
  // Values are scalars as long as nothing they depend on has lanes.
  DenseMap<Value, Value> inside;
  for (auto [from, to] : llvm::zip(region.getArguments(), arguments)) {
    inside[from] = to;
  }
  auto find = [&](Value value) {
    Value found = inside.lookup(value);
    return found ? found : outside.get(value);
  };
  auto hasLanes = [](Value x) { return isa<VectorType>(x.getType()); };
  auto widen = [&](Value x) {
    return lanes && !hasLanes(x) ? e.broadcast(x, lanes) : x;
  };
  Operation *end = region.front().getTerminator();
  for (Operation &op : region.front().without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>()) {
      inside[op.getResult(0)] = e.clone(op)->getResult(0);
      continue;
    }
    SmallVector<Value> operands = llvm::map_to_vector(op.getOperands(), find);
    bool wide = llvm::any_of(operands, hasLanes);
    if (auto guard = dyn_cast<GuardOp>(op)) {
      inside[guard.getResult()] = emitGuard(e, operands[0]);
      continue;
    }
    if (auto at = dyn_cast<AtOp>(op);
        at && !wide && !hasLanes(at.getResult())) {
      inside[at.getResult()] =
          e.load(operands[0], ArrayRef<Value>(operands).drop_front());
      continue;
    }
    if (!isElementwise(&op)) {
      return outside.kernel.unsupported(op.getResult(0),
                                        end->getOperand(result).getType());
    }
    if (wide) {
      operands = llvm::map_to_vector(operands, widen);
    }
    Operation *copy = cloneElementwise(e, &op, operands, wide ? lanes : 0);
    for (auto [from, to] : llvm::zip(op.getResults(), copy->getResults())) {
      inside[from] = to;
    }
  }
  return widen(find(end->getOperand(result)));
}

Value RowChunk::load(Value source, ValueRange indices) {
  SmallVector<Value> full(indices);
  full.push_back(first);
  return scope.kernel.e.loadVector(source, full, width);
}

Value RowChunk::get(const RowOf &row) {
  return row.value ? get(row.value)
                   : load(scope.get(row.source), scope.get(row.indices));
}

Value RowChunk::get(Value rowVector) {
  if (Value found = known.lookup(rowVector)) {
    return found;
  }
  if (!isa<VectorType>(rowVector.getType())) {
    return scope.kernel.e.broadcast(scope.get(rowVector), width);
  }
  Value result = compute(rowVector);
  return known[rowVector] = result;
}

Value RowChunk::compute(Value rowVector) {
  KernelState &kernel = scope.kernel;
  Emit &e = kernel.e;
  Operation *op = rowVector.getDefiningOp();
  Type element = getElementTypeOrSelf(rowVector.getType());
  VectorType here = VectorType::get({width}, element);
  if (Value copy = scope.getRowCopy(rowVector)) {
    return e.loadVector(copy, first, width);
  }
  if (Value array = kernel.rowVectors.lookup(rowVector)) {
    return e.loadVector(array, {scope.getBlockRow(), first}, width);
  }
  DenseElementsAttr constant;
  if (op && matchPattern(rowVector, m_Constant(&constant)) &&
      constant.isSplat()) {
    return arith::ConstantOp::create(e, constant.resizeSplat(here));
  }
  if (auto at = dyn_cast_if_present<AtOp>(op)) {
    return load(scope.get(at.getSource()), scope.get(at.getIndices()));
  }
  if (auto broadcast = dyn_cast_if_present<vector::BroadcastOp>(op);
      broadcast && !isa<VectorType>(broadcast.getSource().getType())) {
    return get(broadcast.getSource());
  }
  if (auto interleave = dyn_cast_if_present<vector::InterleaveOp>(op);
      interleave && width % 2 == 0) {
    if (!half) {
      half = std::make_unique<RowChunk>(scope, e.div(first, 2), width / 2);
    }
    Value even = half->get(interleave.getLhs());
    return vector::InterleaveOp::create(e, even,
                                        half->get(interleave.getRhs()));
  }
  if (!op || !isElementwise(op)) {
    return kernel.unsupported(rowVector, here);
  }
  SmallVector<Value> operands = llvm::map_to_vector(
      op->getOperands(), [&](Value operand) { return get(operand); });
  return cloneElementwise(e, op, operands, width)
      ->getResult(cast<OpResult>(rowVector).getResultNumber());
}
