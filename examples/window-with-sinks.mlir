// A causal sliding window of 48 keys, and a learned logit per head that takes part
// in the denominator only (an attention sink).
//
// Papers: Longformer, arXiv 2004.05150 (window); gpt-oss-120b & gpt-oss-20b Model
// Card, arXiv 2508.10925 (sink logits).
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64], one sink logit per query head.
//
// RUN: attn-run %s --check --size B=2 L=131
// RUN: attn-run %s --check --loops=fused --size B=2 L=131

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]},
    %sink: tensor<8xf32>
        {attn.name = "sink", attn.dims = ["8"]}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %w = attn.mask %s window<left = 47, right = 0> : !scores
  %p = attn.softmax %w sink(%sink : tensor<8xf32>) : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
