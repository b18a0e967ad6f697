// RUN: attn-opt %s -attn-stream-to-loops | FileCheck %s

// A contraction of codes is a loop on i32.

// CHECK-LABEL: func @codes
// CHECK: scf.for {{.*}} -> (i32)
// CHECK:   arith.extsi {{.*}} : i8 to i32
// CHECK:   arith.extsi {{.*}} : i8 to i32
// CHECK:   arith.muli {{.*}} : i32
// CHECK:   arith.addi {{.*}} : i32
// CHECK: arith.sitofp {{.*}} : i32 to f32
func.func @codes(%q: memref<1x1x?x8xi8>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%Q = %q : memref<1x1x?x8xi8>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : memref<1x1x?x8xi8>, memref<1x1x?x8xi8> -> i32
      %f = arith.sitofp %d : i32 to f32
      %c = attn.carry sum %f : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
