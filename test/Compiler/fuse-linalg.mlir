// Elementwise ops go into a consumer that reads each element once, and into
// products only where they convert.
// RUN: attn-opt %s --pass-pipeline='builtin.module(func.func(attn-fuse-linalg))' | FileCheck %s

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#row = affine_map<(m, k) -> (m)>
#full = affine_map<(m, k) -> (m, k)>

// CHECK-LABEL: func.func @squares
// CHECK: linalg.generic {{.*}}["parallel", "reduction"]
// CHECK: arith.mulf
// CHECK-NEXT: arith.addf
// CHECK-NOT: linalg.generic
func.func @squares(%a: tensor<4x5xf32>, %c: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4x5xf32>
  %q = linalg.generic {indexing_maps = [#full, #full], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4x5xf32>) outs(%e : tensor<4x5xf32>) {
  ^bb0(%x: f32, %_: f32):
    %s = arith.mulf %x, %x : f32
    linalg.yield %s : f32
  } -> tensor<4x5xf32>
  %r = linalg.generic {indexing_maps = [#full, #row], iterator_types = ["parallel", "reduction"]}
      ins(%q : tensor<4x5xf32>) outs(%c : tensor<4xf32>) {
  ^bb0(%x: f32, %sum: f32):
    %s = arith.addf %sum, %x : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// An exponential per element, not one per element and column.
// CHECK-LABEL: func.func @gate
// CHECK: linalg.generic {{.*}}["parallel", "parallel"]
// CHECK: math.exp
// CHECK: linalg.generic
// CHECK-NOT: math.exp
func.func @gate(%a: tensor<4x5xf32>, %b: tensor<5x6xf32>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %e = tensor.empty() : tensor<4x5xf32>
  %q = linalg.generic {indexing_maps = [#full, #full], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4x5xf32>) outs(%e : tensor<4x5xf32>) {
  ^bb0(%x: f32, %_: f32):
    %s = math.exp %x : f32
    linalg.yield %s : f32
  } -> tensor<4x5xf32>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %b : tensor<4x5xf32>, tensor<5x6xf32>) outs(%c : tensor<4x6xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %sum, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}

// CHECK-LABEL: func.func @convert
// CHECK: linalg.generic {{.*}}["parallel", "parallel", "reduction"]
// CHECK: arith.extf
// CHECK-NOT: linalg.generic
func.func @convert(%a: tensor<4x5xbf16>, %b: tensor<5x6xf32>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %e = tensor.empty() : tensor<4x5xf32>
  %q = linalg.generic {indexing_maps = [#full, #full], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4x5xbf16>) outs(%e : tensor<4x5xf32>) {
  ^bb0(%x: bf16, %_: f32):
    %s = arith.extf %x : bf16 to f32
    linalg.yield %s : f32
  } -> tensor<4x5xf32>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %b : tensor<4x5xf32>, tensor<5x6xf32>) outs(%c : tensor<4x6xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %sum, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}

// A named product may be contracted.
// CHECK-LABEL: func.func @named
// CHECK: arith.mulf {{.*}} fastmath<contract>
// CHECK: arith.addf {{.*}} fastmath<contract>
func.func @named(%a: tensor<4x5xf32>, %b: tensor<5x6xf32>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %r = linalg.matmul ins(%a, %b : tensor<4x5xf32>, tensor<5x6xf32>) outs(%c : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}

// Two reductions of one tensor read it once.
// CHECK-LABEL: func.func @extrema
// CHECK:     %[[R:.*]]:2 = linalg.generic {{.*}}["parallel", "reduction"]
// CHECK:       arith.maximumf
// CHECK:       arith.minimumf
// CHECK-NOT: linalg.generic
// CHECK:     return %[[R]]#0, %[[R]]#1
func.func @extrema(%a: tensor<4x5xf32>, %c: tensor<4xf32>, %d: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %max = linalg.reduce { arith.maximumf } ins(%a : tensor<4x5xf32>) outs(%c : tensor<4xf32>) dimensions = [1]
  %min = linalg.reduce { arith.minimumf } ins(%a : tensor<4x5xf32>) outs(%d : tensor<4xf32>) dimensions = [1]
  return %max, %min : tensor<4xf32>, tensor<4xf32>
}

// One that starts from what the other found does not.
// CHECK-LABEL: func.func @chained
// CHECK-COUNT-2: linalg.generic
func.func @chained(%a: tensor<4x5xf32>, %c: tensor<4xf32>) -> tensor<4xf32> {
  %max = linalg.reduce { arith.maximumf } ins(%a : tensor<4x5xf32>) outs(%c : tensor<4xf32>) dimensions = [1]
  %both = linalg.reduce { arith.addf } ins(%a : tensor<4x5xf32>) outs(%max : tensor<4xf32>) dimensions = [1]
  return %both : tensor<4xf32>
}
