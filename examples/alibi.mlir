// Attention with linear biases: each head adds slope * (j - i) to its scores.
//
// Paper: Train Short, Test Long: Attention with Linear Biases Enables Input
// Length Extrapolation, arXiv 2108.12409.
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64], one slope per query head.
//
// RUN: attn-run %s --check --size B=2 L=67
// RUN: attn-run %s --check --loops=fused --size B=2 L=67

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]},
    %slopes: tensor<8xf32>
        {attn.name = "slopes", attn.dims = ["8"], attn.init = "positive(0.5)"}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %slope = tensor.extract %slopes[%h] : tensor<8xf32>
    %distance = arith.subi %j, %i : index
    %integer = arith.index_cast %distance : index to i64
    %float = arith.sitofp %integer : i64 to f32
    %bias = arith.mulf %slope, %float : f32
    %y = arith.addf %x, %bias : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %c = attn.mask %a causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
