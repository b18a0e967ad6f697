//===- Work.cpp - how much a plan computes --------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Read off the streams: a sweep does, per entry, two operations for every
// feature of each `attn.dot` and each `outer` carry, and for every tap of a
// collective, whose region counts once per entry and head that it reads. Plain
// attention comes to the customary 4 B H M N D. Under a mask only the entries
// that the `tiles` region lets through count, so that skipping work does not
// look like speed.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Work.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "attn/Dialect/Attn/IR/NeighborOps.h"

#include "IndexEvaluator.h"

using namespace mlir;
using namespace mlir::attn;

namespace {

/// Entries at which the condition of a sweep is evaluated.
constexpr int64_t kSamples = 20000;

double getFeatures(Value buffer) {
  return static_cast<double>(
      cast<ShapedType>(buffer.getType()).getShape().back());
}

double countFlopsPerEntry(Block &block, bool &isF64) {
  double flops = 0.0;
  for (Operation &op : block) {
    Type accumulator;
    if (auto dot = dyn_cast<DotOp>(op)) {
      flops += 2.0 * getFeatures(dot.getLhs());
      accumulator = dot.getType();
    } else if (auto inner = dyn_cast<InnerOp>(op)) {
      flops += 2.0 * getFeatures(inner.getLhs());
      accumulator = inner.getType();
    } else if (auto dot = dyn_cast<DotWithOp>(op)) {
      flops += 2.0 * getFeatures(dot.getLhs());
      accumulator = dot.getType();
    } else if (auto carry = dyn_cast<CarryOp>(op);
               carry && carry.getKind() == CarryKind::Outer) {
      auto row = cast<VectorType>(carry.getRow().getType());
      flops += 2.0 * static_cast<double>(row.getNumElements());
      accumulator = getElementTypeOrSelf(carry.getType());
    } else if (isCollective(&op)) {
      flops += 2.0 * static_cast<double>(getTapCount(&op)) +
               getSharedEvaluations(&op) *
                   countFlopsPerEntry(op.getRegion(0).front(), isF64);
      accumulator = op.getResult(0).getType();
    }
    isF64 = isF64 || (accumulator && accumulator.isF64());
  }
  return flops;
}

/// The share of the entries of a sweep that its list and its `tiles` region let
/// through, from points spread evenly over rows and keys; nothing where the
/// list is made by the program.
std::optional<double> sampleVisited(StreamOp stream, SweepOp sweep,
                                    ArrayRef<int64_t> space, int64_t lower,
                                    int64_t upper, ArrayRef<Array> inputs) {
  if (sweep.getTiles().empty()) {
    return 1.0;
  }
  Block &tiles = sweep.getTiles().front();
  Value may = tiles.getTerminator()->getOperand(0);
  // The additive recurrence of the plastic number: low discrepancy in 2-D.
  constexpr double stepRow = 0.7548776662466927, stepKey = 0.5698402909980532;
  double row = 0.5, key = 0.5;
  int64_t hits = 0;
  IndexEvaluator evaluator(inputs);
  ListedOp list = getDriver(sweep);
  for (int64_t k = 0; k < kSamples; ++k) {
    row += stepRow;
    row -= row >= 1.0;
    key += stepKey;
    key -= key >= 1.0;
    auto i = static_cast<int64_t>(row * static_cast<double>(space[2]));
    auto j =
        lower + static_cast<int64_t>(key * static_cast<double>(upper - lower));
    evaluator.bind(stream.getBatchArg(), k % space[0]);
    evaluator.bind(stream.getHeadArg(), k / space[0] % space[1]);
    evaluator.bind(stream.getRowArg(), i);
    for (auto [argument, value] : llvm::zip_equal(
             tiles.getArguments(), std::array<int64_t, 4>{i, i, j, j})) {
      evaluator.bind(argument, value);
    }
    evaluator.bind(sweep.getKeyArg(), j);
    std::optional<int64_t> listed =
        list ? evaluator.evaluate(list) : std::optional<int64_t>(1);
    if (!listed) {
      return std::nullopt;
    }
    std::optional<int64_t> needed = evaluator.evaluate(may);
    hits += *listed && (!needed || *needed);
  }
  return static_cast<double>(hits) / static_cast<double>(kSamples);
}

bool addStream(StreamOp stream, ArrayRef<Array> inputs, Work &work) {
  IndexEvaluator evaluator(inputs);
  SmallVector<int64_t, 3> space;
  double rows = 1.0;
  for (Value size : {stream.getBatch(), stream.getHeads(), stream.getRows()}) {
    std::optional<int64_t> extent = evaluator.evaluate(size);
    if (!extent) {
      return false;
    }
    space.push_back(*extent);
    rows *= static_cast<double>(*extent);
  }
  if (rows == 0.0) {
    return true;
  }
  evaluator.bind(stream.getBatchArg(), 0);
  evaluator.bind(stream.getHeadArg(), 0);
  evaluator.bind(stream.getRowArg(), 0);
  for (auto sweep : stream.getBody().getOps<SweepOp>()) {
    std::optional<int64_t> lower = evaluator.evaluate(sweep.getLower());
    std::optional<int64_t> upper = evaluator.evaluate(sweep.getUpper());
    if (!lower || !upper) {
      return false;
    }
    if (*upper <= *lower) {
      continue;
    }
    double entries = rows * static_cast<double>(*upper - *lower);
    std::optional<double> share =
        sampleVisited(stream, sweep, space, *lower, *upper, inputs);
    if (!share) {
      return false;
    }
    double visited = entries * *share;
    work.entries += entries;
    work.visited += visited;
    work.flops +=
        visited * countFlopsPerEntry(sweep.getBody().front(), work.isF64);
  }
  return true;
}

/// Whether any entry of rows [i0, i1] and keys [j0, j1] is needed, and whether
/// all are present.
TileMap::Tile classify(IndexEvaluator &evaluator, SweepOp sweep, int64_t i0,
                       int64_t i1, int64_t j0, int64_t j1) {
  if (ListedOp list = getDriver(sweep)) {
    bool any = false;
    for (int64_t j = j0; j <= j1 && !any; j += list.getKeyBlock()) {
      evaluator.bind(sweep.getKeyArg(), j);
      any = evaluator.evaluate(list).value_or(1) != 0;
    }
    if (!any) {
      return TileMap::Empty;
    }
  }
  if (sweep.getTiles().empty()) {
    return TileMap::Full;
  }
  Block &tiles = sweep.getTiles().front();
  for (auto [argument, value] : llvm::zip_equal(
           tiles.getArguments(), std::array<int64_t, 4>{i0, i1, j0, j1})) {
    evaluator.bind(argument, value);
  }
  Operation *end = tiles.getTerminator();
  if (evaluator.evaluate(end->getOperand(0)).value_or(1) == 0) {
    return TileMap::Empty;
  }
  bool isFull = evaluator.evaluate(end->getOperand(1)).value_or(0) != 0;
  return isFull ? TileMap::Full : TileMap::Partial;
}

bool addMaps(StreamOp stream, unsigned number, ArrayRef<Array> inputs,
             int64_t block, std::vector<TileMap> &maps) {
  IndexEvaluator evaluator(inputs);
  std::optional<int64_t> rows = evaluator.evaluate(stream.getRows());
  if (!rows) {
    return false;
  }
  evaluator.bind(stream.getBatchArg(), 0);
  evaluator.bind(stream.getHeadArg(), 0);
  evaluator.bind(stream.getRowArg(), 0);
  unsigned count = 0;
  for (auto sweep : stream.getBody().getOps<SweepOp>()) {
    std::optional<int64_t> lower = evaluator.evaluate(sweep.getLower());
    std::optional<int64_t> upper = evaluator.evaluate(sweep.getUpper());
    if (!lower || !upper) {
      return false;
    }
    TileMap map;
    map.stream = number;
    map.sweep = count++;
    map.rows = *rows;
    map.keys = *upper;
    for (int64_t i = 0; i < *rows; i += block) {
      for (int64_t j = 0; j < *upper; j += block) {
        int64_t last = std::min(j + block, *upper) - 1;
        evaluator.bind(stream.getRowArg(), i);
        map.tiles.push_back(last < *lower
                                ? TileMap::Empty
                                : classify(evaluator, sweep, i,
                                           std::min(i + block, *rows) - 1,
                                           std::max(j, *lower), last));
      }
    }
    maps.push_back(std::move(map));
  }
  return true;
}

} // namespace

std::optional<std::vector<TileMap>>
attn::mapTiles(func::FuncOp plan, ArrayRef<Array> inputs, int64_t block) {
  std::vector<TileMap> maps;
  unsigned number = 0;
  WalkResult result = plan.walk([&](StreamOp stream) {
    bool mapped = stream->getParentOp() == plan &&
                  addMaps(stream, number++, inputs, block, maps);
    return mapped ? WalkResult::skip() : WalkResult::interrupt();
  });
  if (result.wasInterrupted()) {
    return std::nullopt;
  }
  return maps;
}

std::optional<Work> attn::countWork(func::FuncOp plan, ArrayRef<Array> inputs) {
  Work work;
  WalkResult result = plan.walk([&](StreamOp stream) {
    bool counted =
        stream->getParentOp() == plan && addStream(stream, inputs, work);
    return counted ? WalkResult::skip() : WalkResult::interrupt();
  });
  if (result.wasInterrupted()) {
    return std::nullopt;
  }
  return work;
}
