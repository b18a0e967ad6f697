// RUN: attn-run %s --check=exact --target=cuda:sm_80,emulate --seed=2 | FileCheck %s

// Rows of three bf16 come to shared memory number by number; every pattern of 16
// bits arrives, among them those of subnormal numbers.

// CHECK: result0 (f32): 64 elements equal modulo 2^32
func.func @f(%q: tensor<1x1x64x3xbf16>, %k: tensor<1x1x1x3xbf16>) -> tensor<1x1x64xf32> {
  %s = attn.score %q, %k : tensor<1x1x64x3xbf16>, tensor<1x1x1x3xbf16> -> !attn.scores<1x1x64x1xf32>
  %sum = attn.reduce sum keys %s : (!attn.scores<1x1x64x1xf32>) -> (tensor<1x1x64xf32>)
  return %sum : tensor<1x1x64xf32>
}
