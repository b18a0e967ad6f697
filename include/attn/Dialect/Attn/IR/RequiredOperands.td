//===- RequiredOperands.td - operands that no op lacks ------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_REQUIREDOPERANDS_TD
#define ATTN_DIALECT_ATTN_IR_REQUIREDOPERANDS_TD

include "mlir/IR/OpBase.td"

/// Beside AttrSizedOperandSegments: the segments, by their number, that always
/// have one operand.
class RequiredOperands<string segments>
    : ParamNativeOpTrait<"RequiredOperands", segments>, StructuralOpTrait {
  let cppNamespace = "::mlir::attn";
}

#endif // ATTN_DIALECT_ATTN_IR_REQUIREDOPERANDS_TD
