// RUN: attn-opt %s -attn-selection-to-loops -split-input-file | FileCheck %s
// RUN: attn-opt %s -attn-selection-to-loops -split-input-file \
// RUN:   -one-shot-bufferize=bufferize-function-boundaries \
// RUN:   -canonicalize -buffer-deallocation-pipeline \
// RUN:   | FileCheck %s --check-prefix=FREED

// Operands are read where they are, results are new.

// CHECK-LABEL: @compact(
// CHECK-SAME:    %[[BITS:.*]]: tensor<3x?xi1>)
// CHECK:         %[[IN:.*]] = bufferization.to_buffer %[[BITS]] read_only
// CHECK-SAME:      to memref<3x?xi1, strided<[?, ?], offset: ?>>
// CHECK:         %[[LIST:.*]] = memref.alloc() {alignment = 64 : i64} : memref<3x8xi64>
// CHECK:         %[[COUNT:.*]] = memref.alloc() {alignment = 64 : i64} : memref<3xi64>
// CHECK:         scf.parallel
// CHECK:           scf.for
// CHECK:             %[[N:.*]] = scf.for %[[J:.*]] = {{.*}} iter_args(%[[AT:.*]] = %{{.*}}) -> (index)
// CHECK:               %[[BIT:.*]] = memref.load %[[IN]][%{{.*}}, %[[J]]]
// CHECK:               scf.if
// CHECK:                 memref.store %{{.*}}, %[[LIST]][%{{.*}}, %[[AT]]]
// CHECK:         bufferization.to_tensor %[[LIST]] restrict writable
// CHECK:         bufferization.to_tensor %[[COUNT]] restrict writable

// FREED-LABEL: @compact(
// FREED-NOT:     memref.dealloc
// FREED:         return
func.func @compact(%bits: tensor<3x?xi1>) -> (tensor<3x8xi64>, tensor<3xi64>) {
  %i, %n = attn.compact %bits : tensor<3x?xi1> -> tensor<3x8xi64>, tensor<3xi64>
  return %i, %n : tensor<3x8xi64>, tensor<3xi64>
}

// -----

// The scratch of a row serves all rows of an item, and is freed with it. A result
// without a user is not computed.

// CHECK-LABEL: @sorted_positions(
// CHECK:         scf.parallel
// CHECK:           memref.alloc(%{{.*}}) {{.*}} : memref<2x?xi32>
// CHECK:           memref.alloc(%{{.*}}) {{.*}} : memref<2x?xi64>
// CHECK-NEXT:      arith.muli
// CHECK:           scf.for
// CHECK:             scf.while
// CHECK:               scf.for

// FREED-LABEL: @sorted_positions(
// FREED:         %[[PLACES:.*]] = memref.alloc(%{{.*}}) {{.*}} : memref<3x?xi64>
// FREED-NOT:     : memref<3x?xf32>
// FREED:         scf.parallel
// FREED:           %[[KEYS:.*]] = memref.alloc
// FREED:           %[[SCRATCH:.*]] = memref.alloc
// FREED:           memref.dealloc %[[KEYS]]
// FREED:           memref.dealloc %[[SCRATCH]]
// FREED:           scf.reduce
// FREED:         return %[[PLACES]]
func.func @sorted_positions(%t: tensor<3x?xf32>) -> tensor<3x?xi64> {
  %i, %v = attn.argsort %t dim(1) : tensor<3x?xf32> -> tensor<3x?xi64>, tensor<3x?xf32>
  return %i : tensor<3x?xi64>
}

// -----

// Across the last dimension, neighbours are innermost.

// CHECK-LABEL: @columns(
// CHECK:         scf.parallel
// CHECK:           %[[SUMS:.*]] = memref.alloc() {{.*}} : memref<64xf32>
// CHECK:           scf.for
// CHECK:             scf.for
// CHECK:               memref.store %{{.*}}, %[[SUMS]]
// CHECK:             scf.for
// CHECK:               scf.for %[[C:.*]] =
// CHECK:                 %[[SUM:.*]] = memref.load %[[SUMS]][%[[C]]]
// CHECK:                 %[[NEXT:.*]] = arith.addf %[[SUM]], %{{.*}}
// CHECK:                 memref.store %[[NEXT]], %[[SUMS]][%[[C]]]
func.func @columns(%t: tensor<?x100xf32>) -> tensor<?x100xf32> {
  %c = attn.prefix %t dim(0) identity [0.0 : f32] {
  ^bb0(%a: f32, %x: f32):
    %s = arith.addf %a, %x : f32
    attn.yield %s : f32
  } : tensor<?x100xf32> -> tensor<?x100xf32>
  return %c : tensor<?x100xf32>
}

// -----

// A sum of narrow floats has a wide buffer beside the result.

// CHECK-LABEL: @narrow(
// CHECK:         %[[OUT:.*]] = memref.alloc() {{.*}} : memref<7xbf16>
// CHECK:         %[[SUM:.*]] = memref.alloc() {{.*}} : memref<7xf32>
// CHECK:         arith.addf %{{.*}}, %{{.*}} : f32
// CHECK:         %[[ROUNDED:.*]] = arith.truncf
// CHECK:         memref.store %[[ROUNDED]], %[[OUT]]

// FREED-LABEL: @narrow(
// FREED:         %[[SUM:.*]] = memref.alloc() {{.*}} : memref<7xf32>
// FREED:         memref.dealloc %[[SUM]]
func.func @narrow(%t: tensor<7xbf16>, %i: tensor<9xi64>, %s: tensor<9xbf16>) -> tensor<7xbf16> {
  %r = attn.scatter_reduce sum %t, %i, %s dim(0) : tensor<7xbf16>, tensor<9xi64>, tensor<9xbf16>
  return %r : tensor<7xbf16>
}

// -----

// Grouped heads: head h reads h div 3.

// CHECK-LABEL: @grouped(
// CHECK:         %[[C3:.*]] = arith.constant 3 : index
// CHECK:         %[[HEAD:.*]] = arith.divui %{{.*}}, %[[C3]]
// CHECK:         memref.load %{{.*}}[%[[HEAD]], %{{.*}}, %{{.*}}] : memref<2x?x8xf32
func.func @grouped(%t: tensor<2x?x8xf32>, %i: tensor<6x5xi64>) -> tensor<6x5x8xf32> {
  %r = attn.gather %t, %i dim(1) batch(1) : tensor<2x?x8xf32>, tensor<6x5xi64> -> tensor<6x5x8xf32>
  return %r : tensor<6x5x8xf32>
}
