// RUN: attn-opt %s | attn-opt | FileCheck %s

// Dilation and causal are optional, each without the other.
// CHECK: #attn.neighborhood<shape = [4, 5], window = [2, 3]>
func.func private @plain() attributes {mask = #attn.neighborhood<shape = [4, 5], window = [2, 3]>}
// CHECK: #attn.neighborhood<shape = [4], window = [2], dilation = [2]>
func.func private @dilation() attributes {mask = #attn.neighborhood<shape = [4], window = [2], dilation = [2]>}
// CHECK: #attn.neighborhood<shape = [4], window = [2], causal = [1]>
func.func private @causal() attributes {mask = #attn.neighborhood<shape = [4], window = [2], causal = [1]>}
// CHECK: attn.mask %{{.*}} neighborhood<shape = [4], window = [2], dilation = [2], causal = [0]>
func.func @both(%t: tensor<1x1x4x4xf32>) -> tensor<1x1x4xi64> {
  %s = attn.bias %t : tensor<1x1x4x4xf32> -> !attn.scores<1x1x4x4xf32>
  %m = attn.mask %s neighborhood<shape = [4], window = [2], dilation = [2], causal = [0]> : !attn.scores<1x1x4x4xf32>
  %n = attn.reduce count keys %m : (!attn.scores<1x1x4x4xf32>) -> tensor<1x1x4xi64>
  return %n : tensor<1x1x4xi64>
}
