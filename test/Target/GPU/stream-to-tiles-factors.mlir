// A score times the scale of the program times log2(e) is one product per entry.
// RUN: attn-opt %s --attn-stream-to-tiles --canonicalize | FileCheck %s

// CHECK-LABEL: gpu.func @scaled_stream0(
// CHECK:       %[[BOTH:.*]] = arith.constant 7.500000e-01 : f32
// CHECK:       %[[SCORES:.*]] = tile.contract
// CHECK-NEXT:  %[[FACTOR:.*]] = tile.splat %[[BOTH]]
// CHECK-NEXT:  %[[SCALED:.*]] = arith.mulf %[[SCORES]], %[[FACTOR]]
// CHECK-NEXT:  math.exp2 %[[SCALED]]
func.func @scaled(%q: memref<1x2x?x64xf32>, %k: memref<1x2x?x64xf32>, %o: memref<1x2x?xf32>,
    %m: index, %n: index) {
  %b1 = arith.constant 1 : index
  %b2 = arith.constant 2 : index
  attn.stream rows (%b, %h, %i) in [%b1, %b2, %m] over %e = %n
      ins(%Q = %q : memref<1x2x?x64xf32>, %K = %k : memref<1x2x?x64xf32>) outs(%o : memref<1x2x?xf32>) {
    %z = arith.constant 0 : index
    %half = arith.constant 0.5 : f32
    %base = arith.constant 1.5 : f32
    %r = attn.sweep %j = %z to %e {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : memref<1x2x?x64xf32>, memref<1x2x?x64xf32> -> f32
      %t = arith.mulf %s, %half : f32
      %u = arith.mulf %t, %base : f32
      %p = math.exp2 %u : f32
      %a = attn.carry sum %p : (f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}
