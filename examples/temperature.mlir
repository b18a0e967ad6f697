// Selective self-attention: every query has its own temperature, and so decides by
// itself how sharp its weights are.
//
// Paper: Selective Attention: Enhancing Transformer through Principled Context
// Control, arXiv 2411.12892.
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64], temperature [B, 8, L].
//
// RUN: attn-run %s --check --size B=2 L=65
// RUN: attn-run %s --check --loops=fused --size B=2 L=65

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]},
    %temperature: tensor<?x8x?xf32>
        {attn.name = "temperature", attn.dims = ["B", "8", "L"], attn.init = "positive(2)"}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c temperature(%temperature : tensor<?x8x?xf32>) : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
