//===- Control.cpp - loops and branches around attention ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors are carried, scores are not; those of outside may be used inside.
//
//===----------------------------------------------------------------------===//

#include "Families.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::smith;

/// One attention layer on queries `x` [B, H, M, D], of the type of `x`.
static Value drawLayer(Program &p, const Tensor &x) {
  size_t matrices = p.matrices.size(), tensors = p.tensors.size();
  bool wasNested = std::exchange(p.isNested, true);
  Matrix m;
  m.batch = x.shape[0];
  m.heads = x.shape[1];
  m.queries = x.shape[2];
  m.keys = p.keys;
  DimRef groups = p.chance(0.5) ? m.heads : p.constant(1);
  Tensor k = drawOperand(
      p, {"k", m.batch, groups, m.keys, x.shape[3], x.getElement()});
  double width = static_cast<double>(x.shape[3]->size);
  m.value = ScoreOp::create(p.e, p.scoresType(m), x.value, k.value, Value(),
                            Value(), Value(), Value(), Value(), Value(),
                            Value(), Value(), Value(), Value(), APFloat(0.25));
  m.bound = 0.25 * x.bound * k.bound * std::sqrt(width);
  p.add(m);
  for (int64_t count = p.below(3); count > 0; --count) {
    drawOne(p, Stage::Step);
  }
  const Matrix *last = p.findMatrix([&](const Matrix &other) {
    return other.batch == m.batch && other.heads == m.heads &&
           other.queries == m.queries && other.keys == m.keys;
  });
  Value weights = SoftmaxOp::create(p.e, last->value, Value(), Value(),
                                    p.e.getF64FloatAttr(1.0),
                                    p.e.getF64FloatAttr(0.0), UnitAttr());
  Tensor v = drawOperand(
      p, {"v", m.batch, groups, m.keys, x.shape[3], x.getElement()});
  Value result = AggregateOp::create(p.e, x.value.getType(), weights, v.value,
                                     ValueRange(), ValueRange(), {false},
                                     {false}, TypeAttr());
  // What was made inside is not seen outside.
  p.matrices.resize(matrices);
  p.tensors.resize(tensors);
  p.isNested = wasNested;
  return result;
}

static Tensor drawStart(Program &p) {
  return drawOperand(p,
                     {"x", p.batch, p.heads, p.queries, p.features, p.element});
}

bool smith::drawLoop(Program &p) {
  if (p.isNested) {
    return false;
  }
  Tensor start = drawStart(p);
  Value rounds = p.chance(0.5) ? p.e.index(1 + p.below(3))
                               : p.scalar("rounds", p.below(3));
  auto loop = scf::ForOp::create(p.e, p.e.index(0), rounds, p.e.index(1),
                                 ValueRange{start.value});
  {
    OpBuilder::InsertionGuard guard(p.e);
    p.e.setInsertionPointToStart(loop.getBody());
    Tensor x = start;
    x.value = loop.getRegionIterArg(0);
    x.bound = std::max(x.bound, 4.0);
    x.exact = false;
    Value next = drawLayer(p, x);
    scf::YieldOp::create(p.e, next);
  }
  Tensor result = start;
  result.value = loop.getResult(0);
  result.bound = std::max(result.bound, 12.0);
  result.exact = false;
  p.addResult(std::move(result));
  return true;
}

bool smith::drawBranch(Program &p) {
  if (p.isNested) {
    return false;
  }
  Tensor start = drawStart(p);
  Value flag = p.scalar("flag", p.below(2));
  Value isSet = p.e.equal(flag, p.e.index(1));
  auto branch = scf::IfOp::create(p.e, TypeRange{start.value.getType()}, isSet,
                                  /*withElseRegion=*/true);
  bool hasBoth = p.chance(0.5);
  for (Region *region : {&branch.getThenRegion(), &branch.getElseRegion()}) {
    OpBuilder::InsertionGuard guard(p.e);
    p.e.setInsertionPointToStart(&region->front());
    bool isLayer = region == &branch.getThenRegion() || hasBoth;
    Value value = isLayer ? drawLayer(p, start) : start.value;
    scf::YieldOp::create(p.e, value);
  }
  Tensor result = start;
  result.value = branch.getResult(0);
  result.bound = std::max(result.bound, 12.0);
  result.exact = false;
  p.addResult(std::move(result));
  return true;
}
