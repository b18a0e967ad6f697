//===- StreamOps.td - the plan: one stream, one kernel -----*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_STREAMOPS_TD
#define ATTN_DIALECT_ATTN_IR_STREAMOPS_TD

def Attn_StreamOp : Attn_Op<"stream", [AttrSizedOperandSegments,
    RequiredOperands<"0, 1, 2, 3">,
    IsolatedFromAbove, SingleBlock,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "a scalar program per row (or column): one kernel";
  let description = [{
    The body runs once for every (b, h, i) of the stationary space. It holds
    `attn.sweep` ops over the streamed axis, of extent `extent`, and ordinary
    arithmetic on row scalars and on `vector<Dxf32>` rows between them, and ends
    in `attn.store_row`, whose k-th operand is element or row [b, h, i] of the
    k-th output. `cols` streams keep a key and sweep over the queries.

    Inputs are tensors, memrefs or scalars, seen as block arguments after
    b, h, i and the extent. With tensor outputs the results are the written
    tensors; with memref outputs there are no results. A stream reads its memref
    inputs, writes its memref outputs, and has no other effect; an output must
    not alias an input.

    Constraints:
    * C1: block arguments are three indices, the extent and the inputs.
    * C2: store_row has one operand per output, of its element type, a vector of its last extent, or a tally.
    * C3: results are the types of the tensor outputs.
  }];
  let arguments = (ins Attn_OrientationAttr:$orientation,
    Index:$batch, Index:$heads, Index:$rows, Index:$extent,
    Variadic<AnyType>:$inputs, Variadic<Attn_Buffer>:$outputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [
    OpBuilder<(ins "::mlir::attn::Orientation":$orientation,
      "::mlir::ValueRange":$sizes, "::mlir::ValueRange":$inputs,
      "::mlir::ValueRange":$outputs)>
  ];
  let extraClassDeclaration = [{
    static constexpr unsigned kNumIndexArgs = 4;
    Value getBatchArg() { return getBody().getArgument(0); }
    Value getHeadArg() { return getBody().getArgument(1); }
    Value getRowArg() { return getBody().getArgument(2); }
    Value getExtentArg() { return getBody().getArgument(3); }
    BlockArgument getInputArg(unsigned k) {
      return getBody().getArgument(kNumIndexArgs + k);
    }
    /// Adds an input and returns its block argument; an existing one is reused.
    BlockArgument addInput(Value value);
    StoreRowOp getStoreRow();
  }];
}

def Attn_StoreRowOp : Attn_Op<"store_row", [Pure, Terminator, HasParent<"StreamOp">]> {
  let summary = "ends a stream: the row's element of every output";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Attn_SweepOp : Attn_Op<"sweep", [SingleBlock, RecursiveMemoryEffects]> {
  let summary = "one pass over the streamed axis";
  let description = [{
    Runs `body` for j from `lower` to `upper` (exclusive); the results are the
    final values of the `attn.carry` and `attn.running` ops it yields. Order of
    the keys does not matter, up to rounding.

    `tiles`, filled in by mask analysis, answers for a tile of rows [i0, i1] and
    keys [j0, j1] (both ends included) whether any entry can be needed and
    whether all are sure to be present; `bounds` gives for rows [i0, i1] a range
    of keys outside of which nothing is needed. Neither changes the result.

    Constraints:
    * C1: the body takes the key index and yields accumulators or gauges of the body.
    * C2: tiles takes four indices and yields two i1; bounds takes two and yields two indices.
  }];
  let arguments = (ins Index:$lower, Index:$upper);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body, MaxSizedRegion<1>:$tiles,
                        MaxSizedRegion<1>:$bounds);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$lower, "::mlir::Value":$upper,
                                 "::mlir::TypeRange":$results)>];
  let extraClassDeclaration = [{
    Value getKeyArg() { return getBody().getArgument(0); }
    YieldOp getYield();
  }];
}

def Attn_CarryOp : Attn_Op<"carry", [AttrSizedOperandSegments, NoMemoryEffect,
    HasParent<"SweepOp">, Attn_ReducerOpInterface]> {
  let summary = "an accumulator of a sweep";
  let description = [{
    Accumulates `value` over the keys for which `cond` holds (all, if absent):
    sum, max, min (a NaN wins), mean, count, any, argmax/argmin (lower index
    wins, -1 for none), or `outer`, the sum of value * row. The result stands
    for the accumulator: it may be yielded, or named as a companion.

    `act` says how the accumulator moves when gauges move: for each gauge g and
    rate a, it is multiplied by 2^(a * (g_new - g_old)); contributions before
    the first present key are dropped, never rescaled by inf - inf.
    `poly(g : c1, ..., ck)` says that it is a polynomial of degree k in the
    movement d of g, whose i-th coefficient is accumulated by ci:
    c0' = c0 + c1 d + ... + ck d^k. Companions carry the same act,
    and move by lists of their own, all from the values before the movement.

    Constraints:
    * C1: operands are those of the kind (value; value and row for outer; none for count and any).
    * C2: gauges of act are `attn.running max` ops of this sweep, that of poly an `attn.running mean`.
    * C3: companions are carries of this sweep with this type.
    * C4: the recorded act is the one that typing of the operand derives.
  }];
  let arguments = (ins Attn_CarryKindAttr:$kind,
    Optional<AnyType>:$value, Optional<AnyType>:$row, Optional<I1>:$cond,
    Variadic<AnyFloat>:$gauges, Variadic<AnyFloat>:$rates,
    Optional<AnyFloat>:$poly_gauge, Variadic<AnyType>:$companions,
    OptionalAttr<TypeAttr>:$operand_type);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    `` $kind ($value^)? (`,` $row^)? (`if` $cond^)?
    (`act` `(` $gauges^ `by` $rates `)`)?
    (`poly` `(` $poly_gauge^ `:` $companions `)`)?
    (`operand_type` `(` $operand_type^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Attn_FoldOp : Attn_Op<"fold", [AttrSizedOperandSegments, SingleBlock,
    HasParent<"SweepOp">, Attn_ReducerOpInterface]> {
  let summary = "an accumulator of a sweep: a user's monoid of several values";
  let description = [{
    Starts from `identity` and combines the accumulated values with those of
    every key for which `cond` holds. The region takes 2 n values, accumulated
    first, and must be associative; keys are combined in any grouping, in order.

    Constraints:
    * C1: identity, values and results have one length and one float type.
    * C2: the region takes 2 n and yields n of that type.
  }];
  let arguments = (ins F64ArrayAttr:$identity, Variadic<AnyFloat>:$values,
                       Optional<I1>:$cond);
  let results = (outs Variadic<AnyFloat>:$results);
  let regions = (region SizedRegion<1>:$combine);
  let assemblyFormat = [{
    $identity $values (`if` $cond^)? $combine attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Attn_RunningOp : Attn_Op<"running", [AttrSizedOperandSegments,
    RequiredOperands<"0">,
    NoMemoryEffect, HasParent<"SweepOp">, Attn_ReducerOpInterface]> {
  let summary = "a gauge: the maximum or mean over all keys so far";
  let description = [{
    Inside the body, the value over all keys so far including this tile; the
    same for all keys of a tile. Yielded, the final value. The maximum of
    nothing is `init`, or -inf; the mean of nothing is 0.

    Constraints:
    * C1: init only with max, and available before the sweep.
  }];
  let arguments = (ins Attn_GaugeKindAttr:$kind, AnyFloat:$value,
                       Optional<I1>:$cond, Optional<AnyFloat>:$init);
  let results = (outs AnyFloat:$result);
  let assemblyFormat = [{
    `` $kind $value (`if` $cond^)? (`init` $init^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Attn_DotOp : Attn_Op<"dot", [AttrSizedOperandSegments,
    RequiredOperands<"0, 2">, Pure]> {
  let summary = "contraction of two feature rows";
  let description = [{
    `sum_d lhs[indices, d] * rhs[indices, d]` in the result type: i32 for rows of
    i8, else a float.

    Constraints:
    * C1: each side is indexed up to, and without, its last dimension.
    * C2: the last extents are static and equal.
    * C3: the result is i32 for two sides of i8, and a float for others.

    ```mlir
    %s = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : tensor<2x8x?x64xf32>, tensor<2x2x?x64xf32> -> f32
    ```
  }];
  let arguments = (ins Attn_Buffer:$lhs, Variadic<Index>:$lhs_indices,
                       Attn_Buffer:$rhs, Variadic<Index>:$rhs_indices);
  let results = (outs AnyTypeOf<[AnyFloat, I32]>:$result);
  let assemblyFormat = [{
    $lhs `[` $lhs_indices `]` `,` $rhs `[` $rhs_indices `]` attr-dict
    `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Attn_DotWithOp : Attn_Op<"dot_with", [AttrSizedOperandSegments,
    RequiredOperands<"0, 2">, Pure,
    SingleBlock]> {
  let summary = "reduction of a region over two feature rows";
  let description = [{
    `reduce_d f(lhs[indices, d], rhs[indices, d], d)` in the result type;
    `attn.score_with` inside a stream. Constraints as in `attn.dot`, and
    * C3: the region takes (T, T, index) and yields T.
  }];
  let arguments = (ins Attn_FeatureReduceKindAttr:$kind,
                       Attn_Buffer:$lhs, Variadic<Index>:$lhs_indices,
                       Attn_Buffer:$rhs, Variadic<Index>:$rhs_indices);
  let results = (outs AnyFloat:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `` $kind $lhs `[` $lhs_indices `]` `,` $rhs `[` $rhs_indices `]` $body attr-dict
    `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Attn_AtOp : Attn_Op<"at", [Pure]> {
  let summary = "an element, or a row, of a tensor";
  let description = [{
    With as many indices as dimensions, the element; with one less, the last
    dimension as a vector. Indices must be in range wherever the op runs.

    Constraints:
    * C1: the result is the element type, or a vector of the (static) last extent.

    ```mlir
    %x = attn.at %V[%b, %g, %j] : tensor<2x2x?x64xf32> -> vector<64xf32>
    ```
  }];
  let arguments = (ins Attn_Buffer:$source, Variadic<Index>:$indices);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Attn_RangeOp : Attn_Op<"range", [Pure, AllTypesMatch<["min", "max"]>]> {
  let summary = "smallest and largest element of a stretch of an integer tensor";
  let description = [{
    Over `source[indices..., k]` for k in [first, last], both included and
    clamped to the extent; used by mask analysis on captured vectors.

    Constraints:
    * C1: the source is indexed up to, and without, its last dimension.

    ```mlir
    %lo, %hi = attn.range %S[%b] from %j0 to %j1 : tensor<1x?xi32> -> i32
    ```
  }];
  let arguments = (ins Attn_Buffer:$source, Variadic<Index>:$indices,
                       Index:$first, Index:$last);
  let results = (outs AnySignlessIntegerOrIndex:$min,
                      AnySignlessIntegerOrIndex:$max);
  let assemblyFormat = [{
    $source `[` $indices `]` `from` $first `to` $last attr-dict
    `:` type($source) `->` type($min)
  }];
  let hasVerifier = 1;
}

#endif // ATTN_DIALECT_ATTN_IR_STREAMOPS_TD
