// Pages, codes and rotations become row arithmetic in views.
// RUN: attn-opt %s --attn-expand-storage | FileCheck %s

// CHECK-LABEL: func @paged
// CHECK-SAME: (%[[POOL:.*]]: tensor<?x2x16x64xf32>, %[[TABLE:.*]]: tensor<3x?xi32>)
func.func @paged(%pool: tensor<?x2x16x64xf32>, %table: tensor<3x?xi32>) -> tensor<3x2x?x64xf32> {
  // CHECK: %[[PAGES:.*]] = tensor.dim %[[TABLE]]
  // CHECK: %[[N:.*]] = arith.muli %[[PAGES]]
  // CHECK: attn.view (%[[B:.*]], %[[G:.*]], %[[J:.*]]) sizes(%[[N]]) {
  // CHECK:   %[[BLOCK:.*]] = arith.divui %[[J]]
  // CHECK:   %[[SLOT:.*]] = arith.remui %[[J]]
  // CHECK:   tensor.extract %[[TABLE]][%[[B]], %[[BLOCK]]]
  // CHECK:   %[[PAGE:.*]] = arith.index_cast
  // CHECK:   attn.at %[[POOL]][%[[PAGE]], %[[G]], %[[SLOT]]]
  %k = attn.paged %pool, %table : tensor<?x2x16x64xf32>, tensor<3x?xi32> -> tensor<3x2x?x64xf32>
  return %k : tensor<3x2x?x64xf32>
}

// There are not more keys than pages for them.
// CHECK-LABEL: func @paged_extent
// CHECK:       %[[ALL:.*]] = arith.muli
// CHECK:       %[[GIVEN:.*]] = arith.maxsi
// CHECK:       %[[N:.*]] = arith.minsi %[[GIVEN]], %[[ALL]]
// CHECK:       attn.view {{.*}} sizes(%[[N]])
func.func @paged_extent(%pool: tensor<?x2x16x64xf32>, %table: tensor<3x?xi32>, %n: index) -> tensor<3x2x?x64xf32> {
  %k = attn.paged %pool, %table extent(%n) : tensor<?x2x16x64xf32>, tensor<3x?xi32> -> tensor<3x2x?x64xf32>
  return %k : tensor<3x2x?x64xf32>
}

// Nibbles: the first code in the lowest bits, with the sign extended.
// CHECK-LABEL: func @int4
func.func @int4(%q: tensor<1x1x8x4xi8>, %s: tensor<1x1x8x1xf32>) -> tensor<1x1x8x8xf32> {
  // CHECK: %[[CODES:.*]] = attn.at {{.*}} -> vector<4xi8>
  // CHECK: %[[UP:.*]] = arith.shli %[[CODES]]
  // CHECK: %[[LOW:.*]] = arith.shrsi %[[UP]]
  // CHECK: %[[HIGH:.*]] = arith.shrsi %[[CODES]]
  // CHECK: %[[ALL:.*]] = vector.interleave %[[LOW]], %[[HIGH]] : vector<4xi8> -> vector<8xi8>
  // CHECK: %[[X:.*]] = arith.sitofp %[[ALL]] : vector<8xi8> to vector<8xf32>
  // CHECK: %[[SCALE:.*]] = tensor.extract
  // CHECK: %[[SPLAT:.*]] = vector.broadcast %[[SCALE]]
  // CHECK: arith.mulf %[[X]], %[[SPLAT]]
  %x = attn.dequantize %q, %s scheme(<type = i4, axis = token>) : tensor<1x1x8x4xi8>, tensor<1x1x8x1xf32> -> tensor<1x1x8x8xf32>
  return %x : tensor<1x1x8x8xf32>
}

// Codes without a sign, a scale per group of features, one rounding per
// operation.
// CHECK-LABEL: func @offset
func.func @offset(%q: tensor<1x1x8x8xi8>, %s: tensor<1x1x8x2xf32>, %z: tensor<1x1x8x2xf32>) -> tensor<1x1x8x8xf32> {
  // CHECK: %[[X:.*]] = arith.uitofp
  // CHECK: %[[S:.*]] = vector.shuffle {{.*}} [0, 0, 0, 0, 1, 1, 1, 1]
  // CHECK: %[[Z:.*]] = vector.shuffle {{.*}} [0, 0, 0, 0, 1, 1, 1, 1]
  // CHECK: %[[SCALED:.*]] = arith.mulf %[[X]], %[[S]]
  // CHECK: arith.addf %[[SCALED]], %[[Z]]
  %x = attn.dequantize %q, %s, %z scheme(<type = i8, axis = token, group = 4, zero = offset>)
    : tensor<1x1x8x8xi8>, tensor<1x1x8x2xf32>, tensor<1x1x8x2xf32> -> tensor<1x1x8x8xf32>
  return %x : tensor<1x1x8x8xf32>
}

// An 8-bit float through the f16 whose upper bits it shares.
// CHECK-LABEL: func @e5m2
func.func @e5m2(%q: tensor<1x1x8x8xf8E5M2>, %s: tensor<1x1x1x1xf32>) -> tensor<1x1x8x8xf32> {
  // CHECK: arith.bitcast {{.*}} : vector<8xf8E5M2> to vector<8xi8>
  // CHECK: arith.shli {{.*}} : vector<8xi16>
  // CHECK: arith.bitcast {{.*}} : vector<8xi16> to vector<8xf16>
  // CHECK: arith.extf {{.*}} : vector<8xf16> to vector<8xf32>
  %x = attn.dequantize %q, %s scheme(<type = f8E5M2, axis = tensor>) : tensor<1x1x8x8xf8E5M2>, tensor<1x1x1x1xf32> -> tensor<1x1x8x8xf32>
  return %x : tensor<1x1x8x8xf32>
}

// Two of four features rotate, the others stay.
// CHECK-LABEL: func @rope
func.func @rope(%x: tensor<1x1x8x4xf32>, %p: tensor<1x8xi32>) -> tensor<1x1x8x4xf32> {
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<1x8xi32>, tensor<1xf64>)
  // CHECK:   math.cos {{.*}} : f64
  // CHECK:   math.sin {{.*}} : f64
  // CHECK: attn.view
  // CHECK:   %[[X:.*]] = attn.at
  // CHECK:   arith.negf
  // CHECK:   vector.shuffle %[[X]], %[[X]] [1, 0]
  // CHECK:   vector.shuffle %{{.*}}, %[[X]] [0, 1, 4, 5] : vector<2xf32>, vector<4xf32>
  %r = attn.rope %x positions(%p : tensor<1x8xi32>) half rotary_dim(2) : tensor<1x1x8x4xf32>
  return %r : tensor<1x1x8x4xf32>
}

// One butterfly per stride.
// CHECK-LABEL: func @hadamard
func.func @hadamard(%x: tensor<1x1x8x4xf32>) -> tensor<1x1x8x4xf32> {
  // CHECK: arith.constant dense<{{.*}}[1.000000e+00, -1.000000e+00, 1.000000e+00, -1.000000e+00], [1.000000e+00, 1.000000e+00, -1.000000e+00, -1.000000e+00]
  // CHECK: vector.shuffle {{.*}} [1, 0, 3, 2]
  // CHECK: vector.shuffle {{.*}} [2, 3, 0, 1]
  // CHECK: arith.mulf {{.*}} : vector<4xf32>
  %r = attn.hadamard %x : tensor<1x1x8x4xf32>
  return %r : tensor<1x1x8x4xf32>
}

// CHECK-LABEL: func @quantize
// CHECK-NOT: attn.quantize
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x1x8x1xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x1x8x2xi8>)
func.func @quantize(%x: tensor<1x1x8x4xf32>) -> (tensor<1x1x8x2xi8>, tensor<1x1x8x1xf32>) {
  %q, %s = attn.quantize %x scheme(<type = i4, axis = token>) : tensor<1x1x8x4xf32> -> tensor<1x1x8x2xi8>, tensor<1x1x8x1xf32>
  return %q, %s : tensor<1x1x8x2xi8>, tensor<1x1x8x1xf32>
}
