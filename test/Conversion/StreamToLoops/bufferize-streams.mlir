// RUN: attn-opt %s -attn-bufferize-streams -split-input-file | FileCheck %s
// RUN: attn-opt %s -attn-bufferize-streams -split-input-file \
// RUN:   -one-shot-bufferize=bufferize-function-boundaries -canonicalize \
// RUN:   | FileCheck %s --check-prefix=WHOLE
// RUN: attn-opt %s -attn-bufferize-streams -split-input-file \
// RUN:   -one-shot-bufferize=bufferize-function-boundaries \
// RUN:   -attn-stream-to-loops -buffer-deallocation-pipeline \
// RUN:   | FileCheck %s --check-prefix=FREED

// Tensors become buffers, scalars stay.

// CHECK-LABEL: @row_sums(
// CHECK-SAME:    %[[X:.*]]: tensor<2x3x?x5xf32>, %[[SCALE:.*]]: f32, %[[M:.*]]: index)
// CHECK:         %[[XB:.*]] = bufferization.to_buffer %[[X]] read_only
// CHECK-SAME:      to memref<2x3x?x5xf32, strided<[?, ?, ?, ?], offset: ?>>
// CHECK:         %[[OUT:.*]] = memref.alloc(%[[M]]) {alignment = 64 : i64} : memref<2x3x?xf32>
// CHECK:         attn.stream rows
// CHECK-SAME:      ins(%[[IN:.*]] = %[[XB]] : memref<{{.*}}>, %{{.*}} = %[[SCALE]] : f32)
// CHECK-SAME:      outs(%[[OUT]] : memref<2x3x?xf32>)
// CHECK:             attn.at %[[IN]][%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] : memref<2x3x?x5xf32, strided
// CHECK:         %[[T:.*]] = bufferization.to_tensor %[[OUT]] restrict writable
// CHECK:         return %[[T]]

// One-shot-bufferize leaves no copy, no cast and no conversion.

// WHOLE-LABEL: @row_sums(
// WHOLE-SAME:    %[[X:.*]]: memref<2x3x?x5xf32, strided<[?, ?, ?, ?], offset: ?>>
// WHOLE-NOT:     bufferization.
// WHOLE-NOT:     memref.copy
// WHOLE-NOT:     memref.cast
// WHOLE:         %[[OUT:.*]] = memref.alloc
// WHOLE:         attn.stream rows {{.*}} ins(%{{.*}} = %[[X]] : {{.*}} outs(%[[OUT]] :
// WHOLE-NOT:     bufferization.
// WHOLE:         return %[[OUT]]

// What is returned belongs to the caller.

// FREED-LABEL: @row_sums(
// FREED-NOT:     memref.dealloc
// FREED:         return
func.func @row_sums(%x: tensor<2x3x?x5xf32>, %scale: f32, %M: index) -> tensor<2x3x?xf32> {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c5 = arith.constant 5 : index
  %init = tensor.empty(%M) : tensor<2x3x?xf32>
  %r = attn.stream rows (%b, %h, %i) in [%c2, %c3, %M] over %n = %c5
      ins(%X = %x : tensor<2x3x?x5xf32>, %f = %scale : f32)
      outs(%init : tensor<2x3x?xf32>) {
    %zero = arith.constant 0 : index
    %sum = attn.sweep %j = %zero to %n {
      %e = attn.at %X[%b, %h, %i, %j] : tensor<2x3x?x5xf32> -> f32
      %y = arith.mulf %e, %f : f32
      %c = attn.carry sum %y : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return %r : tensor<2x3x?xf32>
}

// -----

// Ops of other dialects that read an element or a size are translated, and what
// lies between two streams is freed.

// CHECK-LABEL: @two_streams(
// CHECK:         attn.stream rows
// CHECK:           memref.dim
// CHECK:           attn.at %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : memref<
// CHECK:         %[[MID:.*]] = bufferization.to_tensor
// CHECK:         bufferization.to_buffer %[[MID]] read_only
// CHECK:         attn.stream cols

// FREED-LABEL: @two_streams(
// FREED:         %[[MID:.*]] = memref.alloc
// FREED:         scf.for
// FREED:         %[[OUT:.*]] = memref.alloc
// FREED:         scf.for
// FREED:         memref.dealloc %[[MID]]
// FREED:         return %[[OUT]]
func.func @two_streams(%x: tensor<1x1x4xf32>) -> tensor<1x1x4xf32> {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %init = tensor.empty() : tensor<1x1x4xf32>
  %y = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %n = %c4
      ins(%X = %x : tensor<1x1x4xf32>) outs(%init : tensor<1x1x4xf32>) {
    %two = arith.constant 2 : index
    %size = tensor.dim %X, %two : tensor<1x1x4xf32>
    %last = arith.subi %size, %i : index
    %one = arith.constant 1 : index
    %k = arith.subi %last, %one : index
    %e = tensor.extract %X[%b, %h, %k] : tensor<1x1x4xf32>
    attn.store_row %e : f32
  }
  %init2 = tensor.empty() : tensor<1x1x4xf32>
  %z = attn.stream cols (%b, %h, %i) in [%c1, %c1, %c4] over %n = %c4
      ins(%Y = %y : tensor<1x1x4xf32>) outs(%init2 : tensor<1x1x4xf32>) {
    %e = attn.at %Y[%b, %h, %i] : tensor<1x1x4xf32> -> f32
    %s = arith.addf %e, %e : f32
    attn.store_row %s : f32
  }
  return %z : tensor<1x1x4xf32>
}
