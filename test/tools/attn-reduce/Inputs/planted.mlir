!scores = !attn.scores<2x4x9x9xf32>
func.func @f(
    %q: tensor<2x4x9x8xf32> {attn.name = "q", attn.dims = ["2", "4", "9", "8"]},
    %k: tensor<2x2x9x8xf32> {attn.name = "k", attn.dims = ["2", "2", "9", "8"]},
    %v: tensor<2x4x9x8xf32> {attn.name = "v", attn.dims = ["2", "4", "9", "8"]},
    %w: tensor<4x3x3xf32> {attn.name = "w", attn.dims = ["4", "3", "3"]},
    %slopes: tensor<4xf32> {attn.name = "slopes", attn.dims = ["4"]})
    -> (tensor<2x4x9x8xf32>, tensor<2x4x9xf32>) {
  %s = attn.score %q, %k scale(0.25) : tensor<2x4x9x8xf32>, tensor<2x2x9x8xf32> -> !scores
  %a = attn.map %s (%x: f32) at (%b, %h) {
    %m = tensor.extract %slopes[%h] : tensor<4xf32>
    %y = arith.addf %x, %m : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %c = attn.mask %a causal : !scores
  %t = attn.convolve %c, %w origin [2, 1] : !scores, tensor<4x3x3xf32>
  %n = attn.reduce max queries %t : (!scores) -> tensor<2x4x9xf32>
  %d = attn.map %t (%x: f32) at (%b, %h, %i, %j) {
    %m = tensor.extract %n[%b, %h, %j] : tensor<2x4x9xf32>
    %y = arith.subf %x, %m : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %p = attn.softmax %d : !scores
  %e = attn.map %p (%x: f32) {
    %y = math.log %x : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %g = attn.softmax %e : !scores
  %o = attn.aggregate %g, %v : !scores, tensor<2x4x9x8xf32> -> tensor<2x4x9x8xf32>
  %l = attn.reduce lse keys %t : (!scores) -> tensor<2x4x9xf32>
  return %o, %l : tensor<2x4x9x8xf32>, tensor<2x4x9xf32>
}
