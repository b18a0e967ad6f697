// Which keys of a cache to keep: causal attention over a prompt that also sums,
// for every key and key head, the weights that the last queries of the prompt
// gave it, over these queries and over the query heads that share the key head.
// The sums are smoothed by a maximum over neighbouring keys elsewhere, and the
// best ones stay.
//
// Paper: SnapKV: LLM Knows What You are Looking for Before Generation,
// arXiv 2404.14469 (an observation window of queries).
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64]; votes [B, 2, L].
//
// RUN: attn-run %s --check --size B=2 L=65
// RUN: attn-run %s --check --loops=fused --size B=2 L=65
// RUN: attn-run %s --check --size B=1 L=7

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"},
        tensor<?x2x?xf32> {attn.name = "votes"}) {
  %c2 = arith.constant 2 : index
  %window = arith.constant 32 : index
  %length = tensor.dim %q, %c2 : tensor<?x8x?x64xf32>
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  %last = attn.mask %p (%w: f32) at (%b, %h, %i, %j) {
    %end = arith.addi %i, %window : index
    %counts = arith.cmpi sge, %end, %length : index
    attn.yield %counts : i1
  } : !scores
  %votes = attn.reduce sum [queries, heads] %last groups(2) : (!scores) -> tensor<?x2x?xf32>
  return %o, %votes : tensor<?x8x?x64xf32>, tensor<?x2x?xf32>
}
