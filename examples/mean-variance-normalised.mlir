// Normalised attention pooling: every row of scores is standardised to mean 0 and
// variance 1, then scaled and shifted per head. No exponentials, signed weights.
//
// Paper: Normalized Attention Without Probability Cage, arXiv 2005.09561.
// Shapes: q [B, 4, M, 64], k and v [B, 4, N, 64]; key_length [B, 1] pads.
//
// RUN: attn-run %s --check --size B=3 M=33 N=67
// RUN: attn-run %s --check --loops=fused --size B=3 M=33 N=67

!scores = !attn.scores<?x4x?x?xf32>

func.func @attention(
    %q: tensor<?x4x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "4", "M", "64"]},
    %k: tensor<?x4x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "4", "N", "64"]},
    %v: tensor<?x4x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "4", "N", "64"]},
    %gain: tensor<4xf32>
        {attn.name = "gain", attn.dims = ["4"], attn.init = "positive(1.5)"},
    %bias: tensor<4xf32>
        {attn.name = "bias", attn.dims = ["4"]},
    %key_length: tensor<?x1xi32>
        {attn.name = "key_length", attn.dims = ["B", "1"], attn.init = "lengths(N)"}
  ) -> (tensor<?x4x?x64xf32> {attn.name = "o"}) {
  %eps = arith.constant 1.0e-3 : f32
  %s = attn.score %q, %k key_length(%key_length : tensor<?x1xi32>)
     : tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> !scores
  %mean, %variance = attn.reduce moments keys %s
     : (!scores) -> (tensor<?x4x?xf32>, tensor<?x4x?xf32>)
  %w = attn.map %s (%x: f32) at (%b, %h, %i) {
    %mu = tensor.extract %mean[%b, %h, %i] : tensor<?x4x?xf32>
    %var = tensor.extract %variance[%b, %h, %i] : tensor<?x4x?xf32>
    %g = tensor.extract %gain[%h] : tensor<4xf32>
    %c = tensor.extract %bias[%h] : tensor<4xf32>
    %centred = arith.subf %x, %mu : f32
    %deviation = math.sqrt %var : f32
    %divisor = arith.addf %deviation, %eps : f32
    %unit = arith.divf %centred, %divisor : f32
    %scaled = arith.mulf %g, %unit : f32
    %y = arith.addf %scaled, %c : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %w, %v : !scores, tensor<?x4x?x64xf32> -> tensor<?x4x?x64xf32>
  return %o : tensor<?x4x?x64xf32>
}
