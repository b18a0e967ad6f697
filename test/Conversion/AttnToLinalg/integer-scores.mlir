// RUN: attn-opt %s -attn-to-linalg | FileCheck %s
// RUN: attn-opt %s -attn-promote-to-f64 | FileCheck %s --check-prefix=F64

// Codes are multiplied and added as i32, for the reference on f64 too; fills are
// integers.

// CHECK-LABEL: func @integers
// F64-LABEL: func.func @integers
func.func @integers(%q: tensor<1x2x4x8xi8>, %k: tensor<1x2x5x8xi8>) -> tensor<1x2x4x5xf32> {
  // CHECK: %[[ZERO:.*]] = arith.constant 0 : i32
  // CHECK: linalg.fill ins(%[[ZERO]] : i32)
  // CHECK: arith.extsi {{.*}} : i8 to i32
  // CHECK: arith.extsi {{.*}} : i8 to i32
  // CHECK: arith.muli {{.*}} : i32
  // CHECK: arith.addi {{.*}} : i32
  // F64: attn.score {{.*}} : tensor<1x2x4x8xi8>, tensor<1x2x5x8xi8> -> !attn.scores<1x2x4x5xi32>
  %s = attn.score %q, %k : tensor<1x2x4x8xi8>, tensor<1x2x5x8xi8> -> !attn.scores<1x2x4x5xi32>
  %m = attn.mask %s (%x: i32) {
    %zero = arith.constant 0 : i32
    %keep = arith.cmpi sgt, %x, %zero : i32
    attn.yield %keep : i1
  } : !attn.scores<1x2x4x5xi32>
  // CHECK: arith.constant -7 : i32
  %f = attn.fill %m, -7.0 : !attn.scores<1x2x4x5xi32>
  // CHECK: arith.sitofp {{.*}} : i32 to f32
  // F64: arith.sitofp {{.*}} : i32 to f64
  %g = attn.map %f (%x: i32) {
    %y = arith.sitofp %x : i32 to f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x4x5xi32>) -> !attn.scores<1x2x4x5xf32>
  %o = attn.materialize %g : !attn.scores<1x2x4x5xf32> -> tensor<1x2x4x5xf32>
  return %o : tensor<1x2x4x5xf32>
}

// A batch map is held to the batches of the keys, which may be dynamic.
// CHECK-LABEL: func @batch_map
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<3x2x4x8xf32>, %[[K:[a-z0-9]+]]: tensor<?x2x5x8xf32>, %[[MAP:[a-z0-9]+]]: tensor<3xi64>
func.func @batch_map(%q: tensor<3x2x4x8xf32>, %k: tensor<?x2x5x8xf32>, %map: tensor<3xi64>) -> tensor<3x2x4x5xf32> {
  // CHECK: %[[B:.*]] = linalg.index 0
  // CHECK: tensor.dim %[[K]]
  // CHECK: tensor.extract %[[MAP]][%[[B]]]
  // CHECK: arith.minsi
  // CHECK: %[[C:.*]] = arith.maxsi
  // CHECK: tensor.extract %[[K]][%[[C]],
  %s = attn.score %q, %k batches(%map : tensor<3xi64>)
     : tensor<3x2x4x8xf32>, tensor<?x2x5x8xf32> -> !attn.scores<3x2x4x5xf32>
  %o = attn.materialize %s : !attn.scores<3x2x4x5xf32> -> tensor<3x2x4x5xf32>
  return %o : tensor<3x2x4x5xf32>
}
