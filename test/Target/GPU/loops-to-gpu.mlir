// Loops over buffers around streams are kernels, too.
// RUN: attn-opt %s --attn-loops-to-gpu 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=WAITS <%t

module attributes {gpu.container_module} {

// A thread per iteration, each with its part of what iterations allocate.
// CHECK-LABEL: func.func @iterations(
// CHECK:   %[[ALL:.*]] = memref.alloc(%{{.*}}) {alignment = 64 : i64} : memref<?xi8>
// CHECK:   gpu.launch_func @attn_kernels::@iterations_loop0
// CHECK-SAME: threads in (%c64
func.func @iterations(%x: memref<?x?xf32>, %n: index, %k: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %heap = memref.alloc(%k) : memref<?xf32>
    %v = memref.load %x[%i, %c0] : memref<?x?xf32>
    memref.store %v, %heap[%c0] : memref<?xf32>
    scf.for %j = %c0 to %k step %c1 {
      %w = memref.load %heap[%c0] : memref<?xf32>
      memref.store %w, %x[%i, %j] : memref<?x?xf32>
    }
  }
  return
}

// The order of other loops counts: one thread.
// CHECK-LABEL: func.func @append(
// CHECK:   gpu.launch_func @attn_kernels::@append_loop0 blocks in (%{{.*}}) threads in (%c1
func.func @append(%x: memref<?xf32>, %at: memref<?xindex>, %cache: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %x[%i] : memref<?xf32>
    %p = memref.load %at[%i] : memref<?xindex>
    memref.store %v, %cache[%p] : memref<?xf32>
  }
  return
}

// What launches kernels stays on the host.
// CHECK-LABEL: func.func @chunks(
// CHECK:   scf.for
// CHECK:     gpu.launch_func @attn_kernels::@chunks_loop0
// CHECK:     gpu.launch_func @attn_kernels::@given
func.func @chunks(%x: memref<f32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %f = arith.constant 0.0 : f32
  scf.for %i = %c0 to %n step %c1 {
    memref.store %f, %x[] : memref<f32>
    gpu.launch_func @attn_kernels::@given blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : memref<f32>)
  }
  return
}

// What follows from the results of a loop is in its kernel.
// CHECK-LABEL: func.func @sorted(
// CHECK-NOT:   memref.load
// CHECK:       gpu.launch_func @attn_kernels::@sorted_loop0
// CHECK-NOT:   gpu.launch_func
// CHECK:       return
func.func @sorted(%x: memref<?xi32>, %y: memref<?xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %count = scf.for %i = %c0 to %n step %c1 iter_args(%k = %c0) -> (index) {
    %v = memref.load %x[%i] : memref<?xi32>
    memref.store %v, %y[%k] : memref<?xi32>
    %next = arith.addi %k, %c1 : index
    scf.yield %next : index
  }
  %half = arith.divui %count, %n : index
  scf.for %i = %half to %count step %c1 {
    %v = memref.load %y[%i] : memref<?xi32>
    memref.store %v, %x[%i] : memref<?xi32>
  }
  return
}

// The host reads what it needs: bounds of loops that launch, sizes.
// CHECK-LABEL: func.func @bound(
// CHECK:   %[[COUNT:.*]] = memref.load %arg1[]
// CHECK:   scf.for %{{.*}} = %{{.*}} to %[[COUNT]]
// CHECK:     gpu.launch_func @attn_kernels::@given
func.func @bound(%x: memref<f32>, %n: memref<index>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // WAITS: [[@LINE+1]]:12: warning: sizes or bounds depend on data, which is on the GPU: the host waits for it here
  %count = memref.load %n[] : memref<index>
  scf.for %i = %c0 to %count step %c1 {
    gpu.launch_func @attn_kernels::@given blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : memref<f32>)
  }
  return
}

// A kernel leaves it where the host can read it.
// CHECK-LABEL: func.func @size(
// CHECK:   %[[ROOM:.*]] = memref.alloc() : memref<index>
// CHECK:   gpu.launch_func @attn_kernels::@size_loop0 {{.*}}%[[ROOM]] : memref<index>
// CHECK:   %[[SUM:.*]] = memref.load %[[ROOM]][]
// CHECK:   memref.alloc(%[[SUM]])
func.func @size(%x: memref<?xindex>, %n: index) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%so_far = %c0) -> (index) {
    %v = memref.load %x[%i] : memref<?xindex>
    %next = arith.addi %so_far, %v : index
    scf.yield %next : index
  }
  %y = memref.alloc(%sum) : memref<?xf32>
  return %y : memref<?xf32>
}

// A thread cannot make room; the host reads how much is needed.
// CHECK-LABEL: func.func @room(
// CHECK:   scf.parallel
// CHECK:     %[[HERE:.*]] = memref.load %arg0[%{{.*}}]
// CHECK:     %[[SIZE:.*]] = arith.index_cast %[[HERE]]
// CHECK:     memref.alloc(%[[SIZE]])
// CHECK:     gpu.launch_func @attn_kernels::@room_loop0
func.func @room(%x: memref<?xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %1 = memref.load %x[%i] : memref<?xi32>
    %2 = arith.index_cast %1 : i32 to index
    // WAITS: [[@LINE+1]]:10: warning: iterations make a buffer of a size that is not known before: the host goes through them one by one
    %3 = memref.alloc(%2) : memref<?xi32>
    memref.store %1, %3[%c0] : memref<?xi32>
  }
  return
}
gpu.module @attn_kernels {
  gpu.func @given(%x: memref<f32>) kernel {
    gpu.return
  }
}
}

// CHECK-LABEL: gpu.func @iterations_loop0(
// CHECK:   %[[PART:.*]] = memref.view %{{.*}}[%{{.*}}][%{{.*}}] : memref<?xi8> to memref<?xf32>
// CHECK:   memref.store %{{.*}}, %[[PART]]
