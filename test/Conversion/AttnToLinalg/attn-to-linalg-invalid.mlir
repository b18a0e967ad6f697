// RUN: attn-opt %s -attn-to-linalg -split-input-file -verify-diagnostics

func.func @softmax(%t: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %s = attn.bias %t : tensor<1x2x4x4xf32> -> !attn.scores<1x2x4x4xf32>
  // expected-error @below {{'attn.softmax' has no reference; run attn-desugar first}}
  %p = attn.softmax %s : !attn.scores<1x2x4x4xf32>
  %o = attn.materialize %p : !attn.scores<1x2x4x4xf32> -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

func.func @mask(%t: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %s = attn.bias %t : tensor<1x2x4x4xf32> -> !attn.scores<1x2x4x4xf32>
  // expected-error @below {{a named mask is composed; run attn-desugar first}}
  %p = attn.mask %s causal : !attn.scores<1x2x4x4xf32>
  %o = attn.materialize %p : !attn.scores<1x2x4x4xf32> -> tensor<1x2x4x4xf32>
  return %o : tensor<1x2x4x4xf32>
}

// -----

func.func @lse(%t: tensor<1x2x4x4xf32>) -> tensor<1x2x4xf32> {
  %s = attn.bias %t : tensor<1x2x4x4xf32> -> !attn.scores<1x2x4x4xf32>
  // expected-error @below {{lse is composed; run attn-desugar first}}
  %o = attn.reduce lse keys %s : (!attn.scores<1x2x4x4xf32>) -> tensor<1x2x4xf32>
  return %o : tensor<1x2x4xf32>
}

// -----

// expected-error @below {{function 'argument' takes or returns scores, which live in one block}}
func.func @argument(%s: !attn.scores<1x2x4x4xf32>) -> tensor<1x2x4xf32> {
  %o = attn.reduce sum keys %s : (!attn.scores<1x2x4x4xf32>) -> tensor<1x2x4xf32>
  return %o : tensor<1x2x4xf32>
}
