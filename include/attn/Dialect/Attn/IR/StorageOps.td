//===- StorageOps.td - how operands are stored -------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_STORAGEOPS_TD
#define ATTN_DIALECT_ATTN_IR_STORAGEOPS_TD

include "attn/Dialect/Attn/IR/AttnAttrs.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_StorageOp<string mnemonic, list<Trait> traits = []>
    : Op<Attn_Dialect, mnemonic, traits> {
  let hasVerifier = 1;
}

def Attn_StoredTensor : RankedTensorOf<[AnyFloat, AnySignlessInteger, Index]>;
def Attn_CodeTensor : RankedTensorOf<[I8, AnyFloat]>;
def Attn_NumberTensor : RankedTensorOf<[F16, BF16, F32, F64]>;
def Attn_IndexTensor : RankedTensorOf<[I32, I64, Index]>;
def Attn_AppendPlace : AnyTypeOf<[Index, Attn_IndexTensor],
  "index or integer tensor [B] or [1]">;

//===----------------------------------------------------------------------===//
// Virtual tensors
//===----------------------------------------------------------------------===//

def Attn_ViewOp : Attn_StorageOp<"view", [SingleBlock, Pure]> {
  let summary = "a tensor whose rows, or elements, are computed on load";
  let description = [{
    For a tensor [B, H, L, D] the region takes b, h, l and yields the row there,
    a `vector<DxT>`; or, for a tensor of any rank, it takes all indices and
    yields the element.
    A stream that reads the tensor by rows (as a query, key or value), or by
    elements, evaluates the region instead of loading; every other user makes
    the tensor be stored once.

    The region reads captured tensors by `attn.at` (rows) and `tensor.extract`
    (elements) and is ordinary pure arithmetic on vectors and scalars;
    `vector.shuffle` and `vector.interleave` reorder features.
    `sizes` gives the dynamic extents of the result.

    | value | shape | dtype |
    | --- | --- | --- |
    | `sizes` | one index per dynamic extent | index |
    | result | [B, H, L, D] with static D, or any | float or integer |

    Constraints:
    * C1: the region takes three indices and yields a row of a tensor of rank 4; or as many as the rank, and yields an element.
    * C2: sizes are given exactly for the dynamic extents.
    * C3: the region is pure and speculatable.
    * C4: a region that yields elements reads elements only.

    A NaN or infinity in what is read stays in the rows that read it.

    ```mlir
    %k = attn.view (%b, %g, %j) sizes(%n) {
      %row = attn.at %stored[%b, %g, %j] : tensor<2x2x?x64xf16> -> vector<64xf16>
      %wide = arith.extf %row : vector<64xf16> to vector<64xf32>
      attn.yield %wide : vector<64xf32>
    } : tensor<2x2x?x64xf32>
    ```

    Lowers to row arithmetic inside the streams that read it, and to a stream
    without sweeps (`attn-store-views`) where it is stored.
  }];
  let arguments = (ins Variadic<Index>:$sizes);
  let results = (outs Attn_StoredTensor:$result);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// Whether the region computes rows, and not elements.
    bool yieldsRows() {
      return getBody().getNumArguments() + 1 == getResult().getType().getRank();
    }
    /// Extent `dim`: an attribute, or one of `sizes`.
    ::mlir::OpFoldResult getExtent(unsigned dim);
  }];
  let builders = [OpBuilder<(ins "::mlir::RankedTensorType":$type,
    "::mlir::ValueRange":$sizes, "bool":$rows,
    "::llvm::function_ref<::mlir::Value(::mlir::OpBuilder &, ::mlir::ValueRange)>":$body)>];
  let skipDefaultBuilders = 1;
}

def Attn_PagedOp : Attn_StorageOp<"paged", [Pure]> {
  let summary = "keys or values that live in pages of a pool";
  let description = [{
    Key j of sequence b is slot `j mod P` of page `table[b, j div P]`
    (PagedAttention, arXiv 2309.06180). Sequences may share pages.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `pool` | [pages, G, P, D] (`heads_first`) or [pages, P, G, D] (`slots_first`) | any |
    | `table` | [B, maxpages] | i32, i64 |
    | `extent` | N, at most and by default maxpages * P | index |
    | result | [B, G, N, D] | that of the pool |

    Constraints:
    * C1: pool has rank 4 and static G, P, D; the table has rank 2.
    * C2: the result is [B, G, N, D] of the pool's element type; N is dynamic where `extent` is given.
    * C3: P is the page size of the pool, at least 1.

    Page numbers are read only for keys below N; one outside of [0, pages) is
    clamped, so that nothing out of bounds is read. Where table and pool are
    arguments of the program, attn-run checks the table before it starts; -1
    stands for no page there.

    ```mlir
    %k = attn.paged %pool, %table extent(%n)
       : tensor<?x2x16x64xf32>, tensor<1x?xi32> -> tensor<1x2x?x64xf32>
    ```
  }];
  let arguments = (ins Attn_StoredTensor:$pool, Attn_IndexTensor:$table,
    Optional<Index>:$extent,
    DefaultValuedAttr<Attn_PoolLayoutAttr, "PoolLayout::HeadsFirst">:$layout);
  let results = (outs Attn_StoredTensor:$result);
  let assemblyFormat = [{
    $pool `,` $table (`extent` `(` $extent^ `)`)? (`layout` `` $layout^)?
    attr-dict `:` type($pool) `,` type($table) `->` type($result)
  }];
  let extraClassDeclaration = [{ int64_t getPageSize(); int64_t getGroups(); }];
}

def Attn_DequantizeOp : Attn_StorageOp<"dequantize", [Pure]> {
  let summary = "the numbers behind codes, scales and zeros";
  let description = [{
    `x = q s`, `(q - z) s` or `q s + z` as the scheme (`#attn.quant`) says: codes
    are converted exactly to the result's type, then one rounding per operation.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `codes` | [B, G, N, D], packed D / codes per byte | i8, or the 8-bit float |
    | `scales`, `zeros` | see `#attn.quant` | f16, bf16, f32, f64 |
    | result | [B, G, N, D] | f32, f64 |

    Constraints:
    * C1: all have rank 4, and D is static and a multiple of the codes per byte.
    * C2: codes have the storage type of the scheme.
    * C3: scales and zeros have the shape that the scheme states.
    * C4: zeros are given exactly where the scheme has them.

    A NaN scale or code stays in the numbers that it belongs to.

    ```mlir
    %k = attn.dequantize %q, %s scheme(<type = i8, axis = token>)
       : tensor<1x2x?x64xi8>, tensor<1x2x?x1xf32> -> tensor<1x2x?x64xf32>
    ```

    Virtual, like `attn.view`.
  }];
  let arguments = (ins Attn_CodeTensor:$codes, Attn_NumberTensor:$scales,
    Optional<Attn_NumberTensor>:$zeros, Attn_QuantAttr:$scheme);
  let results = (outs Attn_NumberTensor:$result);
  let assemblyFormat = [{
    $codes `,` $scales (`,` $zeros^)? `scheme` `(` $scheme `)` attr-dict `:`
    type($codes) `,` type($scales) (`,` type($zeros)^)? `->` type($result)
  }];
}

def Attn_QuantizeOp : Attn_StorageOp<"quantize", [Pure]> {
  let summary = "codes, scales and zeros of a tensor";
  let description = [{
    The inverse of `attn.dequantize`, with scales from the data:

    * `zero = none`: s = max|x| / largest code.
    * `offset`: s = (max - min) / (2^n - 1), z = min; q = round((x - z) / s).
    * `point`: s likewise, z = -round(min / s); q = round(x / s) + z.

    A group whose scale is 0 has codes 0 (with `point`, z = 0). A group with a
    NaN has a NaN scale; one with an infinity has an infinite one.
    One rounding per operation, in the scales' type.

    Constraints: those of `attn.dequantize`, with the types exchanged.

    ```mlir
    %q, %s = attn.quantize %x scheme(<type = i8, axis = token>)
       : tensor<1x2x?x64xf32> -> tensor<1x2x?x64xi8>, tensor<1x2x?x1xf32>
    ```
  }];
  let arguments = (ins Attn_NumberTensor:$input, Attn_QuantAttr:$scheme);
  let results = (outs Attn_CodeTensor:$codes, Attn_NumberTensor:$scales,
                      Optional<Attn_NumberTensor>:$zeros);
  let assemblyFormat = [{
    $input `scheme` `(` $scheme `)` attr-dict `:` type($input) `->`
    type($codes) `,` type($scales) (`,` type($zeros)^)?
  }];
}

def Attn_RopeOp : Attn_StorageOp<"rope", [Pure, AttrSizedOperandSegments,
    RequiredOperands<"0">,
    AllTypesMatch<["input", "result"]>]> {
  let summary = "rotary position embedding of rows";
  let description = [{
    Pairs of features (a, b) of the first R = `rotary_dim` features (default:
    all) are rotated by an angle t (RoFormer, arXiv 2104.09864):
    `a' = a cos t - b sin t`, `b' = b cos t + a sin t`. Pair k is (k, k + R / 2)
    with `half`, (2 k, 2 k + 1) with `interleaved`.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `input` | [B, H, L, D] | f16, bf16, f32, f64 |
    | `positions` | [B or 1, L] | integers: t = position * base^(-2 k / R) |
    | `cos`, `sin` | [B or 1, L, R / 2] | float |

    Constraints:
    * C1: the input has rank 4 and static D; R is even, and from 2 to D.
    * C2: either positions, or cos and sin.
    * C3: positions have rank 2, cos and sin rank 3 with last extent R / 2, and batch 1 or that of the input.

    A NaN or infinity stays in its pair.

    ```mlir
    %r = attn.rope %q positions(%p : tensor<1x?xi32>) half base(10000.0)
       : tensor<1x8x?x64xf32>
    ```

    Virtual, like `attn.view`; with positions, cos and sin are tabulated first.
  }];
  let arguments = (ins Attn_NumberTensor:$input,
    Optional<Attn_IndexTensor>:$positions,
    Optional<Attn_NumberTensor>:$cos, Optional<Attn_NumberTensor>:$sin,
    Attn_RopePairingAttr:$pairing,
    DefaultValuedAttr<F64Attr, "10000.0">:$base,
    DefaultValuedAttr<I64Attr, "0">:$rotary_dim);
  let results = (outs Attn_NumberTensor:$result);
  let assemblyFormat = [{
    $input (`positions` `(` $positions^ `:` type($positions) `)`)?
    (`cos` `(` $cos^ `:` type($cos) `)`)? (`sin` `(` $sin^ `:` type($sin) `)`)?
    `` $pairing (`base` `(` $base^ `)`)? (`rotary_dim` `(` $rotary_dim^ `)`)?
    attr-dict `:` type($input)
  }];
  let extraClassDeclaration = [{
    /// The number of features that rotate.
    int64_t getRotaryExtent();
  }];
}

def Attn_HadamardOp : Attn_StorageOp<"hadamard", [Pure,
    AllTypesMatch<["input", "result"]>]> {
  let summary = "normalised Walsh-Hadamard transform of the features";
  let description = [{
    `y_d = D^(-1/2) sum_e (-1)^popcount(d and e) x_e` over the last dimension,
    by butterflies (a, b) -> (a + b, a - b) at strides 1, 2, 4, ..., then one
    multiplication by D^(-1/2). It is its own inverse and keeps dot products, so
    that rotating queries and keys alike changes nothing but the spread of
    outliers (QuaRot, arXiv 2404.00456).

    Constraints:
    * C1: the input has rank 4, and its last extent is a static power of two.

    A NaN or infinity reaches all features of its row.

    ```mlir
    %r = attn.hadamard %k : tensor<1x2x?x64xf32>
    ```

    Virtual, like `attn.view`.
  }];
  let arguments = (ins Attn_NumberTensor:$input);
  let results = (outs Attn_NumberTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

def Attn_AppendOp : Attn_StorageOp<"append", [Pure,
    AllTypesMatch<["cache", "result"]>]> {
  let summary = "writes new rows into a cache, in place";
  let description = [{
    Row t of `new` becomes row `at[b] + t` of the cache, or of the sequence that
    `table` maps into a pool (see `attn.paged`). Nothing else changes. Rows
    whose position is negative or beyond the cache are not written.

    | operand | shape | dtype |
    | --- | --- | --- |
    | `cache` | [B, G, Nmax, D], or a pool | any |
    | `new` | [B, G, T, D] | that of the cache |
    | `at` | index, or [B] or [1] integers | |
    | `table` | [B, maxpages] | integers |

    The cache is written in place, never copied: it must be an argument of the
    function with `bufferization.writable = true`, or the result of another
    append, and not be read as it was before from here on. A result returned by
    the function is the argument's own buffer. Quantised caches append what
    `attn.quantize` gives, codes and scales by themselves.

    Constraints:
    * C1: cache and new have rank 4, one element type, and equal G and D.
    * C2: `at` is an index, or has shape [B] or [1].
    * C3: the table has rank 2; `layout` is for pools.

    ```mlir
    %c = attn.append %cache, %new at(%len : index)
       : tensor<1x2x?x64xf32>, tensor<1x2x1x64xf32>
    ```
  }];
  let arguments = (ins Attn_StoredTensor:$cache, Attn_StoredTensor:$new_rows,
    Attn_AppendPlace:$at, Optional<Attn_IndexTensor>:$table,
    DefaultValuedAttr<Attn_PoolLayoutAttr, "PoolLayout::HeadsFirst">:$layout);
  let results = (outs Attn_StoredTensor:$result);
  let assemblyFormat = [{
    $cache `,` $new_rows `at` `(` $at `:` type($at) `)`
    (`table` `(` $table^ `:` type($table) `)`)? (`layout` `` $layout^)?
    attr-dict `:` type($cache) `,` type($new_rows)
  }];
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

def Attn_InnerOp : Attn_StorageOp<"inner", [Pure]> {
  let summary = "contraction of two row values";
  let description = [{
    `sum_d lhs[d] * rhs[d]` in the result type: `attn.dot` for rows that are
    computed, not loaded.

    Constraints:
    * C1: both rows have one length.
    * C2: the result is i32 for two rows of i8, and a float for others.

    ```mlir
    %s = attn.inner %x, %y : vector<64xf32>, vector<64xf32> -> f32
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [AnyFloat, I8]>:$lhs,
                       VectorOfRankAndType<[1], [AnyFloat, I8]>:$rhs);
  let results = (outs AnyTypeOf<[AnyFloat, I32]>:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
}

def Attn_ExpandOp : Attn_StorageOp<"expand", [Pure]> {
  let summary = "a row from its coefficients in the rows of a matrix";
  let description = [{
    `y_d = sum_r x_r matrix[indices, r, d]` in the result's element type: the
    expansion of a latent, for regions of `attn.view` and for streams
    (DeepSeek-V2, arXiv 2405.04434).

    Constraints:
    * C1: the matrix is indexed up to its last two dimensions, which are static: the lengths of the row given and of the result.

    ```mlir
    %y = attn.expand %x, %W[%h] : vector<16xf32>, tensor<8x16x64xf32> -> vector<64xf32>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [AnyFloat]>:$coefficients,
    AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef]>:$matrix,
    Variadic<Index>:$indices);
  let results = (outs VectorOfRankAndType<[1], [AnyFloat]>:$result);
  let assemblyFormat = [{
    $coefficients `,` $matrix `[` $indices `]` attr-dict `:`
    type($coefficients) `,` type($matrix) `->` type($result)
  }];
}

#endif // ATTN_DIALECT_ATTN_IR_STORAGEOPS_TD
