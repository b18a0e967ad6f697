//===- EntryEvaluator.cpp - one entry of a score expression as scalars -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EntryEvaluator.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"

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

/// What a map names at `index`, moved into dimension `dim` of `tensor`.
Value EntryEvaluator::mappedIndex(Value map, Value index, Value tensor,
                                  int64_t dim) {
  Value named = clampIndex(toIndex(read(map, index)), tensor, dim);
  extents[named] = cast<RankedTensorType>(tensor.getType()).getDimSize(dim);
  return named;
}

Value EntryEvaluator::keyHead(Value h, int64_t heads, Value tensor,
                              Value headMap) {
  int64_t groups = cast<RankedTensorType>(tensor.getType()).getDimSize(1);
  if (headMap) {
    return mappedIndex(headMap, h, tensor, 1);
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

Value EntryEvaluator::keyBatch(Value b, Value tensor, Value batchMap) {
  if (batchMap) {
    return mappedIndex(batchMap, b, tensor, 0);
  }
  return broadcast(b, cast<RankedTensorType>(tensor.getType()).getDimSize(0));
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
          {e.keyBatch(site.b, k, op.getBatchMap()), group, site.j}};
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
    // Lengths that it passes on count where they were given: of joined scores
    // some may have none.
    Value inside = both(belowLength(op.getAxisInfo(true), site, site.i),
                        belowLength(op.getAxisInfo(false), site, site.j));
    entry.present = both(entry.present, inside);
  } else if (auto op = dyn_cast<MapOp>(def)) {
    entry = evaluateMap(op, site);
  } else if (auto op = dyn_cast<MaskOp>(def)) {
    entry = evaluateMask(op, site);
  } else if (auto op = dyn_cast<ConvolveOp>(def)) {
    entry = evaluateConvolve(op, site);
  } else if (auto op = dyn_cast<MixHeadsOp>(def)) {
    entry = evaluateMixHeads(op, site);
  } else if (auto op = dyn_cast<ReduceHeadsOp>(def)) {
    entry = evaluateReduceHeads(op, site);
  } else if (auto op = dyn_cast<RestrictOp>(def)) {
    entry = evaluateRestrict(op, site);
  } else if (auto op = dyn_cast<FillOp>(def)) {
    entry = evaluate(op.getInput(), site);
    if (entry.present) {
      Value c = createFillValue(body, loc(), op);
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
