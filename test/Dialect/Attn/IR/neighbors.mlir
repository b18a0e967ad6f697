// RUN: attn-opt %s --verify-roundtrip | attn-opt | FileCheck %s

// Ops on neighbours and heads with all of their syntax, printed and parsed
// again.

!scores = !attn.scores<?x8x?x?xf32>

// CHECK-LABEL: func.func @scores
// CHECK-SAME: (%[[S:.*]]: !attn.scores<?x8x?x?xf32>, %[[W:.*]]: tensor<8x6x11xf32>, %[[ONE:.*]]: tensor<1x3x3xbf16>, %[[MIX:.*]]: tensor<4x8xf32>, %[[SEG:.*]]: tensor<1x?xi32>)
func.func @scores(%s: !scores, %w: tensor<8x6x11xf32>, %one: tensor<1x3x3xbf16>,
                  %mix: tensor<4x8xf32>, %seg: tensor<1x?xi32>) {
  // CHECK: attn.convolve %[[S]], %[[W]] origin [5, 5] : !attn.scores<?x8x?x?xf32>, tensor<8x6x11xf32>
  %0 = attn.convolve %s, %w origin [5, 5] : !scores, tensor<8x6x11xf32>
  %t = attn.with_axes %s query_segments(%seg : tensor<1x?xi32>) key_segments(%seg : tensor<1x?xi32>) : !scores
  // CHECK: attn.convolve %{{.*}}, %[[ONE]] origin [0, 2] same_segment : !attn.scores<?x8x?x?xf32>, tensor<1x3x3xbf16>
  %1 = attn.convolve %t, %one origin [0, 2] same_segment : !scores, tensor<1x3x3xbf16>
  // CHECK: attn.mix_heads %[[S]], %[[MIX]] : !attn.scores<?x8x?x?xf32>, tensor<4x8xf32> -> !attn.scores<?x4x?x?xf32>
  %2 = attn.mix_heads %s, %mix : !scores, tensor<4x8xf32> -> !attn.scores<?x4x?x?xf32>
  // CHECK: attn.reduce_heads max %[[S]] : !attn.scores<?x8x?x?xf32> -> !attn.scores<?x2x?x?xf32>
  %3 = attn.reduce_heads max %s : !scores -> !attn.scores<?x2x?x?xf32>
  return
}

// CHECK-LABEL: func.func @groups
func.func @groups(%x: f32, %p: i1, %h: index) {
  // CHECK: attn.mix[%{{.*}}] groups max [2, 4] {
  %m, %any = attn.mix [%h] groups max [2, 4] {
  ^bb0(%h2: index):
    attn.yield %x, %p : f32, i1
  } -> f32
  return
}

// CHECK-LABEL: func.func @collectives
func.func @collectives(%t: tensor<1x4x?x?xf32>, %w: tensor<4x2x3xf32>, %mix: tensor<4x4xf32>,
                       %seg: tensor<1x?xi32>, %i: index, %j: index, %h: index, %m: index, %n: index) {
  // CHECK: attn.stencil[%[[I:.*]], %[[J:.*]]] in[%{{.*}}, %{{.*}}] taps %{{.*}}[%[[H:.*]]] origin [1, 1] segments(%{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] : tensor<1x?xi32>, tensor<1x?xi32>) {
  // CHECK-NEXT: ^bb0(%[[I2:.*]]: index, %[[J2:.*]]: index):
  %b = arith.constant 0 : index
  %r = attn.stencil [%i, %j] in [%m, %n] taps %w[%h] origin [1, 1] segments(%seg[%b], %seg[%b] : tensor<1x?xi32>, tensor<1x?xi32>) {
  ^bb0(%i2: index, %j2: index):
    // CHECK: %[[X:.*]], %[[ANY:.*]] = attn.mix weights %{{.*}}[%[[H]]] {
    // CHECK-NEXT: ^bb0(%[[H2:.*]]: index):
    %x, %any = attn.mix weights %mix[%h] {
    ^bb0(%h2: index):
      // CHECK: attn.at %{{.*}}[%{{.*}}, %[[H2]], %[[I2]], %[[J2]]]
      %e = attn.at %t[%b, %h2, %i2, %j2] : tensor<1x4x?x?xf32> -> f32
      %c = arith.cmpi sle, %j2, %i2 : index
      attn.yield %e, %c : f32, i1
    } : tensor<4x4xf32> -> f32
    // CHECK: attn.yield %[[X]], %[[ANY]] : f32, i1
    attn.yield %x, %any : f32, i1
  } : tensor<4x2x3xf32> -> f32
  return
}

// CHECK-LABEL: func.func @joined_rows
func.func @joined_rows(%t: tensor<1x4x7x?xf32>, %o: tensor<1x4x7xf32>, %n: index) -> tensor<1x4x7xf32> {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c7 = arith.constant 7 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c4, %c7] over %e = %n ins(%T = %t : tensor<1x4x7x?xf32>) outs(%o : tensor<1x4x7xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x4x7x?xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      // CHECK: %[[M:.*]] = attn.across max %[[X:.*]] if %[[P:.*]] over 7 : f32
      %m = attn.across max %x if %p over 7 : f32
      // CHECK: attn.across sum %[[X]] over 7 : f32
      %l = attn.across sum %x over 7 : f32
      %d = arith.subf %m, %l : f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return %r : tensor<1x4x7xf32>
}
