//===- FoldSingleKeys.cpp - sweeps over one key become row arithmetic -----===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A state that a program imports is one key of its own for every row, and so is
// a sink that is written as a segment. There is nothing to sweep over: every
// accumulator is its only entry, or what it starts with where that is absent.
//
//   %m, %l = attn.sweep %j = 0 to 1 {            %m = select %c, %x, -inf
//     %g = attn.running max %x if %c       ==>   %e = exp2(%x - guard(%m))
//     %e = exp2(%x - guard(%g))                  %l = select %c, %e, 0
//     %l = attn.carry sum %e if %c act(%g ..)
//     attn.yield %g, %l }
//
// The gauge of such an entry never moves, and no action is left.
//
//===----------------------------------------------------------------------===//

#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace mlir::attn {
#define GEN_PASS_DEF_FOLDSINGLEKEYSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// Whether `sweep` has no key but its first; `isThere` says that it has it.
static bool hasOneKey(SweepOp sweep, bool &isThere) {
  std::optional<int64_t> first = getConstantIntValue(sweep.getLower());
  Value upper = sweep.getUpper();
  auto isNext = [&](Value value) {
    return getConstantIntValue(value) == *first + 1;
  };
  if (!first) {
    return false;
  }
  isThere = isNext(upper);
  auto least = upper.getDefiningOp<arith::MinSIOp>();
  return isThere ||
         (least && (isNext(least.getLhs()) || isNext(least.getRhs())));
}

/// Whether an op can run for a row. Where the key may be missing, nothing is
/// read at it that may be missing, too.
static bool isFoldable(Operation &op, SweepOp sweep, bool isThere) {
  if (auto running = dyn_cast<RunningOp>(op)) {
    return running.getKind() == GaugeKind::Max;
  }
  if (isa<CarryOp, YieldOp>(op)) {
    return true;
  }
  if (auto at = dyn_cast<AtOp>(op)) {
    auto shape = cast<ShapedType>(at.getSource().getType()).getShape();
    int64_t key = *getConstantIntValue(sweep.getLower());
    return isThere ||
           llvm::all_of(llvm::enumerate(at.getIndices()), [&](auto x) {
             return isUniform(x.value(), sweep) ||
                    (x.value() == sweep.getKeyArg() && shape[x.index()] > key);
           });
  }
  // Products, lists and whatever has a region stay in the sweep.
  return isPure(&op) && op.getNumRegions() == 0 &&
         !isa<DotOp, InnerOp, ListedOp, BeforeOp>(op);
}

namespace {
class SingleKey {
public:
  SingleKey(SweepOp sweep, bool isThere)
      : sweep(sweep), isThere(isThere), b(sweep), loc(sweep.getLoc()) {}

  void fold();

private:
  /// `value` where the accumulator has its entry, else `nothing`.
  Value choose(Value cond, Value value, Value nothing);
  Value getTerm(CarryOp carry);

  SweepOp sweep;
  bool isThere;
  OpBuilder b;
  Location loc;
  IRMapping map;
  Value there; // whether the key is, where that is not known
};
} // namespace

Value SingleKey::choose(Value cond, Value value, Value nothing) {
  cond = cond ? map.lookupOrDefault(cond) : cond;
  if (there) {
    cond =
        cond ? arith::AndIOp::create(b, loc, there, cond).getResult() : there;
  }
  return cond
             ? arith::SelectOp::create(b, loc, cond, value, nothing).getResult()
             : value;
}

/// The only term of a carry.
Value SingleKey::getTerm(CarryOp carry) {
  Type type = carry.getType();
  switch (carry.getKind()) {
  case CarryKind::Count:
    return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(1));
  case CarryKind::Any:
    return arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    return arith::IndexCastOp::create(b, loc, type, sweep.getLower());
  default:
    break;
  }
  Value x = map.lookupOrDefault(carry.getValue());
  if (std::optional<Type> rounded = carry.getOperandType()) {
    x = convertFloat(b, loc, convertFloat(b, loc, x, *rounded), x.getType());
  }
  if (carry.getKind() != CarryKind::Outer) {
    return x;
  }
  Type element = getElementTypeOrSelf(type);
  Value row =
      convertFloat(b, loc, map.lookupOrDefault(carry.getRow()), element);
  x = vector::BroadcastOp::create(b, loc, type,
                                  convertFloat(b, loc, x, element));
  return arith::MulFOp::create(b, loc, x, row);
}

void SingleKey::fold() {
  map.map(sweep.getKeyArg(), sweep.getLower());
  if (!isThere) {
    there = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                  sweep.getLower(), sweep.getUpper());
  }
  for (Operation &op : sweep.getBody().front().without_terminator()) {
    if (auto running = dyn_cast<RunningOp>(op)) {
      Value x = map.lookupOrDefault(running.getValue());
      Value start = running.getInit();
      if (start) {
        x = arith::MaximumFOp::create(b, loc, start, x);
      } else {
        auto type = cast<FloatType>(x.getType());
        start = arith::ConstantOp::create(
            b, loc,
            FloatAttr::get(type, APFloat::getInf(type.getFloatSemantics(),
                                                 /*Negative=*/true)));
      }
      map.map(running.getResult(), choose(running.getCond(), x, start));
    } else if (auto carry = dyn_cast<CarryOp>(op)) {
      map.map(carry.getResult(), choose(carry.getCond(), getTerm(carry),
                                        emptyValue(b, loc, carry)));
    } else {
      b.clone(op, map);
    }
  }
  for (auto [result, value] :
       llvm::zip(sweep.getResults(), sweep.getYield().getValues())) {
    result.replaceAllUsesWith(map.lookupOrDefault(value));
  }
  sweep.erase();
}

namespace {
struct FoldSingleKeysPass
    : attn::impl::FoldSingleKeysPassBase<FoldSingleKeysPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<SweepOp> sweeps;
    getOperation().walk([&](SweepOp sweep) {
      if (isa<StreamOp>(sweep->getParentOp())) {
        sweeps.push_back(sweep);
      }
    });
    for (SweepOp sweep : sweeps) {
      bool isThere = false;
      if (hasOneKey(sweep, isThere) &&
          llvm::all_of(sweep.getBody().front(), [&](Operation &op) {
            return isFoldable(op, sweep, isThere);
          })) {
        SingleKey(sweep, isThere).fold();
      }
    }
  }
};
} // namespace
