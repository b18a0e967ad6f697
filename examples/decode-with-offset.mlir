// Decoding: a few new queries against a cache that has room for N keys and holds
// key_length of them. The position of the first new query in every batch element is
// an operand, so causal means the same as in prefill.
//
// Paper: Fast Transformer Decoding: One Write-Head is All You Need,
// arXiv 1911.02150 (one key head for all query heads).
// Shapes: q [B, 8, M, 64], k and v [B, 1, N, 64], past [B], key_length [B, 1].
//
// RUN: attn-run %s --check --size B=3 M=1 N=257
// RUN: attn-run %s --check --loops=fused --size B=3 M=1 N=257
// RUN: attn-run %s --check --size B=2 M=4 N=100
// RUN: attn-run %s --check --loops=fused --size B=2 M=4 N=100

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "M", "64"]},
    %k: tensor<?x1x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "1", "N", "64"]},
    %v: tensor<?x1x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "1", "N", "64"]},
    %past: tensor<?xi32>
        {attn.name = "past", attn.dims = ["B"], attn.init = "lengths(N)"},
    %key_length: tensor<?x1xi32>
        {attn.name = "key_length", attn.dims = ["B", "1"], attn.init = "lengths(N)"}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
       query_offset(%past : tensor<?xi32>)
       key_length(%key_length : tensor<?x1xi32>)
     : tensor<?x8x?x64xf32>, tensor<?x1x?x64xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x1x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
