//===- Tails.cpp - what programs do with tensors --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ordinary linalg and the selection kit, on results of attention and on
// arguments. What orders numbers works on exact ones.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/SelectionOps.h"

#include "Families.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

/// A known tensor of floats for which `fits` holds.
static const Tensor *findTensor(Program &p,
                                llvm::function_ref<bool(const Tensor &)> fits) {
  SmallVector<const Tensor *> found;
  for (const Tensor &tensor : p.tensors) {
    if (isa<FloatType>(tensor.getElement()) && tensor.bound < 1000.0 &&
        fits(tensor)) {
      found.push_back(&tensor);
    }
  }
  return found.empty() ? nullptr : p.chooseFrom(found);
}

static Tensor like(const Tensor &tensor, Value value, double bound) {
  Tensor result = tensor;
  result.value = value;
  result.bound = bound;
  result.exact = false;
  return result;
}

bool smith::drawLinalg(Program &p) {
  const Tensor *found = findTensor(p, [](const Tensor &) { return true; });
  if (!found) {
    return false;
  }
  const Tensor x = *found;
  Tensor y = p.numbers("other", x.shape, x.getElement());
  if (p.chance(0.4)) { // arithmetic on whole tensors
    Value sum = arith::AddFOp::create(p.e, x.value, y.value);
    if (p.chance(0.5)) {
      sum = math::TanhOp::create(p.e, sum);
    }
    p.addResult(like(x, sum, x.bound + y.bound));
    return true;
  }
  auto rank = static_cast<unsigned>(x.shape.size());
  MLIRContext *context = p.e.getContext();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(rank, context);
  bool isReduced = rank > 1 && p.chance(0.4);
  Tensor result = x;
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  AffineMap output = identity;
  if (isReduced) { // over the last dimension
    result.shape.pop_back();
    iterators.back() = utils::IteratorType::reduction;
    output = identity.dropResult(rank - 1);
  }
  Value init = p.filled(result.shape, x.getElement(), 0.0);
  Type type = x.getElement();
  auto body = [&](OpBuilder &builder, Location loc, ValueRange args) {
    Value product = arith::MulFOp::create(builder, loc, args[0], args[1]);
    Value value =
        isReduced ? Value(arith::AddFOp::create(builder, loc, args[2], product))
                  : Value(math::TanhOp::create(builder, loc, product));
    linalg::YieldOp::create(builder, loc, value);
  };
  // Sums in narrow floats are not what programs write.
  if (isReduced && type != p.accumulation) {
    return false;
  }
  result.value =
      linalg::GenericOp::create(
          p.e, init.getType(), ValueRange{x.value, y.value}, init,
          ArrayRef<AffineMap>{identity, identity, output}, iterators, body)
          .getResult(0);
  double length = isReduced ? static_cast<double>(x.shape.back()->size) : 1.0;
  p.addResult(
      like(result, result.value, isReduced ? x.bound * y.bound * length : 1.0));
  return true;
}

/// Exact numbers with at least one dimension.
static Tensor drawExact(Program &p) {
  if (const Tensor *found =
          findTensor(p, [](const Tensor &tensor) { return tensor.exact; })) {
    return *found;
  }
  SmallVector<DimRef> shape{p.batch, p.heads, p.keys};
  return p.argument("gate", shape, p.accumulation, "grid(0.25, 2)",
                    {2.0, true});
}

bool smith::drawSelection(Program &p) {
  Tensor x = drawExact(p);
  Type i64 = p.e.getI64Type();
  auto last = static_cast<uint64_t>(x.shape.size() - 1);
  if (p.chance(0.3)) {
    auto op =
        ArgSortOp::create(p.e, p.tensorType(x.shape, i64), x.value.getType(),
                          x.value, last, p.chance(0.5));
    llvm::append_range(p.results, op->getResults());
    return true;
  }
  DimRef best = p.constant(p.choose<int64_t>({1, 3, 8}));
  SmallVector<DimRef> rows(x.shape.begin(), x.shape.end() - 1), shape(rows);
  shape.push_back(best);
  Value k;
  if (p.chance(0.4)) {
    k = p.chance(0.5) ? p.scalar("k", p.below(6))
                      : p.integers("k", rows, "range(-1, 6)").value;
  }
  auto op = SelectTopKOp::create(
      p.e, p.tensorType(shape, x.getElement()), p.tensorType(shape, i64),
      p.tensorType(rows, i64),
      p.choose({SelectOrder::Largest, SelectOrder::Smallest}), x.value, k,
      Value(), Value(), Value(), DenseI64ArrayAttr(),
      p.choose({SortedBy::Value, SortedBy::Position}));
  Tensor values = x;
  values.value = op.getValues();
  values.shape = shape;
  p.addResult(values);
  p.results.push_back(op.getIndices());
  p.results.push_back(op.getCount());
  return true;
}

bool smith::drawGather(Program &p) {
  const Tensor *found = findTensor(
      p, [](const Tensor &tensor) { return tensor.shape.size() == 4; });
  if (!found) {
    return false;
  }
  const Tensor x = *found;
  DimRef count = p.dim("T");
  Tensor at = p.integers("at", {x.shape[0], x.shape[1], count},
                         "range(-1, " + std::to_string(x.shape[2]->size) + ")");
  if (x.shape[2]->isSum) {
    return false;
  }
  Tensor rows = x;
  rows.shape[2] = count;
  rows.value = GatherOp::create(p.e, p.tensorType(rows.shape, x.getElement()),
                                x.value, at.value, /*dim=*/2, /*batch=*/2,
                                /*along=*/false, TypedAttr());
  if (p.chance(0.5)) { // and back again
    Value init = p.filled(x.shape, x.getElement(), 0.0);
    auto kind =
        p.choose({ScatterKind::Sum, ScatterKind::Max, ScatterKind::Replace});
    Value scattered = ScatterReduceOp::create(
        p.e, init.getType(), ScatterKindAttr::get(p.e.getContext(), kind), init,
        at.value, rows.value, p.e.getI64IntegerAttr(2),
        p.e.getI64IntegerAttr(2));
    p.addResult(like(x, scattered,
                     x.bound * (kind == ScatterKind::Sum
                                    ? static_cast<double>(count->size + 1)
                                    : 1.0)));
    return true;
  }
  p.addResult(std::move(rows));
  return true;
}

bool smith::drawPrefix(Program &p) {
  const Tensor *found = findTensor(p, [&](const Tensor &tensor) {
    return tensor.getElement() == p.accumulation;
  });
  if (!found) {
    return false;
  }
  const Tensor x = *found;
  auto dim =
      static_cast<uint64_t>(p.below(static_cast<int64_t>(x.shape.size())));
  bool isSum = p.chance(0.6);
  double identity = isSum ? 0.0 : -std::numeric_limits<double>::infinity();
  Attribute start = p.e.getFloatAttr(p.accumulation, identity);
  bool isExclusive = p.chance(0.3);
  auto op =
      PrefixOp::create(p.e, TypeRange{x.value.getType()}, x.value, dim,
                       p.e.getArrayAttr(start), isExclusive, p.chance(0.3));
  OpBuilder::InsertionGuard guard(p.e);
  Block *block = p.e.createBlock(&op.getBody());
  Value a = block->addArgument(p.accumulation, p.e.getLoc());
  Value b = block->addArgument(p.accumulation, p.e.getLoc());
  YieldOp::create(p.e, isSum ? Value(arith::AddFOp::create(p.e, a, b))
                             : Value(arith::MaximumFOp::create(p.e, a, b)));
  p.results.push_back(op->getResult(0));
  return true;
}

bool smith::drawSolve(Program &p) {
  DimRef size = p.constant(p.choose<int64_t>({1, 4, 9}));
  DimRef columns = p.constant(p.choose<int64_t>({1, 5}));
  Type type = p.accumulation;
  if (p.chance(0.3)) {
    Tensor tall = p.argument(
        "tall", {p.batch, p.constant(size->size + 3), size}, type, "normal");
    auto op =
        QROp::create(p.e, tall.value.getType(),
                     p.tensorType({p.batch, size, size}, type), tall.value);
    llvm::append_range(p.results, op->getResults());
    return true;
  }
  Tensor matrix =
      p.argument("matrix", {p.batch, size, size}, type, "grid(0.25, 0.5)");
  Tensor rhs = p.argument("rhs", {p.batch, size, columns}, type, "normal");
  auto triangle = TriangleAttr::get(
      p.e.getContext(), p.choose({Triangle::Lower, Triangle::Upper}));
  // A unit diagonal keeps the solution moderate.
  Value solution =
      SolveOp::create(p.e, triangle, matrix.value, rhs.value, p.e.getUnitAttr(),
                      p.chance(0.5) ? p.e.getUnitAttr() : UnitAttr());
  p.results.push_back(solution);
  return true;
}
