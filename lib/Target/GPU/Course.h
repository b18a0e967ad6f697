//===- Course.h - the keys that a sweep goes through ------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile.visit counts places. Where a sweep has no list, or one that names runs
// of blocks, a place is the first key of a tile:
//
//   place = lower, lower + 64, ...     keys place, place + 1, ...
//
// With a list of blocks, places are parts of what its elements name:
//
//   place = 0, 1, ... 2 * count        element place / 2, blocks of 128 keys,
//                                      and half place % 2 of it
//
// and where blocks are too small to fill a tile, it is gathered from several:
//
//   place = 0, 64, ... 4 * count       blocks of 4 keys, of elements place / 4,
//                                      place / 4 + 1, ...
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_COURSE_H
#define ATTN_LIB_TARGET_GPU_COURSE_H

#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Support/Emit.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::attn::gpu_target {

/// The blocks of the lists in the sweeps of a stream.
struct ListedBlocks {
  /// Queries that have all their lists in common; 0 for all queries.
  int64_t rows = 0;
  /// Of the smallest block that fills a tile; 0 if there is none.
  int64_t keys = 0;

  static ListedBlocks find(StreamOp stream);
};

/// The elements of a list that the rows of a tile have in common.
class ListElements {
public:
  ListElements() = default;
  /// Null values, with a message, for a list that is chosen in other ways than
  /// by the row, which is `row`, and by what `known` has.
  static FailureOr<ListElements> find(Emit &e, ListedOp list, Value row,
                                      const IRMapping &known);

  /// The id, or the start of a run, and how many blocks a run has.
  Value getId(Emit &e, Value element) const { return read(e, ids, element); }
  Value getLength(Emit &e, Value element) const {
    return read(e, lengths, element);
  }
  bool hasRuns() const { return static_cast<bool>(lengths); }
  /// Where the ids of elements are, given as a value or as a tile.
  SmallVector<Value> locate(Value element) const;
  Value getIds() const { return ids; }

  Value first, end;
  int64_t block = 0;

private:
  Value read(Emit &e, Value list, Value element) const;

  Value ids, lengths;
  SmallVector<Value> row;
};

class Course {
public:
  /// Keys [lower, upper), so many at a time; of those, what a list of runs
  /// names, if there is one.
  Course(Value lower, Value upper, int64_t keys,
         std::optional<ListElements> runs);
  /// Those in the blocks of a list.
  Course(Emit &e, const ListElements &list, Value lower, Value upper,
         int64_t keys);

  Value getFirstPlace() const { return firstPlace; }
  Value getLastPlace() const { return lastPlace; }
  int64_t getStep() const { return step; }
  /// Whether the keys of a tile come one after the other; else the functions
  /// for tiles say what they are.
  bool isContiguous() const { return kind != Kind::Gathered; }
  /// Whether what the sweep asks its list is true of all keys that it sees.
  bool isListed() const { return kind != Kind::Range; }

  /// The first key of a place that has some, and what its keys end before, at
  /// the latest.
  Value getKey(Emit &e, Value place) const;
  Value getLimit(Emit &e, Value key) const;
  /// Whether a place has any, and not those of a place before. Null for yes.
  Value hasKeys(Emit &e, Value place) const;

  /// Key `number` of a gathered tile, or one that may be read in its place.
  Value getGathered(Emit &e, Value place, Value number) const;
  /// All of them, and which of them there are, for a tile of indices.
  Value getKeys(Emit &e, Value place, RankedTensorType type) const;
  Value getPresence(Emit &e, Value place, Value keys) const;

private:
  enum class Kind { Range, Blocks, Gathered };
  Value countBlocks(Emit &e) const;
  Value isNamedBefore(Emit &e, Value element, Value id) const;
  Value isRunIn(Emit &e, Value key) const;

  Kind kind = Kind::Range;
  Value firstPlace, lastPlace, lower, upper, ascends;
  int64_t keys, step;
  /// Tiles of a block.
  int64_t parts = 1;
  std::optional<ListElements> list;
};

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_COURSE_H
