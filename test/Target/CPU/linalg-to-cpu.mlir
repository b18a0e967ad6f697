// Products keep rows x vectors of sums in registers; what has no form in vectors
// with unit strides is left alone.
// RUN: attn-opt %s --attn-linalg-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: attn-opt %s --attn-linalg-to-cpu="triple=x86_64-unknown-linux-gnu cpu=haswell" | FileCheck %s --check-prefixes=CHECK,AVX2

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#bt = affine_map<(m, n, k) -> (n, k)>
#c = affine_map<(m, n, k) -> (m, n)>

// c += a b: lanes along n, 6 rows by 4 (2) vectors.
// CHECK-LABEL: func.func private @product_linalg0(
// AVX512:      %{{.*}}:24 = scf.for
// AVX512-COUNT-4: vector.load {{.*}} : memref<96x256xf32>, vector<16xf32>
// AVX2:        %{{.*}}:12 = scf.for
// AVX2-COUNT-2: vector.load {{.*}} : memref<96x256xf32>, vector<8xf32>
// CHECK-LABEL: func.func @product
// CHECK:       call @attn_parallel_for
func.func @product(%a: memref<?x96xf32>, %b: memref<96x256xf32>, %c: memref<?x256xf32>) {
  linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<?x96xf32>, memref<96x256xf32>) outs(%c : memref<?x256xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %sum, %p : f32
    linalg.yield %s : f32
  }
  return
}

// c += a b^T: lanes along k, 4 x 4 sums that are added up in the end.
// CHECK-LABEL: func.func private @transposed_linalg0(
// CHECK:       %{{.*}}:16 = scf.for
// CHECK:       vector.reduction <add>
func.func @transposed(%a: memref<?x96xf32>, %b: memref<256x96xf32>, %c: memref<?x256xf32>) {
  linalg.generic {indexing_maps = [#a, #bt, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<?x96xf32>, memref<256x96xf32>) outs(%c : memref<?x256xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %sum, %p : f32
    linalg.yield %s : f32
  }
  return
}

// A last vector that is not whole is masked, and little work stays here.
// CHECK-LABEL: func.func private @scale_linalg0(
// CHECK:       vector.create_mask
// CHECK:       vector.maskedload
// CHECK:       vector.maskedstore
// CHECK-LABEL: func.func @scale
// CHECK:       scf.if
// CHECK:         call @scale_linalg0
// CHECK:       else
// CHECK:         call @attn_parallel_for
func.func @scale(%x: memref<?xf32>, %y: memref<?xf32>, %s: f32) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %_: f32):
    %p = arith.mulf %a, %s : f32
    linalg.yield %p : f32
  }
  return
}

// A transposition steps across rows, whichever loop gives the lanes.
// CHECK-LABEL: func.func @transpose
// CHECK:       linalg.generic
func.func @transpose(%x: memref<8x5xf32>, %y: memref<5x8xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<8x5xf32>) outs(%y : memref<5x8xf32>) {
  ^bb0(%a: f32, %_: f32):
    linalg.yield %a : f32
  }
  return
}

// A read at an index that differs from lane to lane.
// CHECK-LABEL: func.func @lookup
// CHECK:       linalg.generic
func.func @lookup(%x: memref<8xindex>, %t: memref<9xf32>, %i: memref<8xi64>, %y: memref<8xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%i : memref<8xi64>) outs(%y : memref<8xf32>) {
  ^bb0(%a: i64, %_: f32):
    %k = arith.index_cast %a : i64 to index
    %v = memref.load %t[%k] : memref<9xf32>
    linalg.yield %v : f32
  }
  return
}

// Of a batch and a length, neither known, the rows in registers are those of the
// length; elements of a captured buffer are loaded as vectors where they are
// consecutive.
// CHECK-LABEL: func.func private @batched_linalg0(
// AVX512:      scf.for %[[L:.*]] = {{.*}} step %c6
// AVX512:        %{{.*}}:24 = scf.for
// CHECK-LABEL: func.func private @batched_linalg1(
// AVX512:      vector.load {{.*}} : memref<?x64xf32>, vector<16xf32>
func.func @batched(%x: memref<?x?x96xf32>, %w: memref<96x256xf32>, %y: memref<?x?x256xf32>,
                   %t: memref<?x64xf32>, %z: memref<?x64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(b, l, n, k) -> (b, l, k)>, affine_map<(b, l, n, k) -> (k, n)>,
                                   affine_map<(b, l, n, k) -> (b, l, n)>],
                  iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x?x96xf32>, memref<96x256xf32>) outs(%y : memref<?x?x256xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %sum, %p : f32
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, d) -> (i, d)>], iterator_types = ["parallel", "parallel"]}
      outs(%z : memref<?x64xf32>) {
  ^bb0(%old: f32):
    %c2 = arith.constant 2 : index
    %i = linalg.index 0 : index
    %d = linalg.index 1 : index
    %half = arith.divui %i, %c2 : index
    %value = memref.load %t[%half, %d] : memref<?x64xf32>
    %sum = arith.addf %old, %value : f32
    linalg.yield %sum : f32
  }
  return
}
