//===- AttnOpBase.td - what the op families share ----------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_ATTNOPBASE_TD
#define ATTN_DIALECT_ATTN_IR_ATTNOPBASE_TD

include "attn/Dialect/Attn/IR/AttnAttrs.td"
include "attn/Dialect/Attn/IR/AttnInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_Op<string mnemonic, list<Trait> traits = []>
    : Op<Attn_Dialect, mnemonic, traits>;

def Attn_FloatTensor : RankedTensorOf<[F16, BF16, F32, F64]>;
/// Operands of dot products: floats, or codes of int8.
def Attn_ProductTensor : RankedTensorOf<[F16, BF16, F32, F64, I8]>;
def Attn_IntTensor : RankedTensorOf<[I32, I64, Index]>;
def Attn_OffsetType : AnyTypeOf<[Index, Attn_IntTensor],
  "index or integer tensor [B] or [1]">;

/// Scores that may be computed with.
def Attn_FloatScores : Type<
  And<[Attn_ScoresType.predicate,
       CPred<"!::llvm::cast<::mlir::attn::ScoresType>($_self)"
             ".getElementType().isInteger()">]>,
  "scores of f32 or f64 (map integer scores to f32 first: arith.sitofp in "
  "attn.map)", "::mlir::attn::ScoresType">;

/// A pure op with one scores result. `methods` are those of the interface that
/// have a default and are overridden.
class Attn_ScoresOp<string mnemonic, list<Trait> traits = [],
                    list<string> methods = []>
    : Attn_Op<mnemonic, !listconcat(traits, [Pure,
        DeclareOpInterfaceMethods<Attn_ScoresOpInterface, methods>])> {
  let hasVerifier = 1;
}

/// The operands that describe the query and key axes, shared by all ops that
/// start an expression and by attn.with_axes.
defvar Attn_AxisArgs = (ins
    Optional<Attn_IntTensor>:$query_positions,
    Optional<Attn_OffsetType>:$query_offset,
    Optional<Attn_IntTensor>:$query_length,
    Optional<Attn_IntTensor>:$query_segments,
    Optional<Attn_IntTensor>:$key_positions,
    Optional<Attn_OffsetType>:$key_offset,
    Optional<Attn_IntTensor>:$key_length,
    Optional<Attn_IntTensor>:$key_segments);
defvar Attn_AxisFormat = [{
    (`query_positions` `(` $query_positions^ `:` type($query_positions) `)`)?
    (`query_offset` `(` $query_offset^ `:` type($query_offset) `)`)?
    (`query_length` `(` $query_length^ `:` type($query_length) `)`)?
    (`query_segments` `(` $query_segments^ `:` type($query_segments) `)`)?
    (`key_positions` `(` $key_positions^ `:` type($key_positions) `)`)?
    (`key_offset` `(` $key_offset^ `:` type($key_offset) `)`)?
    (`key_length` `(` $key_length^ `:` type($key_length) `)`)?
    (`key_segments` `(` $key_segments^ `:` type($key_segments) `)`)?
}];

def Attn_Buffer : AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef],
  "ranked tensor or strided memref">;

#endif // ATTN_DIALECT_ATTN_IR_ATTNOPBASE_TD
