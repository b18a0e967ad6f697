//===- SourceOps.td - scores from several sources ----------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_SOURCEOPS_TD
#define ATTN_DIALECT_ATTN_IR_SOURCEOPS_TD

include "attn/Dialect/Attn/IR/AttnOpBase.td"

//===----------------------------------------------------------------------===//
// Several key sources
//===----------------------------------------------------------------------===//

def Attn_ConcatOp : Attn_ScoresOp<"concat", [], ["getAxisSources"]> {
  let summary = "score matrices side by side along the keys";
  let description = [{
    The keys of the first matrix, then those of the second, and so on: with
    `n_k` the number of keys before segment k,
    `r[b, h, i, j] = s_k[b, h, i, j - n_k]` for the segment that j falls in,
    presence along. Segments may differ in how they are made (masks, biases,
    scales, storage of the keys), and any may have no keys.

    | operand | shape |
    | --- | --- |
    | `segments` | [B or 1, H or 1, M, N_k] |

    Query positions, offset, length and segments are those of the operands. Of
    the key axis nothing is known afterwards: j counts across the segments, and
    masks and maps that need the position of a key in its source apply before.
    `attn.aggregate` takes one value per segment.

    Constraints:
    * C1: there is at least one segment.
    * C2: segments agree in element type, queries, and, up to broadcast, in batch and heads.
    * C3: the result is [B, H, M, N_1 + N_2 + ...], `?` if any is.

    ```mlir
    %s = attn.concat %past, %local : (!attn.scores<2x8x?x?xf32>, !attn.scores<2x8x?x16xf32>) -> !attn.scores<2x8x?x?xf32>
    ```

    A sweep over a concatenation is cut at the boundaries
    (`attn-split-segments`), so that every segment runs as if it were alone.
  }];
  let arguments = (ins Variadic<Attn_ScoresType>:$segments);
  let results = (outs Attn_ScoresType:$result);
  let assemblyFormat = "$segments attr-dict `:` functional-type($segments, results)";
  let hasFolder = 1;
}

def Attn_LaneOp : Attn_ScoresOp<"lane", [AttrSizedOperandSegments,
    RequiredOperands<"0, 1">,
    DeclareOpInterfaceMethods<Attn_AxisOpInterface>]> {
  let summary = "scores of queries with keys of their own";
  let description = [{
    `s[b, h, i, j] = scale * sum_d q[b, h, i, d] * k[c(b), g(h), i, j, d]`: every
    query has C keys that no other query sees, one per condition, summary or
    retrieved neighbour. Products and sum are in the accumulation type.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `query` | [B or 1, H, M, D] | f16, bf16, f32, f64 |
    | `key` | [B or 1, G, M, C, D] | same as query |
    | `head_map` | [H] | i32, i64 or index: g(h); default h div (H / G) |
    | `batch_map` | [B] | i32, i64 or index: c(b), as in `attn.score` |
    | axis operands | see `attn.with_axes` | integers |

    All entries inside the lengths are present. `attn.aggregate` takes the
    values of such keys as a tensor [B or 1, G, M, C, Dv]. Its usual place is
    next to shared keys, in `attn.concat`.

    Constraints:
    * C1: query has rank 4 and key rank 5.
    * C2: query and key have the same element type.
    * C3: the feature sizes are static and equal.
    * C4: H is a multiple of G where there is no head map.
    * C5: head_map has shape [H], batch_map [B].
    * C6: the result is [B, H, M, C] with element type f64 for f64 operands, else f32.
    * C7: axis operands have the shapes that attn.with_axes states.

    ```mlir
    %s = attn.lane %q, %k scale(0.125)
       : tensor<2x8x?x64xf32>, tensor<2x8x?x4x64xf32> -> !attn.scores<2x8x?x4xf32>
    ```
  }];
  let arguments = !con((ins
    Attn_FloatTensor:$query, Attn_FloatTensor:$key,
    Optional<Attn_IntTensor>:$head_map,
    Optional<Attn_IntTensor>:$batch_map), Attn_AxisArgs,
    (ins DefaultValuedAttr<F64Attr, "1.0">:$scale));
  let results = (outs Attn_ScoresType:$result);
  let assemblyFormat = !strconcat([{
    $query `,` $key (`scale` `(` $scale^ `)`)?
    (`heads` `(` $head_map^ `:` type($head_map) `)`)?
    (`batches` `(` $batch_map^ `:` type($batch_map) `)`)?
  }], Attn_AxisFormat, [{
    attr-dict `:` type($query) `,` type($key) `->` qualified(type($result))
  }]);
}

def Attn_MatmulOp : Attn_ScoresOp<"matmul", [], ["getAxisSources"]> {
  let summary = "the product of two virtual matrices";
  let description = [{
    `c[b, h, i, j] = sum over k present in both of a[b, h, i, k] * b[b, h, k, j]`.
    Always present inside the lengths of its axes; an empty sum is 0. An entry
    that is absent on one side adds nothing, whatever the other side holds.

    | operand | shape |
    | --- | --- |
    | `lhs` | [B or 1, H or 1, M, K] |
    | `rhs` | [B or 1, H or 1, K, N] |

    The query axis is that of `lhs`, the key axis that of `rhs`. It serves
    Nystroem approximations (arXiv 2102.03902: softmax matrices through
    landmarks) and keys that later tokens change (Causal Attention with
    Lookahead Keys).

    Nothing of size M x N, M x K or K x N is stored, so each entry costs K
    visits of its own: a product over the sequence is cubic. A plan counts
    1 + K visits per entry against `max-recompute-factor`, without bound where
    K is dynamic, and is refused above it.

    Constraints:
    * C1: the keys of lhs are the queries of rhs.
    * C2: element types agree; batch and heads up to broadcast.
    * C3: the result is [B, H, M, N].

    ```mlir
    %c = attn.matmul %a, %b : !attn.scores<1x8x?x32xf32>, !attn.scores<1x8x32x?xf32> -> !attn.scores<1x8x?x?xf32>
    ```
  }];
  let arguments = (ins Attn_FloatScores:$lhs, Attn_FloatScores:$rhs);
  let results = (outs Attn_FloatScores:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs attr-dict `:` qualified(type($lhs)) `,` qualified(type($rhs)) `->` qualified(type($result))
  }];
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

def Attn_PartialOp : Attn_Op<"partial", [Pure, SingleBlock]> {
  let summary = "a row program over some of its keys, not yet finished";
  let description = [{
    The region is a row program P: it takes score matrices and values over one
    set of keys and yields tensors. The result is what P accumulates over these
    keys, to be merged with what it accumulates over others:

      finish(merge(partial(P, keys 1), partial(P, keys 2))) = P over attn.concat
                                                              of the keys

    so the states of softmax attention carry its maximum, sum and unnormalised
    output; those of any other program what its reductions need. Values are
    arguments of the region, because they belong to the keys; tensors that do
    not, such as a temperature, are captured.

    Constraints:
    * C1: the region takes the inputs, scores and values.
    * C2: the region yields the result types of the state.
    * C3: the scores have the same queries and the same keys.
    * C4: the region keeps the keys of its scores: it does not transpose, multiply or concatenate them, and reduces over keys.
    * C5: the values of aggregates in the region are arguments of the region, each used by aggregates only; their maps come from outside.

    ```mlir
    %st = attn.partial(%s, %v) {
    ^bb0(%x: !attn.scores<1x8x?x?xf32>, %y: tensor<1x8x?x64xf32>):
      %p = attn.softmax %x : !attn.scores<1x8x?x?xf32>
      %o = attn.aggregate %p, %y : !attn.scores<1x8x?x?xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>
      %l = attn.reduce lse keys %x : (!attn.scores<1x8x?x?xf32>) -> tensor<1x8x?xf32>
      attn.yield %o, %l : tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
    } : (!attn.scores<1x8x?x?xf32>, tensor<1x8x?x64xf32>) -> !attn.state<tensor<1x8x?x64xf32>, tensor<1x8x?xf32>>
    ```

    States live in one function: across calls and in loops carry the finished
    output and lse as tensors, and import them with `attn.state_from`.
  }];
  let arguments = (ins Variadic<AnyType>:$inputs);
  let results = (outs Attn_StateType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `(` $inputs `)` $body attr-dict `:` functional-type($inputs, results)
  }];
  let hasVerifier = 1;
}

def Attn_MergeOp : Attn_Op<"merge", [Pure, SameOperandsAndResultType]> {
  let summary = "joins states of one program over disjoint keys";
  let description = [{
    The state over the keys of all operands, in their order (which matters to
    argmax and to monoids that do not commute only). All states belong to the
    same program, up to the number of keys; this is checked where they are
    resolved.

    Constraints:
    * C1: there is at least one state.

    ```mlir
    %m = attn.merge %prefix, %suffix : !attn.state<tensor<2x8x?x64xf32>, tensor<2x8x?xf32>>
    ```
  }];
  let arguments = (ins Variadic<Attn_StateType>:$states);
  let results = (outs Attn_StateType:$result);
  let assemblyFormat = "$states attr-dict `:` qualified(type($result))";
}

def Attn_FinishOp : Attn_Op<"finish", [Pure]> {
  let summary = "the results of a row program over the keys of a state";
  let description = [{
    Constraints:
    * C1: the results have the types that the state names.

    ```mlir
    %o, %lse = attn.finish %m : !attn.state<tensor<2x8x?x64xf32>, tensor<2x8x?xf32>>
    ```
  }];
  let arguments = (ins Attn_StateType:$state);
  let results = (outs Variadic<AnyType>:$results);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Attn_StateFromOp : Attn_Op<"state_from", [Pure]> {
  let summary = "imports a finished part of softmax attention as a state";
  let description = [{
    The state of plain softmax attention (`attn.softmax` without options,
    aggregates, and `attn.reduce lse`) over keys that have been dealt with
    elsewhere: `output` is their result and `lse` the logarithm of the sum of
    their exponentials. It takes part as one key per query, of score `lse` and
    value `output`, absent where lse is -inf.

    | operand | shape |
    | --- | --- |
    | `output` | [B, H, M, Dv] |
    | `lse` | [B, H, M], f32 or f64 |

    Constraints:
    * C1: lse has the leading extents of output, rank 3 and an accumulation type.
    * C2: the state is that of output and lse.

    ```mlir
    %st = attn.state_from %o, %lse : tensor<2x8x?x64xf32>, tensor<2x8x?xf32>
       -> !attn.state<tensor<2x8x?x64xf32>, tensor<2x8x?xf32>>
    ```
  }];
  let arguments = (ins Attn_FloatTensor:$output, Attn_FloatTensor:$lse);
  let results = (outs Attn_StateType:$result);
  let assemblyFormat = [{
    $output `,` $lse attr-dict `:` type($output) `,` type($lse) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Inside of streams
//===----------------------------------------------------------------------===//

def Attn_BeforeOp : Attn_Op<"before", [Pure]> {
  let summary = "whether an index lies before a boundary of segments";
  let description = [{
    `index < boundary`, marking a place where the program of a stream may be
    cut: on either side the answer is known, and half of the program with it.
    `attn-split-segments` does that and leaves none behind.

    ```mlir
    %first = attn.before %j, %n1
    ```
  }];
  let arguments = (ins Index:$index, Index:$boundary);
  let results = (outs I1:$result);
  let assemblyFormat = "$index `,` $boundary attr-dict";
}

#endif // ATTN_DIALECT_ATTN_IR_SOURCEOPS_TD
