// The best keys of all segments together are found in one sweep over them.
// RUN: attn-opt %s --attn-plan -o /dev/null 2>&1 | FileCheck %s
// CHECK: remark: segments are not cut: selections and bins are kept whole, and all of them are read for every key

!qkv = tensor<1x1x16x8xf32>
func.func @f(%q: !qkv, %k: !qkv, %k2: !qkv) -> (tensor<1x1x16x2xf32>, tensor<1x1x16x2xi64>) {
  %a = attn.score %q, %k : !qkv, !qkv -> !attn.scores<1x1x16x16xf32>
  %b = attn.score %q, %k2 : !qkv, !qkv -> !attn.scores<1x1x16x16xf32>
  %c = attn.concat %a, %b : (!attn.scores<1x1x16x16xf32>, !attn.scores<1x1x16x16xf32>) -> !attn.scores<1x1x16x32xf32>
  %v, %i, %n = attn.topk %c : (!attn.scores<1x1x16x32xf32>) -> (tensor<1x1x16x2xf32>, tensor<1x1x16x2xi64>, tensor<1x1x16xi64>)
  return %v, %i : tensor<1x1x16x2xf32>, tensor<1x1x16x2xi64>
}
