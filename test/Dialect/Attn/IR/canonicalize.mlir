// RUN: attn-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @guard_of_guard
// CHECK-SAME: (%[[M:.*]]: f32)
// CHECK-NEXT: %[[G:.*]] = attn.guard %[[M]] : f32
// CHECK-NEXT: return %[[G]]
func.func @guard_of_guard(%m: f32) -> f32 {
  %0 = attn.guard %m : f32
  %1 = attn.guard %0 : f32
  return %1 : f32
}

// CHECK-LABEL: func.func @guard_of_constants
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2.000000e+00 : f32
// CHECK-DAG: %[[INF:.*]] = arith.constant 0x7F800000 : f32
// CHECK: return %[[ZERO]], %[[TWO]], %[[INF]]
func.func @guard_of_constants() -> (f32, f32, f32) {
  %minus_inf = arith.constant 0xFF800000 : f32
  %two = arith.constant 2.0 : f32
  %inf = arith.constant 0x7F800000 : f32
  %0 = attn.guard %minus_inf : f32
  %1 = attn.guard %two : f32
  %2 = attn.guard %inf : f32
  return %0, %1, %2 : f32, f32, f32
}

// The inner fill leaves nothing for the outer one.
// CHECK-LABEL: func.func @fill_of_fill
// CHECK: %[[F:.*]] = attn.fill %{{.*}}, 1.000000e+00
// CHECK-NOT: attn.fill
// CHECK: attn.reduce sum keys %[[F]]
func.func @fill_of_fill(%q: tensor<1x2x5x8xf32>, %len: tensor<1x1xi32>) -> tensor<1x2x5xf32> {
  %s = attn.score %q, %q : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xf32>
  %c = attn.mask %s causal : !attn.scores<1x2x5x5xf32>
  %0 = attn.fill %c, 1.0 : !attn.scores<1x2x5x5xf32>
  %1 = attn.fill %0, 2.0 : !attn.scores<1x2x5x5xf32>
  %r = attn.reduce sum keys %1 : (!attn.scores<1x2x5x5xf32>) -> tensor<1x2x5xf32>
  return %r : tensor<1x2x5xf32>
}

// A mask between two fills makes entries absent again: both stay.
// CHECK-LABEL: func.func @fill_mask_fill
// CHECK: attn.fill %{{.*}}, 1.000000e+00
// CHECK: attn.mask
// CHECK: attn.fill %{{.*}}, 2.000000e+00
func.func @fill_mask_fill(%q: tensor<1x2x5x8xf32>) -> tensor<1x2x5xf32> {
  %s = attn.score %q, %q : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xf32>
  %0 = attn.fill %s, 1.0 : !attn.scores<1x2x5x5xf32>
  %c = attn.mask %0 causal : !attn.scores<1x2x5x5xf32>
  %1 = attn.fill %c, 2.0 : !attn.scores<1x2x5x5xf32>
  %r = attn.reduce sum keys %1 : (!attn.scores<1x2x5x5xf32>) -> tensor<1x2x5xf32>
  return %r : tensor<1x2x5xf32>
}

// CHECK-LABEL: func.func @transpose_of_transpose
// CHECK: %[[S:.*]] = attn.score
// CHECK-NOT: attn.transpose
// CHECK: attn.reduce max keys %[[S]]
func.func @transpose_of_transpose(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x7x8xf32>) -> tensor<1x2x5xf32> {
  %s = attn.score %q, %k : tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32> -> !attn.scores<1x2x5x7xf32>
  %0 = attn.transpose %s : !attn.scores<1x2x5x7xf32> -> !attn.scores<1x2x7x5xf32>
  %1 = attn.transpose %0 : !attn.scores<1x2x7x5xf32> -> !attn.scores<1x2x5x7xf32>
  %r = attn.reduce max keys %1 : (!attn.scores<1x2x5x7xf32>) -> tensor<1x2x5xf32>
  return %r : tensor<1x2x5xf32>
}

// CHECK-LABEL: func.func @repeated_mask
// CHECK-COUNT-1: attn.mask %{{.*}} window<left = 2, right = 0>
// CHECK-NOT: attn.mask
func.func @repeated_mask(%q: tensor<1x2x5x8xf32>) -> tensor<1x2x5xf32> {
  %s = attn.score %q, %q : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xf32>
  %0 = attn.mask %s window<left = 2, right = 0> : !attn.scores<1x2x5x5xf32>
  %1 = attn.mask %0 window<left = 2, right = 0> : !attn.scores<1x2x5x5xf32>
  %r = attn.reduce max keys %1 : (!attn.scores<1x2x5x5xf32>) -> tensor<1x2x5xf32>
  return %r : tensor<1x2x5xf32>
}

// Windows of two widths, and one prefix mask per operand, are not repetitions.
// CHECK-LABEL: func.func @different_masks
// CHECK: attn.mask %{{.*}} window<left = 2, right = 0>
// CHECK: attn.mask %{{.*}} window<left = 1, right = 0>
// CHECK: attn.mask %{{.*}} prefix prefix(%[[A:.*]] : tensor<1xi32>)
// CHECK: attn.mask %{{.*}} prefix prefix(%[[B:.*]] : tensor<1xi32>)
func.func @different_masks(%q: tensor<1x2x5x8xf32>, %a: tensor<1xi32>, %b: tensor<1xi32>) -> tensor<1x2x5xf32> {
  %s = attn.score %q, %q : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xf32>
  %0 = attn.mask %s window<left = 2, right = 0> : !attn.scores<1x2x5x5xf32>
  %1 = attn.mask %0 window<left = 1, right = 0> : !attn.scores<1x2x5x5xf32>
  %2 = attn.mask %1 prefix prefix(%a : tensor<1xi32>) : !attn.scores<1x2x5x5xf32>
  %3 = attn.mask %2 prefix prefix(%b : tensor<1xi32>) : !attn.scores<1x2x5x5xf32>
  %r = attn.reduce max keys %3 : (!attn.scores<1x2x5x5xf32>) -> tensor<1x2x5xf32>
  return %r : tensor<1x2x5xf32>
}

// CHECK-LABEL: func.func @constant_true_mask
// CHECK: %[[S:.*]] = attn.score
// CHECK-NOT: attn.mask
// CHECK: attn.reduce count keys %[[S]]
func.func @constant_true_mask(%q: tensor<1x2x5x8xf32>) -> tensor<1x2x5xi64> {
  %s = attn.score %q, %q : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xf32>
  %0 = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %p = arith.cmpi eq, %i, %i : index
    attn.yield %p : i1
  } : !attn.scores<1x2x5x5xf32>
  %r = attn.reduce count keys %0 : (!attn.scores<1x2x5x5xf32>) -> tensor<1x2x5xi64>
  return %r : tensor<1x2x5xi64>
}

// Score matrices that nobody uses disappear; a constant false mask stays, for
// its rows are empty and not gone.
// CHECK-LABEL: func.func @unused
// CHECK-NOT: attn.score
// CHECK: return
func.func @unused(%q: tensor<1x2x5x8xf32>) {
  %s = attn.score %q, %q : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xf32>
  %p = attn.softmax %s : !attn.scores<1x2x5x5xf32>
  return
}

// CHECK-LABEL: func.func @constant_false_mask
// CHECK: attn.mask
func.func @constant_false_mask(%q: tensor<1x2x5x8xf32>) -> tensor<1x2x5xi64> {
  %s = attn.score %q, %q : tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xf32>
  %0 = attn.mask %s (%x: f32) {
    %p = arith.constant false
    attn.yield %p : i1
  } : !attn.scores<1x2x5x5xf32>
  %r = attn.reduce count keys %0 : (!attn.scores<1x2x5x5xf32>) -> tensor<1x2x5xi64>
  return %r : tensor<1x2x5xi64>
}
