//===- SweepFusion.h - fuses one sweep into an earlier one -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_SWEEPFUSION_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_SWEEPFUSION_H

#include "attn/Dialect/Attn/IR/GaugeTyping.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::attn {

/// A product of row values (some inverted) and a streamed value (null: 1).
struct Term {
  SmallVector<std::pair<Value, bool>> factors;
  bool negative = false;
  Value streamed;
};

/// Fuses `later` into `earlier`, two sweeps of one stream. Results of the
/// earlier sweep that the later one reads become gauges where they are maxima
/// or means; other results may only occur as factors, which are applied after
/// the sweep:
///
///   %m = sweep { max %f }                 %m, %l, %a = sweep {
///   %l = sweep { sum exp2(%f - %m) }        %g = running max %f
///   %o = sweep { outer exp2(%f - %m)/%l }   sum e act(%g by -1), outer e ... }
///                                    ==>  %o = %a * (1 / %l)
class SweepFusion {
public:
  SweepFusion(SweepOp earlier, SweepOp later, unsigned maxTerms)
      : earlier(earlier), later(later), maxTerms(maxTerms) {}

  /// Rewrites and returns the fused sweep, or leaves the stream as it was
  /// (up to code motion) and returns why not.
  FailureOr<SweepOp> run();
  StringRef getReason() const { return reason; }

private:
  /// One carry of the later sweep, taken apart.
  struct Plan {
    CarryOp carry;
    Value cond;                  // in the fused body
    SmallVector<Value> rowConds; // conditions on finished row values
    Value line;                  // row operand of outer
    SmallVector<Term> terms;
    SmallVector<Value> results; // accumulators, by term
    Value any;                  // flag that an entry was present
  };

  LogicalResult fail(const Twine &why);
  bool dependsOnEarlier(Value value);
  void hoistIndependent();
  void hoistAbove(Value value);
  bool isGaugeable(Value value);
  bool isFinished(Value value);
  FailureOr<Value> cloneIn(Value value);
  FailureOr<Value> gaugeValue(Value value);
  FailureOr<Value> gaugeOf(OpResult result, Value init);
  FailureOr<Value> startedMaximum(Value value);
  Value cloneNumbered(Operation &op, IRMapping &mapping, unsigned result);
  FailureOr<SmallVector<Term>> split(Value value);
  FailureOr<SmallVector<Term>> splitAtom(Value value);
  FailureOr<SmallVector<Term>> splitProduct(Value a, Value b, Operation *op);
  FailureOr<SmallVector<Term>> splitQuotient(arith::DivFOp op);
  LogicalResult plan(CarryOp carry);
  LogicalResult emit(Plan &plan, GaugeTyping &typing);
  FailureOr<Value> emitTerm(Plan &plan, Value streamed, GaugeTyping &typing);
  Value emitMoving(Plan &plan, Value value, const Movement &movement,
                   GaugeTyping &typing);
  Value combine(OpBuilder &builder, Plan &plan, SweepOp fused);
  SweepOp commit();
  LogicalResult fold(FoldOp op);
  void useGaugesForMaxima();

  SweepOp earlier, later, trial;
  unsigned maxTerms;
  OpBuilder body{static_cast<MLIRContext *>(nullptr)};
  IRMapping earlierToTrial;
  DenseMap<Value, Value> cloned, gauges;
  DenseMap<Value, bool> dependence, finished;
  SmallVector<Plan> plans;
  SmallVector<std::pair<FoldOp, FoldOp>> folds;
  std::string reason;
};

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_SWEEPFUSION_H
