//===- EntryEvaluator.cpp - one entry of a score expression as scalars -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EntryEvaluator.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "attn/Dialect/Attn/IR/GaugeTyping.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Small pieces
//===----------------------------------------------------------------------===//

Value EntryEvaluator::constantIndex(int64_t value) {
  return arith::ConstantIndexOp::create(body, loc(), value);
}

Value EntryEvaluator::toIndex(Value integer) {
  if (integer.getType().isIndex()) {
    return integer;
  }
  return arith::IndexCastOp::create(body, loc(), body.getIndexType(), integer);
}

Value EntryEvaluator::both(Value a, Value b) {
  if (!a || !b) {
    return a ? a : b;
  }
  return a == b ? a : arith::AndIOp::create(body, loc(), a, b);
}

Value EntryEvaluator::broadcast(Value index, int64_t extent) {
  if (extent != 1) {
    return index;
  }
  auto known = extents.find(index);
  if (known != extents.end() && known->second == 1) {
    return index;
  }
  return constantIndex(0);
}

Value EntryEvaluator::capture(Value value) {
  if (Operation *def = value.getDefiningOp();
      def && def->hasTrait<OpTrait::ConstantLike>() &&
      !isa<TensorType>(value.getType())) {
    return body.clone(*def)->getResult(0);
  }
  if (value.getParentRegion() &&
      stream->isProperAncestor(value.getParentRegion()->getParentOp())) {
    return value;
  }
  if (value.getParentRegion() == &stream.getBody()) {
    return value;
  }
  return stream.addInput(value);
}

Value EntryEvaluator::clampIndex(Value index, Value tensor, int64_t dim) {
  auto type = cast<RankedTensorType>(tensor.getType());
  int64_t size = type.getDimSize(dim);
  auto known = extents.find(index);
  if (known != extents.end()) {
    // Indices of the stream run over extents that were checked to agree.
    if (ShapedType::isDynamic(size) ||
        (!ShapedType::isDynamic(known->second) && known->second <= size)) {
      return index;
    }
    if (size == 1) {
      return constantIndex(0);
    }
  }
  if (std::optional<int64_t> c = getConstantIntValue(index);
      c && *c >= 0 && (ShapedType::isDynamic(size) ? *c == 0 : *c < size)) {
    return index;
  }
  Value last;
  if (ShapedType::isDynamic(size)) {
    Value extent = tensor::DimOp::create(outer, loc(), tensor, dim);
    last = arith::SubIOp::create(body, loc(), addExtent(stream, extent),
                                 constantIndex(1));
  } else {
    last = constantIndex(size - 1);
  }
  Value low = arith::MaxSIOp::create(body, loc(), index, constantIndex(0));
  return arith::MinSIOp::create(body, loc(), low, last);
}

/// The view behind `tensor` if a read with `indices` indices is what it
/// computes; null for what is, or will be, stored.
static ViewOp getVirtual(Value tensor, unsigned indices) {
  auto view = tensor.getDefiningOp<ViewOp>();
  return view && view.getBody().getNumArguments() == indices ? view : ViewOp();
}

/// Whether the rows of a view are rows of a stored tensor, such as pages, so
/// that an element is a load, too.
static bool movesRows(ViewOp view) {
  auto yield = cast<YieldOp>(view.getBody().front().getTerminator());
  auto at = yield.getValues()[0].getDefiningOp<AtOp>();
  if (!at) {
    return false;
  }
  ViewOp below = getVirtual(at.getSource(), at.getIndices().size());
  return !below || movesRows(below);
}

Value EntryEvaluator::read(Value tensor, ValueRange indices) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Value> safe;
  for (auto [dim, index] : llvm::enumerate(indices)) {
    safe.push_back(clampIndex(index, tensor, dim));
  }
  if (ViewOp view = getVirtual(tensor, indices.size())) {
    return inlineRegion(view.getBody(), safe).front();
  }
  if (ViewOp view = getVirtual(tensor, indices.size() - 1);
      view && movesRows(view)) {
    Value row =
        inlineRegion(view.getBody(), ArrayRef<Value>(safe).drop_back()).front();
    auto at = row.getDefiningOp<AtOp>();
    SmallVector<Value> element(at.getIndices());
    element.push_back(safe.back());
    return AtOp::create(body, loc(), type.getElementType(), at.getSource(),
                        element);
  }
  Type result = type.getElementType();
  if (static_cast<int64_t>(indices.size()) < type.getRank()) {
    result = VectorType::get({type.getDimSize(type.getRank() - 1)}, result);
  }
  return AtOp::create(body, loc(), result, capture(tensor), safe);
}

Value EntryEvaluator::keyHead(Value h, int64_t heads, Value tensor,
                              Value headMap) {
  int64_t groups = cast<RankedTensorType>(tensor.getType()).getDimSize(1);
  if (headMap) {
    return clampIndex(toIndex(read(headMap, h)), tensor, 1);
  }
  if (groups == 1) {
    return broadcast(h, 1);
  }
  if (groups == heads) {
    return h;
  }
  Value group =
      arith::DivUIOp::create(body, loc(), h, constantIndex(heads / groups));
  extents[group] = groups;
  return group;
}

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

static int64_t dimOf(Value tensor, int64_t dim) {
  return cast<RankedTensorType>(tensor.getType()).getDimSize(dim);
}

Value EntryEvaluator::position(const AxisInfo &axis, const EntrySite &site,
                               Value index) {
  if (axis.positions) {
    Value p = axis.positions;
    return toIndex(read(p, {broadcast(site.b, dimOf(p, 0)),
                            broadcast(site.h, dimOf(p, 1)), index}));
  }
  if (!axis.offset) {
    return index;
  }
  Value offset;
  if (isa<RankedTensorType>(axis.offset.getType())) {
    offset = read(axis.offset, broadcast(site.b, dimOf(axis.offset, 0)));
  } else {
    offset = capture(axis.offset);
  }
  return arith::AddIOp::create(body, loc(), index, toIndex(offset));
}

Value EntryEvaluator::belowLength(const AxisInfo &axis, const EntrySite &site,
                                  Value index) {
  if (!axis.length) {
    return {};
  }
  Value length = read(axis.length, {broadcast(site.b, dimOf(axis.length, 0)),
                                    broadcast(site.h, dimOf(axis.length, 1))});
  return arith::CmpIOp::create(body, loc(), arith::CmpIPredicate::slt, index,
                               toIndex(length));
}

Value EntryEvaluator::insideLengths(Value scores, const EntrySite &site) {
  return both(belowLength(getAxis(scores, true), site, site.i),
              belowLength(getAxis(scores, false), site, site.j));
}

SmallVector<Value> EntryEvaluator::indexArguments(Value scores,
                                                  const EntrySite &site) {
  return {site.b,
          site.h,
          site.i,
          site.j,
          position(getAxis(scores, true), site, site.i),
          position(getAxis(scores, false), site, site.j)};
}

EntrySite EntryEvaluator::siteOf(Value operand, const EntrySite &site) {
  auto type = cast<ScoresType>(operand.getType());
  return {broadcast(site.b, type.getDim(ScoresType::Batch)),
          broadcast(site.h, type.getDim(ScoresType::Heads)), site.i, site.j};
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

/// A captured read: a value of this row if the stream computes it, else a load.
Value EntryEvaluator::extractInRegion(tensor::ExtractOp op,
                                      IRMapping &mapping) {
  SmallVector<Value> indices;
  for (Value index : op.getIndices()) {
    indices.push_back(mapping.lookupOrDefault(index));
  }
  if (Value here = depth ? Value() : rowValue(op.getTensor())) {
    return here;
  }
  for (Value &index : indices) {
    index = capture(index);
  }
  return read(op.getTensor(), indices);
}

SmallVector<Value> EntryEvaluator::inlineRegion(Region &region,
                                                ValueRange arguments) {
  IRMapping mapping;
  mapping.map(region.getArguments(), arguments);
  for (Operation &op : region.front().without_terminator()) {
    if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
      mapping.map(extract.getResult(), extractInRegion(extract, mapping));
      continue;
    }
    if (auto at = dyn_cast<AtOp>(op)) {
      SmallVector<Value> indices;
      for (Value index : at.getIndices()) {
        indices.push_back(capture(mapping.lookupOrDefault(index)));
      }
      mapping.map(at.getResult(), read(at.getSource(), indices));
      continue;
    }
    if (auto dim = dyn_cast<tensor::DimOp>(op)) {
      Value extent = outer.clone(op)->getResult(0);
      mapping.map(dim.getResult(), addExtent(stream, extent));
      continue;
    }
    for (Value operand : op.getOperands()) {
      if (!mapping.contains(operand) &&
          !region.isAncestor(operand.getParentRegion())) {
        mapping.map(operand, capture(operand));
      }
    }
    body.clone(op, mapping);
  }
  SmallVector<Value> results;
  for (Value value : region.front().getTerminator()->getOperands()) {
    if (!mapping.contains(value) &&
        !region.isAncestor(value.getParentRegion())) {
      mapping.map(value, capture(value));
    }
    results.push_back(mapping.lookupOrDefault(value));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// The index lists of a query-key contraction.
template <typename OpTy>
static std::pair<SmallVector<Value>, SmallVector<Value>>
contractionIndices(EntryEvaluator &e, OpTy op, const EntrySite &site) {
  Value q = op.getQuery(), k = op.getKey();
  Value group = e.keyHead(site.h, dimOf(q, 1), k, op.getHeadMap());
  return {{e.broadcast(site.b, dimOf(q, 0)), site.h, site.i},
          {e.broadcast(site.b, dimOf(k, 0)), group, site.j}};
}

Value EntryEvaluator::scaled(Value dot, double scale) {
  if (scale == 1.0) {
    return dot;
  }
  Value factor = arith::ConstantOp::create(
      body, loc(), body.getFloatAttr(dot.getType(), scale));
  return arith::MulFOp::create(body, loc(), dot, factor);
}

/// The contraction of two rows; one that no tensor stores is computed here.
Value EntryEvaluator::contract(Type type, Value q, ValueRange lhs, Value k,
                               ValueRange rhs) {
  if (getVirtual(q, lhs.size()) || getVirtual(k, rhs.size())) {
    Value row = read(q, lhs);
    return InnerOp::create(body, loc(), type, row, read(k, rhs));
  }
  return DotOp::create(body, loc(), type, capture(q), lhs, capture(k), rhs);
}

Entry EntryEvaluator::evaluateScore(ScoreOp op, const EntrySite &site) {
  Type type = op.getResult().getType().getElementType();
  auto [lhs, rhs] = contractionIndices(*this, op, site);
  Value dot = contract(type, op.getQuery(), lhs, op.getKey(), rhs);
  dot = scaled(dot, op.getScale().convertToDouble());
  return {dot, insideLengths(op.getResult(), site)};
}

Entry EntryEvaluator::evaluateScoreWith(ScoreWithOp op, const EntrySite &site) {
  Type type = op.getResult().getType().getElementType();
  auto [lhs, rhs] = contractionIndices(*this, op, site);
  auto dot =
      DotWithOp::create(body, loc(), type, op.getKind(), capture(op.getQuery()),
                        lhs, capture(op.getKey()), rhs);
  {
    OpBuilder::InsertionGuard guard(body);
    Block &block = dot.getBody().emplaceBlock();
    block.addArguments({type, type, body.getIndexType()},
                       {loc(), loc(), loc()});
    extents[block.getArgument(2)] = dimOf(op.getQuery(), 3);
    body.setInsertionPointToStart(&block);
    SmallVector<Value> results =
        inlineRegion(op.getBody(), block.getArguments());
    YieldOp::create(body, loc(), results);
  }
  return {dot.getResult(), insideLengths(op.getResult(), site)};
}

Entry EntryEvaluator::evaluateBias(BiasOp op, const EntrySite &site) {
  Value t = op.getTensor();
  Value value = read(t, {broadcast(site.b, dimOf(t, 0)),
                         broadcast(site.h, dimOf(t, 1)), site.i, site.j});
  value = convertFloat(body, loc(), value,
                       op.getResult().getType().getElementType());
  return {value, insideLengths(op.getResult(), site)};
}

Entry EntryEvaluator::evaluateMap(MapOp op, const EntrySite &site) {
  SmallVector<Value> arguments;
  Value present;
  for (Value input : op.getInputs()) {
    Entry entry = evaluate(input, siteOf(input, site));
    arguments.push_back(entry.value);
    present = both(present, entry.present);
  }
  llvm::append_range(arguments, indexArguments(op.getResult(), site));
  return {inlineRegion(op.getBody(), arguments).front(), present};
}

Entry EntryEvaluator::evaluateMask(MaskOp op, const EntrySite &site) {
  Entry entry = evaluate(op.getInput(), site);
  SmallVector<Value> arguments{entry.value};
  llvm::append_range(arguments, indexArguments(op.getResult(), site));
  Value keep = inlineRegion(op.getBody(), arguments).front();
  return {entry.value, both(entry.present, keep)};
}

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
  auto input = op.getInput().getType();
  auto mix = MixOp::create(body, loc(),
                           TypeRange{input.getElementType(), body.getI1Type()},
                           capture(op.getWeights()), site.h);
  Block &block = mix.getBody().emplaceBlock();
  Value h = block.addArgument(body.getIndexType(), loc());
  extents[h] = input.getDim(ScoresType::Heads);
  Entry entry =
      fillRegion(mix.getBody(), op.getInput(), {site.b, h, site.i, site.j});
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
  SmallVector<Value> rhs{broadcast(site.b, dimOf(k, 0)), group, site.i, site.j};
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

Entry EntryEvaluator::evaluate(Value scores, const EntrySite &site) {
  std::pair<Value, EntrySite> key(scores, site);
  for (auto &[known, entry] : memo) {
    if (known == key) {
      return entry;
    }
  }
  Operation *def = scores.getDefiningOp();
  Entry entry;
  if (auto op = dyn_cast<ScoreOp>(def)) {
    entry = evaluateScore(op, site);
  } else if (auto op = dyn_cast<ScoreWithOp>(def)) {
    entry = evaluateScoreWith(op, site);
  } else if (auto op = dyn_cast<BiasOp>(def)) {
    entry = evaluateBias(op, site);
  } else if (auto op = dyn_cast<WithAxesOp>(def)) {
    entry = evaluate(op.getInput(), site);
    entry.present = both(entry.present, insideLengths(op.getResult(), site));
  } else if (auto op = dyn_cast<MapOp>(def)) {
    entry = evaluateMap(op, site);
  } else if (auto op = dyn_cast<MaskOp>(def)) {
    entry = evaluateMask(op, site);
  } else if (auto op = dyn_cast<ConvolveOp>(def)) {
    entry = evaluateConvolve(op, site);
  } else if (auto op = dyn_cast<MixHeadsOp>(def)) {
    entry = evaluateMixHeads(op, site);
  } else if (auto op = dyn_cast<RestrictOp>(def)) {
    entry = evaluateRestrict(op, site);
  } else if (auto op = dyn_cast<FillOp>(def)) {
    entry = evaluate(op.getInput(), site);
    if (entry.present) {
      Value c = arith::ConstantOp::create(
          body, loc(),
          body.getFloatAttr(entry.value.getType(),
                            op.getValue().convertToDouble()));
      entry.value =
          arith::SelectOp::create(body, loc(), entry.present, entry.value, c);
    }
    entry.present = insideLengths(op.getResult(), site);
  } else if (auto op = dyn_cast<ConcatOp>(def)) {
    entry = evaluateConcat(op, site);
  } else if (auto op = dyn_cast<LaneOp>(def)) {
    entry = evaluateLane(op, site);
  } else if (auto op = dyn_cast<MatmulOp>(def)) {
    entry = evaluateMatmul(op, site);
  } else {
    auto transpose = cast<TransposeOp>(def);
    entry = evaluate(transpose.getInput(), {site.b, site.h, site.j, site.i});
  }
  memo.push_back({key, entry});
  return entry;
}
