//===- StreamAnalysis.h - what a stream's values depend on ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The scalar program of a sweep falls into stages: a gauge is known only when
// the whole tile has been seen, so whatever reads it waits. This analysis says
// for every value whether it differs between rows, between keys, and at which
// stage it is known; which contractions run in the microkernel; and which
// values are worth keeping from one stage to the next.
//
//   %s = attn.dot ...              row, key, level 0
//   %f = arith.mulf %s, %scale     row, key, level 0
//   %m = attn.running max %f       row,      level 1    (reduced in stage 0)
//   %e = math.exp2 (%f - %m)       row, key, level 1
//   %l = attn.carry sum %e                              (reduced in stage 1)
//
// A value joined over the rows (attn.across) is known when all rows of the tile
// have been seen: it is a barrier like a gauge, and differs between keys.
//
// The region of a collective (attn.stencil, attn.mix) is a program of its own
// on a tile of its own, planned in CollectiveAnalysis.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_STREAMANALYSIS_H
#define ATTN_LIB_TARGET_CPU_STREAMANALYSIS_H

#include "TargetInfo.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "llvm/ADT/SetVector.h"

#include <memory>
#include <vector>

namespace mlir::attn::cpu {

struct ValueClass {
  bool row = false;   // differs between the rows of a block
  bool key = false;   // differs between the keys of a tile
  bool head = false;  // differs between the heads that one block works on
  unsigned level = 0; // number of barriers on the longest path to it

  ValueClass &operator|=(const ValueClass &other) {
    row |= other.row;
    key |= other.key;
    head |= other.head;
    level = std::max(level, other.level);
    return *this;
  }
};

/// One side of a contraction: row `indices` of `source`, or a computed row.
struct RowOf {
  Value source;
  ValueRange indices;
  Value value = {};

  /// The row behind a row value: that in memory if it is loaded as it is.
  static RowOf get(Value row);
  int64_t getLength() const;
  Type getElementType() const {
    return getElementTypeOrSelf((value ? value : source).getType());
  }
  bool operator==(const RowOf &other) const {
    return source == other.source && value == other.value &&
           llvm::equal(indices, other.indices);
  }
};

/// A contraction of a stationary row with a streamed one (attn.dot, attn.inner,
/// or attn.dot_with, whose region takes the stationary row first iff !swapped).
struct Contraction {
  Operation *op;
  RowOf stationary, streamed;
  bool swapped = false;
  /// What both sides are packed as: numbers of the result's type, or f32 for
  /// integers, or what the target multiplies `group` at a time, in lanes of 32
  /// bits: pairs of bf16, quads of i8.
  Type element;
  int64_t group = 1;

  Value getResult() const { return op->getResult(0); }
  int64_t getDepth() const { return stationary.getLength(); }
  /// The length of a row in units of what is multiplied at a time.
  int64_t getUnits() const { return llvm::divideCeil(getDepth(), group); }
};

struct CollectivePlan;
struct ProductPlan;

/// What the entries of a tile are computed from.
struct TilePlan {
  Value rowArg, keyArg;
  SmallVector<Contraction> contractions;
  /// Contractions in which rows and keys share nothing: a key of its own for
  /// every row (attn.dot). One dot product per entry, into a tile.
  SmallVector<DotOp> pairs;
  /// Sweeps inside of an entry: sums of products of two other matrices.
  SmallVector<std::shared_ptr<ProductPlan>> products;
  /// Entries with no vector form, evaluated one by one into a tile.
  SmallVector<Value> filled;
  /// Values computed in one stage (the mapped number) and read in later ones.
  llvm::MapVector<Value, unsigned> saved;
  /// Those of them that only say which entries are present, which is neither
  /// computed nor read where all are.
  DenseSet<Value> presences;
  /// Row values that are kept in arrays, because they cost more than
  /// arithmetic.
  SmallVector<Value> rowValues;
  /// The list that says which keys are visited; null for all.
  ListedOp driver;
  /// Tests for other lists, answered from a map of their blocks.
  SmallVector<ListedOp> tests;
  /// Values joined over all rows of a head.
  SmallVector<AcrossOp> joined;
  /// Collectives whose results entries read.
  SmallVector<CollectivePlan *> collectives;
  /// Collectives, operands first, that are evaluated once the head of this tile
  /// is known: those read here, and those further inside that depend on no
  /// other head.
  SmallVector<CollectivePlan *> fills;
};

/// How far a tile reaches beyond that of its sweep along one axis: by `before`
/// entries at the front, by `total` altogether.
struct Halo {
  int64_t before = 0, total = 0;
};

/// A collective, and the tile on which its region is evaluated.
struct CollectivePlan {
  Operation *op;
  CollectivePlan *parent; // the collective around it; null in a sweep
  TilePlan inside;
  /// Of the tile of the region, and the extents of its matrix (null without a
  /// stencil around it: then it is no larger than the tile of the sweep).
  Halo rows, keys;
  Value rowExtent, keyExtent;
  /// For a mixture: another one in its region, whose results it reads head by
  /// head and may overwrite with its own entries.
  CollectivePlan *donor = nullptr;

  StencilOp getStencil() const { return dyn_cast<StencilOp>(op); }
  MixOp getMix() const { return dyn_cast<MixOp>(op); }
  Region &getRegion() const { return op->getRegion(0); }
  /// What the region yields at an entry.
  Value getValue() const { return getYield(0); }
  Value getPresence() const { return getYield(1); }
  /// The halo of the tile that holds the result.
  Halo getRowsAround() const { return parent ? parent->rows : Halo(); }
  Halo getKeysAround() const { return parent ? parent->keys : Halo(); }

private:
  Value getYield(unsigned k) const {
    return getRegion().front().getTerminator()->getOperand(k);
  }
};

struct SweepPlan : TilePlan {
  SweepPlan() = default;
  SweepPlan(SweepPlan &&) = default;

  SweepOp op;
  /// Gauges, carries, folds and what joins rows, by the stage that reduces
  /// them.
  SmallVector<SmallVector<Operation *>> stages;
  /// The last stage that reads a contraction's or a collective's result.
  DenseMap<Value, unsigned> lastUse;
  /// Whether any gauge or carry has a condition.
  bool conditional = false;
  /// Collectives that depend on no head, and are evaluated once for all.
  SmallVector<CollectivePlan *> sharedFills;
  std::vector<std::unique_ptr<CollectivePlan>> allCollectives;

  SmallVector<CarryOp> getOuters();
  /// Outer carries whose rows no two rows of the stream share.
  DenseSet<Operation *> ownRows;
};

struct FactorPlan;

class StreamAnalysis {
public:
  /// With `sharesScores` another stream computes the scores of this one again:
  /// their rounding must not depend on how many rows there are.
  StreamAnalysis(StreamOp stream, const TargetInfo &target, bool sharesScores)
      : stream(stream), target(target), sharesScores(sharesScores) {}
  /// Classifies and plans; reports what this target cannot do.
  LogicalResult run();

  ValueClass getClass(Value value) const { return classes.lookup(value); }
  /// A single value for all keys and rows, known before the sweep's tiles.
  bool isBlockUniform(Value value) const {
    ValueClass c = getClass(value);
    return !c.row && !c.key;
  }
  MutableArrayRef<SweepPlan> getSweeps() { return sweeps; }
  /// Whether a block works on all heads of its rows, as heads are mixed.
  bool keepsHeads() const { return mixes; }
  /// Rows [k p, (k + 1) p) of a head have one list in every sweep that follows
  /// or tests lists; 0 if none does.
  int64_t getRowPeriod() const { return rowPeriod; }
  /// The bits of the widest float type that the kernel computes with.
  int64_t getElementBits() const { return elementBits; }
  /// The number of rows per head, where it is known and small; else 0.
  int64_t getFewRows() const { return fewRows; }
  /// Whether few rows are contracted with keys where they are, in an order of
  /// summation of their own.
  bool contractsInPlace() const { return fewRows && !sharesScores; }
  /// Above this many rows packing pays.
  static constexpr int64_t kMostDirectRows = 8;
  /// The rows of a block if they are so few that packing a tile would cost more
  /// than its products; else 0.
  int64_t getDirectRows() const;
  /// Whether the keys of a contraction are read where they are.
  bool isDirect(const Contraction &contraction) const;
  /// Heads whose rows share a block because they read the same keys.
  int64_t getPackedHeads() const { return packedHeads; }
  /// Rows per block that shares the bins of a tally; null if none does.
  Value getRowBlock() const { return rowBlock; }
  /// Quotients of the head that are the same for all heads of a block.
  ArrayRef<arith::DivUIOp> getGroups() const { return groups; }

private:
  void analyse();
  int64_t findGroups();
  bool mayPackHeads();
  void choosePackedHeads();
  bool packListedHeads();
  bool readsHead(ListedOp listed);
  bool suitsPackedHeads();
  void classify(Operation &op);
  void classifyRegion(Operation &collective);
  void planSweep(SweepOp op);
  void planContraction(TilePlan &plan, Operation *op);
  bool isFilled(Operation *op) const;
  CollectivePlan *planCollective(SweepPlan &sweep, TilePlan &around,
                                 CollectivePlan *parent, Operation *op);
  void planInside(SweepPlan &sweep, CollectivePlan &plan);
  SmallVector<CollectivePlan *> &placeCollective(SweepPlan &sweep,
                                                 CollectivePlan &plan);
  void collectHeads(Operation *op, SetVector<Value> &heads) const;
  LogicalResult checkCollective(const CollectivePlan &plan);
  LogicalResult planProduct(TilePlan &plan, SweepOp inner);
  LogicalResult planFactor(FactorPlan &factor, SweepOp inner);
  void collectLeaves(FactorPlan &factor, Value value, DenseSet<Value> &seen);
  LogicalResult checkSweep(SweepPlan &plan);
  LogicalResult checkJoined(AcrossOp op);
  LogicalResult findRowBlock();
  void visit(SweepPlan &plan, Value value, unsigned stage,
             DenseSet<Value> &seen, DenseMap<Value, unsigned> &computed);
  bool isCostlyPresence(Value value);
  unsigned levelOf(ValueRange values) const;
  unsigned stageOf(Operation *reducer) const;
  void collectRowValues(SweepPlan &plan);
  bool isCheap(Value value);
  /// Adds `value` to `values` if it is a row value that is worth an array.
  void noteRowValue(Value value, SetVector<Value> &values);

  StreamOp stream;
  const TargetInfo &target;
  bool sharesScores;
  DenseMap<Value, ValueClass> classes;
  DenseMap<Value, bool> cheap;
  bool mixes = false;
  /// A product inside of a collective was reported.
  bool unplannable = false;
  std::vector<SweepPlan> sweeps;
  int64_t elementBits = 32, fewRows = 0, packedHeads = 1;
  int64_t rowPeriod = 0;
  Value rowBlock;
  SmallVector<arith::DivUIOp> groups;
};

/// One factor of the entries of a product: the values to multiply, present
/// where all conditions hold. What it depends on is seen from its own rows and
/// keys.
struct FactorPlan {
  SmallVector<Value> values, conditions;
  /// The stream as seen from the factor's tile.
  std::shared_ptr<StreamAnalysis> analysis;
  /// What is computed into tiles first, and whose keys are the lanes.
  TilePlan plan;
};

/// c[i, j] = sum over k of a[i, k] * b[k, j], computed in tiles: one factor
/// belongs to the rows of the sweep around it, one to its keys.
struct ProductPlan {
  SweepOp op;
  FactorPlan ofRows, ofKeys;
};

/// Whether `op` contracts two rows.
bool isContraction(Operation *op);
/// Whether `op` accumulates over the keys, or joins rows.
bool isReducer(Operation *op);
/// Whether `op` maps lanes to lanes when its operands become vectors.
bool isElementwise(Operation *op);

/// The values a reducing op (running, carry, fold) reads per entry.
SmallVector<Value> getReducedValues(Operation *op);
Value getCondition(Operation *op);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_STREAMANALYSIS_H
