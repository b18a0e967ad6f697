//===- KernelOps.td - arithmetic of kernels ----------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_KERNELOPS_TD
#define ATTN_DIALECT_ATTN_IR_KERNELOPS_TD

include "attn/Dialect/Attn/IR/AttnOpBase.td"

def Attn_QuadDotOp : Attn_Op<"quad_dot", [Pure, SameOperandsAndResultType]> {
  let summary = "adds four products of 8-bit integers to every lane";
  let description = [{
    `r[l] = acc[l] + sum over k < 4 of lhs[l].k * rhs[l].k`, where x.k is byte k of
    a lane, the lowest first: signed in `lhs`, unsigned in `rhs`. Sums wrap.

    It is what targets multiply codes with (vpdpbusd of AVX-512 VNNI), and
    becomes that instruction, or shifts and products, in `attn-cpu-expand-math`.

    ```mlir
    %r = attn.quad_dot %x, %y, %sums : vector<16xi32>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [I32]>:$lhs,
                       VectorOfRankAndType<[1], [I32]>:$rhs,
                       VectorOfRankAndType<[1], [I32]>:$acc);
  let results = (outs VectorOfRankAndType<[1], [I32]>:$result);
  let assemblyFormat = "$lhs `,` $rhs `,` $acc attr-dict `:` type($result)";
}

def Attn_ChooseOp : Attn_Op<"choose", [Pure, SameOperandsAndResultType]> {
  let summary = "chooses among the lanes of a vector";
  let description = [{
    `r[l] = vector[lanes[l] mod W]` for W lanes; lane numbers are unsigned.

    A row of a table that fits a register is read by one load and this (vpermd of
    AVX-512) instead of a load per lane. Becomes that instruction, or extracts and
    inserts, in `attn-cpu-expand-math`.

    ```mlir
    %r = attn.choose %row[%lanes] : vector<16xi32>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [I32]>:$vector,
                       VectorOfRankAndType<[1], [I32]>:$lanes);
  let results = (outs VectorOfRankAndType<[1], [I32]>:$result);
  let assemblyFormat = "$vector `[` $lanes `]` attr-dict `:` type($result)";
}

#endif // ATTN_DIALECT_ATTN_IR_KERNELOPS_TD
