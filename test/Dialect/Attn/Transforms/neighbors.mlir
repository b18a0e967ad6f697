// Convolutions and mixtures of heads in streams: what they are built as, which
// results they keep apart, and what mask analysis still sees.
// RUN: attn-opt %s --attn-plan --split-input-file -o - 2>/dev/null | FileCheck %s

!scores = !attn.scores<1x4x?x?xf32>

// The centre alone says what is present: the mask stays a condition of the
// sweep, and its tiles are skipped. One pass computes maximum and sum.
// CHECK: plan of @before: 1 stream
// CHECK:   sweep 1: j from 0 to N: 1 dot, 1 outer
// CHECK:     gauge 1: running max f32 if j <= i
// CHECK:     stencil 3 x 5 around (i, j): a halo of 2 rows and 4 keys
// CHECK-NEXT: tiles: empty ones are skipped, full ones unmasked; the range is bounded
// 8 features twice, and 15 taps.
// CHECK-NEXT: work 3.88
// CHECK-LABEL: func.func @before
// CHECK: attn.stream rows (%[[B:.*]], %[[H:.*]], %[[I:.*]]) in
// CHECK: attn.sweep %[[J:.*]] =
// CHECK:   %[[R:.*]] = attn.stencil[%[[I]], %[[J]]] in[%{{.*}}, %{{.*}}] taps %{{.*}}[%[[H]]] origin [2, 2] {
// CHECK:   ^bb0(%[[I2:.*]]: index, %[[J2:.*]]: index):
// CHECK:     %[[X:.*]] = attn.dot %{{.*}}[%[[B]], %[[H]], %[[I2]]], %{{.*}}[%[[B]], %[[H]], %[[J2]]]
// CHECK:     %[[P:.*]] = arith.cmpi sle, %[[J2]], %[[I2]]
// CHECK:     attn.yield %[[X]], %[[P]]
// CHECK:   attn.running max
func.func @before(%q: tensor<1x4x?x8xf32> {attn.dims = ["1", "4", "L", "8"]}, %k: tensor<1x4x?x8xf32> {attn.dims = ["1", "4", "L", "8"]},
    %v: tensor<1x4x?x8xf32> {attn.dims = ["1", "4", "L", "8"]}, %w: tensor<4x3x5xf32>) -> tensor<1x4x?x8xf32> {
  %s = attn.score %q, %k : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %r = attn.convolve %c, %w origin [2, 2] : !scores, tensor<4x3x5xf32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<1x4x?x8xf32> -> tensor<1x4x?x8xf32>
  return %o : tensor<1x4x?x8xf32>
}

// -----

!scores = !attn.scores<1x4x?x?xf32>

// Behind a convolution the statistics are those of other rows: they come from a
// kernel of their own.
// CHECK: plan of @after: 2 streams
// CHECK:   between streams stream1.0: tensor<1x4x?xf32>, stream1.1: tensor<1x4x?xf32>
// CHECK-LABEL: func.func @after
// CHECK: %[[ROWS:.*]]:2 = attn.stream rows
// CHECK: attn.stream rows {{.*}} ins({{.*}}%[[M:[a-z0-9]+]] = %[[ROWS]]#0
// CHECK:   attn.stencil
// CHECK:   ^bb0(%[[I2:.*]]: index, %{{.*}}: index):
// CHECK:     attn.at %[[M]][%{{.*}}, %{{.*}}, %[[I2]]]
func.func @after(%q: tensor<1x4x?x8xf32>, %k: tensor<1x4x?x8xf32>,
    %v: tensor<1x4x?x8xf32>, %w: tensor<1x1x3xf32>) -> tensor<1x4x?x8xf32> {
  %s = attn.score %q, %k : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !scores
  %p = attn.softmax %s : !scores
  %r = attn.convolve %p, %w origin [0, 1] : !scores, tensor<1x1x3xf32>
  %o = attn.aggregate %r, %v : !scores, tensor<1x4x?x8xf32> -> tensor<1x4x?x8xf32>
  return %o : tensor<1x4x?x8xf32>
}

// -----

!scores = !attn.scores<1x4x?x?xf32>
!mixed = !attn.scores<1x6x?x?xf32>

// A mask that all heads share is hoisted out of the mixture; one of single heads
// is the mixture's own presence, of which mask analysis takes any head.
// CHECK: plan of @heads: 1 stream
// CHECK:   stream 1: rows (b, h, i) in [1, 6,
// CHECK:   sum f32 if j <= i and any h'(j <= i and i - h' <= j)
// CHECK-NEXT: mix 4 heads into 6: a block holds all heads of its rows
// CHECK-NEXT: tiles: empty ones are skipped, full ones unmasked; the range is bounded
// 4 of 6 heads, and 4 multiplications each.
// CHECK-NEXT: work 1.17
// CHECK-LABEL: func.func @heads
// CHECK: attn.sweep %[[J:.*]] =
// CHECK:   %[[C:.*]] = arith.cmpi sle, %[[J]],
// CHECK:   %[[R:.*]], %[[ANY:.*]] = attn.mix weights
// CHECK:   ^bb0(%[[H2:.*]]: index):
// CHECK:     attn.dot %{{.*}}[%{{.*}}, %[[H2]], %{{.*}}]
// CHECK:   %[[P:.*]] = arith.andi %[[C]], %[[ANY]]
// CHECK:   attn.carry sum %[[R]] if %[[P]]
func.func @heads(%q: tensor<1x4x?x8xf32>  {attn.dims = ["1", "4", "L", "8"]}, %k: tensor<1x4x?x8xf32>  {attn.dims = ["1", "4", "L", "8"]}, %w: tensor<6x4xf32>) -> tensor<1x6x?xf32> {
  %s = attn.score %q, %k : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %n = attn.mask %c (%x: f32) at (%b, %h, %i, %j) {
    %first = arith.subi %i, %h : index
    %keep = arith.cmpi sle, %first, %j : index
    attn.yield %keep : i1
  } : !scores
  %m = attn.mix_heads %n, %w : !scores, tensor<6x4xf32> -> !mixed
  %o = attn.reduce sum keys %m : (!mixed) -> tensor<1x6x?xf32>
  return %o : tensor<1x6x?xf32>
}

// -----

!scores = !attn.scores<1x2x?x?xf32>

// Over queries the roles are swapped, in the stream and in nothing else.
// CHECK-LABEL: func.func @columns
// CHECK: attn.stream cols (%{{.*}}, %{{.*}}, %[[J:.*]]) in
// CHECK: attn.sweep %[[I:.*]] =
// CHECK:   attn.stencil[%[[I]], %[[J]]] in
func.func @columns(%t: tensor<1x2x?x?xf32>, %w: tensor<1x2x3xf32>) -> tensor<1x2x?xf32> {
  %s = attn.bias %t : tensor<1x2x?x?xf32> -> !scores
  %r = attn.convolve %s, %w origin [0, 1] : !scores, tensor<1x2x3xf32>
  %o = attn.reduce sum queries %r : (!scores) -> tensor<1x2x?xf32>
  return %o : tensor<1x2x?xf32>
}
