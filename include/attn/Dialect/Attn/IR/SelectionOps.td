//===- SelectionOps.td - selection on stored tensors -------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What programs around attention need of stored tensors and what the upstream
// dialects lack: sorting, prefixes, compaction, gathers and scatters with
// duplicates, small factorisations. All ops are pure and work on ordinary
// ranked tensors. Rows (stretches along the dimensions that an op works on,
// matrices of a batch) are independent and run on several threads. Where the extents of two operands must agree and are dynamic,
// they are taken to agree.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_SELECTIONOPS_TD
#define ATTN_DIALECT_ATTN_IR_SELECTIONOPS_TD

include "attn/Dialect/Attn/IR/AttnBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_SelectionOp<string mnemonic, list<Trait> traits = []>
    : Op<Attn_Dialect, mnemonic, !listconcat(traits, [Pure,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
          ["reifyResultShapes"]>])> {
  let hasVerifier = 1;
}

def Attn_NumberTensor : RankedTensorOf<
  [F16, BF16, F32, F64, I8, I16, I32, I64, Index]>;
def Attn_ElementTensor : RankedTensorOf<
  [F16, BF16, F32, F64, I1, I8, I16, I32, I64, Index]>;
def Attn_RealTensor : RankedTensorOf<[F16, BF16, F32, F64]>;
def Attn_PlaceTensor : RankedTensorOf<[I32, I64, Index]>;
def Attn_BitTensor : RankedTensorOf<[I1]>;
def Attn_I64Tensor : RankedTensorOf<[I64]>;
def Attn_CountType : AnyTypeOf<[Index, Attn_PlaceTensor],
  "index or integer tensor">;

class Attn_SelectionEnum<string name, string summary,
    list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::attn";
}

def Attn_SelectOrder : Attn_SelectionEnum<"SelectOrder", "which end of the order", [
  I32EnumAttrCase<"Largest", 0, "largest">,
  I32EnumAttrCase<"Smallest", 1, "smallest">
]>;
def Attn_SortedBy : Attn_SelectionEnum<"SortedBy", "the order of selected elements", [
  I32EnumAttrCase<"Value", 0, "value">,
  I32EnumAttrCase<"Position", 1, "position">
]>;
def Attn_ScatterKind : Attn_SelectionEnum<"ScatterKind", "how duplicates combine", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Mul", 1, "mul">,
  I32EnumAttrCase<"Max", 2, "max">,
  I32EnumAttrCase<"Min", 3, "min">,
  I32EnumAttrCase<"Replace", 4, "replace">
]>;
def Attn_Triangle : Attn_SelectionEnum<"Triangle", "the triangle that is read", [
  I32EnumAttrCase<"Lower", 0, "lower">,
  I32EnumAttrCase<"Upper", 1, "upper">
]>;

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

def Attn_SelectTopKOp : Attn_SelectionOp<"select_topk", [AttrSizedOperandSegments,
    RequiredOperands<"0">]> {
  let summary = "the k largest or smallest elements along one or several dimensions";
  let description = [{
    Over each stretch of `input` along `dims` (consecutive dimensions, joined in
    row-major order; the last one by default), selects the first
    `count = min(k, K, candidates)` elements in the order `largest` or
    `smallest`, ties to the lower index.

    | operand | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | `input` | any | float, integer | what is ordered |
    | `k` | scalar, or the shape of `count` | index, i32, i64 | how many; K if not given, negative is 0 |
    | `forced` | as `input` | i1 | these come before all others, in their own order |
    | `among` | as `input` | i1 | only these are candidates, forced or not |
    | `bound` | scalar | index | the extent K where it is `?` |

    | result | shape | beyond count |
    | --- | --- | --- |
    | `values` | `input` with `dims` replaced by K, at the place of the first | 0 |
    | `indices` | as `values`, i64: the place in the joined dimensions | -1 |
    | `count` | `input` without `dims`, i64 | |

    `sorted_by(value)`, the default, lists forced elements, then others, each in
    the order of selection; `sorted_by(position)` lists all by ascending index.
    NaN is larger than every number, all NaNs are equal, and so are 0 and -0.

    Constraints:
    * C1: dims are consecutive, ascending dimensions of the input.
    * C2: values and indices have the shape of the input with dims replaced by K, the values its element type.
    * C3: count has the shape of the input without dims.
    * C4: forced and among have the shape of the input.
    * C5: a tensor k has the shape of count.
    * C6: bound is given exactly where K is dynamic.

    ```mlir
    %v, %i, %n = attn.select_topk largest %t k(%k : index)
       : tensor<2x8x?xf32> -> tensor<2x8x16xf32>, tensor<2x8x16xi64>, tensor<2x8xi64>
    ```

    A heap of K elements, filled in one pass (two with `forced`): O(n log K) at
    worst, and one comparison for an element that is not selected.
  }];
  let arguments = (ins Attn_SelectOrder:$order, Attn_NumberTensor:$input,
    Optional<Attn_CountType>:$k, Optional<Attn_BitTensor>:$forced,
    Optional<Attn_BitTensor>:$among, Optional<Index>:$bound,
    OptionalAttr<DenseI64ArrayAttr>:$dims,
    DefaultValuedAttr<Attn_SortedBy, "::mlir::attn::SortedBy::Value">:$sorted_by);
  let results = (outs Attn_NumberTensor:$values, Attn_I64Tensor:$indices,
                      Attn_I64Tensor:$count);
  let assemblyFormat = [{
    $order $input (`k` `(` $k^ `:` type($k) `)`)?
    (`forced` `(` $forced^ `:` type($forced) `)`)?
    (`among` `(` $among^ `:` type($among) `)`)?
    (`bound` `(` $bound^ `)`)? (`dims` $dims^)?
    (`sorted_by` `(` $sorted_by^ `)`)? attr-dict
    `:` type($input) `->` type($values) `,` type($indices) `,` type($count)
  }];
  let extraClassDeclaration = [{
    /// The first of the joined dimensions, and how many there are.
    unsigned getFirstDim();
    unsigned getNumDims();
  }];
}

def Attn_ArgSortOp : Attn_SelectionOp<"argsort"> {
  let summary = "a stable sort along one dimension";
  let description = [{
    `values` is `input` sorted along `dim`, ascending or `descending`, and
    `indices` says where each element was. Equal elements keep their order, also
    in a descending sort. NaN is larger than every number, all NaNs are equal,
    and so are 0 and -0.

    Constraints:
    * C1: dim is a dimension of the input.
    * C2: indices (i64) and values have the shape of the input, the values its element type.

    ```mlir
    %i, %v = attn.argsort %t dim(1) descending
       : tensor<2x?xf32> -> tensor<2x?xi64>, tensor<2x?xf32>
    ```

    A merge sort with scratch for one stretch: O(n log n).
  }];
  let arguments = (ins Attn_NumberTensor:$input, I64Attr:$dim,
                       UnitAttr:$descending);
  let results = (outs Attn_I64Tensor:$indices, Attn_NumberTensor:$values);
  let assemblyFormat = [{
    $input `dim` `(` $dim `)` (`descending` $descending^)? attr-dict
    `:` type($input) `->` type($indices) `,` type($values)
  }];
}

def Attn_SearchSortedOp : Attn_SelectionOp<"search_sorted"> {
  let summary = "places of values in ascending lists";
  let description = [{
    For every value the number of elements of its list that are smaller, or, with
    `right`, not larger: the place before, or after, its equals. Sampling from
    prefix sums of weights is `search_sorted` with `right`. The order is that of
    `attn.argsort`; in a list that is not ascending the result is some place.

    | operand, result | shape | dtype |
    | --- | --- | --- |
    | `sorted` | [..., N] | float, integer |
    | `values` | [..., M] | same |
    | `indices` | [..., M] | i64 |

    Constraints:
    * C1: sorted and values have one rank, at least 1, one element type, and equal leading extents.
    * C2: indices have the shape of the values.

    ```mlir
    %i = attn.search_sorted %sums, %u right
       : tensor<2x?xf32>, tensor<2x5xf32> -> tensor<2x5xi64>
    ```
  }];
  let arguments = (ins Attn_NumberTensor:$sorted, Attn_NumberTensor:$values,
                       UnitAttr:$right);
  let results = (outs Attn_I64Tensor:$indices);
  let assemblyFormat = [{
    $sorted `,` $values (`right` $right^)? attr-dict
    `:` type($sorted) `,` type($values) `->` type($indices)
  }];
}

//===----------------------------------------------------------------------===//
// Prefixes and compaction
//===----------------------------------------------------------------------===//

def Attn_PrefixOp : Attn_SelectionOp<"prefix"> {
  let summary = "running values of a region along one dimension";
  let description = [{
    With `a = identity` before the first element, each element x along `dim`
    gives `a' = f(a, x)`. The result holds a' or, if `exclusive`, a; `reverse`
    starts at the last element. With n inputs, f takes n accumulated values and
    n elements and yields n values: a sum, a maximum, the state of a gated
    recurrence. Elements are taken strictly in order.

    The region computes floats in the accumulation type (f64 for f64, else f32),
    integers in the type of the result (i1 elements count as 0 and 1).

    Constraints:
    * C1: dim is a dimension of the inputs.
    * C2: inputs and results have one shape; a float result has the type of its input or the accumulation type, an integer result at least the width of its input.
    * C3: identity has one constant per input, of the type the region computes in.
    * C4: the region takes twice and yields once the types it computes in.
    * C5: the region has no side effects.

    ```mlir
    %c = attn.prefix %t dim(1) identity [0.0 : f32] {
    ^bb0(%a: f32, %x: f32):
      %s = arith.addf %a, %x : f32
      attn.yield %s : f32
    } : tensor<2x?xf32> -> tensor<2x?xf32>
    ```
  }];
  let arguments = (ins Variadic<Attn_ElementTensor>:$inputs, I64Attr:$dim,
                       ArrayAttr:$identity, UnitAttr:$exclusive,
                       UnitAttr:$reverse);
  let results = (outs Variadic<Attn_ElementTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $inputs `dim` `(` $dim `)` `identity` $identity (`exclusive` $exclusive^)?
    (`reverse` $reverse^)? $body attr-dict
    `:` type($inputs) `->` type($results)
  }];
}

def Attn_CompactOp : Attn_SelectionOp<"compact"> {
  let summary = "bits to the ascending list of the indices that are set";
  let description = [{
    Along the last dimension: `indices` are the positions of set bits, in
    ascending order, -1 beyond `count`; bits beyond the first K are dropped, so
    that count is at most K.

    | operand, result | shape | dtype |
    | --- | --- | --- |
    | `bits` | [..., N] | i1 |
    | `bound` | scalar, the extent K where it is `?`; default N | index |
    | `indices` | [..., K] | i64 |
    | `count` | [...] | i64 |

    Constraints:
    * C1: indices have the shape of the bits up to the last dimension, count the shape without it.
    * C2: bound is given only where K is dynamic.

    ```mlir
    %i, %n = attn.compact %bits
       : tensor<2x?xi1> -> tensor<2x16xi64>, tensor<2xi64>
    ```
  }];
  let arguments = (ins Attn_BitTensor:$bits, Optional<Index>:$bound);
  let results = (outs Attn_I64Tensor:$indices, Attn_I64Tensor:$count);
  let assemblyFormat = [{
    $bits (`bound` `(` $bound^ `)`)? attr-dict
    `:` type($bits) `->` type($indices) `,` type($count)
  }];
}

//===----------------------------------------------------------------------===//
// Gather and scatter
//===----------------------------------------------------------------------===//

def Attn_GatherOp : Attn_SelectionOp<"gather"> {
  let summary = "rows or elements of a tensor at given indices";
  let description = [{
    Without `along`, the first `batch` dimensions (default 0) are shared by
    source and indices, and the other dimensions of the indices replace `dim`:
    `r[b, o, p, n] = source[b, o, indices[b, p], n]`, with b of rank `batch`, o
    the dimensions between it and `dim`, n those after `dim`. Where the source
    has fewer heads than the indices in the last shared dimension, they are
    grouped: head h reads h div (H / G).

    With `along`, both have one rank and agree except in `dim`, and
    `r[..., p, ...] = source[..., indices[..., p, ...], ...]`.

    An index below 0 or beyond the extent, such as the -1 of `attn.select_topk`,
    gives `fill` (default 0).

    Constraints:
    * C1: dim is a dimension of the source, at least batch; batch is at most the rank of the indices.
    * C2: shared extents agree; the last one of the indices may be a multiple of the source's.
    * C3: the result has the stated shape and the source's element type.
    * C4: fill has the element type.
    * C5: along excludes batch.

    ```mlir
    %r = attn.gather %keys, %i dim(2) batch(2)
       : tensor<2x2x?x64xf32>, tensor<2x8x16xi64> -> tensor<2x8x16x64xf32>
    ```
  }];
  let arguments = (ins Attn_ElementTensor:$source, Attn_PlaceTensor:$indices,
    I64Attr:$dim, DefaultValuedAttr<I64Attr, "0">:$batch, UnitAttr:$along,
    OptionalAttr<TypedAttrInterface>:$fill);
  let results = (outs Attn_ElementTensor:$result);
  let assemblyFormat = [{
    $source `,` $indices `dim` `(` $dim `)` (`batch` `(` $batch^ `)`)?
    (`along` $along^)? (`fill` `(` $fill^ `)`)? attr-dict
    `:` type($source) `,` type($indices) `->` type($result)
  }];
}

def Attn_ScatterReduceOp : Attn_SelectionOp<"scatter_reduce",
    [AllTypesMatch<["init", "result"]>]> {
  let summary = "combines rows or elements into a tensor at given indices";
  let description = [{
    Starts from `init` and combines into it, at the places from which
    `attn.gather` of the same form would read, the elements of `source`:
    `r[b, o, indices[b, p], n] = kind(r[...], source[b, o, p, n])`.

    Indices may repeat; elements combine in row-major order of the indices, so
    that results are the same from run to run and for any number of threads, and
    `replace` keeps the last. Indices out of range are dropped. Sums and
    products of floats are computed in the accumulation type and rounded once; a
    NaN wins in max and min.

    Constraints:
    * C1: dim, batch and along are those of a gather from init.
    * C2: shared extents agree.
    * C3: source has the shape of that gather and the element type of init.

    ```mlir
    %r = attn.scatter_reduce sum %init, %i, %rows dim(1) batch(1)
       : tensor<2x?x64xf32>, tensor<2x16xi64>, tensor<2x16x64xf32>
    ```
  }];
  let arguments = (ins Attn_ScatterKind:$kind, Attn_NumberTensor:$init,
    Attn_PlaceTensor:$indices, Attn_NumberTensor:$source, I64Attr:$dim,
    DefaultValuedAttr<I64Attr, "0">:$batch, UnitAttr:$along);
  let results = (outs Attn_NumberTensor:$result);
  let assemblyFormat = [{
    $kind $init `,` $indices `,` $source `dim` `(` $dim `)`
    (`batch` `(` $batch^ `)`)? (`along` $along^)? attr-dict
    `:` type($init) `,` type($indices) `,` type($source)
  }];
}

//===----------------------------------------------------------------------===//
// Small factorisations
//===----------------------------------------------------------------------===//

def Attn_SolveOp : Attn_SelectionOp<"solve",
    [AllTypesMatch<["rhs", "result"]>]> {
  let summary = "batched triangular systems";
  let description = [{
    `op(A) X = B` or, with `right`, `X op(A) = B`, where A is the lower or upper
    triangle of `matrix` (the other is not read), with a diagonal of ones if
    `unit` (the stored one is not read), and `op` transposes if `transposed`.
    Computed in the accumulation type. A zero on the diagonal divides by zero,
    as arithmetic does.

    | operand | shape |
    | --- | --- |
    | `matrix` | [..., n, n] |
    | `rhs`, result | [..., n, r], with `right` [..., r, n] |

    Constraints:
    * C1: matrix and rhs have one rank, at least 2, one element type, and equal leading extents.
    * C2: the matrix is square, and n is the extent of rhs that op(A) meets.

    ```mlir
    %x = attn.solve lower %a, %b unit
       : tensor<2x8x16x16xf32>, tensor<2x8x16x64xf32>
    ```
  }];
  let arguments = (ins Attn_Triangle:$triangle, Attn_RealTensor:$matrix,
    Attn_RealTensor:$rhs, UnitAttr:$unit, UnitAttr:$transposed,
    UnitAttr:$right);
  let results = (outs Attn_RealTensor:$result);
  let assemblyFormat = [{
    $triangle $matrix `,` $rhs (`unit` $unit^)? (`transposed` $transposed^)?
    (`right` $right^)? attr-dict `:` type($matrix) `,` type($rhs)
  }];
}

def Attn_CholeskyOp : Attn_SelectionOp<"cholesky",
    [AllTypesMatch<["matrix", "result"]>]> {
  let summary = "batched Cholesky factors of positive definite matrices";
  let description = [{
    The lower L with `A = L L^T`, from the lower triangle of `matrix`
    [..., n, n]; the upper triangle of the result is 0. Computed in the
    accumulation type. From the first pivot that is not positive on, the lower
    triangle is NaN.

    Constraints:
    * C1: the matrix has rank 2 or more and is square.

    ```mlir
    %l = attn.cholesky %a : tensor<2x16x16xf32>
    ```
  }];
  let arguments = (ins Attn_RealTensor:$matrix);
  let results = (outs Attn_RealTensor:$result);
  let assemblyFormat = "$matrix attr-dict `:` type($matrix)";
}

def Attn_QROp : Attn_SelectionOp<"qr"> {
  let summary = "batched thin QR factorisation";
  let description = [{
    `A = Q R` of `matrix` [..., m, n] by Householder reflections, with
    p = min(m, n): Q is [..., m, p] with orthonormal columns, R is [..., p, n]
    and upper triangular with a diagonal that is not negative, which makes both
    unique where A has full rank. Computed in the accumulation type; lengths of
    columns are scaled, so that they overflow only where the result does.

    Constraints:
    * C1: the matrix has rank 2 or more.
    * C2: q and r have the stated shapes (p may be `?` where m or n is) and the element type of the matrix.

    ```mlir
    %q, %r = attn.qr %a
       : tensor<2x64x16xf32> -> tensor<2x64x16xf32>, tensor<2x16x16xf32>
    ```
  }];
  let arguments = (ins Attn_RealTensor:$matrix);
  let results = (outs Attn_RealTensor:$q, Attn_RealTensor:$r);
  let assemblyFormat = [{
    $matrix attr-dict `:` type($matrix) `->` type($q) `,` type($r)
  }];
}

#endif // ATTN_DIALECT_ATTN_IR_SELECTIONOPS_TD
