// RUN: attn-opt %s --attn-form-streams --verify-diagnostics

func.func @sugar(%q: tensor<1x1x4x8xf32>, %v: tensor<1x1x4x8xf32>) -> tensor<1x1x4x8xf32> {
  %s = attn.score %q, %q : tensor<1x1x4x8xf32>, tensor<1x1x4x8xf32> -> !attn.scores<1x1x4x4xf32>
  // expected-error @below {{'attn.softmax' is not a primitive of streams; run attn-desugar first}}
  %p = attn.softmax %s : !attn.scores<1x1x4x4xf32>
  %o = attn.aggregate %p, %v : !attn.scores<1x1x4x4xf32>, tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32>
  return %o : tensor<1x1x4x8xf32>
}

func.func @states(%o: tensor<1x1x4x8xf32>, %l: tensor<1x1x4xf32>) -> tensor<1x1x4xf32> {
  // expected-error @below {{'attn.state_from' is not a primitive of streams; run attn-resolve-states first}}
  %s = attn.state_from %o, %l : tensor<1x1x4x8xf32>, tensor<1x1x4xf32> -> !attn.state<tensor<1x1x4x8xf32>, tensor<1x1x4xf32>>
  %f:2 = attn.finish %s : !attn.state<tensor<1x1x4x8xf32>, tensor<1x1x4xf32>>
  %b = attn.bias %f#0 : tensor<1x1x4x8xf32> -> !attn.scores<1x1x4x8xf32>
  %r = attn.reduce sum keys %b : (!attn.scores<1x1x4x8xf32>) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}
