// A program that may decode has a kernel for one row beside that for many.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" --split-input-file | FileCheck %s
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4 one-row-forms=false" --split-input-file | FileCheck %s --check-prefix=NONE
// NONE-NOT: _one_row

// Many rows are contracted in the microkernel, one where its keys are: two
// heads of the group in a block.
// CHECK-LABEL: func.func private @unknown_stream0_one_row(
// CHECK:       memref.prefetch {{.*}}, read, locality<2>, data
// CHECK:       vector.shuffle
// CHECK-LABEL: func.func @unknown(
// CHECK:       %[[ROWS:.*]] = memref.dim
// CHECK:       %[[ONE:.*]] = arith.cmpi eq, %[[ROWS]], %c1
// CHECK:       scf.if %[[ONE]] {
// CHECK:         constant @unknown_stream0_one_row
// CHECK:         call @attn_parallel_for
// CHECK:       } else {
// CHECK:         constant @unknown_stream0 :
// CHECK:         call @attn_parallel_for
// CHECK:       }
func.func @unknown(%q: memref<1x8x?x64xf32> {attn.dims = ["1", "8", "M", "64"]},
                   %k: memref<1x1x?x64xf32> {attn.dims = ["1", "1", "N", "64"]},
                   %o: memref<1x8x?xf32>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %m = memref.dim %q, %c2 : memref<1x8x?x64xf32>
  %n = memref.dim %k, %c2 : memref<1x1x?x64xf32>
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %N = %n
      ins(%Q = %q : memref<1x8x?x64xf32>, %K = %k : memref<1x1x?x64xf32>) outs(%o : memref<1x8x?xf32>) {
    %zero = arith.constant 0 : index
    %max = attn.sweep %j = %zero to %N {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %zero, %j] : memref<1x8x?x64xf32>, memref<1x1x?x64xf32> -> f32
      %r = attn.running max %s : (f32) -> f32
      attn.yield %r : f32
    } : f32
    attn.store_row %max : f32
  }
  return
}

// -----

// As many rows as keys: not one.
// CHECK-LABEL: func.func @square(
// CHECK-NOT:   one_row
func.func @square(%q: memref<1x8x?x64xf32> {attn.dims = ["1", "8", "L", "64"]},
                  %k: memref<1x1x?x64xf32> {attn.dims = ["1", "1", "L", "64"]},
                  %o: memref<1x8x?xf32>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %m = memref.dim %q, %c2 : memref<1x8x?x64xf32>
  %n = memref.dim %k, %c2 : memref<1x1x?x64xf32>
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %N = %n
      ins(%Q = %q : memref<1x8x?x64xf32>, %K = %k : memref<1x1x?x64xf32>) outs(%o : memref<1x8x?xf32>) {
    %zero = arith.constant 0 : index
    %max = attn.sweep %j = %zero to %N {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %zero, %j] : memref<1x8x?x64xf32>, memref<1x1x?x64xf32> -> f32
      %r = attn.running max %s : (f32) -> f32
      attn.yield %r : f32
    } : f32
    attn.store_row %max : f32
  }
  return
}

// -----

// Nothing to contract: one form.
// CHECK-LABEL: func.func @pointwise(
// CHECK-NOT:   one_row
func.func @pointwise(%x: memref<1x8x?x?xf32>, %o: memref<1x8x?xf32>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c8 = arith.constant 8 : index
  %m = memref.dim %x, %c2 : memref<1x8x?x?xf32>
  %n = memref.dim %x, %c3 : memref<1x8x?x?xf32>
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %N = %n
      ins(%X = %x : memref<1x8x?x?xf32>) outs(%o : memref<1x8x?xf32>) {
    %zero = arith.constant 0 : index
    %max = attn.sweep %j = %zero to %N {
      %s = attn.at %X[%b, %h, %i, %j] : memref<1x8x?x?xf32> -> f32
      %r = attn.running max %s : (f32) -> f32
      attn.yield %r : f32
    } : f32
    attn.store_row %max : f32
  }
  return
}
