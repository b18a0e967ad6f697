// Causal grouped-query attention: eight query heads share two key heads.
//
// Paper: GQA: Training Generalized Multi-Query Transformer Models from
// Multi-Head Checkpoints, arXiv 2305.13245.
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64].
//
// RUN: attn-run %s --check --size B=2 L=65
// RUN: attn-run %s --check --loops=fused --size B=2 L=65
// RUN: attn-run %s --check --size B=1 L=1
// RUN: attn-run %s --check --loops=fused --size B=1 L=1

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
