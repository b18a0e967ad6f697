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

/// `start`, as some rounds of layers leave it.
static Tensor roundsOf(const Tensor &start, Value value) {
  Tensor result = start;
  result.value = value;
  result.bound = std::max(result.bound, 12.0);
  result.exact = false;
  return result;
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
  p.addResult(roundsOf(start, loop.getResult(0)));
  return true;
}

bool smith::drawWhile(Program &p) {
  if (p.isNested) {
    return false;
  }
  Tensor start = drawStart(p);
  Value rounds = p.scalar("rounds", p.below(3));
  Type types[] = {p.e.getIndexType(), start.value.getType()};
  auto loop = scf::WhileOp::create(p.e, TypeRange(types),
                                   ValueRange{p.e.index(0), start.value});
  OpBuilder::InsertionGuard guard(p.e);
  Location locs[] = {p.e.getLoc(), p.e.getLoc()};
  Block *before = p.e.createBlock(&loop.getBefore(), {}, types, locs);
  Value goesOn = arith::CmpIOp::create(p.e, arith::CmpIPredicate::slt,
                                       before->getArgument(0), rounds);
  scf::ConditionOp::create(p.e, goesOn, before->getArguments());
  Block *after = p.e.createBlock(&loop.getAfter(), {}, types, locs);
  Tensor x = start;
  x.value = after->getArgument(1);
  x.bound = std::max(x.bound, 4.0);
  x.exact = false;
  Value next = drawLayer(p, x);
  Value count = arith::AddIOp::create(p.e, after->getArgument(0), p.e.index(1));
  scf::YieldOp::create(p.e, ValueRange{count, next});
  p.addResult(roundsOf(start, loop.getResult(1)));
  return true;
}

bool smith::drawCall(Program &p) {
  if (p.isNested) {
    return false;
  }
  Tensor x = drawStart(p);
  DimRef groups = p.chance(0.5) ? p.heads : p.constant(1);
  Tensor k =
      drawOperand(p, {"k", p.batch, groups, p.keys, p.features, p.element});
  Tensor v =
      drawOperand(p, {"v", p.batch, groups, p.keys, p.features, p.element});
  Type types[] = {x.value.getType(), k.value.getType(), v.value.getType()};
  func::FuncOp layer;
  {
    OpBuilder::InsertionGuard guard(p.e);
    p.e.setInsertionPointToStart(p.module->getBody());
    layer = func::FuncOp::create(
        p.e, "layer" + std::to_string(p.functions++),
        p.e.getFunctionType(types, TypeRange(types).take_front()));
    layer.setPrivate();
    p.e.setInsertionPointToStart(layer.addEntryBlock());
    Matrix m;
    m.batch = p.batch;
    m.heads = p.heads;
    m.queries = p.queries;
    m.keys = p.keys;
    Value s = ScoreOp::create(p.e, p.scoresType(m), layer.getArgument(0),
                              layer.getArgument(1), Value(), Value(), Value(),
                              Value(), Value(), Value(), Value(), Value(),
                              Value(), Value(), APFloat(0.25));
    if (p.chance(0.5)) {
      m.value = s;
      auto mask = MaskOp::create(p.e, m.getType(), s, Value(), Attribute());
      Site site = p.enter(mask.getBody(), {m}, m);
      p.yield(Value(arith::CmpIOp::create(p.e, arith::CmpIPredicate::sle,
                                          site.j, site.i)));
      s = mask.getResult();
    }
    s = SoftmaxOp::create(p.e, s, Value(), Value(), p.e.getF64FloatAttr(1.0),
                          p.e.getF64FloatAttr(0.0), UnitAttr());
    Value o = AggregateOp::create(p.e, types[0], s, layer.getArgument(2),
                                  ValueRange(), ValueRange(), {false}, {false},
                                  TypeAttr());
    func::ReturnOp::create(p.e, o);
  }
  Value value = x.value;
  for (int64_t rounds = 1 + p.below(2); rounds > 0; --rounds) {
    value =
        func::CallOp::create(p.e, layer, ValueRange{value, k.value, v.value})
            .getResult(0);
  }
  p.addResult(roundsOf(x, value));
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
  p.addResult(roundsOf(start, branch.getResult(0)));
  return true;
}
