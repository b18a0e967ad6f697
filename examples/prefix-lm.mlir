// Prefix language model: the first keys of every batch element (its prefix) are
// seen by all queries, the rest causally.
//
// Paper: Exploring the Limits of Transfer Learning with a Unified Text-to-Text
// Transformer, arXiv 1910.10683.
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64], prefix [B].
//
// RUN: attn-run %s --check --size B=3 L=65
// RUN: attn-run %s --check --loops=fused --size B=3 L=65

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]},
    %prefix: tensor<?xi32>
        {attn.name = "prefix", attn.dims = ["B"], attn.init = "lengths(L)"}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %m = attn.mask %s prefix prefix(%prefix : tensor<?xi32>) : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
