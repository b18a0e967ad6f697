//===- EntryFamilies.cpp - lists, neighbours, heads and sources as scalars ===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See EntryEvaluator.h. The families beyond the core, whose entries are made of
// others: of a list's, of neighbours' and other heads', of one source of keys
// among several.
//
//===----------------------------------------------------------------------===//

#include "EntryEvaluator.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/GaugeTyping.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::attn;

static int64_t dimOf(Value tensor, int64_t dim) {
  return cast<RankedTensorType>(tensor.getType()).getDimSize(dim);
}

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

Value EntryEvaluator::blockOf(Value index, int64_t block) {
  return block == 1
             ? index
             : arith::DivUIOp::create(body, loc(), index, constantIndex(block))
                   .getResult();
}

/// The list of the query block, asked for the key. A list that has no such row,
/// which only a wrong shape has, is read at its last one.
Entry EntryEvaluator::evaluateRestrict(RestrictOp op, const EntrySite &site) {
  Entry entry = evaluate(op.getInput(), site);
  Value listed = site.j == stream.getRowArg() ? listedQuery(op, site)
                                              : listedKey(op, site);
  return {entry.value, both(entry.present, listed)};
}

Value EntryEvaluator::listedKey(RestrictOp op, const EntrySite &site) {
  Value list = op.getIndices();
  int64_t heads = op.getInput().getType().getDim(ScoresType::Heads);
  int64_t rows = op.getQueryBlock();
  Value block = blockOf(site.i, rows);
  Value group = keyHead(site.h, heads, list, Value());
  auto place = [&](Value tensor) {
    Value b = broadcast(site.b, dimOf(tensor, 0));
    return SmallVector<Value>{clampIndex(b, tensor, 0), group,
                              clampIndex(block, tensor, 2)};
  };
  Value count, lengths;
  if (Value counts = op.getCounts()) {
    count = toIndex(read(counts, place(counts)));
  }
  if (op.getLengths()) {
    lengths = capture(op.getLengths());
  }
  return ListedOp::create(body, loc(), capture(list), place(list), lengths,
                          /*first=*/Value(), count, site.j, rows,
                          op.getKeyBlock(), /*drives=*/false);
}

/// Where the key stays, it asks its own list of query blocks.
Value EntryEvaluator::listedQuery(RestrictOp op, const EntrySite &site) {
  auto type = cast<RankedTensorType>(op.getIndices().getType());
  int64_t heads = op.getInput().getType().getDim(ScoresType::Heads);
  int64_t keys = op.getKeyBlock();
  Value extent = getValueOrCreateConstantIndexOp(
      outer, loc(), getScoresShape(outer, op.getInput())[ScoresType::Keys]);
  Value size = arith::ConstantIndexOp::create(outer, loc(), keys);
  Value blocks = arith::CeilDivUIOp::create(outer, loc(), extent, size);
  auto compressed = RankedTensorType::get(
      {type.getDimSize(0), type.getDimSize(1), ShapedType::kDynamic},
      type.getElementType());
  auto index =
      ListIndexOp::create(outer, loc(), compressed, compressed, op.getIndices(),
                          op.getLengths(), op.getCounts(), blocks);
  Value entries = index.getEntries(), offsets = index.getOffsets();
  Value b = clampIndex(broadcast(site.b, dimOf(entries, 0)), entries, 0);
  Value group = keyHead(site.h, heads, entries, Value());
  Value block = blockOf(site.j, keys);
  Value next = arith::AddIOp::create(body, loc(), block, constantIndex(1));
  Value first = toIndex(read(offsets, {b, group, block}));
  Value end = toIndex(read(offsets, {b, group, next}));
  Value count = arith::SubIOp::create(body, loc(), end, first);
  return ListedOp::create(body, loc(), capture(entries), ValueRange{b, group},
                          /*lengths=*/Value(), first, count, site.i, keys,
                          op.getQueryBlock(), /*drives=*/false);
}

Value EntryEvaluator::extentInside(OpFoldResult extent) {
  if (std::optional<int64_t> constant = getConstantIntValue(extent)) {
    return constantIndex(*constant);
  }
  return addExtent(stream, cast<Value>(extent));
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

Entry EntryEvaluator::fillRegion(Region &region, Value scores,
                                 const EntrySite &site) {
  OpBuilder::InsertionGuard guard(body);
  body.setInsertionPointToEnd(&region.front());
  // What is evaluated in here is not seen from outside.
  size_t known = memo.size();
  ++depth;
  Entry entry = evaluate(scores, siteOf(scores, site));
  --depth;
  memo.truncate(known);
  Value present = entry.present;
  if (!present) {
    present = arith::ConstantIntOp::create(body, loc(), 1, 1);
  }
  YieldOp::create(body, loc(), ValueRange{entry.value, present});
  return entry;
}

/// The taps see the region; the centre, outside of it, says what is present.
Entry EntryEvaluator::evaluateConvolve(ConvolveOp op, const EntrySite &site) {
  auto type = cast<ScoresType>(op.getResult().getType());
  SmallVector<OpFoldResult> shape = getScoresShape(outer, op.getInput());
  Value taps = op.getTaps();
  Value querySegments, queryBatch, keySegments, keyBatch;
  if (op.getSameSegment()) {
    Value query = getAxis(op.getInput(), /*isQuery=*/true).segments;
    Value key = getAxis(op.getInput(), /*isQuery=*/false).segments;
    querySegments = capture(query);
    queryBatch = broadcast(site.b, dimOf(query, 0));
    keySegments = capture(key);
    keyBatch = broadcast(site.b, dimOf(key, 0));
  }
  Entry centre = evaluate(op.getInput(), site);
  auto stencil =
      StencilOp::create(body, loc(), type.getElementType(), site.i, site.j,
                        extentInside(shape[ScoresType::Queries]),
                        extentInside(shape[ScoresType::Keys]), capture(taps),
                        broadcast(site.h, dimOf(taps, 0)), op.getOrigin(),
                        querySegments, queryBatch, keySegments, keyBatch);
  Block &block = stencil.getBody().emplaceBlock();
  Value i = block.addArgument(body.getIndexType(), loc());
  Value j = block.addArgument(body.getIndexType(), loc());
  extents[i] = type.getDim(ScoresType::Queries);
  extents[j] = type.getDim(ScoresType::Keys);
  fillRegion(stencil.getBody(), op.getInput(), {site.b, site.h, i, j});
  return {stencil.getResult(), centre.present};
}

/// Moves what `value` is computed from inside of `region` before its op, unless
/// that needs an argument of the region.
static bool hoistFrom(Region &region, Value value) {
  SetVector<Operation *> slice;
  SmallVector<Value> work{value};
  while (!work.empty()) {
    Value next = work.pop_back_val();
    if (next.getParentRegion() != &region) {
      continue;
    }
    Operation *op = next.getDefiningOp();
    if (!op) {
      return false;
    }
    if (!slice.insert(op)) {
      continue;
    }
    llvm::append_range(work, op->getOperands());
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(op->getRegions(), captured);
    llvm::append_range(work, captured);
  }
  for (Operation &op : llvm::make_early_inc_range(region.front())) {
    if (slice.contains(&op)) {
      op.moveBefore(region.getParentOp());
    }
  }
  return true;
}

Entry EntryEvaluator::evaluateMixHeads(MixHeadsOp op, const EntrySite &site) {
  Type type = op.getResult().getType().getElementType();
  return fillMix(MixOp::create(body, loc(), TypeRange{type, body.getI1Type()},
                               capture(op.getWeights()), site.h, {}, {}),
                 op.getInput(), site);
}

Entry EntryEvaluator::evaluateReduceHeads(ReduceHeadsOp op,
                                          const EntrySite &site) {
  ScoresType type = op.getResult().getType();
  auto kind = op.getKind() == ReduceKind::Max   ? FeatureReduceKind::Max
              : op.getKind() == ReduceKind::Min ? FeatureReduceKind::Min
                                                : FeatureReduceKind::Sum;
  return fillMix(
      MixOp::create(body, loc(),
                    TypeRange{type.getElementType(), body.getI1Type()}, Value(),
                    site.h, FeatureReduceKindAttr::get(body.getContext(), kind),
                    body.getDenseI64ArrayAttr(
                        {type.getDim(ScoresType::Heads), op.getGroupSize()})),
      op.getInput(), site);
}

Entry EntryEvaluator::fillMix(MixOp mix, Value input, const EntrySite &site) {
  Block &block = mix.getBody().emplaceBlock();
  Value h = block.addArgument(body.getIndexType(), loc());
  extents[h] = cast<ScoresType>(input.getType()).getDim(ScoresType::Heads);
  Entry entry = fillRegion(mix.getBody(), input, {site.b, h, site.i, site.j});
  // Masks that all heads share are plain conditions, which mask analysis
  // understands.
  SmallVector<Value> conjuncts;
  collectConjuncts(entry.present, conjuncts);
  Value present;
  bool differs = false;
  for (Value conjunct : conjuncts) {
    if (hoistFrom(mix.getBody(), conjunct)) {
      present = both(present, conjunct);
    } else {
      differs = true;
    }
  }
  return {mix.getResult(), differs ? both(present, mix.getAny()) : present};
}

//===----------------------------------------------------------------------===//
// Several sources
//===----------------------------------------------------------------------===//

Entry EntryEvaluator::choose(ArrayRef<OpFoldResult> sizes, Value index,
                             function_ref<Entry(unsigned, Value)> make) {
  // Segments that never have a key are left out: nothing of theirs is read.
  SmallVector<unsigned> segments;
  for (auto [k, size] : llvm::enumerate(sizes)) {
    if (getConstantIntValue(size) != 0) {
      segments.push_back(k);
    }
  }
  if (segments.empty()) {
    segments.push_back(0);
  }
  struct Part {
    Entry entry;
    Value before; // index lies before the end of the segment
  };
  SmallVector<Part> parts;
  OpFoldResult start = outer.getIndexAttr(0);
  Value reached; // index is not before `start`
  for (unsigned k : segments) {
    bool last = k == segments.back();
    OpFoldResult end = addExtents(outer, loc(), start, sizes[k]);
    Value inside = reached, before;
    if (!last) {
      before = BeforeOp::create(body, loc(), index, extentInside(end));
      inside = both(inside, before);
    }
    Value local = index;
    if (inside) {
      if (getConstantIntValue(start) != 0) {
        local = arith::SubIOp::create(body, loc(), index, extentInside(start));
      }
      local =
          arith::SelectOp::create(body, loc(), inside, local, constantIndex(0));
      extents[local] =
          getConstantIntValue(sizes[k]).value_or(ShapedType::kDynamic);
    }
    parts.push_back({make(k, local), before});
    if (!last) {
      Value one = arith::ConstantIntOp::create(body, loc(), 1, 1);
      reached = arith::XOrIOp::create(body, loc(), before, one);
    }
    start = end;
  }
  Entry result = parts.back().entry;
  for (const Part &part : llvm::reverse(ArrayRef(parts).drop_back())) {
    result.value = arith::SelectOp::create(body, loc(), part.before,
                                           part.entry.value, result.value);
    if (part.entry.present || result.present) {
      Value yes = arith::ConstantIntOp::create(body, loc(), 1, 1);
      result.present =
          arith::SelectOp::create(body, loc(), part.before,
                                  part.entry.present ? part.entry.present : yes,
                                  result.present ? result.present : yes);
    }
  }
  return result;
}

Entry EntryEvaluator::evaluateConcat(ConcatOp op, const EntrySite &site) {
  SmallVector<OpFoldResult> sizes = getSegmentExtents(outer, op);
  return choose(sizes, site.j, [&](unsigned k, Value local) {
    Value segment = op.getSegments()[k];
    EntrySite there = siteOf(segment, site);
    there.j = local;
    return evaluate(segment, there);
  });
}

Entry EntryEvaluator::evaluateLane(LaneOp op, const EntrySite &site) {
  Type type = op.getResult().getType().getElementType();
  Value q = op.getQuery(), k = op.getKey();
  Value group = keyHead(site.h, dimOf(q, 1), k, op.getHeadMap());
  SmallVector<Value> lhs{broadcast(site.b, dimOf(q, 0)), site.h, site.i};
  SmallVector<Value> rhs{keyBatch(site.b, k, op.getBatchMap()), group, site.i,
                         site.j};
  Value dot = contract(type, q, lhs, k, rhs);
  return {scaled(dot, op.getScale().convertToDouble()),
          insideLengths(op.getResult(), site)};
}

/// A sweep of its own for every entry. What the factors read of the stream's
/// row comes from memory: their rows are those of other matrices.
Entry EntryEvaluator::evaluateMatmul(MatmulOp op, const EntrySite &site) {
  OpFoldResult extent = getScoresShape(outer, op.getLhs())[ScoresType::Keys];
  Value lower = constantIndex(0), upper = extentInside(extent);
  auto sweep = SweepOp::create(body, loc(), lower, upper, TypeRange());
  {
    OpBuilder::InsertionGuard guard(body);
    body.setInsertionPointToEnd(&sweep.getBody().front());
    Value k = sweep.getKeyArg();
    extents[k] = op.getLhs().getType().getDim(ScoresType::Keys);
    EntryEvaluator inner(
        body, outer, stream, [](Value) { return Value(); }, extents);
    EntrySite left = siteOf(op.getLhs(), site);
    EntrySite right = siteOf(op.getRhs(), site);
    left.j = right.i = k;
    Entry a = inner.evaluate(op.getLhs(), left);
    Entry b = inner.evaluate(op.getRhs(), right);
    Value product = arith::MulFOp::create(body, loc(), a.value, b.value);
    Value sum = createCarry(body, loc(), CarryKind::Sum, product.getType(),
                            product, {}, both(a.present, b.present));
    YieldOp::create(body, loc(), sum);
  }
  sweep = addSweepResults(sweep);
  hoistUniform(sweep);
  return {sweep.getResult(0), insideLengths(op.getResult(), site)};
}
