// Neighborhood attention on an image of 9 x 13 tokens in row-major order: every
// token sees the 3 x 5 keys around it, taken from every second row. At the
// borders the window shifts inside instead of shrinking.
//
// Paper: Faster Neighborhood Attention, arXiv 2403.04690.
// Shapes: q, k, v [B, 4, 117, 32].
//
// RUN: attn-run %s --check --size B=2
// RUN: attn-run %s --check --loops=fused --size B=2

!scores = !attn.scores<?x4x117x117xf32>

func.func @attention(
    %q: tensor<?x4x117x32xf32>
        {attn.name = "q", attn.dims = ["B", "4", "117", "32"]},
    %k: tensor<?x4x117x32xf32>
        {attn.name = "k", attn.dims = ["B", "4", "117", "32"]},
    %v: tensor<?x4x117x32xf32>
        {attn.name = "v", attn.dims = ["B", "4", "117", "32"]}
  ) -> (tensor<?x4x117x32xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.17677669529663687)
     : tensor<?x4x117x32xf32>, tensor<?x4x117x32xf32> -> !scores
  %n = attn.mask %s neighborhood<shape = [9, 13], window = [3, 5], dilation = [2, 1]> : !scores
  %p = attn.softmax %n : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x4x117x32xf32> -> tensor<?x4x117x32xf32>
  return %o : tensor<?x4x117x32xf32>
}
