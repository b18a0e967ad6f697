// RUN: attn-opt %s --verify-roundtrip | attn-opt | FileCheck %s

// Batches of queries that name the batch of keys and values they read.

// CHECK-LABEL: func.func @maps
// CHECK-SAME: %[[HEADS:[a-z0-9]*]]: tensor<8xi32>, %[[BATCHES:[a-z0-9]*]]: tensor<?xi32>
func.func @maps(%heads: tensor<8xi32>, %batches: tensor<?xi32>,
                %q: tensor<?x8x?x16xf32>, %k: tensor<?x2x?x16xf32>,
                %l: tensor<?x2x?x4x16xf32>) {
  // CHECK: attn.score {{.*}} heads(%[[HEADS]] : tensor<8xi32>) batches(%[[BATCHES]] : tensor<?xi32>) :
  %s = attn.score %q, %k heads(%heads : tensor<8xi32>) batches(%batches : tensor<?xi32>)
     : tensor<?x8x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x8x?x?xf32>
  // CHECK: attn.score_with max {{.*}} batches(%[[BATCHES]] : tensor<?xi32>) {
  %t = attn.score_with max %q, %k batches(%batches : tensor<?xi32>) {
  ^bb0(%x: f32, %y: f32, %d: index):
    %z = arith.addf %x, %y : f32
    attn.yield %z : f32
  } : tensor<?x8x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x8x?x?xf32>
  // CHECK: attn.lane {{.*}} batches(%[[BATCHES]] : tensor<?xi32>) :
  %u = attn.lane %q, %l batches(%batches : tensor<?xi32>)
     : tensor<?x8x?x16xf32>, tensor<?x2x?x4x16xf32> -> !attn.scores<?x8x?x4xf32>
  // CHECK: attn.aggregate %{{.*}}, %{{.*}} batches(%[[BATCHES]] : tensor<?xi32>) :
  %o = attn.aggregate %s, %k batches(%batches : tensor<?xi32>)
     : !attn.scores<?x8x?x?xf32>, tensor<?x2x?x16xf32> -> tensor<?x8x?x16xf32>
  %c = attn.concat %s, %t, %u
     : (!attn.scores<?x8x?x?xf32>, !attn.scores<?x8x?x?xf32>, !attn.scores<?x8x?x4xf32>) -> !attn.scores<?x8x?x?xf32>
  // CHECK: attn.aggregate %{{.*}}, (%{{.*}} heads(%[[HEADS]] : tensor<8xi32>), %{{.*}} heads(%[[HEADS]] : tensor<8xi32>) batches(%[[BATCHES]] : tensor<?xi32>), %{{.*}} batches(%[[BATCHES]] : tensor<?xi32>)) :
  %p = attn.aggregate %c, (%k heads(%heads : tensor<8xi32>), %k heads(%heads : tensor<8xi32>) batches(%batches : tensor<?xi32>), %l batches(%batches : tensor<?xi32>))
     : !attn.scores<?x8x?x?xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x4x16xf32> -> tensor<?x8x?x16xf32>
  return
}

// The keys have an extent of their own, and one batch of queries takes that of
// the map.
// CHECK-LABEL: func.func @extents
func.func @extents(%map: tensor<5xindex>, %q: tensor<5x1x3x8xf32>,
                   %one: tensor<1x1x3x8xf32>, %k: tensor<2x1x7x8xf32>) {
  // CHECK: -> !attn.scores<5x1x3x7xf32>
  %s = attn.score %q, %k batches(%map : tensor<5xindex>)
     : tensor<5x1x3x8xf32>, tensor<2x1x7x8xf32> -> !attn.scores<5x1x3x7xf32>
  // CHECK: -> !attn.scores<5x1x3x7xf32>
  %t = attn.score %one, %k batches(%map : tensor<5xindex>)
     : tensor<1x1x3x8xf32>, tensor<2x1x7x8xf32> -> !attn.scores<5x1x3x7xf32>
  // CHECK: -> tensor<5x1x3x8xf32>
  %o = attn.aggregate %t, %k batches(%map : tensor<5xindex>)
     : !attn.scores<5x1x3x7xf32>, tensor<2x1x7x8xf32> -> tensor<5x1x3x8xf32>
  return
}
