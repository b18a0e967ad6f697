// RUN: attn-opt %s --verify-roundtrip | attn-opt | FileCheck %s

// Every named mask with all of its parameters.

!scores = !attn.scores<1x8x?x?xf32>

// CHECK-LABEL: func.func @masks
// CHECK-SAME: (%[[S:.*]]: !attn.scores<1x8x?x?xf32>, %[[N:.*]]: tensor<1xi32>, %[[SEG:.*]]: tensor<1x?xi32>)
func.func @masks(%s: !scores, %n: tensor<1xi32>, %seg: tensor<1x?xi32>) {
  // CHECK: attn.mask %[[S]] causal : !attn.scores<1x8x?x?xf32>
  %0 = attn.mask %s causal : !scores
  // CHECK: attn.mask %[[S]] window<left = 3, right = 0> : !attn.scores<1x8x?x?xf32>
  %1 = attn.mask %s window<left = 3, right = 0> : !scores
  // CHECK: attn.mask %[[S]] prefix prefix(%[[N]] : tensor<1xi32>) : !attn.scores<1x8x?x?xf32>
  %2 = attn.mask %s prefix prefix(%n : tensor<1xi32>) : !scores
  // CHECK: attn.mask %[[S]] dilated<window = 4, dilation = 2> : !attn.scores<1x8x?x?xf32>
  %3 = attn.mask %s dilated<window = 4, dilation = 2> : !scores
  // CHECK: attn.mask %[[S]] chunked<size = 16> : !attn.scores<1x8x?x?xf32>
  %4 = attn.mask %s chunked<size = 16> : !scores
  // CHECK: attn.mask %[[S]] neighborhood<shape = [6, 7], window = [3, 5]> : !attn.scores<1x8x?x?xf32>
  %5 = attn.mask %s neighborhood<shape = [6, 7], window = [3, 5]> : !scores
  // CHECK: attn.mask %[[S]] neighborhood<shape = [4, 6, 7], window = [2, 3, 3], dilation = [1, 2, 2], causal = [1, 0, 0]> : !attn.scores<1x8x?x?xf32>
  %6 = attn.mask %s neighborhood<shape = [4, 6, 7], window = [2, 3, 3], dilation = [1, 2, 2], causal = [1, 0, 0]> : !scores
  // CHECK: attn.mask %[[S]] neighborhood<shape = [6], window = [3], causal = [1]> : !attn.scores<1x8x?x?xf32>
  %c = attn.mask %s neighborhood<shape = [6], window = [3], causal = [1]> : !scores
  // CHECK: %[[AXES:.*]] = attn.with_axes %[[S]] query_segments(%[[SEG]] : tensor<1x?xi32>) key_segments(%[[SEG]] : tensor<1x?xi32>)
  %7 = attn.with_axes %s query_segments(%seg : tensor<1x?xi32>) key_segments(%seg : tensor<1x?xi32>) : !scores
  // CHECK: attn.mask %[[AXES]] document : !attn.scores<1x8x?x?xf32>
  %8 = attn.mask %7 document : !scores
  return
}

// Axis information is inherited through maps and masks, and follows transposes:
// the segments of the queries become those of the keys.
// CHECK-LABEL: func.func @inherited
func.func @inherited(%s: !attn.scores<1x8x5x7xf32>, %q: tensor<1x5xi32>, %k: tensor<1x7xi32>, %off: index) {
  %0 = attn.with_axes %s query_offset(%off : index) query_segments(%q : tensor<1x5xi32>) key_segments(%k : tensor<1x7xi32>)
       : !attn.scores<1x8x5x7xf32>
  // CHECK: %[[CAUSAL:.*]] = attn.mask %{{.*}} causal
  %1 = attn.mask %0 causal : !attn.scores<1x8x5x7xf32>
  // CHECK: %[[T:.*]] = attn.transpose %[[CAUSAL]]
  %2 = attn.transpose %1 : !attn.scores<1x8x5x7xf32> -> !attn.scores<1x8x7x5xf32>
  // CHECK: attn.mask %[[T]] document : !attn.scores<1x8x7x5xf32>
  %3 = attn.mask %2 document : !attn.scores<1x8x7x5xf32>
  return
}
