// RUN: attn-opt %s --verify-roundtrip | attn-opt | FileCheck %s

// Codes of int8 make integer scores; ops that only move or drop entries take
// them, and a map makes floats of them.

!codes = tensor<2x4x?x8xi8>
!sums = !attn.scores<2x4x?x?xi32>
!scores = !attn.scores<2x4x?x?xf32>

// CHECK-LABEL: func.func @entries
func.func @entries(%q: !codes, %k: !codes, %one: tensor<1x1x?x8xi8>,
                   %length: tensor<2x1xi32>, %scale: tensor<4xf32>) {
  // CHECK: %[[S:.*]] = attn.score %{{.*}}, %{{.*}} : tensor<2x4x?x8xi8>, tensor<2x4x?x8xi8> -> !attn.scores<2x4x?x?xi32>
  %s = attn.score %q, %k : !codes, !codes -> !sums
  %t = attn.score %q, %one : !codes, tensor<1x1x?x8xi8> -> !sums
  // CHECK: %[[A:.*]] = attn.with_axes %[[S]] {{.*}} : !attn.scores<2x4x?x?xi32>
  %a = attn.with_axes %s query_length(%length : tensor<2x1xi32>) : !sums
  // CHECK: attn.mask %{{.*}} (%[[X:.*]]: i32)
  %m = attn.mask %a (%x: i32) {
    %zero = arith.constant 0 : i32
    %keep = arith.cmpi sgt, %x, %zero : i32
    attn.yield %keep : i1
  } : !sums
  // CHECK: attn.fill %{{.*}}, -7.000000e+00 : !attn.scores<2x4x?x?xi32>
  %f = attn.fill %m, -7.0 : !sums
  // CHECK: attn.concat %{{.*}}, %{{.*}} : (!attn.scores<2x4x?x?xi32>, !attn.scores<2x4x?x?xi32>) -> !attn.scores<2x4x?x?xi32>
  %c = attn.concat %f, %t : (!sums, !sums) -> !sums
  // CHECK: attn.transpose %{{.*}} : !attn.scores<2x4x?x?xi32>
  %r = attn.transpose %c : !sums -> !sums
  // CHECK: attn.map %{{.*}}, %{{.*}} (%[[X:.*]]: i32, %[[Y:.*]]: i32)
  %d = attn.map %s, %t (%x: i32, %y: i32) {
    %z = arith.subi %x, %y : i32
    attn.yield %z : i32
  } : (!sums, !sums) -> !sums
  // CHECK: } : (!attn.scores<2x4x?x?xi32>) -> !attn.scores<2x4x?x?xf32>
  %g = attn.map %d (%x: i32) at (%b, %h) {
    %n = arith.sitofp %x : i32 to f32
    %w = tensor.extract %scale[%h] : tensor<4xf32>
    %y = arith.mulf %n, %w : f32
    attn.yield %y : f32
  } : (!sums) -> !scores
  // CHECK: attn.reduce count keys %{{.*}} : (!attn.scores<2x4x?x?xi32>) -> (tensor<2x4x?xi64>)
  %n = attn.reduce count keys %c : (!sums) -> tensor<2x4x?xi64>
  // CHECK: attn.reduce any queries %{{.*}} : (!attn.scores<2x4x?x?xi32>) -> (tensor<2x4x?xi1>)
  %y = attn.reduce any queries %r : (!sums) -> tensor<2x4x?xi1>
  return
}

// CHECK-LABEL: func.func @rows
func.func @rows(%q: !codes, %x: vector<8xi8>, %i: index) {
  // CHECK: attn.dot %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] : tensor<2x4x?x8xi8>, tensor<2x4x?x8xi8> -> i32
  %s = attn.dot %q[%i, %i, %i], %q[%i, %i, %i] : !codes, !codes -> i32
  // CHECK: attn.inner %{{.*}}, %{{.*}} : vector<8xi8>, vector<8xi8> -> i32
  %t = attn.inner %x, %x : vector<8xi8>, vector<8xi8> -> i32
  return
}

// CHECK-LABEL: func.func @quads
func.func @quads(%x: vector<16xi32>) -> vector<16xi32> {
  // CHECK: attn.quad_dot %{{.*}}, %{{.*}}, %{{.*}} : vector<16xi32>
  %r = attn.quad_dot %x, %x, %x : vector<16xi32>
  return %r : vector<16xi32>
}
