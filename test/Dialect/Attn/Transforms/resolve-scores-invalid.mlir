// RUN: attn-opt %s -attn-resolve-scores=max-unrolled-iterations=8 -split-input-file -verify-diagnostics

!scores = !attn.scores<1x2x4x6xf32>
// expected-error @below {{function 'public' takes or returns scores, which live in one block; carry row and column tensors instead, or ask for the matrix with attn.materialize}}
func.func @public(%s: !scores) -> tensor<1x2x4xf32> {
  %r = attn.reduce max keys %s : (!scores) -> tensor<1x2x4xf32>
  return %r : tensor<1x2x4xf32>
}

// -----

!scores = !attn.scores<1x2x4x6xf32>
func.func @long_loop(%t: tensor<1x2x4x6xf32>) -> tensor<1x2x4x6xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  // expected-error @below {{'scf.for' takes, carries or returns scores, which live in one block; carry row and column tensors instead, or ask for the matrix with attn.materialize}}
  // expected-note @below {{the loop is not unrolled: its trip count is no constant of at most 8}}
  %s = scf.for %k = %c0 to %c9 step %c1 iter_args(%y = %x) -> !scores {
    %p = attn.softmax %y : !scores
    scf.yield %p : !scores
  }
  %o = attn.materialize %s : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// -----

!scores = !attn.scores<1x2x4x6xf32>
func.func private @effect()
func.func @branch(%t: tensor<1x2x4x6xf32>, %c: i1) -> tensor<1x2x4x6xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  // expected-error @below {{'scf.if' takes, carries or returns scores}}
  // expected-note @below {{a branch has effects or may not be speculated}}
  %s = scf.if %c -> !scores {
    func.call @effect() : () -> ()
    scf.yield %x : !scores
  } else {
    %p = attn.softmax %x : !scores
    scf.yield %p : !scores
  }
  %o = attn.materialize %s : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// -----

!scores = !attn.scores<1x2x4x6xf32>
// expected-error @below {{function 'external' takes or returns scores}}
func.func private @external(!scores) -> !scores
func.func @calls(%t: tensor<1x2x4x6xf32>) -> tensor<1x2x4x6xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  // expected-error @below {{'func.call' takes, carries or returns scores}}
  // expected-note @below {{the callee is not inlined: it is public, recursive, external or has several blocks}}
  %s = call @external(%x) : (!scores) -> !scores
  %o = attn.materialize %s : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// -----

// The offsets differ, so masks after the selection would not know which holds.
!scores = !attn.scores<1x2x4x6xf32>
func.func @axes(%t: tensor<1x2x4x6xf32>, %n: index, %c: i1) -> tensor<1x2x4x6xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %y = attn.bias %t query_offset(%n : index) : tensor<1x2x4x6xf32> -> !scores
  // expected-error @below {{'arith.select' takes, carries or returns scores}}
  // expected-note @below {{the two sides differ in positions, offsets, lengths or segments; use attn.with_axes after the selection}}
  %s = arith.select %c, %x, %y : !scores
  %o = attn.materialize %s : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// -----

!scores = !attn.scores<1x2x4x6xf32>
// expected-error @below {{function 'recursive' takes or returns scores}}
func.func private @recursive(%s: !scores) -> !scores {
  %r = call @recursive(%s) : (!scores) -> !scores
  return %r : !scores
}

// -----

// One error per function.
!scores = !attn.scores<1x2x4x6xf32>
func.func @foreign(%t: tensor<1x2x4x6xf32>) {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  // expected-error @below {{'builtin.unrealized_conversion_cast' takes, carries or returns scores}}
  %0 = builtin.unrealized_conversion_cast %x : !scores to index
  %1 = builtin.unrealized_conversion_cast %x : !scores to i64
  return
}
