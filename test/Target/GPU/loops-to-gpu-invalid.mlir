// GPUs allocate nothing.
// RUN: attn-opt %s --verify-diagnostics --attn-loops-to-gpu -o /dev/null

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
