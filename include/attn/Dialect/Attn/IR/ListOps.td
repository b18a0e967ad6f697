//===- ListOps.td - lists of keys, and selection on scores -*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_LISTOPS_TD
#define ATTN_DIALECT_ATTN_IR_LISTOPS_TD

include "attn/Dialect/Attn/IR/AttnOpBase.td"

def Attn_ListTensor : RankedTensorOf<[I32, I64]>;

//===----------------------------------------------------------------------===//
// Lists on scores
//===----------------------------------------------------------------------===//

def Attn_RestrictOp : Attn_ScoresOp<"restrict", [AttrSizedOperandSegments,
    RequiredOperands<"0, 1">,
    AllTypesMatch<["input", "result"]>]> {
  let summary = "keeps the entries whose key block is in the query block's list";
  let description = [{
    Queries are cut into blocks of `r`, keys into blocks of `c`; entry
    (b, h, i, j) stays present iff block `j div c` is named in the list of
    query block `i div r`: `indices[b, g(h), i div r, l] == j div c` for some
    `l < counts[b, g(h), i div r]`. With `lengths`, element l names a run of
    blocks: `indices[.., l] <= j div c < indices[.., l] + lengths[.., l]`.
    BigBird (arXiv 2007.14062), MoBA (arXiv 2502.13189), native sparse
    attention (arXiv 2502.11089), and with r = c = 1 any set of tokens per row.

    | operand | shape | meaning |
    | --- | --- | --- |
    | `indices` | [B or 1, G, ceil(M / r), L] | key blocks, or starts of runs |
    | `lengths` | that of indices | blocks of each run |
    | `counts` | [B or 1, G, ceil(M / r)] | elements in use; default L |

    A list belongs to a batch element, and to one head, a group of H / G heads,
    or to all of them (G = 1). Lists are sets: a key named twice counts once,
    the order does not matter. Ids outside of [0, ceil(N / c)) name nothing, so
    that -1 may pad a list; a run is cut there; counts are clamped to [0, L].

    Constraints:
    * C1: indices have rank 4, counts rank 3.
    * C2: static extents are those above.
    * C3: H is a multiple of G.
    * C4: lengths have the type of indices.
    * C5: r and c are positive.

    ```mlir
    %r = attn.restrict %s, %blocks counts(%n : tensor<1x1x?xi32>) block(64, 64)
       : !attn.scores<1x8x?x?xf32>, tensor<1x1x?x12xi32>
    ```

    Lowers to `attn.listed`. Where everything a sweep computes is restricted by
    one list, the sweep visits listed keys only; over queries, it follows the
    list of the key (`attn.list_index`).
  }];
  let arguments = (ins Attn_ScoresType:$input, Attn_ListTensor:$indices,
    Optional<Attn_ListTensor>:$lengths, Optional<Attn_ListTensor>:$counts,
    I64Attr:$query_block, I64Attr:$key_block);
  let results = (outs Attn_ScoresType:$result);
  let assemblyFormat = [{
    $input `,` $indices (`lengths` `(` $lengths^ `:` type($lengths) `)`)?
    (`counts` `(` $counts^ `:` type($counts) `)`)?
    `block` `(` $query_block `,` $key_block `)` attr-dict
    `:` qualified(type($input)) `,` type($indices)
  }];
}

def Attn_TopkOp : Attn_Op<"topk", [Pure]> {
  let summary = "the largest (or smallest) present entries of every row";
  let description = [{
    Row (b, h, i) of the results holds the values, the key indices and the
    number of the min(K, limit, present entries) best entries. K is the last
    extent of the first two results.

    | operand | shape | meaning |
    | --- | --- | --- |
    | `limit` | [B or 1, H or 1, M or 1] | entries wanted; default K |

    | result | shape | beyond the count |
    | --- | --- | --- |
    | values | [B, H, M, K] | -inf (+inf for smallest) |
    | indices | [B, H, M, K] | -1 |
    | count | [B, H, M] | |

    Results are sorted by value, best first, or with `by_position` by index. Of
    equal values the one with the lower index is better. A NaN counts as the
    largest value. Absent entries are never chosen; a present -inf may be.
    `forced` is a predicate: entries for which it holds come before all others,
    whatever their values.

    Constraints:
    * C1: the results are [B, H, M, K] of the scores' type and of i64, and [B, H, M] of i64, with one static K > 0.
    * C2: limit has rank 3 with extents 1 or those of the scores.
    * C3: forced takes the element and six indices, and yields i1; it is pure and speculatable.

    ```mlir
    %v, %i, %n = attn.topk %s
       : (!attn.scores<1x8x?x?xf32>) -> (tensor<1x8x?x4xf32>, tensor<1x8x?x4xi64>, tensor<1x8x?xi64>)
    ```

    An entry that gets in costs up to K moves, so that K is meant to be some
    hundreds; entries that do not are dropped W at a time.
  }];
  let arguments = (ins Attn_FloatScores:$input,
    Optional<Attn_ListTensor>:$limit,
    UnitAttr:$smallest, UnitAttr:$by_position);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$indices,
                      AnyRankedTensor:$count);
  let regions = (region MaxSizedRegion<1>:$forced);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Lists on tensors
//===----------------------------------------------------------------------===//

class Attn_ListMakerOp<string mnemonic, list<Trait> traits = []>
    : Attn_Op<mnemonic, !listconcat(traits, [Pure])> {
  let results = (outs Attn_ListTensor:$indices, Attn_ListTensor:$counts);
  let hasVerifier = 1;
}

def Attn_ListOp : Attn_ListMakerOp<"list"> {
  let summary = "a list of key blocks from a predicate on blocks";
  let description = [{
    `indices[b, g, I, :]` are the J in [0, blocks) for which the region holds at
    (b, g, I, J), ascending, followed by -1; `counts[b, g, I]` is their number.
    The region may read captured integer tensors (indices are clamped).

    The last extent of the indices is a static bound, or dynamic and then
    `blocks`. Blocks beyond a static bound are dropped, the first ones stay.
    `sizes` gives the dynamic extents of the counts.

    Constraints:
    * C1: indices have rank 4, counts their first three extents.
    * C2: the region takes four indices and yields i1; it is pure and speculatable.
    * C3: sizes are given exactly for the dynamic extents of the counts.

    ```mlir
    %idx, %n = attn.list %blocks sizes(%rows) {
    ^bb0(%b: index, %g: index, %i: index, %j: index):
      %near = arith.cmpi ule, %j, %i : index
      attn.yield %near : i1
    } : tensor<1x1x?x?xi32>, tensor<1x1x?xi32>
    ```
  }];
  let arguments = (ins Index:$blocks, Variadic<Index>:$sizes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $blocks (`sizes` `(` $sizes^ `)`)? $body attr-dict
    `:` type($indices) `,` type($counts)
  }];
}

class Attn_ListPairOp<string mnemonic> : Attn_ListMakerOp<mnemonic> {
  let arguments = (ins Attn_ListTensor:$lhs, Attn_ListTensor:$lhs_counts,
                       Attn_ListTensor:$rhs, Attn_ListTensor:$rhs_counts);
  let assemblyFormat = [{
    $lhs `counts` `(` $lhs_counts `)` `,` $rhs `counts` `(` $rhs_counts `)`
    attr-dict `:` `(` type($lhs) `,` type($lhs_counts) `,` type($rhs) `,`
    type($rhs_counts) `)` `->` `(` type($indices) `,` type($counts) `)`
  }];
}

def Attn_ListUnionOp : Attn_ListPairOp<"list_union"> {
  let summary = "block lists united, row by row";
  let description = [{
    The ids of either list, ascending, each once, followed by -1. Negative ids
    are dropped. Operands need not be sorted. The last extent of the result is
    at least the sum of those of the operands where they are static.

    Constraints:
    * C1: indices have rank 4, counts their first three extents.
    * C2: operands and results agree in element type and in the first three extents.
    * C3: a static last extent holds every result.

    ```mlir
    %i, %n = attn.list_union %a counts(%na), %b counts(%nb)
       : (tensor<1x1x?x4xi32>, tensor<1x1x?xi32>, tensor<1x1x?x3xi32>, tensor<1x1x?xi32>)
       -> (tensor<1x1x?x7xi32>, tensor<1x1x?xi32>)
    ```
  }];
}

def Attn_ListIntersectOp : Attn_ListPairOp<"list_intersect"> {
  let summary = "ids that are in both of two block lists, row by row";
  let description = [{
    As `attn.list_union`, for the ids that both lists have. The last extent of
    the result is at least that of the first operand.

    Constraints: C1 to C3 of `attn.list_union`.

    ```mlir
    %i, %n = attn.list_intersect %a counts(%na), %b counts(%nb)
       : (tensor<1x1x?x4xi32>, tensor<1x1x?xi32>, tensor<1x1x?x3xi32>, tensor<1x1x?xi32>)
       -> (tensor<1x1x?x4xi32>, tensor<1x1x?xi32>)
    ```
  }];
}

def Attn_ListTransposeOp : Attn_ListMakerOp<"list_transpose"> {
  let summary = "for every key block, the query blocks that list it";
  let description = [{
    `indices[b, g, J, :]` are the I whose list names J, ascending, each once,
    followed by -1, for J in [0, blocks). Ids outside of that are dropped. It is
    the list of the transposed scores.

    The last extent of the result is a static bound, beyond which ids are
    dropped, or dynamic and then the number of query blocks.

    Constraints:
    * C1: indices have rank 4, counts their first three extents.
    * C2: operands and results agree in element type and in the first two extents.

    ```mlir
    %i, %n = attn.list_transpose %a counts(%na) to %blocks
       : (tensor<1x1x?x4xi32>, tensor<1x1x?xi32>) -> (tensor<1x1x?x?xi32>, tensor<1x1x?xi32>)
    ```
  }];
  let arguments = (ins Attn_ListTensor:$list, Attn_ListTensor:$list_counts,
                       Index:$blocks);
  let assemblyFormat = [{
    $list `counts` `(` $list_counts `)` `to` $blocks attr-dict `:`
    `(` type($list) `,` type($list_counts) `)` `->`
    `(` type($indices) `,` type($counts) `)`
  }];
}

def Attn_ListIndexOp : Attn_Op<"list_index", [AttrSizedOperandSegments,
    RequiredOperands<"0, 3">, Pure]> {
  let summary = "a list by key blocks, in the space of the list";
  let description = [{
    What `attn.list_transpose` gives, without a bound and in compressed rows:
    the query blocks whose list names J are the elements
    `offsets[b, g, J]` to `offsets[b, g, J + 1]` (exclusive) of `entries[b, g]`,
    ascending; one may occur twice. A run counts once for every block in it.
    The compiler makes it for sweeps over the queries of restricted scores.

    Constraints:
    * C1: indices have rank 4, counts and results rank 3; lengths have the type of the indices.

    ```mlir
    %e, %o = attn.list_index %a counts(%na : tensor<1x1x?xi32>) to %blocks
       : tensor<1x1x?x4xi32> -> (tensor<1x1x?xi32>, tensor<1x1x?xi32>)
    ```
  }];
  let arguments = (ins Attn_ListTensor:$list,
    Optional<Attn_ListTensor>:$lengths, Optional<Attn_ListTensor>:$counts,
    Index:$blocks);
  let results = (outs Attn_ListTensor:$entries, Attn_ListTensor:$offsets);
  let assemblyFormat = [{
    $list (`lengths` `(` $lengths^ `:` type($lengths) `)`)?
    (`counts` `(` $counts^ `:` type($counts) `)`)? `to` $blocks attr-dict
    `:` type($list) `->` `(` type($entries) `,` type($offsets) `)`
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// In sweeps
//===----------------------------------------------------------------------===//

def Attn_ListedOp : Attn_Op<"listed", [AttrSizedOperandSegments,
    RequiredOperands<"0, 5">, Pure]> {
  let summary = "whether a list names the block of a key";
  let description = [{
    True iff some element of the list `source[indices..]` names `key div c`: is
    equal to it, or, with `lengths`, is the start of a run of blocks that holds
    it. The list is the row, or `count` elements from `first` (default 0) on,
    held to the row. The indices other
    than the key may depend on the row i of the stream through `i div r` only.

    `drives`, set by mask analysis, says that every condition of the sweep
    implies this one, so that a target need visit listed keys only. The sweep
    then starts at a multiple of c.

    Constraints:
    * C1: the source is indexed up to, and without, its last dimension; lengths have its type.
    * C2: r and c are positive.
    * C3: an op that drives is in the body of a sweep, tests its key, and is implied by all of its conditions.

    ```mlir
    %p = attn.listed %L[%b, %g, %I] count(%n) block(64, 64) contains %j : tensor<1x1x?x12xi32>
    ```
  }];
  let arguments = (ins Attn_Buffer:$source, Variadic<Index>:$indices,
    Optional<Attn_Buffer>:$lengths, Optional<Index>:$first,
    Optional<Index>:$count, Index:$key,
    I64Attr:$row_block, I64Attr:$key_block, UnitAttr:$drives);
  let results = (outs I1:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` (`lengths` `(` $lengths^ `:` type($lengths) `)`)?
    (`first` `(` $first^ `)`)? (`count` `(` $count^ `)`)?
    `block` `(` $row_block `,` $key_block `)` `contains` $key
    (`drives` $drives^)? attr-dict `:` type($source)
  }];
  let hasVerifier = 1;
}

def Attn_TopOp : Attn_Op<"top", [AttrSizedOperandSegments,
    RequiredOperands<"0">, NoMemoryEffect,
    HasParent<"SweepOp">, Attn_ReducerOpInterface]> {
  let summary = "an accumulator of a sweep: the best K entries";
  let description = [{
    `attn.topk` inside a sweep: over the keys for which `cond` holds, the values
    and keys of the best min(K, limit) entries and their number. See there for
    the order, and for what is beyond the count.

    Constraints:
    * C1: the results are vectors of K elements, of the value's type and of i64, and an i64.
  }];
  let arguments = (ins AnyFloat:$value, Optional<I1>:$forced,
    Optional<I1>:$cond, Optional<Index>:$limit,
    UnitAttr:$smallest, UnitAttr:$by_position);
  let results = (outs AnyVectorOfNonZeroRank:$values,
                      AnyVectorOfNonZeroRank:$keys, I64:$count);
  let assemblyFormat = [{
    $value (`forced` $forced^)? (`if` $cond^)? (`limit` $limit^)?
    (`smallest` $smallest^)? (`by_position` $by_position^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Attn_BinsOp : Attn_Op<"bins", [AttrSizedOperandSegments,
    RequiredOperands<"1">, NoMemoryEffect,
    HasParent<"SweepOp">, Attn_ReducerOpInterface]> {
  let summary = "an accumulator of a sweep: one result per bin";
  let description = [{
    Over the keys for which `cond` holds and `bin` is in [0, n), accumulates
    `value` into element `bin` of the result: sum, max, min (a NaN wins) or
    count.

    A tally is accumulated where `attn.store_row` stores it, in an output
    [B, H, P, n]: row i in [b, h, i], or, with `rows` of r, in [b, h, i div r].
    The output starts as the result of no entries.

    Constraints:
    * C1: the kind is sum, max, min or count, and only count takes no value.
    * C2: the result is a vector or tally of the value's type, or of i64 for count.
    * C3: rows are given for a tally only, and are the same for all rows of the stream.
  }];
  let arguments = (ins Attn_CarryKindAttr:$kind, Optional<AnyFloat>:$value,
                       Index:$bin, Optional<I1>:$cond,
                       Optional<Index>:$row_block);
  let results = (outs AnyTypeOf<[AnyVectorOfNonZeroRank, Attn_TallyType]>:$result);
  let assemblyFormat = [{
    `` $kind ($value^)? `in` $bin (`if` $cond^)? (`rows` $row_block^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isTally() { return ::llvm::isa<TallyType>(getType()); }
    ::mlir::Type getElementType();
    /// The numbers of the outputs of the stream that hold a tally.
    ::llvm::SmallVector<unsigned> getOutputs();
  }];
}

#endif // ATTN_DIALECT_ATTN_IR_LISTOPS_TD
