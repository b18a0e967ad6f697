//===- NeighborOps.td - entries from neighbours and heads --*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ops whose entries are made of several entries of their operand: a
// convolution over queries and keys, a mixture of heads; and, on the level of
// the plan, the two collectives that they become, and the one that a reduction
// over a short axis becomes.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_NEIGHBOROPS_TD
#define ATTN_DIALECT_ATTN_IR_NEIGHBOROPS_TD

include "attn/Dialect/Attn/IR/AttnOpBase.td"

//===----------------------------------------------------------------------===//
// Scores to scores
//===----------------------------------------------------------------------===//

def Attn_ConvolveOp : Attn_ScoresOp<"convolve",
    [AllTypesMatch<["input", "result"]>]> {
  let summary = "a convolution of the matrix over queries and keys, per head";
  let description = [{
    `r[b, h, i, j] = sum_{u, v} w[h, u, v] * s[b, h, i + u - u0, j + v - v0]`
    with `origin [u0, v0]`: a cross-correlation, nothing is flipped. The result
    is present where its centre (i, j) is. An entry that is absent, outside of
    the matrix or, with `same_segment`, in another segment of the query or of
    the key axis than the centre counts as a score of 0. Products and sum are in
    the accumulation type. Multi-token attention (arXiv 2504.00927) convolves
    before and after the softmax.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `input` | scores [B, H, M, N] | f32, f64 |
    | `taps` | [H or 1, KU, KV], static | float |

    For a causal matrix, `origin [KU - 1, v0]` looks at no later query; the
    operand is masked, so that keys which a query does not see count as 0.

    A NaN or infinity spreads to the entries whose taps reach it. A row or
    column without any present entry has none in the result.

    Constraints:
    * C1: taps have rank 3, static extents of at least 1, and H or 1 heads.
    * C2: the origin is two indices inside of the taps.
    * C3: same_segment needs segments on both axes.

    ```mlir
    %r = attn.convolve %s, %w origin [5, 5]
       : !attn.scores<1x8x?x?xf32>, tensor<8x6x11xf32>
    ```

    Lowers to `attn.stencil` inside a stream: one evaluation of the operand on a
    tile with a halo, whose shifted copies are added up.
  }];
  let arguments = (ins Attn_FloatScores:$input, Attn_FloatTensor:$taps,
                       DenseI64ArrayAttr:$origin, UnitAttr:$same_segment);
  let results = (outs Attn_FloatScores:$result);
  let assemblyFormat = [{
    $input `,` $taps `origin` $origin (`same_segment` $same_segment^)? attr-dict
    `:` qualified(type($input)) `,` type($taps)
  }];
}

def Attn_MixHeadsOp : Attn_ScoresOp<"mix_heads"> {
  let summary = "linear combinations of heads";
  let description = [{
    `r[b, g, i, j] = sum_h w[g, h] * s[b, h, i, j]`, present where the entry of
    some head is; an absent head counts as a score of 0. The number of heads may
    change. Talking-heads attention (arXiv 2003.02436) mixes before and after
    the softmax, multi-token attention (arXiv 2504.00927) mixes groups of heads,
    which is a block-diagonal `w`.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `input` | scores [B, H, M, N] | f32, f64 |
    | `weights` | [G, H], static | float |

    A NaN or infinity spreads to the same entry of all heads.

    Constraints:
    * C1: weights have rank 2 and static extents, the second is H.
    * C2: the result is [B, G, M, N] in the element type of the operand.
    * C3: positions and lengths of the axes do not differ between heads, or G is H.

    ```mlir
    %r = attn.mix_heads %s, %w
       : !attn.scores<1x8x?x?xf32>, tensor<4x8xf32> -> !attn.scores<1x4x?x?xf32>
    ```

    Lowers to `attn.mix` inside a stream: one kernel works on all heads of a
    block of rows.
  }];
  let arguments = (ins Attn_FloatScores:$input, Attn_FloatTensor:$weights);
  let results = (outs Attn_FloatScores:$result);
  let assemblyFormat = [{
    $input `,` $weights attr-dict
    `:` qualified(type($input)) `,` type($weights) `->` qualified(type($result))
  }];
}

def Attn_ReduceHeadsOp : Attn_ScoresOp<"reduce_heads"> {
  let summary = "reduces scores over the heads of a group";
  let description = [{
    `r[b, g, i, j] = reduce_{h in group g} s[b, h, i, j]` over the present
    entries, where group g has the heads [g R, (g + 1) R) for R = H / G, and G
    is the number of heads of the result. Present where the entry of some head
    of the group is.

    | kind | value |
    | --- | --- |
    | sum | sum s |
    | max, min | maximum, minimum; a NaN wins |
    | mean | sum s / count |
    | count | number of present entries, in the element type |

    The heads of a group that select keys together (NSA, arXiv 2502.11089) sum
    their weights; a sum with coefficients is `attn.mix_heads`. To reduce over
    keys or queries as well, `attn.reduce` takes a list of axes.

    A NaN or infinity spreads to the same entry of its group. A row or column
    without any present entry has none in the result.

    Constraints:
    * C1: the kind is sum, max, min, mean or count.
    * C2: the result is [B, G, M, N] in the element type of the operand, where G divides H.
    * C3: positions and lengths of the axes do not differ between heads, or G is H.

    ```mlir
    %r = attn.reduce_heads max %s
       : !attn.scores<1x8x?x?xf32> -> !attn.scores<1x2x?x?xf32>
    ```

    Lowers to `attn.mix` inside a stream.
  }];
  let arguments = (ins Attn_ReduceKindAttr:$kind, Attn_FloatScores:$input);
  let results = (outs Attn_FloatScores:$result);
  let assemblyFormat = [{
    `` $kind $input attr-dict
    `:` qualified(type($input)) `->` qualified(type($result))
  }];
  let extraClassDeclaration = [{
    int64_t getGroupSize() {
      return getInput().getType().getDim(ScoresType::Heads) /
             getResult().getType().getDim(ScoresType::Heads);
    }
  }];
}

//===----------------------------------------------------------------------===//
// Collectives of a sweep
//===----------------------------------------------------------------------===//

def Attn_StencilOp : Attn_Op<"stencil", [AttrSizedOperandSegments,
    RequiredOperands<"0, 1, 2, 3, 4, 5">, Pure,
    SingleBlock]> {
  let summary = "a weighted sum over the entries around one";
  let description = [{
    `sum_{u, v} taps[tap_head, u, v] * x(query + u - u0, key + v - v0)`, where
    the region gives x and its presence at an entry (i, j): absent entries, and
    those outside of [0, queries) x [0, keys), count as 0. The region may run
    there, with indices moved inside. With `segments`, so do entries whose
    segment differs from that of the centre on either axis.

    It is a collective: the region does not depend on the centre, so a target
    evaluates it once per entry of a tile and its halo.

    Constraints:
    * C1: taps are indexed by their head, and their other extents are static.
    * C2: the origin is two indices inside of the taps.
    * C3: the region takes two indices and yields a value of the result's type and an i1.

    ```mlir
    %r = attn.stencil [%i, %j] in [%m0, %n0] taps %W[%h] origin [0, 1] {
    ^bb0(%i2: index, %j2: index):
      %x = attn.dot %Q[%b, %h, %i2], %K[%b, %g, %j2] : tensor<2x8x?x64xf32>, tensor<2x2x?x64xf32> -> f32
      %c = arith.cmpi sle, %j2, %i2 : index
      attn.yield %x, %c : f32, i1
    } : tensor<8x1x3xf32> -> f32
    ```
  }];
  let arguments = (ins Index:$query, Index:$key, Index:$queries, Index:$keys,
    Attn_Buffer:$taps, Index:$tap_head, DenseI64ArrayAttr:$origin,
    Optional<Attn_Buffer>:$query_segments, Optional<Index>:$query_batch,
    Optional<Attn_Buffer>:$key_segments, Optional<Index>:$key_batch);
  let results = (outs AnyFloat:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `[` $query `,` $key `]` `in` `[` $queries `,` $keys `]`
    `taps` $taps `[` $tap_head `]` `origin` $origin
    (`segments` `(` $query_segments^ `[` $query_batch `]` `,`
       $key_segments `[` $key_batch `]` `:` type($query_segments) `,`
       type($key_segments) `)`)?
    $body attr-dict `:` type($taps) `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Extents of the taps along queries and keys.
    int64_t getQueryExtent() {
      return ::llvm::cast<ShapedType>(getTaps().getType()).getDimSize(1);
    }
    int64_t getKeyExtent() {
      return ::llvm::cast<ShapedType>(getTaps().getType()).getDimSize(2);
    }
  }];
}

def Attn_MixOp : Attn_Op<"mix", [Pure, SingleBlock]> {
  let summary = "a weighted sum, or a reduction, over the heads of one entry";
  let description = [{
    `sum_h weights[head, h] * x(h)` and whether some x(h) is present, where the
    region gives x and its presence at head h; absent ones count as 0. A
    collective like `attn.stencil`: a target evaluates the region once per head
    for a tile, for all rows of `weights`.

    With `groups` [G, R] instead of weights, the sum, maximum or minimum (a NaN
    wins) over the present heads h in [head R, (head + 1) R), and whether there
    are any.

    Constraints:
    * C1: weights are a matrix of static extents; they or two positive groups are given, and a kind with groups.
    * C2: the region takes an index and yields a value of the result's type and an i1.

    ```mlir
    %r, %any = attn.mix weights %W[%h] {
    ^bb0(%h2: index):
      %x = attn.dot %Q[%b, %h2, %i], %K[%b, %g, %j] : tensor<2x8x?x64xf32>, tensor<2x2x?x64xf32> -> f32
      %c = arith.cmpi sle, %j, %i : index
      attn.yield %x, %c : f32, i1
    } : tensor<8x8xf32> -> f32
    %m, %some = attn.mix [%h] groups max [2, 4] {
    ^bb0(%h2: index):
      %x = attn.dot %Q[%b, %h2, %i], %K[%b, %g, %j] : tensor<2x8x?x64xf32>, tensor<2x2x?x64xf32> -> f32
      %c = arith.cmpi sle, %j, %i : index
      attn.yield %x, %c : f32, i1
    } -> f32
    ```
  }];
  let arguments = (ins Optional<Attn_Buffer>:$weights, Index:$head,
    OptionalAttr<Attn_FeatureReduceKindAttr>:$kind,
    OptionalAttr<DenseI64ArrayAttr>:$groups);
  let results = (outs AnyFloat:$result, I1:$any);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    (`weights` $weights^)? `[` $head `]` (`groups` $kind^ $groups)?
    $body attr-dict (`:` type($weights)^)? `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getInputHeads();
    int64_t getOutputHeads();
    /// Heads whose entries make one result.
    int64_t getHeadsOfResult();
    /// The presence of one result is that of its own heads.
    bool isGrouped() { return static_cast<bool>(getGroups()); }
  }];
}

def Attn_AcrossOp : Attn_Op<"across", [NoMemoryEffect,
    HasParent<"SweepOp">, AllTypesMatch<["value", "result"]>]> {
  let summary = "a maximum, minimum or sum over the rows of a stream, at one key";
  let description = [{
    The value at (b, h, i', j) joined over all rows i' of the stream for which
    `cond` holds there (all, if absent): the same for every row i. The maximum
    of nothing is -inf, the minimum +inf, the sum 0; a NaN of some row is in the
    result, at this key only.

    A collective of a short stationary axis: a target keeps the `rows` rows of a
    head in one tile and joins them there. Softmax over the queries is

    ```text
    %m = attn.across max %s if %p over 7 : f32
    %g = attn.guard %m : f32
    %d = arith.subf %s, %g : f32
    %e = math.exp2 %d : f32
    %l = attn.across sum %e if %p over 7 : f32
    %w = arith.divf %e, %l : f32
    ```

    Constraints:
    * C1: the kind is max, min or sum.
    * C2: it is in a sweep of a stream that has this number of rows.
    * C3: what it joins depends on no carry, no running value and no result of a sweep.
  }];
  let arguments = (ins Attn_CarryKindAttr:$kind, AnyFloat:$value,
                       Optional<I1>:$cond,
                       ConfinedAttr<I64Attr, [IntPositive]>:$rows);
  let results = (outs AnyFloat:$result);
  let assemblyFormat = [{
    `` $kind $value (`if` $cond^)? `over` $rows attr-dict `:` type($value)
  }];
  let hasVerifier = 1;
}

#endif // ATTN_DIALECT_ATTN_IR_NEIGHBOROPS_TD
