// RUN: attn-opt %s -attn-promote-to-f64 | FileCheck %s

// Signatures follow, and so do calls; attributes of arguments stay.
// CHECK-LABEL: func private @helper(%{{.*}}: tensor<4xf64>) -> tensor<4xf64>
func.func private @helper(%x: tensor<4xbf16>) -> tensor<4xbf16> {
  return %x : tensor<4xbf16>
}
// CHECK-LABEL: func @attention
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<1x2x?x8xf64> {attn.dims = ["1", "2", "L", "8"]}
// CHECK-SAME: %[[LAMBDA:[a-z0-9]+]]: f64, %[[N:[a-z0-9]+]]: tensor<1x1xi32>
func.func @attention(%q: tensor<1x2x?x8xbf16> {attn.dims = ["1", "2", "L", "8"]}, %lambda: f16, %n: tensor<1x1xi32>) -> tensor<1x2x?x8xbf16> {
  // CHECK: attn.score %[[Q]], %[[Q]] scale(1.000000e-01) key_length(%[[N]] : tensor<1x1xi32>) {{.*}} -> !attn.scores<1x2x?x?xf64>
  %s = attn.score %q, %q scale(0.1) key_length(%n : tensor<1x1xi32>) : tensor<1x2x?x8xbf16>, tensor<1x2x?x8xbf16> -> !attn.scores<1x2x?x?xf32>
  // Roundings inside of a region are gone, and its constants are widened.
  // CHECK: attn.map %{{.*}} (%[[X:.*]]: f64)
  // CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[LAMBDA]] : f64
  // CHECK-NEXT: %[[TENTH:.*]] = arith.constant 0.10000000149011612 : f64
  // CHECK-NEXT: %[[Z:.*]] = arith.addf %[[Y]], %[[TENTH]] : f64
  // CHECK-NEXT: attn.yield %[[Z]] : f64
  %m = attn.map %s (%x: f32) {
    %l = arith.extf %lambda : f16 to f32
    %y = arith.mulf %x, %l : f32
    %c = arith.constant 0.1 : f32
    %z = arith.addf %y, %c : f32
    %r = arith.truncf %z : f32 to bf16
    %w = arith.extf %r : bf16 to f32
    attn.yield %w : f32
  } : (!attn.scores<1x2x?x?xf32>) -> !attn.scores<1x2x?x?xf32>
  // CHECK: attn.softmax
  %p = attn.softmax %m : !attn.scores<1x2x?x?xf32>
  // CHECK: attn.aggregate %{{.*}}, %[[Q]] : !attn.scores<1x2x?x?xf64>, tensor<1x2x?x8xf64> -> tensor<1x2x?x8xf64>
  %o = attn.aggregate %p, %q operand_type(bf16) : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x8xbf16> -> tensor<1x2x?x8xbf16>
  return %o : tensor<1x2x?x8xbf16>
}

// CHECK-LABEL: func @dense
func.func @dense(%x: vector<4xf32>) -> (tensor<4xbf16>, vector<4xf32>) {
  // CHECK: arith.constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 0.10009765625]> : tensor<4xf64>
  %c = arith.constant dense<[1.0, 2.0, 3.0, 0.1]> : tensor<4xbf16>
  // CHECK: arith.constant dense<5.000000e-01> : vector<4xf64>
  %d = arith.constant dense<0.5> : vector<4xf32>
  // CHECK: call @helper(%{{.*}}) : (tensor<4xf64>) -> tensor<4xf64>
  %r = call @helper(%c) : (tensor<4xbf16>) -> tensor<4xbf16>
  // CHECK: arith.addf %{{.*}} : vector<4xf64>
  %y = arith.addf %x, %d : vector<4xf32>
  return %r, %y : tensor<4xbf16>, vector<4xf32>
}
