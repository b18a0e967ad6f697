// Scores pressed into (-30, 30) by a tanh before the causal softmax.
//
// Paper: Gemma 2: Improving Open Language Models at a Practical Size,
// arXiv 2408.00118.
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64].
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
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %cap = arith.constant 30.0 : f32
  %a = attn.map %s (%x: f32) {
    %small = arith.divf %x, %cap : f32
    %t = math.tanh %small : f32
    %y = arith.mulf %t, %cap : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %c = attn.mask %a causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
