// RUN: attn-opt %s --split-input-file --attn-to-linalg | FileCheck %s

// Segments are inserted side by side, values and presence.

// CHECK-LABEL: func @concat
// CHECK:         tensor.empty() : tensor<2x8x5x10xf32>
// CHECK:         tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 0, 0] [2, 8, 5, 7]
// CHECK:         tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 0, 0] [2, 8, 5, 7] {{.*}} : tensor<2x8x5x7xi1>
// CHECK:         tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 0, 7] [2, 8, 5, 3]
// Each value weighs the keys of its segment.
// CHECK:         tensor.extract_slice %{{.*}}[0, 0, 0, 0] [2, 8, 5, 7]
// CHECK:         %[[FIRST:.*]] = linalg.generic {{.*}}"reduction"
// CHECK:         tensor.extract_slice %{{.*}}[0, 0, 0, 7] [2, 8, 5, 3]
// CHECK:         linalg.generic {{.*}}"reduction"{{.*}} outs(%[[FIRST]] :
func.func @concat(%a: tensor<2x8x5x7xf32>, %b: tensor<1x8x5x3xf32>, %v: tensor<1x2x7x4xbf16>, %w: tensor<2x8x5x3x4xf32>) -> tensor<2x8x5x4xf32> {
  %s = attn.bias %a : tensor<2x8x5x7xf32> -> !attn.scores<2x8x5x7xf32>
  %t = attn.bias %b : tensor<1x8x5x3xf32> -> !attn.scores<1x8x5x3xf32>
  %c = attn.concat %s, %t : (!attn.scores<2x8x5x7xf32>, !attn.scores<1x8x5x3xf32>) -> !attn.scores<2x8x5x10xf32>
  %o = attn.aggregate %c, (%v, %w) : !attn.scores<2x8x5x10xf32>, tensor<1x2x7x4xbf16>, tensor<2x8x5x3x4xf32> -> tensor<2x8x5x4xf32>
  return %o : tensor<2x8x5x4xf32>
}

// -----

// The key of a lane is read at the query.

// CHECK-LABEL: func @lane
// CHECK-SAME:    %[[Q:.*]]: tensor<1x8x5x4xf32>, %[[K:.*]]: tensor<1x8x5x3x4xf32>
// CHECK:         linalg.generic {{.*}}ins(%[[Q]]
// CHECK:           %[[I:.*]] = linalg.index 2
// CHECK:           tensor.extract %[[K]][%{{.*}}, %{{.*}}, %[[I]], %{{.*}}, %{{.*}}]
func.func @lane(%q: tensor<1x8x5x4xf32>, %k: tensor<1x8x5x3x4xf32>) -> tensor<1x8x5xf32> {
  %s = attn.lane %q, %k : tensor<1x8x5x4xf32>, tensor<1x8x5x3x4xf32> -> !attn.scores<1x8x5x3xf32>
  %r = attn.reduce sum keys %s : (!attn.scores<1x8x5x3xf32>) -> tensor<1x8x5xf32>
  return %r : tensor<1x8x5xf32>
}

// -----

// A term takes part where both entries are present.

// CHECK-LABEL: func @matmul
// CHECK:         linalg.generic
// CHECK:         ^bb0(%[[X:.*]]: f32, %[[P:.*]]: i1, %[[Y:.*]]: f32, %[[Q:.*]]: i1, %[[ACC:.*]]: f32):
// CHECK:           %[[BOTH:.*]] = arith.andi %[[P]], %[[Q]]
// CHECK:           %[[T:.*]] = arith.mulf %[[X]], %[[Y]]
// CHECK:           %[[SUM:.*]] = arith.addf %[[ACC]], %[[T]]
// CHECK:           arith.select %[[BOTH]], %[[SUM]], %[[ACC]]
func.func @matmul(%a: tensor<1x8x5x7xf32>, %b: tensor<1x1x7x3xf32>) -> tensor<1x8x5xf32> {
  %s = attn.bias %a : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  %t = attn.bias %b : tensor<1x1x7x3xf32> -> !attn.scores<1x1x7x3xf32>
  %c = attn.matmul %s, %t : !attn.scores<1x8x5x7xf32>, !attn.scores<1x1x7x3xf32> -> !attn.scores<1x8x5x3xf32>
  %r = attn.reduce sum keys %c : (!attn.scores<1x8x5x3xf32>) -> tensor<1x8x5xf32>
  return %r : tensor<1x8x5xf32>
}
