//===- ResolveScores.cpp - score matrices confined to one block -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A score matrix is an expression, not data: no call can pass it, no loop can
// carry it and no branch can choose it at run time. Users write helper
// functions, small loops and conditions all the same, so this pass takes them
// apart first: private callees are inlined, branches on scores become a choice
// per entry, short loops are unrolled, and an expression is copied into the
// block that uses it (nothing is stored, so the copy costs nothing). What
// remains is an error.
//
//   %r = arith.select %c, %x, %y : !attn.scores<...>
// becomes
//   %v = attn.map (attn.fill %x, 0), (attn.fill %y, 0): %c ? x : y
//   %k = attn.mask (attn.map 1 where %x is, 0 else; likewise %y; %c ? : ): k >
//   0 %r = attn.map %v, %k: v
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::attn {
#define GEN_PASS_DEF_RESOLVESCORESPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

static bool anyScores(TypeRange types) {
  return llvm::any_of(types, [](Type type) { return isa<ScoresType>(type); });
}

static bool passesScores(func::FuncOp func) {
  return anyScores(func.getArgumentTypes()) || anyScores(func.getResultTypes());
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Copies the block of `block`, with `args` for its arguments, to the builder;
/// returns what its terminator gives.
static SmallVector<Value> cloneBlock(OpBuilder &b, Block &block,
                                     ValueRange args) {
  IRMapping mapping;
  mapping.map(block.getArguments(), args);
  for (Operation &op : block.without_terminator()) {
    b.clone(op, mapping);
  }
  SmallVector<Value> results;
  for (Value value : block.getTerminator()->getOperands()) {
    results.push_back(mapping.lookupOrDefault(value));
  }
  return results;
}

/// Inlines the calls in `func` that pass scores, callees first. `active` is the
/// chain of callers: a call back into it is recursion and stays.
static bool inlineCalls(func::FuncOp func, SymbolTableCollection &symbols,
                        SmallVector<func::FuncOp> &active) {
  SmallVector<func::CallOp> calls;
  func.walk([&](func::CallOp call) {
    if (anyScores(call.getOperandTypes()) || anyScores(call.getResultTypes())) {
      calls.push_back(call);
    }
  });
  bool changed = false;
  active.push_back(func);
  for (func::CallOp call : calls) {
    auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(
        call, call.getCalleeAttr());
    if (!callee || !callee.isPrivate() || llvm::is_contained(active, callee) ||
        !callee.getBody().hasOneBlock()) {
      continue;
    }
    inlineCalls(callee, symbols, active);
    OpBuilder b(call);
    call.replaceAllUsesWith(
        cloneBlock(b, callee.getBody().front(), call.getOperands()));
    call.erase();
    changed = true;
  }
  active.pop_back();
  return changed;
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

/// An scf.if on scores whose branches have no effects: both are evaluated, and
/// the condition chooses.
static bool hoistIf(scf::IfOp op) {
  if (!anyScores(op.getResultTypes())) {
    return false;
  }
  for (Block *block : {op.thenBlock(), op.elseBlock()}) {
    for (Operation &inner : block->without_terminator()) {
      if (!isPure(&inner)) {
        return false;
      }
    }
  }
  OpBuilder b(op);
  SmallVector<Value> results;
  for (auto [x, y] : llvm::zip_equal(op.thenYield().getOperands(),
                                     op.elseYield().getOperands())) {
    results.push_back(
        arith::SelectOp::create(b, op.getLoc(), op.getCondition(), x, y));
  }
  for (Block *block : {op.thenBlock(), op.elseBlock()}) {
    for (Operation &inner :
         llvm::make_early_inc_range(block->without_terminator())) {
      inner.moveBefore(results.front().getDefiningOp());
    }
  }
  op.replaceAllUsesWith(results);
  op.erase();
  return true;
}

namespace {
/// Builds what stands for an arith.select of scores.
///
/// A map is present where all of its operands are, so a map that chooses would
/// lose the entries that only one side has. Both sides are therefore filled
/// first; their values and their presence (as 1 and 0) are chosen apart, and a
/// last map joins the two.
struct ScoreSelect {
  OpBuilder b;
  Location loc;
  ScoresType type;
  Value condition;

  explicit ScoreSelect(arith::SelectOp op)
      : b(op), loc(op.getLoc()), type(cast<ScoresType>(op.getType())),
        condition(op.getCondition()) {}

  Value constant(double value) {
    return arith::ConstantOp::create(
        b, loc, b.getFloatAttr(type.getElementType(), value));
  }

  void entryRegion(Region &region, unsigned operands,
                   function_ref<Value(ValueRange)> body) {
    OpBuilder::InsertionGuard guard(b);
    SmallVector<Type> types(operands, type.getElementType());
    types.append(kNumEntryIndices, b.getIndexType());
    SmallVector<Location> locs(types.size(), loc);
    Block *block = b.createBlock(&region, {}, types, locs);
    YieldOp::create(b, loc, body(block->getArguments()));
  }

  Value map(ValueRange inputs, function_ref<Value(ValueRange)> body) {
    auto op = MapOp::create(b, loc, type, inputs, ValueRange());
    entryRegion(op.getBody(), inputs.size(), body);
    return op.getResult();
  }

  Value fill(Value input) {
    return FillOp::create(b, loc, type, input, b.getF64FloatAttr(0.0));
  }

  Value choose(Value x, Value y) {
    return map({x, y}, [&](ValueRange e) -> Value {
      return arith::SelectOp::create(b, loc, condition, e[0], e[1]);
    });
  }

  Value presence(Value x) {
    return fill(map(x, [&](ValueRange) { return constant(1.0); }));
  }

  Value build(Value x, Value y) {
    Value values = choose(fill(x), fill(y));
    Value bits = choose(presence(x), presence(y));
    auto kept = MaskOp::create(b, loc, type, bits, Value(), Attribute());
    entryRegion(kept.getBody(), 1, [&](ValueRange e) -> Value {
      return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, e[0],
                                   constant(0.0));
    });
    return map({values, kept.getResult()}, [](ValueRange e) { return e[0]; });
  }
};
} // namespace

/// Whether both matrices have the same positions, lengths and segments: a fill
/// and every later mask see those of one side only.
static bool haveSameAxes(Value x, Value y) {
  auto same = [&](bool isQuery) {
    AxisInfo a = getAxis(x, isQuery), b = getAxis(y, isQuery);
    return a.positions == b.positions && a.offset == b.offset &&
           a.length == b.length && a.segments == b.segments;
  };
  return hasKnownAxes(x) && hasKnownAxes(y) && same(true) && same(false);
}

static bool expandSelect(arith::SelectOp op) {
  Value x = op.getTrueValue(), y = op.getFalseValue();
  if (!isa<ScoresType>(op.getType()) || !haveSameAxes(x, y)) {
    return false;
  }
  op.replaceAllUsesWith(ScoreSelect(op).build(x, y));
  op.erase();
  return true;
}

//===----------------------------------------------------------------------===//
// Loops and nested blocks
//===----------------------------------------------------------------------===//

static bool unrollLoop(scf::ForOp op, int64_t maxIterations) {
  std::optional<APInt> trips = op.getStaticTripCount();
  if (!anyScores(op.getResultTypes()) || !trips ||
      trips->ugt(static_cast<uint64_t>(maxIterations))) {
    return false;
  }
  OpBuilder b(op);
  Location loc = op.getLoc();
  SmallVector<Value> carried(op.getInitArgs());
  Value iv = op.getLowerBound();
  for (uint64_t k = 0; k < trips->getZExtValue(); ++k) {
    SmallVector<Value> args{iv};
    llvm::append_range(args, carried);
    carried = cloneBlock(b, *op.getBody(), args);
    iv = b.createOrFold<arith::AddIOp>(loc, iv, op.getStep());
  }
  op.replaceAllUsesWith(carried);
  op.erase();
  return true;
}

namespace {
/// Copies expressions into the blocks of their users, one copy per block.
class Localizer {
public:
  explicit Localizer(func::FuncOp func) {
    SmallVector<Operation *> users;
    func.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (anyScores(op->getOperandTypes())) {
        users.push_back(op);
      }
    });
    for (Operation *op : users) {
      localize(op);
    }
  }

private:
  void localize(Operation *user) {
    for (OpOperand &operand : user->getOpOperands()) {
      Operation *def = operand.get().getDefiningOp();
      if (!isa_and_present<ScoresOpInterface>(def) ||
          def->getBlock() == user->getBlock()) {
        continue;
      }
      Operation *&copy = copies[{user->getBlock(), def}];
      if (!copy) {
        copy = OpBuilder(user).clone(*def);
        Operation *made = copy; // the recursion may move the map's entries
        localize(made);
        operand.set(made->getResult(0));
        continue;
      }
      operand.set(copy->getResult(0));
    }
  }

  DenseMap<std::pair<Block *, Operation *>, Operation *> copies;
};
} // namespace

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct ResolveScoresPass
    : attn::impl::ResolveScoresPassBase<ResolveScoresPass> {
  using Base::Base;

  /// One round over the ops of `func`, innermost first.
  bool simplify(func::FuncOp func) {
    SmallVector<Operation *> ops;
    func.walk([&](Operation *op) {
      if (isa<scf::IfOp, scf::ForOp, arith::SelectOp>(op)) {
        ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      // An unrolled loop takes the ops inside with it: look again.
      if (auto loop = dyn_cast<scf::ForOp>(op);
          loop && unrollLoop(loop, maxUnrolledIterations)) {
        return true;
      }
      if (auto branch = dyn_cast<scf::IfOp>(op); branch && hoistIf(branch)) {
        return true;
      }
      if (auto select = dyn_cast<arith::SelectOp>(op);
          select && expandSelect(select)) {
        return true;
      }
    }
    return false;
  }

  /// Why a rule above did not apply.
  std::string explain(Operation *op) const {
    if (isa<scf::ForOp>(op)) {
      return "the loop is not unrolled: its trip count is no constant of at "
             "most " +
             std::to_string(maxUnrolledIterations);
    }
    if (isa<scf::IfOp>(op)) {
      return "a branch has effects or may not be speculated, so the condition "
             "stays";
    }
    if (isa<func::CallOp>(op)) {
      return "the callee is not inlined: it is public, recursive, external or "
             "has several blocks";
    }
    if (isa<arith::SelectOp>(op)) {
      return "the two sides differ in positions, offsets, lengths or segments; "
             "use attn.with_axes after the selection";
    }
    return {};
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTableCollection symbols;
    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    for (func::FuncOp func : functions) {
      SmallVector<func::FuncOp> active;
      inlineCalls(func, symbols, active);
    }
    // Callees that passed scores and were inlined everywhere.
    bool erased = true;
    while (erased) {
      erased = false;
      for (func::FuncOp func :
           llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
        if (func.isPrivate() && passesScores(func) && !func.isExternal() &&
            SymbolTable::symbolKnownUseEmpty(func, module)) {
          func.erase();
          erased = true;
        }
      }
    }
    for (func::FuncOp func : module.getOps<func::FuncOp>()) {
      while (simplify(func)) {
      }
      Localizer{func};
      if (failed(verifyResolvedScores(
              func, [&](Operation *op) { return explain(op); }))) {
        signalPassFailure();
      }
    }
  }
};
} // namespace
