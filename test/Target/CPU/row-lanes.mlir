// Logarithms of rows are taken sixteen rows at a time, before the rows are
// stored: loads row by row, arithmetic in lanes, results row by row.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" --split-input-file | FileCheck %s

// CHECK-LABEL: func.func private @lse_stream0(
// CHECK:         vector.reduction
// CHECK:         scf.for %[[R:.*]] = %{{.*}} to %{{.*}} step %c1{{.*}} {
// CHECK:           %[[X:.*]] = memref.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : memref<1x8x?xf32>
// CHECK:           memref.store %[[X]], %[[LEAF:.*]][%{{.*}}] : memref<384xf32>
// CHECK:         }
// CHECK:         scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c16{{.*}} {
// CHECK:           %[[L:.*]] = vector.load %[[SUMS:.*]][%{{.*}}] : memref<384xf32>, vector<16xf32>
// CHECK:           %[[LOG:.*]] = math.log2 %[[L]] : vector<16xf32>
// CHECK:           %[[X:.*]] = vector.load %[[LEAF]][%{{.*}}] : memref<384xf32>, vector<16xf32>
// CHECK:           %[[SUM:.*]] = arith.addf %[[LOG]], %[[X]] : vector<16xf32>
// CHECK:           vector.store %[[SUM]], %[[OUT:.*]][%{{.*}}] : memref<384xf32>, vector<16xf32>
// CHECK:         }
// CHECK-NOT:     math.log2
// CHECK:         %[[Y:.*]] = memref.load %[[OUT]]
// CHECK:         memref.store %[[Y]], %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : memref<1x8x?xf32>
// CHECK-LABEL: func.func @lse(
func.func @lse(%x: memref<1x8x?xf32>, %s: memref<1x8x?x?xf32>, %o: memref<1x8x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %N = %n
      ins(%X = %x : memref<1x8x?xf32>, %S = %s : memref<1x8x?x?xf32>) outs(%o : memref<1x8x?xf32>) {
    %zero = arith.constant 0 : index
    %l = attn.sweep %j = %zero to %N {
      %y = attn.at %S[%b, %h, %i, %j] : memref<1x8x?x?xf32> -> f32
      %c = attn.carry sum %y : (f32) -> f32
      attn.yield %c : f32
    } : f32
    %before = attn.at %X[%b, %h, %i] : memref<1x8x?xf32> -> f32
    %log = math.log2 %l : f32
    %r = arith.addf %log, %before : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// A division does not make anyone wait.
// CHECK-LABEL: func.func private @mean_stream0(
// CHECK-NOT:     arith.divf {{.*}} : vector
// CHECK:         arith.divf {{.*}} : f32
// CHECK-LABEL: func.func @mean(
func.func @mean(%s: memref<1x8x?x?xf32>, %o: memref<1x8x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %N = %n
      ins(%S = %s : memref<1x8x?x?xf32>) outs(%o : memref<1x8x?xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1.0 : f32
    %l = attn.sweep %j = %zero to %N {
      %y = attn.at %S[%b, %h, %i, %j] : memref<1x8x?x?xf32> -> f32
      %c = attn.carry sum %y : (f32) -> f32
      attn.yield %c : f32
    } : f32
    %r = arith.divf %one, %l : f32
    attn.store_row %r : f32
  }
  return
}
