//===- AttnAttrs.td - enums and named masks ----------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_ATTNATTRS_TD
#define ATTN_DIALECT_ATTN_IR_ATTNATTRS_TD

include "attn/Dialect/Attn/IR/AttnBase.td"
include "mlir/IR/EnumAttr.td"

//===----------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------===//

class Attn_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::attn";
  let genSpecializedAttr = 0;
}

def Attn_Axis : Attn_Enum<"Axis", "the axis a reduction runs over", [
  I32EnumAttrCase<"Keys", 0, "keys">,
  I32EnumAttrCase<"Queries", 1, "queries">,
  I32EnumAttrCase<"Both", 2, "both">
]>;
def Attn_AxisAttr : EnumAttr<Attn_Dialect, Attn_Axis, "axis">;

def Attn_ReduceKind : Attn_Enum<"ReduceKind", "what attn.reduce computes", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"Min", 2, "min">,
  I32EnumAttrCase<"Mean", 3, "mean">,
  I32EnumAttrCase<"Count", 4, "count">,
  I32EnumAttrCase<"ArgMax", 5, "argmax">,
  I32EnumAttrCase<"ArgMin", 6, "argmin">,
  I32EnumAttrCase<"Lse", 7, "lse">,
  I32EnumAttrCase<"Moments", 8, "moments">,
  I32EnumAttrCase<"Entropy", 9, "entropy">,
  I32EnumAttrCase<"Custom", 10, "custom">,
  I32EnumAttrCase<"Any", 11, "any">
]>;
def Attn_ReduceKindAttr : EnumAttr<Attn_Dialect, Attn_ReduceKind, "reduce_kind">;

def Attn_FeatureReduceKind : Attn_Enum<"FeatureReduceKind",
    "how attn.score_with combines features", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"Min", 2, "min">
]>;
def Attn_FeatureReduceKindAttr
    : EnumAttr<Attn_Dialect, Attn_FeatureReduceKind, "feature_reduce_kind">;

def Attn_CarryKind : Attn_Enum<"CarryKind", "what a carry of a sweep accumulates", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"Min", 2, "min">,
  I32EnumAttrCase<"Mean", 3, "mean">,
  I32EnumAttrCase<"Count", 4, "count">,
  I32EnumAttrCase<"ArgMax", 5, "argmax">,
  I32EnumAttrCase<"ArgMin", 6, "argmin">,
  I32EnumAttrCase<"Any", 7, "any">,
  I32EnumAttrCase<"Outer", 8, "outer">
]>;
def Attn_CarryKindAttr : EnumAttr<Attn_Dialect, Attn_CarryKind, "carry_kind">;

def Attn_GaugeKind : Attn_Enum<"GaugeKind", "what an attn.running value follows", [
  I32EnumAttrCase<"Max", 0, "max">,
  I32EnumAttrCase<"Mean", 1, "mean">
]>;
def Attn_GaugeKindAttr : EnumAttr<Attn_Dialect, Attn_GaugeKind, "gauge_kind">;

def Attn_Orientation : Attn_Enum<"Orientation", "which axis stays in a stream", [
  I32EnumAttrCase<"Rows", 0, "rows">,
  I32EnumAttrCase<"Cols", 1, "cols">
]>;
def Attn_OrientationAttr : EnumAttr<Attn_Dialect, Attn_Orientation, "orientation">;

//===----------------------------------------------------------------------===//
// Storage
//===----------------------------------------------------------------------===//

def Attn_RopePairing : Attn_Enum<"RopePairing", "which features rotate together", [
  I32EnumAttrCase<"Half", 0, "half">,
  I32EnumAttrCase<"Interleaved", 1, "interleaved">
]>;
def Attn_RopePairingAttr : EnumAttr<Attn_Dialect, Attn_RopePairing, "rope_pairing">;

def Attn_PoolLayout : Attn_Enum<"PoolLayout", "order of heads and slots in a pool of pages", [
  I32EnumAttrCase<"HeadsFirst", 0, "heads_first">,
  I32EnumAttrCase<"SlotsFirst", 1, "slots_first">
]>;
def Attn_PoolLayoutAttr : EnumAttr<Attn_Dialect, Attn_PoolLayout, "pool_layout">;

def Attn_QuantAxis : Attn_Enum<"QuantAxis", "what shares a scale", [
  I32EnumAttrCase<"Tensor", 0, "tensor">,
  I32EnumAttrCase<"Token", 1, "token">,
  I32EnumAttrCase<"Channel", 2, "channel">
]>;
def Attn_QuantZero : Attn_Enum<"QuantZero", "how codes are shifted", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Point", 1, "point">,
  I32EnumAttrCase<"Offset", 2, "offset">
]>;
def Attn_QuantRounding : Attn_Enum<"QuantRounding", "rounding of codes", [
  I32EnumAttrCase<"NearestEven", 0, "nearest_even">,
  I32EnumAttrCase<"HalfAway", 1, "half_away">
]>;

def Attn_QuantAttr : AttrDef<Attn_Dialect, "Quant"> {
  let summary = "a quantisation scheme: format, scales, zeros, rounding";
  let description = [{
    One record says how numbers [B, G, N, D] are stored.

    * `type`: i8, i4, i2, f8E4M3FN or f8E5M2. Codes of i4 and i2 are packed in
      bytes along the features, the first one in the lowest bits: D / 2 or D / 4
      bytes.
    * `axis` and `group`: which numbers share a scale, and the shape of scales.

      | axis | one scale for | scales (and zeros) |
      | --- | --- | --- |
      | `token` | `group` features of a token (0: all) | [B, G, N, D / group] |
      | `channel` | `group` tokens of a feature (0: all) | [B, G, ceil(N / group), D] |
      | `tensor` | everything | [1, 1, 1, 1] |

    * `zero`: `none`, x = q s with signed codes -(2^(n-1) - 1) to 2^(n-1) - 1;
      `point`, x = (q - z) s; `offset`, x = q s + z; the last two with codes 0 to
      2^n - 1. Only `none` goes with the 8-bit floats.
    * `rounding` of codes: `nearest_even`, or `half_away` from zero.
    * `clamp`: codes out of range become the nearest code; 0: integers wrap and
      8-bit floats become NaN (f8E4M3FN) or infinite (f8E5M2).

    Per-token scales serve appended caches; KIVI (arXiv 2402.02750) has 2-bit
    keys by channel in groups of tokens and values by token in groups of
    features.

    ```mlir
    #attn.quant<type = i8, axis = token>
    #attn.quant<type = i2, axis = channel, group = 32, zero = offset>
    ```
  }];
  let mnemonic = "quant";
  let parameters = (ins "::mlir::Type":$type,
    EnumParameter<Attn_QuantAxis>:$axis,
    DefaultValuedParameter<"int64_t", "0">:$group,
    DefaultValuedParameter<"QuantZero", "QuantZero::None">:$zero,
    DefaultValuedParameter<"QuantRounding", "QuantRounding::NearestEven">:$rounding,
    DefaultValuedParameter<"int64_t", "1">:$clamp);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isFloat() const { return ::mlir::isa<::mlir::FloatType>(getType()); }
    /// Bits of a code, and codes per byte.
    unsigned getBits() const { return getType().getIntOrFloatBitWidth(); }
    int64_t getCodesPerByte() const { return 8 / getBits(); }
    bool isPacked() const { return getBits() < 8; }
    bool hasZeros() const { return getZero() != QuantZero::None; }
    /// The largest code, or the largest finite 8-bit float.
    double getLargest() const;
  }];
}

//===----------------------------------------------------------------------===//
// Named masks
//===----------------------------------------------------------------------===//

def Attn_NamedMaskInterface : AttrInterface<"NamedMaskInterface"> {
  let cppNamespace = "::mlir::attn";
  let description = [{
    A mask known by name. `buildPredicate` writes it as ordinary arithmetic on
    positions (and segments, for `#attn.document`), which is all that later
    passes see; adding a named mask means adding one attribute.
  }];
  let methods = [
    InterfaceMethod<"Builds the i1 predicate from the values in `site`.",
      "::mlir::Value", "buildPredicate",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
           "const ::mlir::attn::MaskSite &":$site)>,
    InterfaceMethod<"Whether query and key positions are compared, so that both axes must share an origin.",
      "bool", "comparesPositions", (ins), "", "return true;">,
    InterfaceMethod<"Whether both axes must carry segments.",
      "bool", "needsSegments", (ins), "", "return false;">,
    InterfaceMethod<"Whether the mask takes a prefix length operand.",
      "bool", "takesPrefix", (ins), "", "return false;">
  ];
}

class Attn_Mask<string name, string maskMnemonic, list<string> extraMethods = []>
    : AttrDef<Attn_Dialect, name # "Mask", [
        DeclareAttrInterfaceMethods<Attn_NamedMaskInterface, extraMethods>]> {
  let mnemonic = maskMnemonic;
}

def Attn_CausalMask : Attn_Mask<"Causal", "causal"> {
  let summary = "keys at or before the query: pj <= pi";
}

def Attn_WindowMask : Attn_Mask<"Window", "window"> {
  let summary = "keys within a window: pi - left <= pj <= pi + right";
  let description = [{
    `left` and `right` are counts of positions, at least 0. A causal sliding
    window of width w is `#attn.window<left = w - 1, right = 0>`
    (Longformer, arXiv 2004.05150; Mistral, arXiv 2310.06825).
  }];
  let parameters = (ins "int64_t":$left, "int64_t":$right);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Attn_PrefixMask : Attn_Mask<"Prefix", "prefix", ["takesPrefix"]> {
  let summary = "prefix-LM: pj <= pi, or pj < prefix of the batch element";
  let description = [{
    The prefix length is an operand of `attn.mask`, an integer tensor [B] or [1]
    (T5, arXiv 1910.10683).
  }];
}

def Attn_DocumentMask : Attn_Mask<"Document", "document",
    ["comparesPositions", "needsSegments"]> {
  let summary = "equal segments: segment(query) == segment(key)";
}

def Attn_DilatedMask : Attn_Mask<"Dilated", "dilated"> {
  let summary = "every dilation-th key at or before the query, within a window";
  let description = [{
    0 <= pi - pj < window * dilation and (pi - pj) mod dilation == 0: `window`
    keys, `dilation` positions apart (LongNet, arXiv 2307.02486).
  }];
  let parameters = (ins "int64_t":$window, "int64_t":$dilation);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Attn_ChunkedMask : Attn_Mask<"Chunked", "chunked"> {
  let summary = "causal inside chunks: pj <= pi and pi div size == pj div size";
  let description = [{
    Chunks count from position 0; key positions are at least 0.
  }];
  let parameters = (ins "int64_t":$size);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Attn_NeighborhoodMask : Attn_Mask<"Neighborhood", "neighborhood"> {
  let summary = "1-D to 3-D neighborhood on a row-major grid of tokens";
  let description = [{
    Positions are row-major on a grid of `shape` (1 to 3 axes); a key is visible
    iff it is visible on every axis. On an axis of extent n with window w and
    dilation d, key and query must agree modulo d; inside their residue class
    the window holds w keys and shifts to stay inside at the borders, or, where
    `causal` is 1, holds the last w keys up to the query (arXiv 2403.04690).
    Requires w * d <= n on each axis.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$shape,
    ArrayRefParameter<"int64_t">:$window,
    OptionalArrayRefParameter<"int64_t">:$dilation,
    OptionalArrayRefParameter<"int64_t">:$causal);
  let assemblyFormat = [{
    `<` `shape` `=` `[` $shape `]` `,` `window` `=` `[` $window `]`
        `` custom<OptionalAxes>($dilation, $causal) `>`
  }];
  let genVerifyDecl = 1;
}

#endif // ATTN_DIALECT_ATTN_IR_ATTNATTRS_TD
