//===- RequiredOperands.h - operands that no op lacks -----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR checks how many operands the segments of an op have together, then reads
// the first one of each segment that always has one. In the generic form a
// program can give such a segment none, so that what is read is an operand of
// another segment, or none at all. This trait looks at the sizes first.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_REQUIREDOPERANDS_H
#define ATTN_DIALECT_ATTN_IR_REQUIREDOPERANDS_H

#include "mlir/IR/OpDefinition.h"

namespace mlir::attn {

/// Checks that these of the segments of `op` have one operand.
LogicalResult verifyRequiredOperands(Operation *op, ArrayRef<int32_t> sizes,
                                     ArrayRef<unsigned> required);

template <unsigned... segments> struct RequiredOperands {
  template <typename ConcreteType>
  class Impl : public OpTrait::TraitBase<ConcreteType, Impl> {
  public:
    static LogicalResult verifyTrait(Operation *op) {
      return verifyRequiredOperands(
          op, cast<ConcreteType>(op).getProperties().operandSegmentSizes,
          {segments...});
    }
  };
};

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_REQUIREDOPERANDS_H
