// One step of decoding: the new key and value are quantised, appended in place
// to paged caches of 4-bit codes, and attended to together with the past.
//
// Paper: KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache,
// arXiv 2402.02750 (per-token values; here for keys, too).
// Shapes: q [B, 8, 1, 64], new rows [B, 2, 1, 64]; pools [pages, 2, 8, ..].
//
// RUN: attn-run %s --check --size B=1 pages=9 maxpages=4
// RUN: attn-run %s --check --loops=fused --size B=1 pages=9 maxpages=4
// RUN: attn-run %s --check --size B=1 pages=9 maxpages=4 --pattern past="constant 31"

!new = tensor<?x2x1x64xf32>
!code_pool = tensor<?x2x8x32xi8>
!scale_pool = tensor<?x2x8x1xf32>
!codes = tensor<?x2x?x32xi8>
!scales = tensor<?x2x?x1xf32>
!numbers = tensor<?x2x?x64xf32>
!scores = !attn.scores<?x8x1x?xf32>
#scheme = #attn.quant<type = i4, axis = token, zero = offset>

func.func @step(
    %q: tensor<?x8x1x64xf32> {attn.name = "q", attn.dims = ["B", "8", "1", "64"]},
    %x: !new {attn.name = "x", attn.dims = ["B", "2", "1", "64"]},
    %c: !code_pool {attn.name = "c", attn.dims = ["pages", "2", "8", "32"],
                    bufferization.writable = true},
    %s: !scale_pool {attn.name = "s", attn.dims = ["pages", "2", "8", "1"],
                     attn.init = "positive 0.1", bufferization.writable = true},
    %z: !scale_pool {attn.name = "z", attn.dims = ["pages", "2", "8", "1"],
                     bufferization.writable = true},
    %table: tensor<?x?xi32>
        {attn.name = "table", attn.dims = ["B", "maxpages"], attn.init = "iota"},
    %past: tensor<?xi32> {attn.name = "past", attn.dims = ["B"], attn.init = "constant 19"}
  ) -> (tensor<?x8x1x64xf32> {attn.name = "o"}, !code_pool {attn.name = "c_after"},
        !scale_pool {attn.name = "s_after"}, !scale_pool {attn.name = "z_after"}) {
  %xq, %xs, %xz = attn.quantize %x scheme(#scheme)
    : !new -> tensor<?x2x1x32xi8>, tensor<?x2x1x1xf32>, tensor<?x2x1x1xf32>
  %c1 = attn.append %c, %xq at(%past : tensor<?xi32>) table(%table : tensor<?x?xi32>)
    : !code_pool, tensor<?x2x1x32xi8>
  %s1 = attn.append %s, %xs at(%past : tensor<?xi32>) table(%table : tensor<?x?xi32>)
    : !scale_pool, tensor<?x2x1x1xf32>
  %z1 = attn.append %z, %xz at(%past : tensor<?xi32>) table(%table : tensor<?x?xi32>)
    : !scale_pool, tensor<?x2x1x1xf32>
  %kc = attn.paged %c1, %table : !code_pool, tensor<?x?xi32> -> !codes
  %ks = attn.paged %s1, %table : !scale_pool, tensor<?x?xi32> -> !scales
  %kz = attn.paged %z1, %table : !scale_pool, tensor<?x?xi32> -> !scales
  %k = attn.dequantize %kc, %ks, %kz scheme(#scheme) : !codes, !scales, !scales -> !numbers
  %f = attn.score %q, %k scale(0.125) query_offset(%past : tensor<?xi32>)
     : tensor<?x8x1x64xf32>, !numbers -> !scores
  %m = attn.mask %f causal : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %k : !scores, !numbers -> tensor<?x8x1x64xf32>
  return %o, %c1, %s1, %z1
    : tensor<?x8x1x64xf32>, !code_pool, !scale_pool, !scale_pool
}
