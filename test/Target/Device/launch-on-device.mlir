// Host code of functions whose tensors are on a device.
// RUN: attn-opt %s --split-input-file --attn-launch-on-device | FileCheck %s

// CHECK-LABEL: func.func @launch
// CHECK-SAME: %[[N:.*]]: index, %[[X:.*]]: memref<?xf32>
// CHECK-DAG: %[[TABLE:.*]] = memref.get_global @table
// CHECK-DAG: %[[SOURCE:.*]] = llvm.inttoptr
// CHECK-DAG: %[[BYTES:.*]] = llvm.mlir.constant(16 : i64)
// CHECK: %[[DATA:.*]] = llvm.call @attn_device_constant(%[[SOURCE]], %[[BYTES]])
// CHECK: llvm.insertvalue %[[DATA]]
// CHECK: %[[KERNEL:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.call @attn_device_launch(%[[KERNEL]], %{{.*}}, %{{.*}}) : (i32, !llvm.ptr, !llvm.ptr) -> ()
// CHECK-NOT: gpu.launch_func
module attributes {gpu.container_module} {
  memref.global "private" constant @table : memref<4xf32> = dense<1.0>
  func.func @launch(%n: index, %x: memref<?xf32>) {
    %one = arith.constant 1 : index
    %shared = arith.constant 65536 : i32
    %t = memref.get_global @table : memref<4xf32>
    gpu.launch_func @kernels::@second blocks in (%n, %one, %one)
        threads in (%one, %one, %one) dynamic_shared_memory_size %shared
        args(%n : index, %x : memref<?xf32>, %t : memref<4xf32>)
    return
  }
  gpu.module @kernels {
    llvm.func @first() attributes {gpu.kernel, nvvm.kernel} { llvm.return }
    llvm.func @helper() { llvm.return }
    llvm.func @second(i64, !llvm.ptr, !llvm.ptr, i64, i64, i64, !llvm.ptr, !llvm.ptr, i64, i64, i64)
        attributes {gpu.kernel, nvvm.kernel}
  }
}

// -----

// An element that the host needs is copied to its stack.
// CHECK-LABEL: func.func @element
// CHECK: %[[ROOM:.*]] = memref.alloca() : memref<i64>
// CHECK: %[[STACK:.*]] = memref.extract_aligned_pointer_as_index %[[ROOM]]
// CHECK: %[[DATA:.*]] = memref.extract_aligned_pointer_as_index %arg0
// CHECK: %[[OFFSET:.*]] = arith.muli %{{.*}}, %c8
// CHECK: arith.addi %[[DATA]], %[[OFFSET]]
// CHECK: llvm.call @attn_device_read(
// CHECK: %[[ELEMENT:.*]] = memref.load %[[ROOM]][]
// CHECK: return %[[ELEMENT]]
func.func @element(%x: memref<?xi64, strided<[?], offset: ?>>, %i: index) -> i64 {
  %element = memref.load %x[%i] : memref<?xi64, strided<[?], offset: ?>>
  return %element : i64
}

// -----

// The lists of deallocation are the host's, buffers are the device's.
// CHECK-LABEL: func.func @lists
// CHECK: memref.alloc() : memref<8xf32>
// CHECK: memref.alloca() : memref<2xindex>
// CHECK-NOT: memref.dealloc
func.func @lists() -> memref<8xf32> {
  %zero = arith.constant 0 : index
  %buffer = memref.alloc() : memref<8xf32>
  %list = memref.alloc() : memref<2xindex>
  %address = memref.extract_aligned_pointer_as_index %buffer : memref<8xf32> -> index
  memref.store %address, %list[%zero] : memref<2xindex>
  %cast = memref.cast %list : memref<2xindex> to memref<?xindex>
  func.call @dealloc_helper(%cast) : (memref<?xindex>) -> ()
  memref.dealloc %list : memref<2xindex>
  return %buffer : memref<8xf32>
}
func.func private @dealloc_helper(%list: memref<?xindex>) {
  %zero = arith.constant 0 : index
  %first = memref.load %list[%zero] : memref<?xindex>
  memref.store %first, %list[%zero] : memref<?xindex>
  return
}
