//===- AttnOps.td - the algebra of virtual scores ----------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_ATTNOPS_TD
#define ATTN_DIALECT_ATTN_IR_ATTNOPS_TD

include "attn/Dialect/Attn/IR/AttnOpBase.td"

//===----------------------------------------------------------------------===//
// Where scores come from
//===----------------------------------------------------------------------===//

def Attn_ScoreOp : Attn_ScoresOp<"score", [AttrSizedOperandSegments,
    RequiredOperands<"0, 1">,
    DeclareOpInterfaceMethods<Attn_AxisOpInterface>]> {
  let summary = "scaled dot products of queries and keys";
  let description = [{
    `s[b, h, i, j] = scale * sum_d q[b, h, i, d] * k[c(b), g(h), j, d]`, products
    and sum in the accumulation type.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `query` | [B or 1, H, M, D] | f16, bf16, f32, f64, i8 |
    | `key` | [B or 1, G, N, D]; [C, G, N, D] with `batch_map` | same as query |
    | `head_map` | [H] | i32, i64 or index: g(h) |
    | `batch_map` | [B] | i32, i64 or index: c(b) |
    | axis operands | see `attn.with_axes` | integers |

    Without `head_map`, `g(h) = h div (H / G)`: multi-head for G = H, grouped
    query (arXiv 2305.13245) for 1 < G < H, multi-query (arXiv 1911.02150) for
    G = 1. Without `batch_map`, c(b) = b, or 0 where the keys have one batch; with
    it, several sequences may read one prefix (Hydragen, arXiv 2402.05099), and C
    is an extent of its own. A map that leaves the keys reads the nearest head or
    batch. All entries inside the lengths are present. D is static; B, C, M and N
    may be dynamic.

    Codes of int8 give i32 scores, which are exact. Their scales, per token,
    block or channel, are part of an `attn.map` that makes floats of them
    (SageAttention, arXiv 2410.02367).

    Constraints:
    * C1: query and key have rank 4.
    * C2: query and key have the same element type.
    * C3: the feature sizes are static and equal.
    * C4: H is a multiple of G where there is no head map.
    * C5: head_map has shape [H], batch_map [B].
    * C6: the result is [B, H, M, N] with element type f64 for f64 operands, i32 for i8, else f32.
    * C7: axis operands have the shapes that attn.with_axes states.
    * C8: operands of i8 have no scale, and D is below 131072, so that no sum overflows.

    A NaN or infinity in a query (key) stays in its row (column).

    ```mlir
    %s = attn.score %q, %k scale(0.125)
       : tensor<2x8x?x64xf32>, tensor<2x2x?x64xf32> -> !attn.scores<2x8x?x?xf32>
    %t = attn.score %q, %prefix batches(%group : tensor<2xi32>)
       : tensor<2x8x?x64xf32>, tensor<?x2x?x64xf32> -> !attn.scores<2x8x?x?xf32>
    %u = attn.score %a, %b : tensor<2x8x?x64xi8>, tensor<2x2x?x64xi8> -> !attn.scores<2x8x?x?xi32>
    ```

    Lowers to a `linalg.generic` contraction (reference) or to `attn.dot`
    inside a stream.
  }];
  let arguments = !con((ins
    Attn_ProductTensor:$query, Attn_ProductTensor:$key,
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

def Attn_ScoreWithOp : Attn_ScoresOp<"score_with", [AttrSizedOperandSegments,
    RequiredOperands<"0, 1">,
    DeclareOpInterfaceMethods<Attn_AxisOpInterface>]> {
  let summary = "a reduction over features of a region on (q_d, k_d)";
  let description = [{
    `s[b, h, i, j] = reduce_d f(q[b, h, i, d], k[c(b), g(h), j, d], d)` with
    `reduce` one of sum, max, min. Additive attention (arXiv 1409.0473) is
    `f = w[d] * tanh(q_d + k_d)`; upper bounds of block scores (Quest, arXiv
    2406.10774) are `f = max(q_d * lo_d, q_d * hi_d)`.

    The region receives q_d and k_d in the accumulation type and d as index,
    and must be speculatable. Operands are floats; maps are those of `attn.score`.

    Constraints: C1 to C7 of `attn.score`, and
    * C8: the region takes (T, T, index) and yields one T.

    ```mlir
    %s = attn.score_with sum %q, %k {
    ^bb0(%x: f32, %y: f32, %d: index):
      %a = arith.addf %x, %y : f32
      %t = math.tanh %a : f32
      attn.yield %t : f32
    } : tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32> -> !attn.scores<1x2x5x7xf32>
    ```
  }];
  let arguments = !con((ins Attn_FeatureReduceKindAttr:$kind,
    Attn_FloatTensor:$query, Attn_FloatTensor:$key,
    Optional<Attn_IntTensor>:$head_map,
    Optional<Attn_IntTensor>:$batch_map), Attn_AxisArgs);
  let results = (outs Attn_ScoresType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = !strconcat([{
    `` $kind $query `,` $key
    (`heads` `(` $head_map^ `:` type($head_map) `)`)?
    (`batches` `(` $batch_map^ `:` type($batch_map) `)`)?
  }], Attn_AxisFormat, [{
    $body attr-dict `:` type($query) `,` type($key) `->` qualified(type($result))
  }]);
}

def Attn_BiasOp : Attn_ScoresOp<"bias", [AttrSizedOperandSegments,
    RequiredOperands<"0">,
    DeclareOpInterfaceMethods<Attn_AxisOpInterface>]> {
  let summary = "a stored tensor [B, H, M, N] seen as scores";
  let description = [{
    `s[b, h, i, j] = tensor[b, h, i, j]`; batch and head extents of 1 broadcast.
    All entries inside the lengths are present.

    Constraints:
    * C1: the tensor has rank 4.
    * C2: the result has the extents of the tensor (B and H may be larger where the tensor has 1) and its accumulation type.
    * C3: axis operands have the shapes that attn.with_axes states.

    ```mlir
    %s = attn.bias %t : tensor<1x8x?x?xf32> -> !attn.scores<1x8x?x?xf32>
    ```
  }];
  let arguments = !con((ins Attn_FloatTensor:$tensor), Attn_AxisArgs);
  let results = (outs Attn_ScoresType:$result);
  let assemblyFormat = !strconcat("$tensor", Attn_AxisFormat, "attr-dict `:` type($tensor) `->` qualified(type($result))");
}

def Attn_WithAxesOp : Attn_ScoresOp<"with_axes", [AttrSizedOperandSegments,
    RequiredOperands<"0">,
    AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<Attn_AxisOpInterface>]> {
  let summary = "attaches positions, offsets, lengths and segments to the axes";
  let description = [{
    The same entries, with axis information for the operations that use the
    result. Entries beyond a length become absent.

    | operand | shape | meaning |
    | --- | --- | --- |
    | positions | [B or 1, H or 1, L] | the position of each index |
    | offset | index, or [B or 1] | position = index + offset (default 0) |
    | length | [B or 1, H or 1] | indices at or beyond it are absent |
    | segments | [B or 1, L] | document of each index, for `document` |

    Regions see positions as `pi` and `pj`. Bottom-right aligned decoding is
    `query_offset` = N - M.

    Constraints:
    * C1: positions have rank 3, length rank 2, segments rank 2, an offset tensor rank 1.
    * C2: static extents are 1 or those of the scores.
    * C3: an axis has positions or an offset, not both.

    ```mlir
    %t = attn.with_axes %s query_offset(%past : index)
       : !attn.scores<1x8x?x?xf32>
    ```
  }];
  let arguments = !con((ins Attn_ScoresType:$input), Attn_AxisArgs);
  let results = (outs Attn_ScoresType:$result);
  let assemblyFormat = !strconcat("$input", Attn_AxisFormat, "attr-dict `:` qualified(type($input))");
}

//===----------------------------------------------------------------------===//
// Scores to scores
//===----------------------------------------------------------------------===//

def Attn_MapOp : Attn_ScoresOp<"map", [AttrSizedOperandSegments]> {
  let summary = "a pointwise region over score matrices";
  let description = [{
    `r[b, h, i, j] = f(x1, ..., xn, b, h, i, j, pi, pj)`, present where all
    operands are. Operands with B = 1 or H = 1 broadcast. Without operands the
    op generates a matrix, all entries present, from indices and captured
    tensors; `sizes` then gives the dynamic extents of the result.

    The region names its scores in the first list and, after `at`, as many as
    it wants of the storage indices b, h, i, j and the positions pi, pj. It is
    ordinary pure MLIR; captured tensors are read with `tensor.extract`. It may
    run on absent entries (indices of captured reads are clamped), and the
    result is dropped there.

    Constraints:
    * C1: the region takes the operands' elements and six indices.
    * C2: the region yields one value of the result's element type.
    * C3: extents agree, up to broadcast of B and H.
    * C4: sizes are given exactly for the dynamic extents of an op without operands.
    * C5: the region is pure and speculatable.

    ```mlir
    %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
      %m = tensor.extract %slopes[%h] : tensor<8xf32>
      %ii = arith.index_cast %i : index to i64
      %jj = arith.index_cast %j : index to i64
      %d = arith.subi %jj, %ii : i64
      %df = arith.sitofp %d : i64 to f32
      %t = arith.mulf %m, %df : f32
      %y = arith.addf %x, %t : f32
      attn.yield %y : f32
    } : (!attn.scores<1x8x?x?xf32>) -> !attn.scores<1x8x?x?xf32>
    ```
  }];
  let arguments = (ins Variadic<Attn_ScoresType>:$inputs,
                       Variadic<Index>:$sizes);
  let results = (outs Attn_ScoresType:$result);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
}

def Attn_MaskOp : Attn_ScoresOp<"mask"> {
  let summary = "makes entries absent where a predicate is false";
  let description = [{
    Present where the operand is and the predicate holds; values are unchanged.
    The predicate is a region like that of `attn.map`, yielding i1 (it may read
    the value), or a named mask: `causal`, `window`, `prefix`,
    `document`, `dilated`, `chunked`, `neighborhood`.
    Named masks compare positions, so they mean the same in prefill, decode
    and gathered subsets.

    Constraints:
    * C1: exactly one of a named mask and a region.
    * C2: the region takes the element and six indices, and yields i1.
    * C3: named masks that compare positions need a shared origin: where the
      extents M and N differ, the axes carry an offset or positions.
    * C4: `document` needs segments on both axes.
    * C5: `prefix` takes a prefix length [B] or [1]; other masks take none.
    * C6: the region is pure and speculatable.

    ```mlir
    %c = attn.mask %s causal : !attn.scores<1x8x?x?xf32>
    %p = attn.mask %s prefix prefix(%n : tensor<1xi32>) : !attn.scores<1x8x?x?xf32>
    %r = attn.mask %s (%x: f32) {
      %zero = arith.constant 0.0 : f32
      %keep = arith.cmpf ogt, %x, %zero : f32
      attn.yield %keep : i1
    } : !attn.scores<1x8x?x?xf32>
    ```
  }];
  let arguments = (ins Attn_ScoresType:$input,
                       Optional<Attn_IntTensor>:$prefix,
                       OptionalAttr<AnyAttr>:$kind);
  let results = (outs Attn_ScoresType:$result);
  let regions = (region MaxSizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// The named mask, or null for a region mask.
    ::mlir::attn::NamedMaskInterface getNamedMask();
  }];
}

def Attn_FillOp : Attn_ScoresOp<"fill", [AllTypesMatch<["input", "result"]>]> {
  let summary = "absent entries inside the lengths become present with a value";
  let description = [{
    Present everywhere inside the lengths of its axes; the value is `value`
    where the operand was absent.

    Constraints:
    * C1: the value is representable in the element type.

    ```mlir
    %f = attn.fill %s, 0.0 : !attn.scores<1x8x?x?xf32>
    %g = attn.fill %t, -7.0 : !attn.scores<1x8x?x?xi32>
    ```
  }];
  let arguments = (ins Attn_ScoresType:$input, F64Attr:$value);
  let results = (outs Attn_ScoresType:$result);
  let assemblyFormat = "$input `,` $value attr-dict `:` qualified(type($input))";
  let hasFolder = 1;
}

def Attn_SoftmaxOp : Attn_ScoresOp<"softmax", [AttrSizedOperandSegments,
    RequiredOperands<"0">,
    AllTypesMatch<["input", "result"]>]> {
  let summary = "row normalizer: exponentials over their sum";
  let description = [{
    With `f = scale * s / temperature`, over the present entries of a row,
    `p[i, j] = base^f[i, j] / (sum_j base^f[i, j] + base^sink[h] + plus_one)`,
    evaluated without overflow by a shift that cancels.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `temperature` | [B or 1, H or 1, M or 1] | float |
    | `sink` | [H or 1], a logit in units of f | float |

    `base` is e (default, written 0) or any positive number. `plus_one` adds 1
    to the denominator (softmax-off-by-one); a sink of 0 is the same.
    A row whose maximum over present entries is -inf, or that has none, counts
    as empty: its weights are absent everywhere.

    It is sugar for `attn.reduce` and `attn.map`; `attn-desugar` writes it out.

    Constraints:
    * C1: base is 0 (for e) or positive and not 1.
    * C2: temperature has rank 3 with extents 1 or those of the scores.
    * C3: sink has shape [H] or [1].

    ```mlir
    %p = attn.softmax %s scale(0.125) sink(%z : tensor<8xf32>) : !attn.scores<1x8x?x?xf32>
    ```
  }];
  let arguments = (ins Attn_FloatScores:$input,
    Optional<Attn_FloatTensor>:$temperature, Optional<Attn_FloatTensor>:$sink,
    DefaultValuedAttr<F64Attr, "1.0">:$scale,
    DefaultValuedAttr<F64Attr, "0.0">:$base, UnitAttr:$plus_one);
  let results = (outs Attn_FloatScores:$result);
  let assemblyFormat = [{
    $input (`scale` `(` $scale^ `)`)? (`base` `(` $base^ `)`)?
    (`temperature` `(` $temperature^ `:` type($temperature) `)`)?
    (`sink` `(` $sink^ `:` type($sink) `)`)?
    (`plus_one` $plus_one^)? attr-dict `:` qualified(type($input))
  }];
}

def Attn_TransposeOp : Attn_ScoresOp<"transpose", [], ["getAxisSources"]> {
  let summary = "exchanges queries and keys";
  let description = [{
    `r[b, h, j, i] = s[b, h, i, j]`, presence along. Axis information moves
    with the axes.

    Constraints:
    * C1: the result type is the operand's with M and N exchanged.

    ```mlir
    %t = attn.transpose %s : !attn.scores<1x8x5x7xf32> -> !attn.scores<1x8x7x5xf32>
    ```
  }];
  let arguments = (ins Attn_ScoresType:$input);
  let results = (outs Attn_ScoresType:$result);
  let assemblyFormat = "$input attr-dict `:` qualified(type($input)) `->` qualified(type($result))";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Scores to tensors
//===----------------------------------------------------------------------===//

def Attn_ReduceOp : Attn_Op<"reduce", [Pure, AttrSizedOperandSegments,
    RequiredOperands<"0">]> {
  let summary = "reduces scores over keys, queries or both, and over heads and batch";
  let description = [{
    Over `keys` the results are [B, H, M], over `queries` [B, H, N], over `both`
    [B, H]. A list of axes with `heads` or `batch` reduces over these too, whose
    extents are then missing in the results: [B, N] for `[queries, heads]`. With
    `groups(G)`, heads are reduced in G groups of H / G adjacent ones, and the
    results have the extent G in their place. Only present entries take part.
    `attn.reduce_heads` reduces over heads alone.

    | kind | results | value | of nothing |
    | --- | --- | --- | --- |
    | sum | T | sum s | 0 |
    | max, min | T | maximum, minimum; a NaN wins | -inf, +inf |
    | mean | T | sum s / count | 0 |
    | moments | T, T | mean and population variance, re-centred | 0, 0 |
    | count | i64 | number of present entries | 0 |
    | any | i1 | whether an entry is present | false |
    | argmax, argmin | i64... | indices of the extremum, lower indices win | -1 |
    | lse | T | ln sum exp s | -inf |
    | entropy | T | of softmax(s), in nats: lse - sum softmax(s) s | 0 |
    | custom | T... | a monoid given by `identity`, a lift and a combine region | identity |

    argmax and argmin give one index per reduced axis, in the order b, h, i, j;
    among equal values the first entry in this order wins.

    `bins(n) by` gives sum, max, min or count n results instead of one, in a
    last dimension: the region names, for every entry, the bin that it belongs
    to, as index. Entries whose bin is not in [0, n) take no part. Bins by key
    block, by distance or by an entry of a table are one region each. The number
    of bins is a constant, or an operand of type index; one per diagonal is
    `bins(%n) by { i - j + N - 1 }` with M + N - 1 bins. Summed over batch (and
    `both`), bins are the gradient of a table that a map reads.

    `rows(r)`, an index operand, joins the bins of r adjacent rows (of queries
    over keys, of keys over queries): the results have ceil(M / r) rows instead
    of M. Weights per block of queries and block of keys are counted like this.

    For `custom`, the first region lifts an entry (arguments as in `attn.map`)
    to n values and the second combines two n-tuples associatively; the entries
    are combined in the order of b, h, i, j.

    lse and entropy of a row whose maximum is -inf are those of an empty row.
    Integer scores have no -inf and may not sum: only count and any take them.

    Constraints:
    * C1: the number and element types of the results are those of the kind.
    * C2: results have the extents of B, H, M and N that are not reduced, with n in addition for bins.
    * C3: identity and two regions are given for custom, and only for it.
    * C4: the lift yields, and the combine takes twice and yields, the result element types.
    * C5: bins are positive, given for sum, max, min and count only, with a region that takes the element and six indices and yields an index.
    * C6: groups come with heads, and H is a multiple of G.
    * C7: rows come with bins over keys or over queries alone; r is at least 1.
    * C8: scores are floats, except for count and any.

    ```mlir
    %l = attn.reduce lse keys %s : (!attn.scores<1x8x?x?xf32>) -> tensor<1x8x?xf32>
    %c = attn.reduce sum queries %p : (!attn.scores<1x8x?x?xf32>) -> tensor<1x8x?xf32>
    %g = attn.reduce sum [queries, heads] %p groups(2)
       : (!attn.scores<1x8x?x?xf32>) -> tensor<1x2x?xf32>
    %m = attn.reduce max both %s : (!attn.scores<1x8x?x?xf32>) -> tensor<1x8xf32>
    %d = attn.reduce sum [both, batch] %p bins(%n) by (%x: f32) at (%b, %h, %i, %j) {
      %t = arith.subi %i, %j : index
      %u = arith.addi %t, %last : index
      attn.yield %u : index
    } : (!attn.scores<1x8x?x?xf32>) -> tensor<8x?xf32>
    ```

    Reductions over one axis are carries of a sweep. All others are written out
    by `attn-desugar` as one of these and a second reduction, of the results of
    rows; bins over both axes are accumulated for at most 16 blocks of rows
    apart, so that the order of the sums does not depend on the threads.
  }];
  let arguments = (ins Attn_ReduceKindAttr:$kind, Attn_AxisAttr:$axis,
                       Attn_ScoresType:$input,
                       Optional<Index>:$bin_count, Optional<Index>:$row_block,
                       OptionalAttr<F64ArrayAttr>:$identity,
                       OptionalAttr<I64Attr>:$bins,
                       UnitAttr:$heads, UnitAttr:$batch,
                       OptionalAttr<I64Attr>:$groups);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region MaxSizedRegion<1>:$lift, MaxSizedRegion<1>:$combine,
                        MaxSizedRegion<1>:$bin);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let builders = [
    /// Over keys, queries or both, without bins.
    OpBuilder<(ins "::mlir::TypeRange":$results,
      "::mlir::attn::ReduceKind":$kind, "::mlir::attn::Axis":$axis,
      "::mlir::Value":$input)>
  ];
  let extraClassDeclaration = [{
    bool isBinned() { return !getBin().empty(); }
    /// Whether it is a carry of a sweep: over one axis, of one head.
    bool isOverOneAxis() {
      return getAxis() != Axis::Both && !getHeads() && !getBatch();
    }
    /// Whether the bins of a row do not stay in registers.
    bool isTallied() { return getBinCount() || getRowBlock(); }
    /// The axes as written: `keys` or `[keys, heads]`.
    std::string getAxesText();
  }];
}

def Attn_AggregateOp : Attn_Op<"aggregate", [Pure, AttrSizedOperandSegments,
    RequiredOperands<"0">]> {
  let summary = "sums values over keys, weighted by scores";
  let description = [{
    `o[b, h, i, :] = sum over present j of p[b, h, i, j] * v[c(b), g(h), j, :]`, in
    the accumulation type, then converted to the result's element type.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `values` | [B or 1, G, N, Dv], or [B or 1, G, M, N, Dv] | f16, bf16, f32, f64 |
    | `head_maps` | [H] | g(h); default h div (H / G) |
    | `batch_maps` | [B] | c(b); default b, or 0 for one batch |

    A value of rank 5 holds a row for every pair of a query and a key: its
    row is `v[c(b), g(h), i, j, :]` (the values of `attn.lane`).

    Several values stand side by side along the keys, in their order, as the
    segments of `attn.concat` do: key j reads row j of the first, row j - N1 of
    the second, and so on. Each has its own element type, heads, batches and
    maps, as in `attn.score`, and one segment of keys may be without any key.

    `operand_type` is the type to which p is rounded as an operand of the
    contraction (bf16 for the matrix units of CPUs and GPUs); the rounding may
    be relative to a running shift. A row with no present entry gives 0. A
    non-finite value vector reaches only rows for which it is present.

    Constraints:
    * C1: values have rank 4 or 5, the result rank 4; their feature size is static and equal.
    * C2: H is a multiple of G where there is no head map.
    * C3: a head map has shape [H], a batch map [B], and there is at most one of each per value.
    * C4: the values have N rows together, the result is [B, H, M, Dv].
    * C5: operand_type is bf16, f16 or the accumulation type.
    * C6: there is at least one value.

    ```mlir
    %o = attn.aggregate %p, %v operand_type(bf16)
       : !attn.scores<2x8x?x?xf32>, tensor<2x2x?x128xbf16> -> tensor<2x8x?x128xbf16>
    %c = attn.aggregate %p, (%past, %new heads(%map : tensor<8xi32>))
       : !attn.scores<2x8x?x?xf32>, tensor<1x2x?x64xbf16>, tensor<2x8x?x64xf32> -> tensor<2x8x?x64xf32>
    %d = attn.aggregate %p, (%prefix batches(%group : tensor<2xi32>), %own)
       : !attn.scores<2x8x?x?xf32>, tensor<?x2x?x64xf32>, tensor<2x2x?x64xf32> -> tensor<2x8x?x64xf32>
    ```
  }];
  let arguments = (ins Attn_FloatScores:$weights,
    Variadic<Attn_FloatTensor>:$values, Variadic<Attn_IntTensor>:$head_maps,
    Variadic<Attn_IntTensor>:$batch_maps,
    DenseBoolArrayAttr:$mapped, DenseBoolArrayAttr:$batch_mapped,
    OptionalAttr<TypeAttr>:$operand_type);
  let results = (outs Attn_FloatTensor:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The head and batch map of the k-th value; null without one. `mapped` and
    /// `batch_mapped` say which values have one.
    Value getHeadMap(unsigned k);
    Value getBatchMap(unsigned k);
    /// Whether a value has a row for every pair of a query and a key.
    static bool isPerQuery(Value value) {
      return cast<RankedTensorType>(value.getType()).getRank() == 5;
    }
  }];
}

def Attn_MaterializeOp : Attn_Op<"materialize", [Pure]> {
  let summary = "stores the matrix: the explicit, O(M N) way out";
  let description = [{
    `t[b, h, i, j] = s[b, h, i, j]`, or `absent` (default 0) where absent.

    Constraints:
    * C1: the result has the shape of the scores and a float element type.

    ```mlir
    %t = attn.materialize %s : !attn.scores<1x8x?x?xf32> -> tensor<1x8x?x?xf32>
    ```
  }];
  let arguments = (ins Attn_FloatScores:$input,
                       DefaultValuedAttr<F64Attr, "0.0">:$absent);
  let results = (outs Attn_FloatTensor:$result);
  let assemblyFormat = [{
    $input (`absent` `(` $absent^ `)`)? attr-dict `:` qualified(type($input)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Shared
//===----------------------------------------------------------------------===//

def Attn_YieldOp : Attn_Op<"yield", [Pure, ReturnLike, Terminator]> {
  let summary = "ends a region of an attn op";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Attn_GuardOp : Attn_Op<"guard", [Pure, SameOperandsAndResultType]> {
  let summary = "a maximum made safe to subtract: -inf becomes 0";
  let description = [{
    `-inf` (the maximum of nothing) becomes 0, every other value is unchanged,
    so that `exp(x - guard(m))` is 0 instead of NaN where every x is -inf. The
    analysis of shifts sees through it: any finite shift serves such a row.

    ```mlir
    %g = attn.guard %m : f32
    ```
  }];
  let arguments = (ins AnyFloat:$value);
  let results = (outs AnyFloat:$result);
  let assemblyFormat = "$value attr-dict `:` type($value)";
  let hasFolder = 1;
}

include "attn/Dialect/Attn/IR/StreamOps.td"

#endif // ATTN_DIALECT_ATTN_IR_ATTNOPS_TD
