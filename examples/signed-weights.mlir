// Cog attention: weights sign(s) * softmax(|s|). Weights of both signs, absolute
// values that sum to 1. The shift is found through |s| and the sign.
//
// Paper: More Expressive Attention with Negative Weights, arXiv 2411.07176.
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
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %c = attn.mask %s causal : !scores
  %magnitude = attn.map %c (%x: f32) {
    %y = math.absf %x : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %p = attn.softmax %magnitude : !scores
  %w = attn.map %p, %c (%weight: f32, %x: f32) {
    %unit = math.copysign %one, %x : f32
    %isZero = arith.cmpf oeq, %x, %zero : f32
    %sign = arith.select %isZero, %zero, %unit : f32
    %y = arith.mulf %sign, %weight : f32
    attn.yield %y : f32
  } : (!scores, !scores) -> !scores
  %o = attn.aggregate %w, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
