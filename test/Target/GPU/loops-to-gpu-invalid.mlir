// The host of a GPU program sees no data, and GPUs allocate nothing.
// RUN: attn-opt %s --split-input-file --verify-diagnostics --attn-loops-to-gpu -o /dev/null

func.func @element(%x: memref<?xf32>, %i: index) -> f32 {
  // expected-error @below {{sizes or bounds depend on data, which is on the GPU, and its host does not wait for it}}
  %0 = memref.load %x[%i] : memref<?xf32>
  return %0 : f32
}

// -----

func.func @count(%x: memref<?xi32>, %n: index) -> index {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @below {{sizes or bounds depend on data}}
  %0 = scf.for %i = %c0 to %n step %c1 iter_args(%sum = %c0) -> (index) {
    %1 = memref.load %x[%i] : memref<?xi32>
    %2 = arith.index_cast %1 : i32 to index
    %3 = arith.addi %sum, %2 : index
    scf.yield %3 : index
  }
  return %0 : index
}

// -----

func.func @room(%x: memref<?xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %1 = memref.load %x[%i] : memref<?xi32>
    %2 = arith.index_cast %1 : i32 to index
    // expected-error @below {{takes memory whose size only the GPU knows, where none can be had}}
    %3 = memref.alloc(%2) : memref<?xi32>
    memref.store %1, %3[%c0] : memref<?xi32>
  }
  return
}
