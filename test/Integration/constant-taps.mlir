// Taps, weights and tables may be constants of the program.
//
// RUN: attn-run %s --check --size M=23 N=37
// RUN: attn-run %s --check --loops --size M=23 N=37

!scores = !attn.scores<1x2x?x?xf32>

func.func @attention(
    %q: tensor<1x2x?x8xf32> {attn.name = "q", attn.dims = ["1", "2", "M", "8"]},
    %k: tensor<1x2x?x8xf32> {attn.name = "k", attn.dims = ["1", "2", "N", "8"]},
    %v: tensor<1x2x?x8xf32> {attn.name = "v", attn.dims = ["1", "2", "N", "8"]}
  ) -> (tensor<1x2x?x8xf32> {attn.name = "o"}) {
  %taps = arith.constant dense<[[[0.25, 0.5, 0.25]]]> : tensor<1x1x3xf32>
  %mix = arith.constant dense<[[1.0, 0.5], [0.5, 1.0]]> : tensor<2x2xf32>
  %table = arith.constant dense<[0.5, 2.0]> : tensor<2xf32>
  %s = attn.score %q, %k
     : tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32> -> !scores
  %t = attn.map %s (%x: f32) at (%b, %h) {
    %f = tensor.extract %table[%h] : tensor<2xf32>
    %y = arith.mulf %x, %f : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %e = attn.convolve %t, %taps origin [0, 1] : !scores, tensor<1x1x3xf32>
  %m = attn.mix_heads %e, %mix : !scores, tensor<2x2xf32> -> !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<1x2x?x8xf32> -> tensor<1x2x?x8xf32>
  return %o : tensor<1x2x?x8xf32>
}
