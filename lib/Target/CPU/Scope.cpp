//===- Scope.cpp - scalars of a stream's program --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Scope.h. Features of rows are in RowChunk.cpp, keys of rows in
// Entries.cpp.
//
//===----------------------------------------------------------------------===//

#include "Visits.h"

#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Value KernelState::unsupported(Value value, Type type) {
  if (!failed) {
    Operation *op = value.getDefiningOp();
    if (op) {
      op->emitError("the CPU target cannot evaluate '")
          << op->getName() << "' here";
    } else {
      stream.emitError("the CPU target meets an index outside of its loop");
    }
    failed = true;
  }
  Type element = getElementTypeOrSelf(type);
  return element.isIntOrIndexOrFloat() ? e.constant(type, 0) : Value();
}

void KernelState::startBlock(Value first, Value rows) {
  int64_t heads = analysis.getPackedHeads();
  if (heads > 1 && analysis.getRowPeriod()) {
    blockFirst = first;
    headFirst = e.div(first, heads);
    headRows = e.div(rows, heads);
  }
}

std::pair<Value, Value> KernelState::findHead(Value row) {
  if (!analysis.getRowPeriod()) {
    Value rows = e.index(analysis.getFewRows());
    return {arith::DivUIOp::create(e, row, rows),
            arith::RemUIOp::create(e, row, rows)};
  }
  Value inside = e.sub(row, blockFirst), head = e.index(0), start = e.index(0);
  for (int64_t h = 1; h < analysis.getPackedHeads(); ++h) {
    Value end = e.mul(headRows, h);
    Value before = e.less(inside, end);
    head = e.select(before, head, e.index(h));
    start = e.select(before, start, end);
  }
  return {head, e.add(headFirst, e.sub(inside, start))};
}

void KernelState::bindRow(Scope &place, Value row) {
  if (analysis.getPackedHeads() > 1) {
    auto [head, inside] = findHead(row);
    place.bind(stream.getHeadArg(), e.add(firstHead, head));
    row = inside;
  }
  place.bind(stream.getRowArg(), row);
}

SmallVector<Value> KernelState::getRowRange(Value first, Value last) {
  if (analysis.getPackedHeads() == 1) {
    return {first, last};
  }
  if (!analysis.getRowPeriod()) {
    return {e.index(0), e.index(analysis.getFewRows() - 1)};
  }
  auto [head, from] = findHead(first);
  auto [lastHead, to] = findHead(last);
  Value same = e.equal(head, lastHead);
  Value end = e.sub(e.add(headFirst, headRows), 1);
  return {e.select(same, from, headFirst), e.select(same, to, end)};
}

Value Scope::lookup(Value value) const {
  if (Value found = known.lookup(value)) {
    return found;
  }
  return parent ? parent->lookup(value) : Value();
}

Value Scope::get(Value value) {
  if (Value found = lookup(value)) {
    return found;
  }
  Value result = compute(value);
  known[value] = result;
  return result;
}

SmallVector<Value> Scope::get(ValueRange values) {
  return llvm::map_to_vector(values, [&](Value value) { return get(value); });
}

Value cpu::emitGuard(Emit &e, Value maximum) {
  Type type = maximum.getType();
  Value none = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, maximum,
                                     e.infinity(type, /*negative=*/true));
  return e.select(none, e.constant(type, 0), maximum);
}

Value Scope::compute(Value value) {
  Emit &e = kernel.e;
  if (Value array = kernel.rowArrays.lookup(value)) {
    if (Value row = getBlockRow()) {
      return e.load(array, row);
    }
  }
  Operation *op = value.getDefiningOp();
  if (!op || isa<SweepOp, ReducerOpInterface>(op) ||
      isa<VectorType>(value.getType())) {
    return kernel.unsupported(value, value.getType());
  }
  if (auto at = dyn_cast<AtOp>(op)) {
    return e.load(get(at.getSource()), get(at.getIndices()));
  }
  if (auto guard = dyn_cast<GuardOp>(op)) {
    return emitGuard(e, get(guard.getValue()));
  }
  if (auto dot = dyn_cast<DotOp>(op)) {
    return computeDot(dot);
  }
  if (auto dot = dyn_cast<DotWithOp>(op)) {
    return computeDotWith(dot);
  }
  if (auto listed = dyn_cast<ListedOp>(op)) {
    return computeListed(listed);
  }
  if (auto inner = dyn_cast<InnerOp>(op)) {
    return computeInner(inner);
  }
  if (auto range = dyn_cast<RangeOp>(op)) {
    computeRange(range);
    return known.lookup(value);
  }
  if (auto reduction = dyn_cast<vector::ReductionOp>(op)) {
    return computeReduction(reduction);
  }
  if (auto extract = dyn_cast<vector::ExtractOp>(op);
      extract && !extract.hasDynamicPosition()) {
    RowChunk chunk(*this, e.index(extract.getStaticPosition().front()), 1);
    return vector::ExtractOp::create(e, chunk.get(extract.getSource()),
                                     ArrayRef<int64_t>{0});
  }
  bool rows = llvm::any_of(op->getOperandTypes(), llvm::IsaPred<VectorType>);
  bool ours = isa<AttnDialect>(op->getDialect()) &&
              !op->hasTrait<OpTrait::ConstantLike>();
  if (rows || ours || !isMemoryEffectFree(op)) {
    return kernel.unsupported(value, value.getType());
  }
  IRMapping mapping;
  SetVector<Value> used(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), used);
  for (Value operand : used) {
    mapping.map(operand, get(operand));
  }
  Operation *copy = e.clone(*op, mapping);
  for (auto [from, to] : llvm::zip(op->getResults(), copy->getResults())) {
    known[from] = to;
  }
  return known.lookup(value);
}

//===----------------------------------------------------------------------===//
// Reductions over features
//===----------------------------------------------------------------------===//

static int64_t getLastExtent(Value buffer) {
  return cast<ShapedType>(buffer.getType()).getShape().back();
}

Value cpu::emitSum(Emit &e, Value vector, Value start) {
  auto flags = isa<FloatType>(start.getType()) ? arith::FastMathFlags::reassoc
                                               : arith::FastMathFlags::none;
  return vector::ReductionOp::create(e, vector::CombiningKind::ADD, vector,
                                     start, flags);
}

/// To tell zeros apart, arith.maximumf takes twice as many instructions.
Value cpu::emitExtremum(Emit &e, Value a, Value b, bool max) {
  using P = arith::CmpFPredicate;
  Value better = arith::CmpFOp::create(e, max ? P::OGT : P::OLT, a, b);
  Value isNaN = arith::CmpFOp::create(e, P::UNO, a, a);
  return e.select(isNaN, a, e.select(better, a, b));
}

/// Halves against each other: LLVM would go through the last four lanes one
/// after the other.
Value cpu::reduceExtremum(Emit &e, Value vector, Value start, bool max) {
  auto join = [&](Value a, Value b) { return emitExtremum(e, a, b, max); };
  constexpr int64_t kLeast = 4; // lanes of the smallest registers
  int64_t lanes = cast<VectorType>(vector.getType()).getDimSize(0);
  vector = join(vector, e.broadcast(start, lanes));
  for (; lanes > kLeast; lanes /= 2) {
    auto half = [&](int64_t from) {
      return vector::ExtractStridedSliceOp::create(
          e, vector, ArrayRef<int64_t>{from}, ArrayRef<int64_t>{lanes / 2},
          ArrayRef<int64_t>{1});
    };
    vector = join(half(0), half(lanes / 2));
  }
  for (int64_t distance = lanes / 2; distance; distance /= 2) {
    SmallVector<int64_t> other;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      other.push_back(lane ^ distance);
    }
    vector = join(vector, vector::ShuffleOp::create(e, vector, vector, other));
  }
  return vector::ExtractOp::create(e, vector, 0);
}

Value Scope::computeDot(DotOp op) {
  Emit &e = kernel.e;
  Type type = op.getResult().getType();
  Value lhs = get(op.getLhs()), rhs = get(op.getRhs());
  SmallVector<Value> i = get(op.getLhsIndices()), k = get(op.getRhsIndices());
  return foldChunks(
      e, getLastExtent(op.getLhs()), kernel.lanes, e.constant(type, 0),
      [&](Value first, int64_t width, Value sum) -> Value {
        RowChunk chunk(*this, first, width);
        Location loc = e.getLoc();
        Value product = createProduct(
            e, loc, convertOperand(e, loc, chunk.load(lhs, i), type),
            convertOperand(e, loc, chunk.load(rhs, k), type));
        return emitSum(e, product, sum);
      });
}

Value Scope::computeInner(InnerOp op) {
  Emit &e = kernel.e;
  Type type = op.getResult().getType();
  prepareRow(op.getLhs());
  prepareRow(op.getRhs());
  return foldChunks(
      e, op.getLhs().getType().getNumElements(), kernel.lanes,
      e.constant(type, 0), [&](Value first, int64_t width, Value sum) -> Value {
        RowChunk chunk(*this, first, width);
        Location loc = e.getLoc();
        Value product = createProduct(
            e, loc, convertOperand(e, loc, chunk.get(op.getLhs()), type),
            convertOperand(e, loc, chunk.get(op.getRhs()), type));
        return emitSum(e, product, sum);
      });
}

Value Scope::computeDotWith(DotWithOp op) {
  Emit &e = kernel.e;
  Type type = op.getResult().getType();
  Value lhs = get(op.getLhs()), rhs = get(op.getRhs());
  SmallVector<Value> i = get(op.getLhsIndices()), k = get(op.getRhsIndices());
  Value init = op.getKind() == FeatureReduceKind::Sum
                   ? e.constant(type, 0)
                   : e.infinity(type, op.getKind() == FeatureReduceKind::Max);
  i.push_back({});
  k.push_back({});
  SmallVector<Value> result =
      e.loop(e.index(0), e.index(getLastExtent(op.getLhs())), 1, init,
             [&](Value d, ValueRange carried) -> SmallVector<Value> {
               i.back() = k.back() = d;
               Value a = e.convertFloat(e.load(lhs, i), type);
               Value b = e.convertFloat(e.load(rhs, k), type);
               Scope inner(this);
               Value term = inlineRegion(e, op.getBody(), {a, b, d}, inner, 0);
               switch (op.getKind()) {
               case FeatureReduceKind::Sum:
                 return {arith::AddFOp::create(e, carried[0], term)};
               case FeatureReduceKind::Max:
                 return {arith::MaximumFOp::create(e, carried[0], term)};
               case FeatureReduceKind::Min:
                 return {arith::MinimumFOp::create(e, carried[0], term)};
               }
               llvm_unreachable("all kinds handled");
             });
  return result[0];
}

/// Lanes first, then the lanes among each other.
Value Scope::computeReduction(vector::ReductionOp op) {
  Emit &e = kernel.e;
  int64_t extent = op.getSourceVectorType().getNumElements();
  int64_t lanes = std::min(extent, kernel.lanes),
          whole = extent / lanes * lanes;
  auto flags = op.getFastmath() | arith::FastMathFlags::reassoc;
  auto reduce = [&](Value row, Value start) -> Value {
    return start
               ? vector::ReductionOp::create(e, op.getKind(), row, start, flags)
               : vector::ReductionOp::create(e, op.getKind(), row, flags);
  };
  prepareRow(op.getVector());
  // The first features start the reduction, whatever its neutral element.
  Value first = RowChunk(*this, e.index(0), lanes).get(op.getVector());
  Value joined =
      e.loop(e.index(lanes), e.index(whole), lanes, first,
             [&](Value d, ValueRange so) -> SmallVector<Value> {
               Value x = RowChunk(*this, d, lanes).get(op.getVector());
               return {vector::makeArithReduction(e, e.getLoc(), op.getKind(),
                                                  x, so[0])};
             })[0];
  Value result = reduce(joined, op.getAcc() ? get(op.getAcc()) : Value());
  if (whole < extent) {
    RowChunk rest(*this, e.index(whole), extent - whole);
    result = reduce(rest.get(op.getVector()), result);
  }
  return result;
}

/// Asks the map of the list's blocks or, outside of a sweep, the list itself.
Value Scope::computeListed(ListedOp op) {
  Emit &e = kernel.e;
  Value block = e.div(get(op.getKey()), op.getKeyBlock());
  if (Value map = kernel.listMaps.lookup(op)) {
    return arith::TruncIOp::create(e, e.getI1Type(), e.load(map, block));
  }
  ListReader list(*this, op);
  return e.loop(e.index(0), list.getExtent(), 1, e.truth(false),
                [&](Value l, ValueRange so) -> SmallVector<Value> {
                  Run run = list.get(l);
                  Value hit =
                      e.both(arith::CmpIOp::create(e, arith::CmpIPredicate::sle,
                                                   run.first, block),
                             e.less(block, run.end));
                  return {arith::OrIOp::create(e, so[0], hit)};
                })[0];
}

void Scope::computeRange(RangeOp op) {
  Emit &e = kernel.e;
  Value source = get(op.getSource());
  SmallVector<Value> indices = get(op.getIndices());
  auto rank = cast<MemRefType>(source.getType()).getRank();
  Value end = memref::DimOp::create(e, source, rank - 1);
  Value last = e.sub(end, 1), zero = e.index(0);
  Value from = e.max(zero, e.min(get(op.getFirst()), last));
  Value to = e.max(zero, e.min(get(op.getLast()), last));
  // An empty source gives the extremes of nothing, and is not read.
  Type type = op.getMin().getType();
  unsigned bits = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  auto extreme = [&](const APInt &value) -> Value {
    return arith::ConstantOp::create(e, IntegerAttr::get(type, value));
  };
  SmallVector<Value> start{extreme(APInt::getSignedMaxValue(bits)),
                           extreme(APInt::getSignedMinValue(bits))};
  // Whole vectors, then what is left.
  int64_t lanes = kernel.lanes;
  end = e.min(e.add(to, 1), end);
  Value count = e.max(e.sub(end, from), zero);
  Value middle = e.add(from, e.roundDown(count, lanes));
  auto scan = [&](Value lower, Value upper, int64_t width, ValueRange init) {
    return e.loop(lower, upper, width, init,
                  [&](Value k, ValueRange seen) -> SmallVector<Value> {
                    SmallVector<Value> full(indices);
                    full.push_back(k);
                    Value x = width == 1 ? e.load(source, full)
                                         : e.loadVector(source, full, width);
                    return {e.min(seen[0], x), e.max(seen[1], x)};
                  });
  };
  SmallVector<Value> wide =
      scan(from, middle, lanes,
           {e.broadcast(start[0], lanes), e.broadcast(start[1], lanes)});
  SmallVector<Value> result = scan(
      middle, end, 1,
      {vector::ReductionOp::create(e, vector::CombiningKind::MINSI, wide[0]),
       vector::ReductionOp::create(e, vector::CombiningKind::MAXSI, wide[1])});
  known[op.getMin()] = result[0];
  known[op.getMax()] = result[1];
}
