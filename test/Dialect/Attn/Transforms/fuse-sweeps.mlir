// Online forms, derived from how each value moves with a running maximum.
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --canonicalize --cse --attn-fuse-sweeps --canonicalize --cse --split-input-file 2>/dev/null | FileCheck %s

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>

// Softmax: one sweep; the division by the sum happens once per row, and only
// where an entry was present.
// CHECK-LABEL: func.func @softmax
// CHECK: %[[R:.*]]:4 = attn.sweep
// CHECK:   %[[G:.*]] = attn.running max %[[F:.*]] :
// CHECK:   %[[S:.*]] = attn.guard %[[G]]
// CHECK:   %[[D:.*]] = arith.subf %[[F]], %[[S]]
// CHECK:   %[[E:.*]] = math.exp2 %[[D]]
// CHECK:   attn.carry sum %[[E]] act(%[[G]] by %[[MINUS:[a-z0-9_]+]])
// CHECK:   attn.carry outer %[[E]], %{{.*}} act(%[[G]] by %[[MINUS]])
// CHECK:   attn.carry any
// CHECK-NOT: attn.sweep
// CHECK: arith.divf %{{.*}}, %[[R]]#1
func.func @softmax(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>

// Squared weights move twice as fast.
// CHECK-LABEL: func.func @squares
// CHECK-DAG: %[[TWO:.*]] = arith.constant -2.0
// CHECK-DAG: %[[ONE:.*]] = arith.constant -1.0
// CHECK: attn.sweep
// CHECK:   attn.carry sum %{{.*}} act(%[[G:[0-9]+]] by %[[ONE]])
// CHECK:   attn.carry outer %{{.*}}, %{{.*}} act(%[[G]] by %[[TWO]])
// CHECK-NOT: attn.sweep
func.func @squares(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %p2 = attn.map %p (%x: f32) {
    %y = arith.mulf %x, %x : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %p2, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// -----

!scores = !attn.scores<1x1x?x?xf32>

// Entropy: e * (f - g) is a polynomial of degree one in the movement, times a
// power; its companion accumulates the coefficient -e.
// CHECK-LABEL: func.func @entropy
// CHECK: attn.sweep
// CHECK:   %[[G:.*]] = attn.running max
// CHECK:   attn.carry sum %{{.*}} act(%[[G]] by %{{.*}}) poly(%[[G]] : %{{.*}})
// CHECK-NOT: attn.sweep
func.func @entropy(%q: tensor<1x1x?x8xf32>, %k: tensor<1x1x?x8xf32>) -> tensor<1x1x?xf32> {
  %s = attn.score %q, %k : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> !scores
  %e = attn.reduce entropy keys %s : (!scores) -> tensor<1x1x?xf32>
  return %e : tensor<1x1x?xf32>
}

// -----

!scores = !attn.scores<1x1x?x?xf32>

// Variance: the mean is a gauge too, and the sum of squares about it is
// re-centred, never expanded.
// CHECK-LABEL: func.func @variance
// CHECK: attn.sweep
// CHECK:   %[[MU:.*]] = attn.running mean
// CHECK:   %[[C1:.*]] = attn.carry sum %{{.*}} poly(%[[MU]] : %{{.*}})
// CHECK:   attn.carry sum %{{.*}} poly(%[[MU]] : %[[C1]], %{{.*}})
// CHECK-NOT: attn.sweep
func.func @variance(%q: tensor<1x1x?x8xf32>, %k: tensor<1x1x?x8xf32>) -> tensor<1x1x?xf32> {
  %s = attn.score %q, %k : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> !scores
  %m, %v = attn.reduce moments keys %s : (!scores) -> (tensor<1x1x?xf32>, tensor<1x1x?xf32>)
  return %v : tensor<1x1x?xf32>
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>

// A sink is the value from which the maximum starts.
// CHECK-LABEL: func.func @sink
// CHECK: attn.sweep
// CHECK:   attn.running max %{{.*}} init %{{.*}} :
// CHECK-NOT: attn.sweep
func.func @sink(%q: !qkv, %k: !qkv, %v: !qkv, %z: tensor<1xf32>) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s sink(%z : tensor<1xf32>) : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>

// Two masks of one score have shifts of their own.
// CHECK-LABEL: func.func @two_shifts
// CHECK: attn.sweep
// CHECK-DAG:   %[[G1:.*]] = attn.running max %[[F:.*]] if %[[P1:.*]] :
// CHECK-DAG:   %[[G2:.*]] = attn.running max %[[F]] if %[[P2:.*]] :
// CHECK-DAG:   attn.carry outer %{{.*}}, %{{.*}} if %{{.*}} act(%[[G1]] by
// CHECK-DAG:   attn.carry outer %{{.*}}, %{{.*}} if %{{.*}} act(%[[G2]] by
// CHECK-NOT: attn.sweep
func.func @two_shifts(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %w = attn.mask %s window<left = 3, right = 3> : !scores
  %p = attn.softmax %c : !scores
  %r = attn.softmax %w : !scores
  %d = attn.map %p, %r (%x: f32, %y: f32) {
    %z = arith.subf %x, %y : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.aggregate %d, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}
