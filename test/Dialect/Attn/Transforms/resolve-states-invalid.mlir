// RUN: attn-opt %s --split-input-file --attn-resolve-states --verify-diagnostics

!s = !attn.scores<1x8x5x?xf32>
!l = tensor<1x8x5xf32>

func.func @programs(%a: !s, %b: !s) -> !l {
  // expected-note @below {{one of them}}
  %x = attn.partial(%a) {
  ^bb0(%i: !s):
    %r = attn.reduce lse keys %i : (!s) -> !l
    attn.yield %r : !l
  } : (!s) -> !attn.state<tensor<1x8x5xf32>>
  // expected-note @below {{another one}}
  %y = attn.partial(%b) {
  ^bb0(%i: !s):
    %r = attn.reduce sum keys %i : (!s) -> !l
    attn.yield %r : !l
  } : (!s) -> !attn.state<tensor<1x8x5xf32>>
  %m = attn.merge %x, %y : !attn.state<tensor<1x8x5xf32>>
  // expected-error @below {{the merged states belong to different programs}}
  %f = attn.finish %m : !attn.state<tensor<1x8x5xf32>>
  return %f : !l
}

// -----

!s = !attn.scores<1x8x5x?xf32>
!v = tensor<1x8x?x16xf32>
!o = tensor<1x8x5x16xf32>
!l = tensor<1x8x5xf32>
!state = !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>

func.func @import(%s: !s, %v: !v, %o: !o, %l: !l) -> (!o, !l) {
  // expected-note @below {{its results are to be the aggregate and the lse of an attn.softmax without options; scale and mask the scores before attn.partial}}
  %x = attn.partial(%s, %v) {
  ^bb0(%i: !s, %j: !v):
    %p = attn.softmax %i scale(0.125) : !s
    %a = attn.aggregate %p, %j : !s, !v -> !o
    %b = attn.reduce lse keys %i : (!s) -> !l
    attn.yield %a, %b : !o, !l
  } : (!s, !v) -> !state
  %y = attn.state_from %o, %l : !o, !l -> !state
  %m = attn.merge %x, %y : !state
  // expected-error @below {{attn.state_from is merged with a program that is not plain softmax attention}}
  %f:2 = attn.finish %m : !state
  return %f#0, %f#1 : !o, !l
}

// -----

!o = tensor<1x8x5x16xf32>
!l = tensor<1x8x5xf32>
!state = !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>

func.func @loop(%o: !o, %l: !l, %n: index) -> (!o, !l) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = attn.state_from %o, %l : !o, !l -> !state
  // expected-error @below {{'scf.for' takes, carries or returns a state, which lives in one function}}
  // expected-note @below {{of softmax attention, carry the output and its lse as tensors, and import them with attn.state_from}}
  %r = scf.for %j = %c0 to %n step %c1 iter_args(%s = %x) -> (!state) {
    scf.yield %s : !state
  }
  %f:2 = attn.finish %r : !state
  return %f#0, %f#1 : !o, !l
}

// -----

// expected-error @below {{'func.func' takes, carries or returns a state, which lives in one function}}
// expected-note @below {{of softmax attention, carry}}
func.func private @call(%s: !attn.state<tensor<1x8x5xf32>>) {
  return
}
