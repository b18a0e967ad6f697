// Contractions of int8 codes: four products at a time where the target has an
// instruction for it (attn.quad_dot), else as f32, cut where an f32 would round.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" | FileCheck %s --check-prefixes=CHECK,VNNI
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=haswell" | FileCheck %s --check-prefixes=CHECK,FLOAT
// RUN: attn-opt %s --attn-stream-to-cpu="triple=aarch64-unknown-linux-gnu" | FileCheck %s --check-prefixes=CHECK,FLOAT

// CHECK-LABEL: func.func private @scores_stream0(

// 66 features are 17 quads; a row ends in what its sums start with, -128 times
// the sum of its codes, and keys are shifted by 128 as they are transposed.
// VNNI:      vector.reduction <add>, {{.*}} : vector<16xi32> into i32
// VNNI:      arith.muli {{.*}} : i32
// VNNI:      arith.xori {{.*}} : vector<16xi32>
// VNNI:      %[[UNITS:.*]] = arith.constant 17 : index
// VNNI:      memref.load {{.*}} : memref<384x33xi32>
// VNNI:      %{{.*}}:24 = scf.for
// VNNI-COUNT-24: attn.quad_dot {{.*}} : vector<16xi32>

// FLOAT:     arith.sitofp {{.*}} : vector<{{.*}}xi8> to vector<{{.*}}xf32>
// FLOAT:     arith.constant 1024 : index
// FLOAT:     vector.fma
// FLOAT:     arith.fptosi {{.*}} : vector<{{.*}}xf32> to vector<{{.*}}xi32>
// FLOAT:     arith.addi {{.*}} : vector<{{.*}}xi32>

// CHECK:     arith.sitofp {{.*}} : vector<{{.*}}xi32> to vector<{{.*}}xf32>
func.func @scores(%q: memref<1x1x?x66xi8>, %k: memref<1x1x?x66xi8>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%Q = %q : memref<1x1x?x66xi8>, %K = %k : memref<1x1x?x66xi8>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : memref<1x1x?x66xi8>, memref<1x1x?x66xi8> -> i32
      %f = arith.sitofp %d : i32 to f32
      %c = attn.carry max %f : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
