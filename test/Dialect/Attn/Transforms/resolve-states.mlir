// RUN: attn-opt %s --split-input-file --attn-resolve-states | FileCheck %s

// The program runs once over the keys of all states.

!v = tensor<1x8x?x16xf32>
!o = tensor<1x8x5x16xf32>
!l = tensor<1x8x5xf32>
!state = !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>

// CHECK-LABEL: func @merge
// CHECK-SAME:    %[[S:.*]]: tensor<1x8x5x?xf32>, %[[V:[^:]*]]: {{.*}}, %[[T:.*]]: tensor<1x8x5x7xf32>, %[[W:[^:]*]]:
// CHECK:         %[[A:.*]] = attn.bias %[[S]]
// CHECK:         %[[B:.*]] = attn.bias %[[T]]
// CHECK-NOT:     attn.partial
// CHECK:         %[[C:.*]] = attn.concat %[[A]], %[[B]]
// CHECK:         %[[P:.*]] = attn.softmax %[[C]]
// CHECK:         attn.aggregate %[[P]], (%[[V]], %[[W]])
// CHECK:         attn.reduce lse keys %[[C]]
// CHECK-NOT:     attn.finish
func.func @merge(%s: tensor<1x8x5x?xf32>, %v: !v, %t: tensor<1x8x5x7xf32>, %w: tensor<1x2x7x16xbf16>) -> (!o, !l) {
  %a = attn.bias %s : tensor<1x8x5x?xf32> -> !attn.scores<1x8x5x?xf32>
  %b = attn.bias %t : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  %x = attn.partial(%a, %v) {
  ^bb0(%i: !attn.scores<1x8x5x?xf32>, %j: !v):
    %p = attn.softmax %i : !attn.scores<1x8x5x?xf32>
    %o = attn.aggregate %p, %j : !attn.scores<1x8x5x?xf32>, !v -> !o
    %l = attn.reduce lse keys %i : (!attn.scores<1x8x5x?xf32>) -> !l
    attn.yield %o, %l : !o, !l
  } : (!attn.scores<1x8x5x?xf32>, !v) -> !state
  %y = attn.partial(%b, %w) {
  ^bb0(%i: !attn.scores<1x8x5x7xf32>, %j: tensor<1x2x7x16xbf16>):
    %p = attn.softmax %i : !attn.scores<1x8x5x7xf32>
    %o = attn.aggregate %p, %j : !attn.scores<1x8x5x7xf32>, tensor<1x2x7x16xbf16> -> !o
    %l = attn.reduce lse keys %i : (!attn.scores<1x8x5x7xf32>) -> !l
    attn.yield %o, %l : !o, !l
  } : (!attn.scores<1x8x5x7xf32>, tensor<1x2x7x16xbf16>) -> !state
  %m = attn.merge %x, %y : !state
  %o, %l = attn.finish %m : !state
  return %o, %l : !o, !l
}

// -----

// A finished part is one key per query: its score is the lse, its value the
// output, and it is absent where there was nothing.

!o = tensor<1x8x?x16xf32>
!l = tensor<1x8x?xf32>
!state = !attn.state<tensor<1x8x?x16xf32>, tensor<1x8x?xf32>>

// CHECK-LABEL: func @import
// CHECK-SAME:    %[[O:.*]]: tensor<1x8x?x16xf32>, %[[L:.*]]: tensor<1x8x?xf32>
// CHECK:         %[[E:.*]] = attn.map sizes(%{{.*}}) () at (%[[B:.*]], %[[H:.*]], %[[I:.*]])
// CHECK:           tensor.extract %[[L]][%[[B]], %[[H]], %[[I]]]
// CHECK:         %[[M:.*]] = attn.mask %[[E]] (%[[X:.*]]: f32)
// CHECK:           arith.cmpf une, %[[X]], %{{.*}}
// CHECK:         %[[C:.*]] = attn.concat %[[M]], %{{.*}} : (!attn.scores<1x8x?x1xf32>, !attn.scores<1x8x?x1xf32>) -> !attn.scores<1x8x?x2xf32>
// CHECK:         %[[P:.*]] = attn.softmax %[[C]]
// CHECK:         attn.aggregate %[[P]], (%{{.*}}, %{{.*}}) : {{.*}}, tensor<1x8x?x1x16xf32>, tensor<1x8x?x1x16xf32>
func.func @import(%o: !o, %l: !l) -> (!o, !l) {
  %x = attn.state_from %o, %l : !o, !l -> !state
  %m = attn.merge %x, %x : !state
  %f:2 = attn.finish %m : !state
  return %f#0, %f#1 : !o, !l
}
