// What a call takes: per allocation a line of 64 bytes, the bytes in whole
// lines, and a line to align them; in pairs of an operator and its operand.
// RUN: attn-opt %s --attn-measure-workspace --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @fixed
// CHECK-SAME: attn.thread_workspace = array<i64: 0, 0>
// 64 + 128 + 64, and 64 + 64 + 64.
// CHECK-SAME: attn.workspace = array<i64: 0, 448>
func.func @fixed() {
  %a = memref.alloc() : memref<25xf32>
  %b = memref.alloc() : memref<1xi1>
  return
}

// -----

// 256 n + 128.
// CHECK-LABEL: func.func @dynamic
// CHECK-SAME: attn.workspace = array<i64: 1, 0, 0, 256, 5, 0, 0, 128, 3, 0>
func.func @dynamic(%a: memref<?x64xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %a, %c0 : memref<?x64xf32>
  %b = memref.alloc(%n) : memref<?x64xf32>
  return
}

// -----

// A copy that is made where a stride is not 1: operator 11 is the stride.
// CHECK-LABEL: func.func @strided
// CHECK-SAME: attn.workspace = array<i64: 11, 0, 0, 1, 4, 0, 0, 1, 11, 0, 4, 0, 10, 0, 0, 1, 9, 0, 0, 192, 5, 0>
func.func @strided(%a: memref<16xf32, strided<[?]>>) {
  %c1 = arith.constant 1 : index
  %buffer, %offset, %size, %stride = memref.extract_strided_metadata %a : memref<16xf32, strided<[?]>> -> memref<f32>, index, index, index
  %unit = arith.cmpi eq, %stride, %c1 : index
  scf.if %unit {
  } else {
    %b = memref.alloc() : memref<16xf32>
  }
  return
}

// -----

// Data decides, but not without bounds: at most n.
// CHECK-LABEL: func.func @bounded
// CHECK-SAME: attn.workspace = array<i64: 1, 0, 0, 64, 5, 0, 0, 128, 3, 0>
func.func @bounded(%a: memref<?xi8>, %lengths: memref<1xindex>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %a, %c0 : memref<?xi8>
  %some = memref.load %lengths[%c0] : memref<1xindex>
  %most = arith.minsi %some, %n : index
  %b = memref.alloc(%most) : memref<?x64xi8>
  return
}

// -----

// CHECK-LABEL: func.func @unbounded
// CHECK-SAME: attn.unbounded_workspace = "the size of a buffer of it depends on data"
func.func @unbounded(%lengths: memref<1xindex>) {
  %c0 = arith.constant 0 : index
  %n = memref.load %lengths[%c0] : memref<1xindex>
  %b = memref.alloc(%n) : memref<?xf32>
  return
}

// -----

// A loop whose buffers grow from round to round.
// CHECK-LABEL: func.func @growing
// CHECK-SAME: attn.unbounded_workspace = "the size of a buffer of it depends on data"
func.func @growing(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %first = memref.alloc(%c1) : memref<?xf32>
  %last = scf.for %i = %c0 to %n step %c1 iter_args(%x = %first) -> memref<?xf32> {
    %m = memref.dim %x, %c0 : memref<?xf32>
    %more = arith.addi %m, %c1 : index
    %y = memref.alloc(%more) : memref<?xf32>
    scf.yield %y : memref<?xf32>
  }
  return
}

// -----

// One carried buffer and the next: twice what a round takes.
// CHECK-LABEL: func.func @carried
// CHECK-SAME: attn.workspace = array<i64: 0, 576>
func.func @carried(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %first = memref.alloc() : memref<16xf32>
  %last = scf.for %i = %c0 to %n step %c1 iter_args(%x = %first) -> memref<16xf32> {
    %y = memref.alloc() : memref<16xf32>
    scf.yield %y : memref<16xf32>
  }
  return
}

// -----

// Threads run the loop that takes most, one at a time; a call of a kernel
// without threads is part of the body.
// CHECK-LABEL: func.func @parallel
// CHECK-SAME: attn.thread_workspace = array<i64: 0, 640>
// CHECK-SAME: attn.workspace = array<i64: 0, 192>
func.func private @attn_parallel_for(!llvm.ptr, !llvm.ptr, i64)
func.func private @small(%args: !llvm.ptr, %begin: i64, %end: i64) {
  %a = memref.alloc() : memref<16xf32>
  return
}
func.func private @large(%args: !llvm.ptr, %begin: i64, %end: i64) {
  %a = memref.alloc() : memref<128xf32>
  return
}
func.func @parallel(%args: !llvm.ptr, %n: i64) {
  %c0 = arith.constant 0 : i64
  %f = func.constant @small : (!llvm.ptr, i64, i64) -> ()
  %small = builtin.unrealized_conversion_cast %f : (!llvm.ptr, i64, i64) -> () to !llvm.ptr
  func.call @attn_parallel_for(%small, %args, %n) : (!llvm.ptr, !llvm.ptr, i64) -> ()
  %g = func.constant @large : (!llvm.ptr, i64, i64) -> ()
  %large = builtin.unrealized_conversion_cast %g : (!llvm.ptr, i64, i64) -> () to !llvm.ptr
  func.call @attn_parallel_for(%large, %args, %n) : (!llvm.ptr, !llvm.ptr, i64) -> ()
  func.call @small(%args, %c0, %n) : (!llvm.ptr, i64, i64) -> ()
  return
}

// -----

// CHECK-LABEL: func.func @recursive
// CHECK-SAME: attn.unbounded_workspace = "it calls itself"
func.func @recursive(%n: index) {
  func.call @recursive(%n) : (index) -> ()
  return
}

// -----

// CHECK-LABEL: func.func @jumps
// CHECK-SAME: attn.unbounded_workspace = "it jumps"
func.func @jumps(%again: i1) {
  cf.br ^bb1
^bb1:
  %a = memref.alloc() : memref<16xf32>
  cf.cond_br %again, ^bb1, ^bb2
^bb2:
  return
}

// -----

// CHECK-LABEL: func.func @reallocated
// CHECK-SAME: attn.unbounded_workspace = "a buffer of it grows"
func.func @reallocated(%a: memref<?xf32>, %n: index) {
  %b = memref.realloc %a(%n) : memref<?xf32> to memref<?xf32>
  return
}

// -----

// CHECK-LABEL: func.func @unknown
// CHECK-SAME: attn.unbounded_workspace = "it runs a loop that is not known"
func.func private @attn_parallel_for(!llvm.ptr, !llvm.ptr, i64)
func.func @unknown(%f: !llvm.ptr, %args: !llvm.ptr, %n: i64) {
  func.call @attn_parallel_for(%f, %args, %n) : (!llvm.ptr, !llvm.ptr, i64) -> ()
  return
}

// -----

// Thirty-six conditions, one inside of the other.
// CHECK-LABEL: func.func @deep
// CHECK-SAME: attn.unbounded_workspace = "the sizes of its buffers are too complicated"
func.func @deep(%a: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %a, %c0 : memref<?xf32>
  %p = arith.cmpi slt, %c1, %n : index
  scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p {
  scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p {
  scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p {
  scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p { scf.if %p {
  %b = memref.alloc(%n) : memref<?xf32>
  }}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}
  return
}
