// RUN: attn-opt %s --split-input-file --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" | FileCheck %s

// Keys of a row's own: sixteen dot products at a time, features transposed in
// registers and added up in the order of the microkernel; the weighted rows stay
// in registers over the keys, and a row that is not present is dropped by select.

// CHECK-LABEL: func.func private @own_keys_stream0(
// CHECK:         %[[SUMS:.*]] = scf.for {{.*}} -> (vector<16xf32>)
// CHECK-COUNT-16:  vector.load {{.*}}, vector<16xf32>
// CHECK-COUNT-64:  vector.shuffle {{.*}} : vector<16xf32>, vector<16xf32>
// CHECK-COUNT-16:  vector.fma {{.*}} : vector<16xf32>
// CHECK:         vector.store %[[SUMS]]
// CHECK:         scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>)
// CHECK:           %[[HERE:.*]] = arith.cmpi ne, {{.*}} : i32
// CHECK:           %[[MORE:.*]] = vector.fma {{.*}} : vector<16xf32>
// CHECK:           arith.select %[[HERE]], %[[MORE]], {{.*}} : vector<16xf32>
func.func @own_keys(%q: memref<1x1x?x32xf32>, %k: memref<1x1x?x5x32xf32>, %out: memref<1x1x?x32xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %c5 ins(%Q = %q : memref<1x1x?x32xf32>, %K = %k : memref<1x1x?x5x32xf32>) outs(%out : memref<1x1x?x32xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %Q[%b, %h, %i], %K[%b, %h, %i, %j] : memref<1x1x?x32xf32>, memref<1x1x?x5x32xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      %r = attn.at %K[%b, %h, %i, %j] : memref<1x1x?x5x32xf32> -> vector<32xf32>
      %c = attn.carry outer %d, %r if %p : (f32, vector<32xf32>, i1) -> vector<32xf32>
      attn.yield %c : vector<32xf32>
    } : vector<32xf32>
    attn.store_row %s : vector<32xf32>
  }
  return
}

// -----

// A sweep inside of an entry: tiles of both factors, multiplied by the
// microkernel (6 x 4 accumulators), entry by entry where one is not finite.

// CHECK-LABEL: func.func private @product_stream0(
// CHECK:         memref.alloc() {{.*}} : memref<48x64xf32>
// CHECK:         memref.alloc() {{.*}} : memref<64x256xf32>
// CHECK:         %[[ODD:.*]] = arith.ori
// CHECK:         scf.if %[[ODD]]
// CHECK:           vector.fma {{.*}} : vector<16xf32>
// CHECK:         } else {
// CHECK:           %{{.*}}:24 = scf.for
// CHECK-COUNT-24:    vector.fma
func.func @product(%x: memref<1x1x?x?xf32>, %y: memref<1x1x?x?xf32>, %out: memref<1x1x?xf32>, %m: index, %k: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %e = %n ins(%X = %x : memref<1x1x?x?xf32>, %Y = %y : memref<1x1x?x?xf32>, %K = %k : index) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %t = attn.sweep %l = %z to %K {
        %a = attn.at %X[%b, %h, %i, %l] : memref<1x1x?x?xf32> -> f32
        %d = attn.at %Y[%b, %h, %l, %j] : memref<1x1x?x?xf32> -> f32
        %p = arith.mulf %a, %d : f32
        %u = attn.carry sum %p : (f32) -> f32
        attn.yield %u : f32
      } : f32
      %c = attn.carry max %t : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
