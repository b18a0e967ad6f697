//===- ExactOps.td - what exact mode puts into programs ----*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_EXACTOPS_TD
#define ATTN_DIALECT_ATTN_IR_EXACTOPS_TD

include "attn/Dialect/Attn/IR/AttnOpBase.td"

def Attn_FloatNumber
    : Attr<CPred<"::llvm::isa<::mlir::FloatAttr>($_self)">, "a float"> {
  let storageType = "::mlir::FloatAttr";
  let returnType = "::mlir::FloatAttr";
  let convertFromStorage = "$_self";
}

def Attn_OpaqueOp : Op<Attn_Dialect, "opaque", [
    ConstantLike, Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "a float constant that folding does not look into";
  let description = [{
    A constant for every pass that moves or copies constants, and unknown to
    those that compute with them: `2.0 * 0.7` stays a product of two constants.
    Exact mode, which gives floats another arithmetic later on, puts it in place
    of `arith.constant` (`attn-exact-opaque`), and `attn-exact-arithmetic` takes
    it out again.

    | result | dtype |
    | --- | --- |
    | the constant | that of the number, a float |

    Example:

    ```mlir
    %c = attn.opaque 0.125 : f32
    ```
  }];
  let arguments = (ins Attn_FloatNumber:$value);
  let results = (outs AnyFloat:$result);
  let assemblyFormat = "$value attr-dict";
  let hasFolder = 1;
}

#endif // ATTN_DIALECT_ATTN_IR_EXACTOPS_TD
