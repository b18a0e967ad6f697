// An exact window and a quantised past in one softmax: the last W keys and values
// are kept as they are, older ones as 8-bit codes with a scale per channel for
// keys and per token for values. Codes are read where they are; the two sources
// are one row of scores, with one maximum and one sum.
//
// Paper: KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache,
// arXiv 2402.02750.
// Shapes: q [B, 8, M, 64], the last M positions of the window; past codes
// [B, 2, P, 64], window [B, 2, W, 64].
//
// RUN: attn-run %s --check --size B=2 M=3 P=130 W=33
// RUN: attn-run %s --check --loops=fused --size B=2 M=3 P=130 W=33
// RUN: attn-run %s --check --size B=1 M=1 P=0 W=32
// RUN: attn-run %s --check --size B=1 M=40 P=65 W=40 --pattern v=nan-row

!scores = !attn.scores<?x8x?x?xf32>
!codes = tensor<?x2x?x64xi8>
!keys = tensor<?x2x?x64xf32>
!out = tensor<?x8x?x64xf32>

func.func @attention(
    %q: !out {attn.name = "q", attn.dims = ["B", "8", "M", "64"]},
    %past_k: !codes {attn.name = "past_k", attn.dims = ["B", "2", "P", "64"]},
    %past_ks: tensor<?x2x1x64xf32>
        {attn.name = "past_ks", attn.dims = ["B", "2", "1", "64"], attn.init = "positive 0.02"},
    %past_v: !codes {attn.name = "past_v", attn.dims = ["B", "2", "P", "64"]},
    %past_vs: tensor<?x2x?x1xf32>
        {attn.name = "past_vs", attn.dims = ["B", "2", "P", "1"], attn.init = "positive 0.02"},
    %k: !keys {attn.name = "k", attn.dims = ["B", "2", "W", "64"]},
    %v: !keys {attn.name = "v", attn.dims = ["B", "2", "W", "64"]}
  ) -> (!out {attn.name = "o"}) {
  %c2 = arith.constant 2 : index
  %m = tensor.dim %q, %c2 : !out
  %w = tensor.dim %k, %c2 : !keys
  %first = arith.subi %w, %m : index
  %pk = attn.dequantize %past_k, %past_ks scheme(<type = i8, axis = channel>)
     : !codes, tensor<?x2x1x64xf32> -> !keys
  %pv = attn.dequantize %past_v, %past_vs scheme(<type = i8, axis = token>)
     : !codes, tensor<?x2x?x1xf32> -> !keys
  %past = attn.score %q, %pk scale(0.125) : !out, !keys -> !scores
  %near = attn.score %q, %k scale(0.125) query_offset(%first : index) : !out, !keys -> !scores
  %window = attn.mask %near causal : !scores
  %s = attn.concat %past, %window : (!scores, !scores) -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, (%pv, %v) : !scores, !keys, !keys -> !out
  return %o : !out
}
