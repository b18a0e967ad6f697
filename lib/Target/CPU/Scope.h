//===- Scope.h - evaluating a stream's program at some place ----*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The body of a stream is never copied as a whole: each place of the kernel
// (a block, a tile, a row, W features of a row, W keys of a row) asks for the
// values it needs, and they are written there, from operands up. A scope
// remembers what it has written; an inner one sees what the outer ones know.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_SCOPE_H
#define ATTN_LIB_TARGET_CPU_SCOPE_H

#include "Tiling.h"
#include "attn/Support/Emit.h"

namespace mlir::attn::cpu {

class Scope;

/// Everything that the scopes of one kernel share.
struct KernelState {
  KernelState(Emit &e, StreamOp stream, const TargetInfo &target,
              StreamAnalysis &analysis)
      : e(e), stream(stream), target(target), analysis(analysis),
        tiling(Tiling::choose(stream, analysis, target)),
        lanes(target.getLanes(analysis.getElementBits())) {}

  Emit &e;
  StreamOp stream;
  const TargetInfo &target;
  StreamAnalysis &analysis;
  Tiling tiling;
  /// Lanes of the vectors of this kernel, whatever their element.
  int64_t lanes;
  /// Row values kept in arrays, one element per row of a block and head it
  /// works on; outer carries in rows of such.
  DenseMap<Value, Value> rowArrays, rowVectors;
  /// The outputs in which the bins of a tally are.
  DenseMap<Operation *, SmallVector<Value>> tallies;
  /// The first of the heads that share a block, where they do.
  Value firstHead;
  /// A buffer for a row of the stream, for as long as the kernel runs.
  std::function<Value(VectorType)> allocateRow;
  /// Which blocks of keys the lists of this block of rows name, a byte each.
  DenseMap<Value, Value> listMaps;
  bool failed = false;

  /// Reports an op that no place can evaluate; a constant stands for it.
  Value unsupported(Value value, Type type);
  /// Gives a place row `row` of its block's group of heads.
  void bindRow(Scope &place, Value row);
  /// The smallest and largest row, of any head, among rows of a block.
  SmallVector<Value> getRowRange(Value first, Value last);
};

/// Scalars of one place.
class Scope {
public:
  explicit Scope(KernelState &kernel) : kernel(kernel) {}
  explicit Scope(Scope *parent) : kernel(parent->kernel), parent(parent) {}
  /// A place seen through another analysis.
  Scope(KernelState &kernel, Scope *parent) : kernel(kernel), parent(parent) {}

  void bind(Value value, Value emitted) { known[value] = emitted; }
  /// The row, as index into the arrays of the block.
  void setBlockRow(Value row) { blockRow = row; }
  Value getBlockRow() const {
    return blockRow || !parent ? blockRow : parent->getBlockRow();
  }
  Value get(Value value);
  SmallVector<Value> get(ValueRange values);
  /// Writes here what the row vector `value` needs besides its features, so
  /// that a loop over features does not repeat it: scalars, and whole rows
  /// whose features change places.
  void prepareRow(Value value);
  /// The buffer in which a row waits, or null.
  Value getRowCopy(Value value) const;

  KernelState &kernel;

private:
  Value lookup(Value value) const;
  Value compute(Value value);
  Value computeDot(DotOp op);
  Value computeDotWith(DotWithOp op);
  Value computeInner(InnerOp op);
  void prepareRow(Value value, DenseSet<Value> &seen);
  void copyRow(Value value);
  void copyShuffled(vector::ShuffleOp op);
  void copyExpanded(ExpandOp op);
  Value computeReduction(vector::ReductionOp op);
  Value computeListed(ListedOp op);
  void computeRange(RangeOp op);

  Scope *parent = nullptr;
  Value blockRow;
  DenseMap<Value, Value> known, rowCopies;
};

/// Features [first, first + width) of row vectors.
class RowChunk {
public:
  RowChunk(Scope &parent, Value first, int64_t width)
      : scope(&parent), first(first), width(width) {}
  Value get(Value rowVector);
  /// The same features of row `indices` of a memref.
  Value load(Value source, ValueRange indices);
  /// The same features of a row that a contraction reads.
  Value get(const RowOf &row);

private:
  Value compute(Value rowVector);

  Scope scope;
  Value first;
  int64_t width;
  DenseMap<Value, Value> known;
  /// Half as many features, from half the first one: of interleaved rows.
  std::unique_ptr<RowChunk> half;
};

/// Calls `body(first, width)` for chunks of at most `lanes` of `extent`
/// features: a loop, and what is left. Up to `straight` chunks are written one
/// after the other.
void forEachChunk(Emit &e, int64_t extent, int64_t lanes,
                  llvm::function_ref<void(Value, int64_t)> body,
                  int64_t straight = 1);
/// Chunks of a row that is copied as it is are worth no loop.
constexpr int64_t kCopiedChunks = 8;
/// The same, with one value that each chunk hands to the next.
Value foldChunks(Emit &e, int64_t extent, int64_t lanes, Value init,
                 llvm::function_ref<Value(Value, int64_t, Value)> body);

/// A copy of the elementwise `op` on vectors of `lanes` lanes (0: scalars).
Operation *cloneElementwise(Emit &e, Operation *op, ValueRange operands,
                            int64_t lanes);
/// Inlines a region of scalar ops, on vectors if `lanes` is not 0. Other
/// values come from `outside`, as scalars.
Value inlineRegion(Emit &e, Region &region, ValueRange arguments,
                   Scope &outside, int64_t lanes, unsigned result = 0);
Value emitGuard(Emit &e, Value maximum);
/// start + the sum of the lanes, of floats or of integers.
Value emitSum(Emit &e, Value vector, Value start);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_SCOPE_H
