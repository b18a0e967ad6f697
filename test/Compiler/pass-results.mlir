// Results of public functions are written to buffers of the caller, where their
// extents are known: pairs of an operator and its operand, (1, 16 a + d) for
// extent d of argument a.
// RUN: attn-opt %s --attn-pass-results --split-input-file | FileCheck %s

// An allocation is written in place.
// CHECK-LABEL: func.func @fresh
// CHECK-SAME: (%[[A:.*]]: memref<?x4xf32>, %[[O:.*]]: memref<?x4xf32>)
// CHECK-SAME: attn.passed_results = {{\[\[}}array<i64: 1, 0>, array<i64: 0, 4>]]
func.func @fresh(%a: memref<?x4xf32>) -> memref<?x4xf32> {
  %c0 = arith.constant 0 : index
  %n = memref.dim %a, %c0 : memref<?x4xf32>
  %o = memref.alloc(%n) : memref<?x4xf32>
  // CHECK-NOT: memref.alloc
  // CHECK: memref.copy %[[A]], %[[O]]
  memref.copy %a, %o : memref<?x4xf32> to memref<?x4xf32>
  // CHECK: return{{$}}
  return %o : memref<?x4xf32>
}

// -----

// What a loop leaves is copied. What is computed with rounding is an expression,
// and a scalar is returned as ever.
// CHECK-LABEL: func.func @carried
// CHECK-SAME: %[[O:[^:]*]]: memref<?xf32>) -> i64
// CHECK-SAME: attn.passed_results = {{\[\[}}array<i64: 1, 0, 0, 2, 7, 0>], unit]
func.func @carried(%a: memref<?xf32>, %steps: index) -> (memref<?xf32>, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %one = arith.constant 1 : i64
  %n = memref.dim %a, %c0 : memref<?xf32>
  %half = arith.ceildivsi %n, %c2 : index
  %first = memref.alloc(%half) : memref<?xf32>
  // CHECK: %[[LAST:.*]] = scf.for
  %last = scf.for %i = %c0 to %steps step %c1 iter_args(%x = %first) -> memref<?xf32> {
    %m = memref.dim %x, %c0 : memref<?xf32>
    %y = memref.alloc(%m) : memref<?xf32>
    scf.yield %y : memref<?xf32>
  }
  // CHECK: memref.copy %[[LAST]], %[[O]]
  return %last, %one : memref<?xf32>, i64
}

// -----

// How many there are depends on data: returned.
// CHECK-LABEL: func.func @kept
// CHECK-SAME: -> memref<?xf32> attributes {attn.passed_results = [unit]}
func.func @kept(%a: memref<?xf32>, %lengths: memref<1xindex>) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %n = memref.load %lengths[%c0] : memref<1xindex>
  %o = memref.alloc(%n) : memref<?xf32>
  return %o : memref<?xf32>
}

// -----

// Axes that are joined: the extent is a product.
// CHECK-LABEL: func.func @joined
// CHECK-SAME: attn.passed_results = {{\[\[}}array<i64: 1, 0, 0, 2, 5, 0>, array<i64: 0, 4>]]
func.func @joined(%a: memref<?x4xf32>) -> memref<?x4xf32> {
  %c0 = arith.constant 0 : index
  %n = memref.dim %a, %c0 : memref<?x4xf32>
  %o = memref.alloc(%n) : memref<?x2x4xf32>
  %j = memref.collapse_shape %o [[0, 1], [2]] : memref<?x2x4xf32> into memref<?x4xf32>
  return %j : memref<?x4xf32>
}

// -----

// Others call it, and know it as it is.
// CHECK-LABEL: func.func @called(%{{.*}}: memref<4xf32>) -> memref<4xf32> {
func.func @called(%a: memref<4xf32>) -> memref<4xf32> {
  %o = memref.alloc() : memref<4xf32>
  return %o : memref<4xf32>
}
func.func @caller(%a: memref<4xf32>) {
  %o = func.call @called(%a) : (memref<4xf32>) -> memref<4xf32>
  return
}
