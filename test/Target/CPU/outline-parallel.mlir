// RUN: attn-opt %s -attn-cpu-outline-parallel | FileCheck %s

// An outermost loop becomes a kernel; what it uses travels in a struct, but for
// constants.

// CHECK:       func.func private @scale_parallel0(%[[ARGS:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64)
// CHECK-SAME:    attributes {passthrough = ["attn-vectorize-loops"]}
// CHECK-COUNT-4: llvm.load
// CHECK:         %[[TWO:.*]] = arith.constant 2.0
// CHECK:         scf.for %[[ITEM:.*]] =
// CHECK:           %[[MOVED:.*]] = arith.muli %[[ITEM]]
// CHECK:           %[[I:.*]] = arith.addi %{{.*}}, %[[MOVED]]
// CHECK:           %[[X:.*]] = memref.load %{{.*}}[%[[I]]]
// CHECK:           %[[Y:.*]] = arith.mulf %[[X]], %[[TWO]]
// CHECK:           scf.parallel

// CHECK-LABEL: func.func @scale(
// CHECK-SAME:    %[[BUFFER:.*]]: memref<?xf32>, %[[LOW:.*]]: index, %[[HIGH:.*]]: index, %[[STEP:.*]]: index
// CHECK:         %[[PLACE:.*]] = llvm.alloca
// CHECK:         %[[LENGTH:.*]] = arith.subi %[[HIGH]], %[[LOW]]
// CHECK:         %[[POSITIVE:.*]] = arith.maxsi %[[LENGTH]]
// CHECK:         %[[ITEMS:.*]] = arith.ceildivui %[[POSITIVE]], %[[STEP]]
// CHECK-NOT:     scf.parallel
// CHECK:         %[[COUNT:.*]] = arith.index_cast %[[ITEMS]]
// CHECK:         call @attn_parallel_for(%{{.*}}, %[[PLACE]], %[[COUNT]])
func.func @scale(%x: memref<?xf32>, %low: index, %high: index, %step: index) {
  %two = arith.constant 2.0 : f32
  scf.parallel (%i) = (%low) to (%high) step (%step) {
    %a = memref.load %x[%i] : memref<?xf32>
    %b = arith.mulf %a, %two : f32
    scf.parallel (%j) = (%low) to (%i) step (%step) {
      memref.store %b, %x[%j] : memref<?xf32>
    }
  }
  return
}

// Loops with results, several dimensions or tensors stay.

// CHECK-LABEL: func.func @others(
// CHECK:         scf.parallel
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func @others(%x: memref<?x?xf32>, %t: tensor<?xf32>, %n: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %n) step (%c1, %c1) {
    memref.store %zero, %x[%i, %j] : memref<?x?xf32>
  }
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %a = tensor.extract %t[%i] : tensor<?xf32>
    memref.store %a, %x[%i, %i] : memref<?x?xf32>
  }
  %sum = scf.parallel (%i) = (%c0) to (%n) step (%c1) init (%zero) -> f32 {
    %a = memref.load %x[%i, %i] : memref<?x?xf32>
    scf.reduce(%a : f32) {
    ^bb0(%l: f32, %r: f32):
      %s = arith.addf %l, %r : f32
      scf.reduce.return %s : f32
    }
  }
  return %sum : f32
}
