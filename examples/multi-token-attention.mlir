// Multi-token attention: scores are convolved over queries and keys and mixed
// between heads, before the softmax and after it. Entries that the mask hides
// count as 0 in both convolutions; no query looks at a later one.
//
// Paper: Multi-Token Attention, arXiv 2504.00927 (6 x 11 taps, all heads mixed).
// Shapes: q, k, v [B, 4, L, 32].
//
// RUN: attn-run %s --check --size B=2 L=67
// RUN: attn-run %s --check --loops=fused --size B=1 L=7
// RUN: attn-run %s --check --size B=1 L=1

!scores = !attn.scores<?x4x?x?xf32>
!taps = tensor<4x6x11xf32>

func.func @attention(
    %q: tensor<?x4x?x32xf32>
        {attn.name = "q", attn.dims = ["B", "4", "L", "32"]},
    %k: tensor<?x4x?x32xf32>
        {attn.name = "k", attn.dims = ["B", "4", "L", "32"]},
    %v: tensor<?x4x?x32xf32>
        {attn.name = "v", attn.dims = ["B", "4", "L", "32"]},
    %taps0: !taps {attn.name = "taps0", attn.init = "normal(0.2)"},
    %mix0: tensor<4x4xf32> {attn.name = "mix0", attn.init = "normal(0.5)"},
    %taps1: !taps {attn.name = "taps1", attn.init = "normal(0.2)"},
    %mix1: tensor<4x4xf32> {attn.name = "mix1", attn.init = "normal(0.5)"}
  ) -> (tensor<?x4x?x32xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.17677669529663687)
     : tensor<?x4x?x32xf32>, tensor<?x4x?x32xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %d = attn.convolve %c, %taps0 origin [5, 5] : !scores, !taps
  %e = attn.mix_heads %d, %mix0 : !scores, tensor<4x4xf32> -> !scores
  %p = attn.softmax %e : !scores
  %r = attn.convolve %p, %taps1 origin [5, 5] : !scores, !taps
  %w = attn.mix_heads %r, %mix1 : !scores, tensor<4x4xf32> -> !scores
  %o = attn.aggregate %w, %v : !scores, tensor<?x4x?x32xf32> -> tensor<?x4x?x32xf32>
  return %o : tensor<?x4x?x32xf32>
}
