//===- LinalgKernel.h - the loop nest of one linalg op ----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   for each item: other parallel loops, a tile of lanes, a chunk of blocked
//                  loops (which go fastest: their tiles share the lanes' panel)
//     for steps of blocked loops, for vectors of lanes, and what is left
//       accumulators = the output's elements
//       for each reduction loop: accumulators = body(loads)
//       store
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_LINALGKERNEL_H
#define ATTN_LIB_TARGET_CPU_LINALGKERNEL_H

#include "LinalgPlan.h"
#include "attn/Support/Emit.h"

namespace mlir::attn::cpu {

class LinalgKernel {
public:
  /// `sizes` are the extents of the loops.
  LinalgKernel(Emit &e, LinalgPlan &plan, ArrayRef<OpFoldResult> sizes)
      : e(e), plan(plan), op(plan.op), sizes(sizes) {}

  /// The items of a call, as a value where the op is.
  Value countItems();
  /// The kernel of items [begin, end); `values` maps what the op uses.
  void emit(Value begin, Value end, const IRMapping &values,
            ArrayRef<OpFoldResult> sizes);

private:
  /// A loop of which an item has a tile.
  struct Tiled {
    unsigned loop;
    int64_t tile, step; // step: what is in registers
    Value first, last;
  };
  /// One of the copies of the body that are in registers: offsets by loop.
  using Offsets = SmallVector<int64_t>;
  /// Where copies of the body run.
  struct Place {
    SmallVector<Value> indices; // by loop, of the first copy
    SmallVector<Offsets> copies;
    Value mask; // lanes that exist; null if all do
  };

  SmallVector<Tiled> getTiles();
  Value sizeOf(unsigned loop);
  void emitItem(Value item);
  void emitTiles(MutableArrayRef<Tiled> tiles, unsigned next, Place place);
  void emitBlock(Place &place);
  SmallVector<Value> emitReductions(Place &place, ArrayRef<unsigned> loops,
                                    SmallVector<Value> sums);
  SmallVector<Value> emitBodies(Place &place, ValueRange sums);
  SmallVector<Value> emitBody(Place &place, const Offsets &copy,
                              ValueRange sums,
                              DenseMap<Value, SmallVector<Value>> &loaded);
  Value loadOperand(Place &place, OpOperand &operand, const Offsets &copy);
  Value loadLanes(Place &place, Value source, ValueRange at);
  SmallVector<Value> getIndices(Place &place, AffineMap map,
                                const Offsets &copy);
  Value createMask(Value first, Value last);
  Value widen(Value value);
  VectorType getVectorType(Type element) const {
    return VectorType::get({plan.lanes}, element);
  }

  Emit &e;
  LinalgPlan &plan;
  linalg::GenericOp op;
  SmallVector<OpFoldResult> sizes;
  IRMapping values;
};

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_LINALGKERNEL_H
