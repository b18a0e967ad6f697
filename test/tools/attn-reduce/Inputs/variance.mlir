func.func @f(
    %q: tensor<1x2x?x4xf32> {attn.name = "q", attn.dims = ["1", "2", "L", "4"]},
    %k: tensor<1x2x?x4xf32> {attn.name = "k", attn.dims = ["1", "2", "L", "4"]})
    -> (tensor<1x2x?xf32>, tensor<1x2x?x4xf32>) attributes {attn.sizes = {L = 9 : i64}} {
  %s = attn.score %q, %k : tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32> -> !attn.scores<1x2x?x?xf32>
  %c = attn.mask %s causal : !attn.scores<1x2x?x?xf32>
  %m, %v = attn.reduce moments keys %c : (!attn.scores<1x2x?x?xf32>) -> (tensor<1x2x?xf32>, tensor<1x2x?xf32>)
  %p = attn.softmax %c : !attn.scores<1x2x?x?xf32>
  %o = attn.aggregate %p, %k : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x4xf32> -> tensor<1x2x?x4xf32>
  return %v, %o : tensor<1x2x?xf32>, tensor<1x2x?x4xf32>
}
