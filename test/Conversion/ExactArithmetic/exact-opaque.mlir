// RUN: attn-opt %s -attn-exact-opaque -canonicalize | FileCheck %s

// Folding sees 0 and 1, and no other number.

// CHECK-LABEL: func.func @constants
func.func @constants() -> (f32, f32, f32, vector<4xf32>) {
  // CHECK-DAG: %[[V:.*]] = arith.constant dense<0.699999988> : vector<4xf32>
  // CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
  // CHECK-DAG: %[[A:.*]] = attn.opaque 2.500000e-01 : f32
  // CHECK-DAG: %[[B:.*]] = attn.opaque 0.699999988 : f32
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %a = arith.constant 0.25 : f32
  %b = arith.constant 0.7 : f32
  %v = arith.constant dense<0.7> : vector<4xf32>
  // CHECK: %[[P:.*]] = arith.mulf %{{.*}}, %{{.*}} : f32
  %p = arith.mulf %a, %b : f32
  %s = arith.addf %zero, %one : f32
  // CHECK: return %[[P]], %[[ONE]], %[[A]], %[[V]]
  return %p, %s, %a, %v : f32, f32, f32, vector<4xf32>
}

// Equal ones are one; what makes a dense constant stays a plain one.

// CHECK-LABEL: func.func @uses
func.func @uses(%x: f32) -> (f32, tensor<2xf32>) {
  // CHECK: arith.constant dense<5.000000e+00> : tensor<2xf32>
  // CHECK: attn.opaque 3.000000e+00 : f32
  // CHECK-NOT: attn.opaque
  %a = arith.constant 3.0 : f32
  %b = arith.constant 3.0 : f32
  %y = arith.mulf %x, %a : f32
  %z = arith.mulf %y, %b : f32
  %f = arith.constant 5.0 : f32
  %t = tensor.from_elements %f, %f : tensor<2xf32>
  return %z, %t : f32, tensor<2xf32>
}

// A one that a map yields may meet a function of another map: a folded
// function of it would be a number that the ring does not have.

// CHECK-LABEL: func.func @yielded_one
func.func @yielded_one(%q: tensor<1x1x4x8xf32>) -> tensor<1x1x4xf32> {
  // CHECK: %[[ONE:.*]] = attn.opaque -1.000000e+00 : f32
  // CHECK: attn.yield %[[ONE]]
  %s = attn.score %q, %q : tensor<1x1x4x8xf32>, tensor<1x1x4x8xf32> -> !attn.scores<1x1x4x4xf32>
  %m = attn.map %s (%x: f32) {
    %one = arith.constant -1.0 : f32
    attn.yield %one : f32
  } : (!attn.scores<1x1x4x4xf32>) -> !attn.scores<1x1x4x4xf32>
  %r = attn.reduce sum keys %m : (!attn.scores<1x1x4x4xf32>) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}
