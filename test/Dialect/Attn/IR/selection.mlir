// RUN: attn-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: @topk
func.func @topk(%t: tensor<2x?x5xf32>, %k: index, %kk: tensor<2x5xi32>,
                %f: tensor<2x?x5xi1>) {
  // CHECK: attn.select_topk largest %{{.*}} : tensor<2x?x5xf32> -> tensor<2x?x3xf32>, tensor<2x?x3xi64>, tensor<2x?xi64>
  %0:3 = attn.select_topk largest %t
    : tensor<2x?x5xf32> -> tensor<2x?x3xf32>, tensor<2x?x3xi64>, tensor<2x?xi64>
  // CHECK: attn.select_topk smallest %{{.*}} k(%{{.*}} : tensor<2x5xi32>) bound(%{{.*}}) dims [1] sorted_by(position)
  %1:3 = attn.select_topk smallest %t k(%kk : tensor<2x5xi32>) bound(%k) dims [1]
    sorted_by(position)
    : tensor<2x?x5xf32> -> tensor<2x?x5xf32>, tensor<2x?x5xi64>, tensor<2x5xi64>
  // CHECK: attn.select_topk largest %{{.*}} k(%{{.*}} : index) forced(%{{.*}} : tensor<2x?x5xi1>) among(%{{.*}} : tensor<2x?x5xi1>) dims [1, 2] :
  %2:3 = attn.select_topk largest %t k(%k : index) forced(%f : tensor<2x?x5xi1>)
    among(%f : tensor<2x?x5xi1>) dims [1, 2] sorted_by(value)
    : tensor<2x?x5xf32> -> tensor<2x4xf32>, tensor<2x4xi64>, tensor<2xi64>
  return
}

// CHECK-LABEL: @order
func.func @order(%t: tensor<?x5xf64>, %bits: tensor<?x7xi1>, %k: index) {
  // CHECK: attn.argsort %{{.*}} dim(0) :
  %0:2 = attn.argsort %t dim(0) : tensor<?x5xf64> -> tensor<?x5xi64>, tensor<?x5xf64>
  // CHECK: attn.argsort %{{.*}} dim(1) descending :
  %1:2 = attn.argsort %t dim(1) descending : tensor<?x5xf64> -> tensor<?x5xi64>, tensor<?x5xf64>
  // CHECK: attn.search_sorted %{{.*}}, %{{.*}} right :
  %3 = attn.search_sorted %t, %t right : tensor<?x5xf64>, tensor<?x5xf64> -> tensor<?x5xi64>
  // CHECK: attn.compact %{{.*}} bound(%{{.*}}) : tensor<?x7xi1> -> tensor<?x?xi64>, tensor<?xi64>
  %2:2 = attn.compact %bits bound(%k) : tensor<?x7xi1> -> tensor<?x?xi64>, tensor<?xi64>
  return
}

// CHECK-LABEL: @prefix
func.func @prefix(%t: tensor<?x5xbf16>, %bits: tensor<?x5xi1>) {
  // CHECK: attn.prefix %{{.*}}, %{{.*}} dim(1) identity [0.000000e+00 : f32, 0] exclusive reverse {
  // CHECK: } : tensor<?x5xbf16>, tensor<?x5xi1> -> tensor<?x5xf32>, tensor<?x5xi64>
  %0:2 = attn.prefix %t, %bits dim(1) identity [0.0 : f32, 0 : i64] exclusive reverse {
  ^bb0(%a: f32, %m: i64, %x: f32, %n: i64):
    %s = arith.addf %a, %x : f32
    %c = arith.addi %m, %n : i64
    attn.yield %s, %c : f32, i64
  } : tensor<?x5xbf16>, tensor<?x5xi1> -> tensor<?x5xf32>, tensor<?x5xi64>
  return
}

// CHECK-LABEL: @gather
func.func @gather(%t: tensor<2x2x?x8xf32>, %i: tensor<2x6x3xi32>,
                  %j: tensor<2x2x5x8xi64>, %rows: tensor<2x6x3x8xf32>,
                  %wide: tensor<2x6x?x8xf32>) {
  // CHECK: attn.gather %{{.*}}, %{{.*}} dim(2) batch(2) fill(-1.000000e+00 : f32) :
  %0 = attn.gather %t, %i dim(2) batch(2) fill(-1.0 : f32)
    : tensor<2x2x?x8xf32>, tensor<2x6x3xi32> -> tensor<2x6x3x8xf32>
  // CHECK: attn.gather %{{.*}}, %{{.*}} dim(2) along :
  %1 = attn.gather %t, %j dim(2) along
    : tensor<2x2x?x8xf32>, tensor<2x2x5x8xi64> -> tensor<2x2x5x8xf32>
  // CHECK: attn.scatter_reduce replace %{{.*}}, %{{.*}}, %{{.*}} dim(2) batch(2) :
  %2 = attn.scatter_reduce replace %wide, %i, %rows dim(2) batch(2)
    : tensor<2x6x?x8xf32>, tensor<2x6x3xi32>, tensor<2x6x3x8xf32>
  return
}

// CHECK-LABEL: @factorisations
func.func @factorisations(%a: tensor<?x4x4xf32>, %b: tensor<?x2x4xf32>) {
  // CHECK: attn.solve upper %{{.*}}, %{{.*}} unit transposed right :
  %0 = attn.solve upper %a, %b unit transposed right : tensor<?x4x4xf32>, tensor<?x2x4xf32>
  // CHECK: attn.cholesky %{{.*}} : tensor<?x4x4xf32>
  %1 = attn.cholesky %a : tensor<?x4x4xf32>
  // CHECK: attn.qr %{{.*}} : tensor<?x2x4xf32> -> tensor<?x2x2xf32>, tensor<?x2x4xf32>
  %2:2 = attn.qr %b : tensor<?x2x4xf32> -> tensor<?x2x2xf32>, tensor<?x2x4xf32>
  return
}
