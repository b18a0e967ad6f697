//===- IndexEvaluator.h - integers of a plan, on the host -------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_RUNNER_INDEXEVALUATOR_H
#define ATTN_LIB_RUNNER_INDEXEVALUATOR_H

#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Runner/Array.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::attn {

/// Evaluates integer and index values of a function, given its operands, by
/// walking up their definitions. Nothing where an op is not understood.
class IndexEvaluator {
public:
  explicit IndexEvaluator(ArrayRef<Array> inputs) : inputs(inputs) {}

  /// Fixes a block argument.
  void bind(Value value, int64_t number) {
    bound[value] = number;
    known.clear();
  }

  std::optional<int64_t> evaluate(Value value);

private:
  std::optional<int64_t> compute(Value value);
  std::optional<int64_t> evaluateOp(Operation *op, unsigned result);
  std::optional<int64_t> evaluateExtent(Value tensor, int64_t axis);
  std::optional<int64_t> evaluateElement(Value tensor, ValueRange indices);
  std::optional<int64_t> rowOf(const Array &array, ValueRange indices);
  std::optional<int64_t> evaluateRange(RangeOp op, bool wantMaximum);
  std::optional<int64_t> evaluateListed(ListedOp op);
  /// The operand of the function that a tensor is, if it is one.
  const Array *findInput(Value tensor);
  const Array *findExpanded(tensor::ExpandShapeOp op);

  ArrayRef<Array> inputs;
  /// Operands in the shapes that programs give them.
  llvm::DenseMap<Operation *, std::unique_ptr<Array>> expanded;
  llvm::DenseMap<Value, int64_t> bound;
  /// What was evaluated since the last binding.
  llvm::DenseMap<Value, std::optional<int64_t>> known;
};

} // namespace mlir::attn

#endif // ATTN_LIB_RUNNER_INDEXEVALUATOR_H
