//===- FormStreams.cpp - reductions and aggregates as naive streams -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %m = attn.reduce max keys %s        %o = attn.stream rows (%b, %h, %i) ...
//   { %e = attn.map %s (%x) {..%m..}        %m = attn.sweep %j { .. carry max
//   .. } %l = attn.reduce sum keys %e    ==>   %l = attn.sweep %j { .. carry
//   sum .. } %p = attn.map %e (%x) {..%l..}        %o = attn.sweep %j { ..
//   carry outer .. } %o = attn.aggregate %p, %v            attn.store_row %o }
//
// One stream per group of reductions that meet only in rows (RowGroups.h), one
// sweep per level. Scores are gone afterwards, except behind attn.materialize.
//
//===----------------------------------------------------------------------===//

#include "EntryEvaluator.h"
#include "RowGroups.h"
#include "StoredScores.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::attn {
#define GEN_PASS_DEF_FORMSTREAMSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

namespace {

/// Builds the stream of one group.
class StreamBuilder {
public:
  StreamBuilder(RowGroup &group, ArrayRef<std::unique_ptr<RowGroup>> groups)
      : group(group), groups(groups), outer(group.members.back()),
        row(outer.getContext()) {}

  void build();

private:
  void createStream();
  void buildSweep(ArrayRef<Operation *> sinks, OpFoldResult extent);
  SmallVector<Value> entryArguments(const Sink &sink, bool reducesKeys,
                                    EntryEvaluator &evaluator,
                                    const Entry &entry, const EntrySite &site);
  void buildSelection(TopkOp op, const Entry &entry, ValueRange arguments,
                      EntryEvaluator &evaluator, OpBuilder &body,
                      SmallVectorImpl<Value> &carries);
  void buildSink(const Sink &sink, EntryEvaluator &evaluator, OpBuilder &body,
                 SmallVectorImpl<Value> &carries);
  Value buildBins(ReduceOp op, const Entry &entry, ValueRange arguments,
                  EntryEvaluator &evaluator, OpBuilder &body);
  Value rowBlockOf(ReduceOp op);
  void appendTallySizes(ReduceOp op, SmallVectorImpl<Value> &sizes);
  Value buildAggregate(AggregateOp op, Entry entry, EntryEvaluator &evaluator,
                       OpBuilder &body);
  Value rowValueOf(Value tensor);
  void evaluateRowOp(linalg::GenericOp op);
  OpFoldResult extentOf(const Sink &sink, bool stationary);
  void replaceResults();

  RowGroup &group;
  ArrayRef<std::unique_ptr<RowGroup>> groups;
  OpBuilder outer, row;
  StreamOp stream;
  DenseMap<Value, Value> rowValues; // tensors of the group at this row
  DenseMap<Value, int64_t> extents;
  DenseMap<Value, Value> rowBlocks; // of tallies, at least 1
};

OpFoldResult StreamBuilder::extentOf(const Sink &sink, bool stationary) {
  SmallVector<OpFoldResult> shape = getScoresShape(outer, sink.scores);
  return shape[sink.queriesStay == stationary ? ScoresType::Queries
                                              : ScoresType::Keys];
}

void StreamBuilder::createStream() {
  Sink first = *getSink(group.members.front());
  Location loc = first.op->getLoc();
  SmallVector<OpFoldResult> shape = getScoresShape(outer, first.scores);
  SmallVector<Value> sizes;
  for (OpFoldResult size :
       {shape[0], shape[1], extentOf(first, true), extentOf(first, false)}) {
    sizes.push_back(getValueOrCreateConstantIndexOp(outer, loc, size));
  }
  stream = StreamOp::create(outer, loc, group.orientation, sizes, ValueRange(),
                            ValueRange());
  auto type = cast<ScoresType>(first.scores.getType());
  int64_t m = type.getDim(ScoresType::Queries);
  int64_t n = type.getDim(ScoresType::Keys);
  if (!first.queriesStay) {
    std::swap(m, n);
  }
  extents[stream.getBatchArg()] = type.getDim(ScoresType::Batch);
  extents[stream.getHeadArg()] = type.getDim(ScoresType::Heads);
  extents[stream.getRowArg()] = m;
  row.setInsertionPointToEnd(&stream.getBody().front());
}

/// Clones an elementwise op at this row.
void StreamBuilder::evaluateRowOp(linalg::GenericOp op) {
  EntryEvaluator evaluator(
      row, outer, stream, [](Value) { return Value(); }, extents);
  SmallVector<Value> arguments;
  for (OpOperand &operand : op->getOpOperands()) {
    if (op.isDpsInit(&operand)) {
      arguments.push_back({});
      continue;
    }
    if (group.contains(operand.get())) {
      arguments.push_back(rowValueOf(operand.get()));
      continue;
    }
    SmallVector<Value> indices;
    for (AffineExpr e : op.getMatchingIndexingMap(&operand).getResults()) {
      if (auto dim = dyn_cast<AffineDimExpr>(e)) {
        indices.push_back(stream.getBody().getArgument(dim.getPosition()));
      } else {
        indices.push_back(arith::ConstantIndexOp::create(
            row, op.getLoc(), cast<AffineConstantExpr>(e).getValue()));
      }
    }
    arguments.push_back(evaluator.read(operand.get(), indices));
  }
  // The body yields with linalg.yield; its operands are the values.
  SmallVector<Value> results =
      evaluator.inlineRegion(op.getRegion(), arguments);
  for (auto [result, value] : llvm::zip(op.getResults(), results)) {
    rowValues[result] = value;
  }
}

Value StreamBuilder::rowValueOf(Value tensor) {
  if (!group.contains(tensor)) {
    return {};
  }
  auto known = rowValues.find(tensor);
  if (known == rowValues.end()) {
    evaluateRowOp(cast<linalg::GenericOp>(tensor.getDefiningOp()));
  }
  return rowValues[tensor];
}

static CarryKind carryKindOf(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::Sum:
    return CarryKind::Sum;
  case ReduceKind::Max:
    return CarryKind::Max;
  case ReduceKind::Min:
    return CarryKind::Min;
  case ReduceKind::Mean:
    return CarryKind::Mean;
  case ReduceKind::Count:
    return CarryKind::Count;
  case ReduceKind::Any:
    return CarryKind::Any;
  case ReduceKind::ArgMax:
    return CarryKind::ArgMax;
  case ReduceKind::ArgMin:
    return CarryKind::ArgMin;
  default:
    llvm_unreachable("attn-desugar leaves primitive reductions only");
  }
}

/// What a region of the sink itself takes: the entry, and its indices as seen
/// from the operand of the sink, before any transpose was stripped.
SmallVector<Value> StreamBuilder::entryArguments(const Sink &sink,
                                                 bool reducesKeys,
                                                 EntryEvaluator &evaluator,
                                                 const Entry &entry,
                                                 const EntrySite &site) {
  SmallVector<Value> indices = evaluator.indexArguments(sink.scores, site);
  if (sink.queriesStay != reducesKeys) {
    std::swap(indices[2], indices[3]);
    std::swap(indices[4], indices[5]);
  }
  SmallVector<Value> arguments{entry.value};
  llvm::append_range(arguments, indices);
  return arguments;
}

void StreamBuilder::buildSelection(TopkOp op, const Entry &entry,
                                   ValueRange arguments,
                                   EntryEvaluator &evaluator, OpBuilder &body,
                                   SmallVectorImpl<Value> &carries) {
  Value forced, limit;
  if (!op.getForced().empty()) {
    forced = evaluator.inlineRegion(op.getForced(), arguments).front();
  }
  if (Value tensor = op.getLimit()) {
    auto type = cast<RankedTensorType>(tensor.getType());
    Value place[] = {stream.getBatchArg(), stream.getHeadArg(),
                     stream.getRowArg()};
    SmallVector<Value> indices;
    for (auto [extent, index] : llvm::zip(type.getShape(), place)) {
      indices.push_back(evaluator.broadcast(index, extent));
    }
    limit = evaluator.toIndex(evaluator.read(tensor, indices));
  }
  auto type = cast<RankedTensorType>(op.getValues().getType());
  int64_t k = type.getShape().back();
  auto top = TopOp::create(
      body, op.getLoc(), VectorType::get({k}, type.getElementType()),
      VectorType::get({k}, body.getI64Type()), body.getI64Type(), entry.value,
      forced, entry.present, limit, op.getSmallest(), op.getByPosition());
  llvm::append_range(carries, top.getResults());
}

/// A value that only the run knows, made one that cannot do harm.
static Value atLeast(OpBuilder &builder, Location loc, int64_t least,
                     Value value) {
  Value bound = arith::ConstantIndexOp::create(builder, loc, least);
  return builder.createOrFold<arith::MaxSIOp>(loc, value, bound);
}

Value StreamBuilder::rowBlockOf(ReduceOp op) {
  Value &block = rowBlocks[op.getRowBlock()];
  if (!block) {
    block = atLeast(outer, op.getLoc(), 1, op.getRowBlock());
  }
  return block;
}

Value StreamBuilder::buildBins(ReduceOp op, const Entry &entry,
                               ValueRange arguments, EntryEvaluator &evaluator,
                               OpBuilder &body) {
  Value bin = evaluator.inlineRegion(op.getBin(), arguments).front();
  bool counts = op.getKind() == ReduceKind::Count;
  auto type = cast<RankedTensorType>(op.getResultTypes()[0]);
  Type row =
      op.isTallied()
          ? Type(TallyType::get(body.getContext(), type.getElementType()))
          : Type(VectorType::get(type.getShape().take_back(),
                                 type.getElementType()));
  Value rowBlock;
  if (op.getRowBlock()) {
    rowBlock = evaluator.capture(rowBlockOf(op));
  }
  return BinsOp::create(body, op.getLoc(), row, carryKindOf(op.getKind()),
                        counts ? Value() : entry.value, bin, entry.present,
                        rowBlock);
}

/// The extents of a tally beyond batch and heads.
void StreamBuilder::appendTallySizes(ReduceOp op,
                                     SmallVectorImpl<Value> &sizes) {
  auto type = cast<RankedTensorType>(op.getResultTypes()[0]);
  if (type.isDynamicDim(2)) {
    Value rows = stream.getRows();
    sizes.push_back(op.getRowBlock() ? outer.createOrFold<arith::CeilDivUIOp>(
                                           op.getLoc(), rows, rowBlockOf(op))
                                     : rows);
  }
  if (type.isDynamicDim(3)) {
    sizes.push_back(atLeast(outer, op.getLoc(), 0, op.getBinCount()));
  }
}

void StreamBuilder::buildSink(const Sink &sink, EntryEvaluator &evaluator,
                              OpBuilder &body,
                              SmallVectorImpl<Value> &carries) {
  Value b = stream.getBatchArg(), h = stream.getHeadArg();
  Value stay = stream.getRowArg();
  Value move = body.getInsertionBlock()->getArgument(0);
  EntrySite site{b, h, stay, move};
  if (!sink.queriesStay) {
    std::swap(site.i, site.j);
  }
  Entry entry = evaluator.evaluate(sink.scores, site);
  Location loc = sink.op->getLoc();
  if (auto reduce = dyn_cast<ReduceOp>(sink.op)) {
    bool reducesKeys = reduce.getAxis() == Axis::Keys;
    if (reduce.isBinned()) {
      carries.push_back(
          buildBins(reduce, entry,
                    entryArguments(sink, reducesKeys, evaluator, entry, site),
                    evaluator, body));
      return;
    }
    if (reduce.getKind() == ReduceKind::Custom) {
      SmallVector<Value> arguments =
          entryArguments(sink, reducesKeys, evaluator, entry, site);
      SmallVector<Value> lifted =
          evaluator.inlineRegion(reduce.getLift(), arguments);
      auto fold =
          FoldOp::create(body, loc, ValueRange(lifted).getTypes(),
                         reduce.getIdentityAttr(), lifted, entry.present);
      Block &block = fold.getCombine().emplaceBlock();
      for (Value value : llvm::concat<Value>(lifted, lifted)) {
        block.addArgument(value.getType(), loc);
      }
      OpBuilder::InsertionGuard guard(body);
      body.setInsertionPointToStart(&block);
      SmallVector<Value> combined =
          evaluator.inlineRegion(reduce.getCombine(), block.getArguments());
      YieldOp::create(body, loc, combined);
      llvm::append_range(carries, fold.getResults());
      return;
    }
    Type type =
        cast<RankedTensorType>(reduce.getResultTypes()[0]).getElementType();
    bool counts = reduce.getKind() == ReduceKind::Count ||
                  reduce.getKind() == ReduceKind::Any;
    carries.push_back(createCarry(body, loc, carryKindOf(reduce.getKind()),
                                  type, counts ? Value() : entry.value, {},
                                  entry.present));
    return;
  }
  if (auto topk = dyn_cast<TopkOp>(sink.op)) {
    buildSelection(
        topk, entry,
        entryArguments(sink, /*reducesKeys=*/true, evaluator, entry, site),
        evaluator, body, carries);
    return;
  }
  carries.push_back(
      buildAggregate(cast<AggregateOp>(sink.op), entry, evaluator, body));
}

/// The sum of weighted rows; the row comes from the value of the segment that
/// the key falls in.
Value StreamBuilder::buildAggregate(AggregateOp op, Entry entry,
                                    EntryEvaluator &evaluator,
                                    OpBuilder &body) {
  Location loc = op.getLoc();
  Type element = entry.value.getType();
  int64_t heads = op.getWeights().getType().getDim(ScoresType::Heads);
  auto readRow = [&](unsigned k, Value key) -> Entry {
    Value v = op.getValues()[k];
    SmallVector<Value> indices{
        evaluator.keyBatch(stream.getBatchArg(), v, op.getBatchMap(k)),
        evaluator.keyHead(stream.getHeadArg(), heads, v, op.getHeadMap(k))};
    if (AggregateOp::isPerQuery(v)) {
      indices.push_back(stream.getRowArg());
    }
    indices.push_back(key);
    return {convertFloat(body, loc, evaluator.read(v, indices), element), {}};
  };
  Value key = body.getInsertionBlock()->getArgument(0);
  Value line =
      op.getValues().size() == 1
          ? readRow(0, key).value
          : evaluator.choose(getSegmentExtents(outer, op), key, readRow).value;
  auto carry = createCarry(body, loc, CarryKind::Outer, line.getType(),
                           entry.value, line, entry.present);
  if (op.getOperandTypeAttr()) {
    carry.setOperandTypeAttr(op.getOperandTypeAttr());
  }
  return carry;
}

void StreamBuilder::buildSweep(ArrayRef<Operation *> sinks,
                               OpFoldResult extent) {
  Location loc = sinks.front()->getLoc();
  // Row values that the sweep reads come first.
  for (Operation *op : sinks) {
    for (Value v : getCaptures(*getSink(op)).rows) {
      rowValueOf(v);
    }
  }
  Value lower = arith::ConstantIndexOp::create(row, loc, 0);
  Value upper = stream.getExtentArg();
  Value size = getValueOrCreateConstantIndexOp(outer, loc, extent);
  if (!sameExtent(size, stream.getExtent())) {
    upper = stream.addInput(size);
  }
  auto sweep = SweepOp::create(row, loc, lower, upper, TypeRange());
  Block &block = sweep.getBody().front();
  OpBuilder body = OpBuilder::atBlockEnd(&block);
  auto type = cast<ScoresType>(getSink(sinks.front())->scores.getType());
  extents[sweep.getKeyArg()] =
      type.getDim(getSink(sinks.front())->queriesStay ? ScoresType::Keys
                                                      : ScoresType::Queries);
  EntryEvaluator evaluator(
      body, outer, stream, [&](Value tensor) { return rowValueOf(tensor); },
      extents);
  SmallVector<Value> carries;
  for (Operation *op : sinks) {
    buildSink(*getSink(op), evaluator, body, carries);
  }
  YieldOp::create(body, loc, carries);
  sweep = addSweepResults(sweep);
  hoistUniform(sweep);
  row.setInsertionPointToEnd(&stream.getBody().front());
  unsigned next = 0;
  for (Operation *op : sinks) {
    for (Value result : op->getResults()) {
      Type element = cast<RankedTensorType>(result.getType()).getElementType();
      Value value = sweep.getResult(next++);
      bool rounds = isa<FloatType>(element) && !isa<TallyType>(value.getType());
      rowValues[result] =
          rounds ? convertFloat(row, loc, value, element) : value;
    }
  }
}

void StreamBuilder::build() {
  createStream();
  // Levels: one more than that of any row result read.
  DenseMap<Operation *, unsigned> level;
  unsigned levels = 0;
  for (Operation *op : group.members) {
    unsigned mine = 0;
    SmallVector<Value> reads;
    if (std::optional<Sink> sink = getSink(op)) {
      llvm::append_range(reads, getCaptures(*sink).rows);
    } else {
      llvm::append_range(reads, op->getOperands());
    }
    for (Value v : reads) {
      if (group.contains(v)) {
        Operation *def = v.getDefiningOp();
        mine = std::max(mine, level[def] + (getSink(def) ? 1 : 0));
      }
    }
    level[op] = mine;
    levels = std::max(levels, mine + 1);
  }
  for (unsigned l = 0; l < levels; ++l) {
    // Sinks of one level over the same keys share a sweep.
    SmallVector<std::pair<OpFoldResult, SmallVector<Operation *>>> sweeps;
    for (Operation *op : group.members) {
      if (!getSink(op) || level[op] != l) {
        continue;
      }
      OpFoldResult extent = extentOf(*getSink(op), /*stationary=*/false);
      auto *it = llvm::find_if(
          sweeps, [&](auto &sweep) { return sameExtent(sweep.first, extent); });
      if (it == sweeps.end()) {
        sweeps.push_back({extent, {op}});
      } else {
        it->second.push_back(op);
      }
    }
    for (auto &[extent, sinks] : sweeps) {
      buildSweep(sinks, extent);
    }
  }
  replaceResults();
}

/// Stores what is read elsewhere and replaces it.
void StreamBuilder::replaceResults() {
  SmallVector<Value> results, stored, outputs;
  for (Operation *op : group.members) {
    for (Value result : op->getResults()) {
      if (!isNeededOutside(result, group, groups)) {
        continue;
      }
      rowValueOf(result);
      results.push_back(result);
      stored.push_back(rowValues[result]);
      auto type = cast<RankedTensorType>(result.getType());
      SmallVector<Value> sizes;
      auto reduce = dyn_cast<ReduceOp>(op);
      bool tallied = reduce && reduce.isTallied();
      for (unsigned d = 0; d < (tallied ? 2 : 3); ++d) {
        if (type.isDynamicDim(d)) {
          sizes.push_back(stream->getOperand(d));
        }
      }
      if (tallied) {
        appendTallySizes(reduce, sizes);
      }
      outputs.push_back(
          tensor::EmptyOp::create(outer, op->getLoc(), type, sizes));
    }
  }
  StoreRowOp::create(row, stream.getLoc(), stored);
  // Rebuild with outputs: operands and results are fixed at creation.
  auto final = StreamOp::create(outer, stream.getLoc(), group.orientation,
                                {stream.getBatch(), stream.getHeads(),
                                 stream.getRows(), stream.getExtent()},
                                stream.getInputs(), outputs);
  final.getBody().takeBody(stream.getBody());
  stream.erase();
  for (auto [old, now] : llvm::zip(results, final.getResults())) {
    old.replaceAllUsesWith(now);
  }
}

struct FormStreamsPass : attn::impl::FormStreamsPassBase<FormStreamsPass> {
  using Base::Base;

  void runOnOperation() override {
    storeSharedScores(getOperation());
    SetVector<Block *> blocks;
    getOperation().walk([&](Operation *op) {
      if (getSink(op)) {
        blocks.insert(op->getBlock());
      }
    });
    for (Block *block : blocks) {
      if (failed(runOnBlock(*block))) {
        return signalPassFailure();
      }
    }
  }

  static LogicalResult checkSugar(Block &block) {
    for (Operation &op : block) {
      auto reduce = dyn_cast<ReduceOp>(op);
      auto mask = dyn_cast<MaskOp>(op);
      if (isa<PartialOp, MergeOp, FinishOp, StateFromOp>(op)) {
        return op.emitError() << "'" << op.getName()
                              << "' is not a primitive of streams; run "
                                 "attn-resolve-states first";
      }
      auto heads = dyn_cast<ReduceHeadsOp>(op);
      if (isa<SoftmaxOp>(op) || (mask && mask.getKindAttr()) ||
          (heads && (heads.getKind() == ReduceKind::Mean ||
                     heads.getKind() == ReduceKind::Count)) ||
          (reduce &&
           (!reduce.isOverOneAxis() || reduce.getKind() == ReduceKind::Lse ||
            reduce.getKind() == ReduceKind::Entropy ||
            reduce.getKind() == ReduceKind::Moments))) {
        return op.emitError() << "'" << op.getName()
                              << "' is not a primitive of streams; run "
                                 "attn-desugar first";
      }
    }
    return success();
  }

  LogicalResult runOnBlock(Block &block) {
    if (failed(checkSugar(block))) {
      return failure();
    }
    SmallVector<std::unique_ptr<RowGroup>> groups = formGroups(block);
    for (auto &group : groups) {
      StreamBuilder(*group, groups).build();
    }
    sortTopologically(&block);
    // What is left of the expressions is dead, unless it is materialised.
    SmallVector<Operation *> candidates;
    for (Operation &op : block) {
      if (isa<ScoresOpInterface>(op) || getSink(&op) || isRowOp(&op)) {
        candidates.push_back(&op);
      }
    }
    for (Operation *op : llvm::reverse(candidates)) {
      if (op->use_empty()) {
        op->erase();
      }
    }
    return success();
  }
};
} // namespace
