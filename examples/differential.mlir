// Differential attention: the difference of two softmaxes, so that common noise
// cancels. Both run in one sweep over the keys, each with its own maximum.
//
// Paper: Differential Transformer, arXiv 2410.05258.
// Shapes: q1, q2 [B, 4, L, 64], k1, k2 [B, 2, L, 64], v [B, 2, L, 128].
//
// RUN: attn-run %s --check --size B=2 L=65
// RUN: attn-run %s --check --loops=fused --size B=2 L=65

!scores = !attn.scores<?x4x?x?xf32>

func.func @attention(
    %q1: tensor<?x4x?x64xf32>
        {attn.name = "q1", attn.dims = ["B", "4", "L", "64"]},
    %q2: tensor<?x4x?x64xf32>
        {attn.name = "q2", attn.dims = ["B", "4", "L", "64"]},
    %k1: tensor<?x2x?x64xf32>
        {attn.name = "k1", attn.dims = ["B", "2", "L", "64"]},
    %k2: tensor<?x2x?x64xf32>
        {attn.name = "k2", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x128xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "128"]},
    %lambda: tensor<4xf32>
        {attn.name = "lambda", attn.dims = ["4"], attn.init = "positive(0.8)"}
  ) -> (tensor<?x4x?x128xf32> {attn.name = "o"}) {
  %s1 = attn.score %q1, %k1 scale(0.125) : tensor<?x4x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %s2 = attn.score %q2, %k2 scale(0.125) : tensor<?x4x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %c1 = attn.mask %s1 causal : !scores
  %c2 = attn.mask %s2 causal : !scores
  %p1 = attn.softmax %c1 : !scores
  %p2 = attn.softmax %c2 : !scores
  %d = attn.map %p1, %p2 (%x: f32, %y: f32) at (%b, %h) {
    %weight = tensor.extract %lambda[%h] : tensor<4xf32>
    %second = arith.mulf %weight, %y : f32
    %difference = arith.subf %x, %second : f32
    attn.yield %difference : f32
  } : (!scores, !scores) -> !scores
  %o = attn.aggregate %d, %v
     : !scores, tensor<?x2x?x128xf32> -> tensor<?x4x?x128xf32>
  return %o : tensor<?x4x?x128xf32>
}
