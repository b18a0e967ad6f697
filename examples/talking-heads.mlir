// Talking-heads attention: heads are mixed before the softmax, and weights are
// mixed after it. The second mixture sees normalised weights of all heads, so
// their statistics are a kernel of their own.
//
// Paper: Talking-Heads Attention, arXiv 2003.02436.
// Shapes: q, k [B, 8, L, 64] and v [B, 6, L, 64]; mixtures 8 to 8 and 8 to 6.
//
// RUN: attn-run %s --check --size B=2 L=67
// RUN: attn-run %s --check --loops=fused --size B=1 L=35
// RUN: attn-run %s --check --size B=1 L=1

!scores = !attn.scores<?x8x?x?xf32>
!mixed = !attn.scores<?x6x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x8x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "8", "L", "64"]},
    %v: tensor<?x6x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "6", "L", "64"]},
    %logits: tensor<8x8xf32>
        {attn.name = "logits", attn.dims = ["8", "8"], attn.init = "normal(0.4)"},
    %weights: tensor<6x8xf32>
        {attn.name = "weights", attn.dims = ["6", "8"], attn.init = "normal(0.4)"}
  ) -> (tensor<?x6x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x8x?x64xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %t = attn.mix_heads %c, %logits : !scores, tensor<8x8xf32> -> !scores
  %p = attn.softmax %t : !scores
  %w = attn.mix_heads %p, %weights : !scores, tensor<6x8xf32> -> !mixed
  %o = attn.aggregate %w, %v : !mixed, tensor<?x6x?x64xf32> -> tensor<?x6x?x64xf32>
  return %o : tensor<?x6x?x64xf32>
}
