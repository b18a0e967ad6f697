//===- TileKernel.h - one stream as a kernel over tiles ---------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The scalar program of a stream is written once more, with what differs
// between rows, keys or both as tiles:
//
//   %s = attn.dot %q[%b, %h, %i], %k[%b, %g, %j]      tensor<64x64xf32, #l>
//   %m = attn.running max %s                          tensor<64xf32, slice>
//   %e = math.exp2 (%s - %m)                          tensor<64x64xf32, #l>
//   %o = attn.carry outer %e, %v                      tensor<64x128xf32, #l>
//
// A value that is the same for a whole row is a slice of the layout, and spread
// where an op joins it with another. Stages need no care here: a gauge is a
// reduction of the tile, and whatever reads it comes after.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_TILEKERNEL_H
#define ATTN_LIB_TARGET_GPU_TILEKERNEL_H

#include "Course.h"
#include "HeadGroup.h"
#include "RowElements.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "attn/Dialect/Tile/IR/Tile.h"
#include "attn/Support/Emit.h"
#include "attn/Target/GPU/Device.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::attn::gpu_target {

/// What differs between the elements of a value.
struct Extent {
  bool row = false, key = false, feature = false;

  Extent operator|(const Extent &other) const {
    return {row || other.row, key || other.key, feature || other.feature};
  }
  bool operator==(const Extent &other) const {
    return row == other.row && key == other.key && feature == other.feature;
  }
  bool isUniform() const { return !row && !key && !feature; }
};

inline int64_t roundUp(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// Whether products of rows of `type` run on tensor cores.
inline bool isSmallFloat(Type type) {
  return isa<Float16Type, BFloat16Type>(type);
}

/// Rows, keys and warps of the blocks of a kernel.
struct TileShape {
  tile::LayoutAttr layout;
  int64_t rows, keys;
  /// Rows that a block computes, of those that its tiles have: others would
  /// have other lists.
  int64_t ownRows;
  /// What a block has at least: rows that are joined at each key.
  int64_t leastRows;
  bool tensorCores;
  HeadGroup group;
  ListedBlocks listed;

  /// Reports what this level cannot express.
  static FailureOr<TileShape> choose(StreamOp stream, bool tensorCores,
                                     const Device &device);

  /// The next smaller shape; false if there is none.
  bool shrink();

private:
  void setRows(int64_t rows, int64_t mostWarps);
  /// So that a block has one list; no more rows than that takes.
  void fitLists();
  /// The rows that are joined, and no more than that takes.
  LogicalResult fitJoined(AcrossOp op);
  /// So that the entries of all heads that mixtures ask for fit.
  void fitMixtures(StreamOp stream);
  /// So that the bins of all rows fit.
  LogicalResult fitBins(StreamOp stream);
};

/// Whether a mixture in another one is made from the same entries for each of
/// its heads: then they are computed once.
bool isShared(MixOp op);

class TileKernel {
public:
  TileKernel(Emit &e, StreamOp stream, const TileShape &shape)
      : e(e), stream(stream), shape(shape) {}

  /// Writes the kernel: `firstRow` is that of the block among the rows of a
  /// group of heads, of which `firstHead` is the first. `inputs` and `outputs`
  /// stand for those of the stream.
  LogicalResult emit(Value firstRow, Value rowCount, Value batch,
                     Value firstHead, Value extent, ValueRange inputs,
                     ValueRange outputs);

private:
  // Values (TileKernel.cpp).
  Extent extentOf(Value value) const;
  RankedTensorType typeOf(Type element, Extent extent, int64_t features = 0);
  /// `value` of the stream with an element for all that `extent` says.
  Value lift(Value value, Extent extent);
  Value liftTile(Value tile, Extent from, Extent to, int64_t features);
  Value splat(Value scalar, RankedTensorType type) {
    return tile::SplatOp::create(e, type, scalar);
  }
  Value splat(double value, RankedTensorType type) {
    return splat(e.constant(type.getElementType(), value), type);
  }
  void set(Value value, Value tile, Extent extent);
  /// Whether all that `op` reads is there; else says what is not.
  LogicalResult checkOperands(Operation *op);
  /// Elements, if any may lie outside, that the kernel may touch.
  Value getMask(Extent extent, RankedTensorType type, int64_t features);
  LogicalResult emitOp(Operation &op);
  LogicalResult emitBody(Block &block);
  LogicalResult emitLoad(Operation &op, Value source, ValueRange indices);
  LogicalResult emitElementwise(Operation &op);
  LogicalResult emitBroadcast(vector::BroadcastOp op);
  LogicalResult emitStore(StoreRowOp op);
  Value guard(Value x);
  /// The head of row `number` of the group.
  Value getHead(Value number);
  /// Copies the ops of a region whose arguments are uniform.
  SmallVector<Value> evaluate(Region &region, ValueRange arguments);
  bool isUniformOp(Operation &op) const;

  // Sweeps (TileSweep.cpp).
  struct State {
    Operation *op;
    SmallVector<Value> before, after;
  };
  /// The operands of the products of a sweep.
  struct Buffers {
    struct Stationary {
      FeatureRow row;
      Value shared; // [rows][features]
      Value tile;   // as left operand of tensor cores; or null
    };
    struct Streamed {
      FeatureRow row;
      Value shared; // [keys][features]
      Operation *user;
    };
    SmallVector<Stationary> stationary;
    SmallVector<Streamed> streamed;
    /// By product, and by product and outer carry.
    llvm::MapVector<Operation *, unsigned> lefts;
    DenseMap<Operation *, unsigned> rights;
    /// Weights, and which of them are present, on their way to a product.
    DenseMap<Type, Value> weights;
    Value present;
    /// By which warps join their rows.
    DenseMap<Type, Value> exchanges;
  };
  FailureOr<SmallVector<Value>> getInit(Operation *op);
  LogicalResult update(State &state, SmallVectorImpl<State> &states,
                       Buffers &buffers);
  LogicalResult updateRunning(RunningOp op, State &state);
  LogicalResult updateCarry(CarryOp op, State &state,
                            SmallVectorImpl<State> &states, Buffers &buffers);
  Value updateExtremumIndex(CarryOp op, State &state, Value cond);
  Value updateOuter(CarryOp op, Value old, Buffers &buffers);
  Value getFactor(State &gauge, Value rate, Extent extent, Type element,
                  int64_t features);
  Value getMovement(State &gauge);
  Value moveCarry(CarryOp op, State &state, SmallVectorImpl<State> &states);
  /// Entries for which `cond` holds in this tile; null if all.
  Value getPresence(Value cond);
  Value reduceEntries(tile::ReduceKind kind, Value entries);
  LogicalResult findOperands(SweepOp sweep, Buffers &buffers);
  LogicalResult emitProduct(Operation *op, Buffers &buffers);
  LogicalResult emitCombination(DotWithOp op, Buffers &buffers);
  LogicalResult emitJoined(AcrossOp op, Buffers &buffers);
  /// A matrix, or a ring of `count`.
  Value getShared(int64_t rows, int64_t columns, Type element,
                  int64_t count = 0);
  LogicalResult bringKeys(Operation *user, const FeatureRow &row,
                          Value argument, const Course &course, Value place,
                          Value target);
  LogicalResult bringQueries(Operation *user, const FeatureRow &row,
                             Value target);
  /// `count` rows, of which `bind` says in terms of their number what they are
  /// computed from.
  LogicalResult fillRows(Operation *user, const FeatureRow &row, Value count,
                         Value target,
                         llvm::function_ref<void(IRMapping &, Value)> bind);
  bool copyRows(const FeatureRow &row, Value argument, Value first, Value end,
                Value target);

  void placeStreamed(Operation *op, const FeatureRow &row, Buffers &buffers);
  LogicalResult placeFactors(Operation *op, Value keyArg, Buffers &buffers);
  void fetchFactors(Buffers &buffers);

  // Mixtures of heads (TileMix.cpp).
  /// What a mixture is made from: the operands of products at one head, and the
  /// entries and their presence at each, if another mixture asks for all.
  struct Mixture {
    Buffers operands;
    Value entries, presence;
  };
  using Entry = std::pair<Value, Value>;
  LogicalResult prepareMixtures(SweepOp sweep);
  LogicalResult emitMixture(MixOp op);
  LogicalResult keepEntries(MixOp op);
  LogicalResult keepInnerEntries(MixOp op);
  FailureOr<Entry> getEntry(MixOp op, Value head);
  Entry fetchEntry(MixOp op, Value head);

  // The best entries of rows (TileTop.cpp).
  SmallVector<Value> startTop(TopOp op);
  LogicalResult updateTop(TopOp op, State &state);
  std::array<Value, 3> findBest(TopOp op, Value left, Value keys);
  Value finishTop(OpResult result, const State &state);

  // Bins (TileBins.cpp).
  void startBins(BinsOp op);
  LogicalResult updateBins(BinsOp op);
  Value finishBins(BinsOp op);
  SmallVector<Value> getTallyIndices(BinsOp op);

  // Their loops (TileVisit.cpp).
  LogicalResult emitSweep(SweepOp sweep);
  FailureOr<Course> findCourse(SweepOp sweep, Value lastQuery);
  LogicalResult emitListed(ListedOp op);
  LogicalResult emitVisit(SweepOp sweep, const Course &course, Value lastQuery,
                          Buffers &buffers, SmallVectorImpl<State> &states);
  LogicalResult emitTile(SweepOp sweep, const Course &course, Value place,
                         Buffers &buffers, SmallVectorImpl<State> &states);
  void setResult(Value value, OpResult from, const State &state);

  Emit &e;
  StreamOp stream;
  const TileShape &shape;
  IRMapping uniform;
  DenseMap<Value, std::pair<Value, Extent>> tiles;
  Value firstRow, rowCount, firstHead, firstQuery;
  /// Of the tile at hand: its keys, and what they end before, or which of those
  /// that are gathered there are.
  Value keyTile, firstKey, keyEnd, gathered;
  /// Whether some of its entries may be absent.
  bool partial = false;
  /// Whether tiles come in the order of a list.
  bool followsList = false;
  Buffers *current = nullptr;
  DenseMap<Operation *, Mixture> mixtures;
  /// The bins of rows in shared memory, and the buffers of the kernel that
  /// tallies are kept in.
  DenseMap<Operation *, Value> bins;
  ValueRange outputs;
  /// Where the tile at hand comes from, while there is one.
  SweepOp sweep;
  const Course *course = nullptr;
  Value place;
  DenseMap<std::pair<Value, Value>, Value> factors;
};

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_TILEKERNEL_H
