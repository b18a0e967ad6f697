//===- Entries.cpp - ops on the entries of one place ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Maps, masks, fills, axes, and normalizers: the named one, and those that
// programs write with reductions and maps.
//
//===----------------------------------------------------------------------===//

#include "Axes.h"
#include "Families.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

static void drawAxis(Program &p, Matrix &matrix, bool isQuery,
                     double probability, AxisInfo &info) {
  DimRef length = isQuery ? matrix.queries : matrix.keys;
  Matrix::AxisFacts &facts = matrix.axes[isQuery ? 0 : 1];
  if (length->isSum) {
    return;
  }
  std::string prefix = isQuery ? "query_" : "key_";
  auto headsOrOne = [&] {
    DimRef dim = p.chance(0.8) ? p.constant(1) : matrix.heads;
    facts.perHead |= dim->size != 1;
    return dim;
  };
  if (p.chance(probability)) {
    facts.origin = true;
    switch (p.below(3)) {
    case 0:
      info.positions = p.integers(prefix + "positions",
                                  {p.orOne(matrix.batch), headsOrOne(), length},
                                  p.choose({"positions(1)", "positions(3)"}))
                           .value;
      break;
    case 1:
      info.offset = p.scalar(prefix + "offset", p.below(20));
      break;
    default:
      info.offset =
          p.integers(prefix + "offset", {p.orOne(matrix.batch)}, "range(0, 20)")
              .value;
    }
  }
  if (p.chance(probability)) {
    info.length =
        p.integers(prefix + "length", {p.orOne(matrix.batch), headsOrOne()},
                   "lengths(" + std::to_string(length->size) + ")")
            .value;
  }
}

AxisOperands smith::drawAxisOperands(Program &p, Matrix &matrix,
                                     double probability) {
  AxisOperands operands;
  drawAxis(p, matrix, true, probability, operands.query);
  drawAxis(p, matrix, false, probability, operands.key);
  if (p.chance(probability) && !matrix.queries->isSum &&
      !matrix.keys->isSum) { // segments serve both axes or none
    Tensor query =
        p.integers("query_segments", {p.orOne(matrix.batch), matrix.queries},
                   "segments(3)");
    bool isShared = matrix.queries == matrix.keys && p.chance(0.7);
    Tensor key = isShared ? query
                          : p.integers("key_segments",
                                       {p.orOne(matrix.batch), matrix.keys},
                                       "segments(3)");
    operands.query.segments = query.value;
    operands.key.segments = key.value;
    matrix.axes[0].segments = matrix.axes[1].segments = true;
  }
  return operands;
}

bool smith::drawAxes(Program &p) {
  Matrix m = p.pickMatrix();
  AxisOperands axes = drawAxisOperands(p, m, 0.5);
  m.value = WithAxesOp::create(
      p.e, m.value, axes.query.positions, axes.query.offset, axes.query.length,
      axes.query.segments, axes.key.positions, axes.key.offset, axes.key.length,
      axes.key.segments);
  p.add(std::move(m));
  return true;
}

//===----------------------------------------------------------------------===//
// Maps and masks
//===----------------------------------------------------------------------===//

bool smith::drawMap(Program &p) {
  Matrix shape;
  SmallVector<Matrix> inputs = p.pickCompatible(3, shape);
  SmallVector<Value> values;
  for (const Matrix &input : inputs) {
    values.push_back(input.value);
  }
  auto op = MapOp::create(p.e, p.scoresType(shape), values, ValueRange());
  Site site = p.enter(op.getBody(), inputs, shape);
  Term x = p.expression(site, p.accumulation, 1 + p.below(3));
  p.yield(x.value);
  p.add(shape, op.getResult(), x.bound, x.exact);
  return true;
}

bool smith::drawPredicate(Program &p) {
  Matrix m = p.pickMatrix();
  auto op = MaskOp::create(p.e, m.getType(), m.value, Value(), Attribute());
  Site site = p.enter(op.getBody(), {m}, m);
  p.yield(p.predicate(site));
  p.add(m, op.getResult(), m.bound, m.exact);
  return true;
}

/// A neighbourhood on a grid that holds all positions.
static Attribute drawNeighborhood(Program &p, const Matrix &m) {
  int64_t tokens = std::max<int64_t>({m.queries->size, m.keys->size, 1}) + 64;
  int64_t axes = 1 + p.below(3);
  SmallVector<int64_t> shape, window, dilation, causal;
  for (int64_t a = 0; a < axes; ++a) {
    bool isFirst = a == 0;
    shape.push_back(isFirst ? 0 : p.choose<int64_t>({4, 7, 8}));
  }
  int64_t inner = 1;
  for (int64_t extent : ArrayRef(shape).drop_front()) {
    inner *= extent;
  }
  shape[0] = (tokens + inner - 1) / inner;
  bool isDilated = p.chance(0.3), isCausal = p.chance(0.3);
  for (int64_t extent : shape) {
    int64_t d = isDilated ? 1 + p.below(2) : 1;
    d = std::min(d, extent);
    dilation.push_back(d);
    window.push_back(1 + p.below(std::min<int64_t>(extent / d, 9)));
    causal.push_back(p.below(2));
  }
  return NeighborhoodMaskAttr::get(
      p.e.getContext(), shape, window,
      isDilated ? ArrayRef<int64_t>(dilation) : ArrayRef<int64_t>(),
      isCausal ? ArrayRef<int64_t>(causal) : ArrayRef<int64_t>());
}

bool smith::drawNamedMask(Program &p) {
  bool isDocument = p.chance(0.2);
  const Matrix *found = p.findMatrix([&](const Matrix &m) {
    return isDocument ? m.hasSegments() : m.isComparable();
  });
  if (!found) {
    return false;
  }
  const Matrix m = *found;
  MLIRContext *context = p.e.getContext();
  Attribute kind;
  Value prefix;
  if (isDocument) {
    kind = DocumentMaskAttr::get(context);
  } else {
    switch (p.below(7)) {
    case 0:
    case 1:
      kind = CausalMaskAttr::get(context);
      break;
    case 2:
      kind = WindowMaskAttr::get(context, p.choose<int64_t>({0, 3, 17, 40}),
                                 p.choose<int64_t>({0, 0, 2, 9}));
      break;
    case 3:
      kind = PrefixMaskAttr::get(context);
      prefix = p.integers("prefix", {p.orOne(m.batch)}, "range(0, 20)").value;
      break;
    case 4:
      kind = DilatedMaskAttr::get(context, p.choose<int64_t>({1, 4, 9}),
                                  p.choose<int64_t>({1, 2, 5}));
      break;
    case 5:
      kind = ChunkedMaskAttr::get(context, p.choose<int64_t>({1, 8, 30}));
      break;
    default:
      kind = drawNeighborhood(p, m);
    }
  }
  Value masked = MaskOp::create(p.e, m.getType(), m.value, prefix, kind);
  p.add(m, masked, m.bound, m.exact);
  return true;
}

bool smith::drawFill(Program &p) {
  const Matrix m = p.pickMatrix();
  double value = p.choose({0.0, 0.0, -1.0, 0.5});
  Value filled = FillOp::create(p.e, m.value, p.e.getF64FloatAttr(value));
  p.add(m, filled, std::max(m.bound, 1.0), m.exact);
  return true;
}

//===----------------------------------------------------------------------===//
// Normalizers
//===----------------------------------------------------------------------===//

bool smith::drawSoftmax(Program &p) {
  const Matrix m = p.pickMatrix();
  Value temperature, sink;
  if (p.chance(0.15)) {
    temperature =
        p.argument("temperature",
                   {p.orOne(m.batch), p.orOne(m.heads),
                    p.orOne(m.queries->isSum ? p.constant(1) : m.queries)},
                   p.accumulation, "uniform(0.5, 2)")
            .value;
  }
  if (p.chance(0.2)) {
    sink = p.numbers("sink", {p.orOne(m.heads)}, p.accumulation).value;
  }
  double scale = p.choose({1.0, 1.0, 1.0, 0.5, 0.125, -1.0});
  double base = p.choose({0.0, 0.0, 0.0, 2.0, 10.0, 0.5});
  UnitAttr plusOne = p.chance(0.15) ? p.e.getUnitAttr() : UnitAttr();
  Value weights = SoftmaxOp::create(p.e, m.value, temperature, sink,
                                    p.e.getF64FloatAttr(scale),
                                    p.e.getF64FloatAttr(base), plusOne);
  p.add(m, weights, 1.0, false);
  return true;
}

/// A reduction over one axis, [B, H, L].
static Tensor reduceMatrix(Program &p, const Matrix &m, ReduceKind kind,
                           Axis axis) {
  Tensor result;
  result.shape = {m.batch, m.heads, axis == Axis::Keys ? m.queries : m.keys};
  auto op = ReduceOp::create(p.e, p.tensorType(result.shape, p.accumulation),
                             kind, axis, m.value);
  result.value = op.getResult(0);
  return result;
}

/// `f(x, r)` with r read from a vector over one of the axes.
static Value mapWith(Program &p, const Matrix &m, const Tensor &vector,
                     Axis axis,
                     llvm::function_ref<Value(Emit &, Value, Value)> f) {
  auto op = MapOp::create(p.e, p.scoresType(m), m.value, ValueRange());
  Site site = p.enter(op.getBody(), {m}, m);
  Value r = tensor::ExtractOp::create(
      p.e, vector.value,
      ValueRange{site.b, site.h, axis == Axis::Keys ? site.i : site.j});
  p.yield(f(p.e, site.elements[0].value, r));
  return op.getResult();
}

bool smith::drawNormalizer(Program &p) {
  const Matrix m = p.pickMatrix();
  Axis axis = p.chance(0.7) ? Axis::Keys : Axis::Queries;
  auto sub = [](Emit &e, Value x, Value r) -> Value {
    return arith::SubFOp::create(e, x, r);
  };
  switch (p.below(5)) {
  case 0: { // less the mean
    Tensor mean = reduceMatrix(p, m, ReduceKind::Mean, axis);
    p.add(m, mapWith(p, m, mean, axis, sub), 2.0 * m.bound, false);
    return true;
  }
  case 1: { // the logarithm of a softmax
    Tensor lse = reduceMatrix(p, m, ReduceKind::Lse, axis);
    p.add(m, mapWith(p, m, lse, axis, sub), 2.0 * m.bound + 5.0, false);
    return true;
  }
  case 2: { // exponentials relative to the maximum, over their sum
    Tensor max = reduceMatrix(p, m, ReduceKind::Max, axis);
    Value exps = mapWith(p, m, max, axis, [](Emit &e, Value x, Value r) {
      Value y = arith::SubFOp::create(e, x, r);
      return Value(math::ExpOp::create(e, y));
    });
    Matrix powers = m;
    powers.value = exps;
    Tensor sum = reduceMatrix(p, powers, ReduceKind::Sum, axis);
    Value p1 = mapWith(p, powers, sum, axis, [](Emit &e, Value x, Value r) {
      return Value(arith::DivFOp::create(e, x, r));
    });
    p.add(m, p1, 1.0, false);
    return true;
  }
  case 3: { // magnitudes over 1 and their sum
    auto op = MapOp::create(p.e, p.scoresType(m), m.value, ValueRange());
    Site site = p.enter(op.getBody(), {m}, m);
    p.yield(Value(math::AbsFOp::create(p.e, site.elements[0].value)));
    Matrix sizes = m;
    sizes.value = op.getResult();
    Tensor sum = reduceMatrix(p, sizes, ReduceKind::Sum, axis);
    Value p1 = mapWith(p, m, sum, axis, [](Emit &e, Value x, Value r) {
      Value one = e.constant(x.getType(), 1.0);
      Value above = arith::AddFOp::create(e, r, one);
      return Value(arith::DivFOp::create(e, x, above));
    });
    p.add(m, p1, 1.0, false);
    return true;
  }
  default: { // by mean and variance
    SmallVector<DimRef> shape{m.batch, m.heads,
                              axis == Axis::Keys ? m.queries : m.keys};
    Type type = p.tensorType(shape, p.accumulation);
    auto moments = ReduceOp::create(p.e, TypeRange{type, type},
                                    ReduceKind::Moments, axis, m.value);
    auto op = MapOp::create(p.e, p.scoresType(m), m.value, ValueRange());
    Site site = p.enter(op.getBody(), {m}, m);
    Value place = axis == Axis::Keys ? site.i : site.j;
    auto read = [&](unsigned k) {
      return tensor::ExtractOp::create(p.e, moments.getResult(k),
                                       ValueRange{site.b, site.h, place});
    };
    Value centred = arith::SubFOp::create(p.e, site.elements[0].value, read(0));
    Value above = arith::AddFOp::create(
        p.e, read(1), p.e.constant(p.accumulation, p.choose({0.125, 1.0})));
    p.yield(Value(arith::MulFOp::create(p.e, centred,
                                        math::RsqrtOp::create(p.e, above))));
    p.add(m, op.getResult(), 4.0, false);
    return true;
  }
  }
}
