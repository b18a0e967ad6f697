// Arguments are never written, results never alias them, strided copies need
// no support library.
// RUN: attn-opt %s --pass-pipeline='builtin.module(func.func(attn-prepare-entries))' | FileCheck %s
// RUN: attn-opt %s --pass-pipeline='builtin.module(func.func(attn-legalize-buffers))' --split-input-file | FileCheck %s --check-prefix=LEGAL

// CHECK-LABEL: func.func @returned
// CHECK-SAME: (%[[A:.*]]: tensor<?x4xf32> {attn.name = "a", bufferization.writable = false})
// CHECK-SAME: attributes {llvm.emit_c_interface}
// LEGAL-LABEL: func.func @returned
// LEGAL-SAME: (%{{.*}}: tensor<?x4xf32>)
func.func @returned(%a: tensor<?x4xf32> {attn.name = "a"}) -> (tensor<?x4xf32>, tensor<1x4xf32>) {
  // CHECK: %[[SLICE:.*]] = tensor.extract_slice %[[A]]
  %s = tensor.extract_slice %a[0, 0] [1, 4] [1, 1] : tensor<?x4xf32> to tensor<1x4xf32>
  // CHECK: %[[C:.*]] = bufferization.alloc_tensor() copy(%[[A]])
  // CHECK: %[[D:.*]] = bufferization.alloc_tensor() copy(%[[SLICE]])
  // CHECK: return %[[C]], %[[D]]
  return %a, %s : tensor<?x4xf32>, tensor<1x4xf32>
}

// A tensor that is returned twice becomes two buffers.
// CHECK-LABEL: func.func @twice
func.func @twice(%n: index) -> (tensor<?xf32>, tensor<?xf32>) {
  // CHECK: %[[E:.*]] = tensor.empty
  %e = tensor.empty(%n) : tensor<?xf32>
  // CHECK: %[[C:.*]] = bufferization.alloc_tensor() copy(%[[E]])
  // CHECK: return %[[E]], %[[C]]
  return %e, %e : tensor<?xf32>, tensor<?xf32>
}

// CHECK-LABEL: func.func private @callee
// CHECK-NOT: emit_c_interface
func.func private @callee(%a: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: return %{{arg0|a}}
  return %a : tensor<4xf32>
}

// -----

// LEGAL-LABEL: func.func @copy
func.func @copy(%a: memref<?xf32, strided<[?], offset: ?>>, %b: memref<?xf32>, %c: memref<?xf32>) {
  // LEGAL: linalg.generic
  memref.copy %a, %b : memref<?xf32, strided<[?], offset: ?>> to memref<?xf32>
  // LEGAL: memref.copy
  memref.copy %b, %c : memref<?xf32> to memref<?xf32>
  return
}

// LEGAL-LABEL: func.func @divide
func.func @divide(%a: i64, %b: i64) -> (i64, i64) {
  // LEGAL-NOT: ceildivsi
  // LEGAL-NOT: floordivsi
  // LEGAL: arith.divsi
  %x = arith.ceildivsi %a, %b : i64
  %y = arith.floordivsi %a, %b : i64
  return %x, %y : i64, i64
}

// LEGAL-LABEL: func.func @whole_powers
func.func @whole_powers(%x: f32, %k: i32, %n: i8) -> (f32, i32) {
  // LEGAL-NOT: powi
  // LEGAL-COUNT-16: arith.mulf
  // LEGAL: arith.divf
  %0 = math.fpowi %x, %n : f32, i8
  // LEGAL-COUNT-64: arith.muli
  %1 = math.ipowi %k, %k : i32
  return %0, %1 : f32, i32
}

// Two axes of a single place: which of them is dropped is an op of its own.
// CHECK-LABEL: func.func @one_of_two_places(
// CHECK:   %[[PART:.*]] = tensor.extract_slice %arg0[0, 0, 1] [1, %arg1, 1] [1, 1, 1] : tensor<1x?x2xf32> to tensor<1x?x1xf32>
// CHECK:   tensor.collapse_shape %[[PART]] {{\[}}[0], [1, 2]] : tensor<1x?x1xf32> into tensor<1x?xf32>
func.func @one_of_two_places(%x: tensor<1x?x2xf32>, %n: index) -> tensor<1x?xf32> {
  %0 = tensor.extract_slice %x[0, 0, 1] [1, %n, 1] [1, 1, 1] : tensor<1x?x2xf32> to tensor<1x?xf32>
  %1 = math.absf %0 : tensor<1x?xf32>
  return %1 : tensor<1x?xf32>
}
