// Decoding: the four heads of a group share a block, and keys are contracted
// where they are.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" --split-input-file | FileCheck %s

// Four rows by four keys: sixteen accumulators over features, summed in a tree.
// Before each group of four, keys further on are asked for, and before a tile
// its pages.
// CHECK-LABEL: func.func private @decode_stream0(
// CHECK:       scf.for %{{.*}} step %c16
// CHECK:         memref.prefetch {{.*}}, read, locality<2>, data
// CHECK:       memref.prefetch {{.*}}, read, locality<2>, data
// CHECK:       memref.prefetch {{.*}}, read, locality<3>, data
// CHECK:       %{{.*}}:16 = scf.for
// CHECK:         vector.load {{.*}}, vector<16xi8>
// CHECK:         arith.sitofp {{.*}} : vector<16xi8> to vector<16xf32>
// CHECK-COUNT-4: vector.fma
// CHECK-COUNT-15: arith.addf {{.*}} : vector<16xf32>
// CHECK:       vector.extract_strided_slice {{.*}} : vector<16xf32> to vector<4xf32>

// Values join accumulators that stay in registers for the tile.
// CHECK:       %{{.*}}:16 = scf.for
// CHECK:         arith.sitofp {{.*}} : vector<16xi8> to vector<16xf32>
// CHECK:         vector.fma

// There are B times eight blocks.
// CHECK-LABEL: func.func @decode(
// CHECK:       %[[GROUPS:.*]] = arith.divui %{{.*}}, %c4
// CHECK:       arith.muli %{{.*}}, %[[GROUPS]]
// CHECK:       call @attn_parallel_for
func.func @decode(%q: memref<1x32x1x64xf32>, %k: memref<1x8x?x64xi8>, %o: memref<1x32x1x64xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c32, %c1] over %N = %n
      ins(%Q = %q : memref<1x32x1x64xf32>, %K = %k : memref<1x8x?x64xi8>) outs(%o : memref<1x32x1x64xf32>) {
    %zero = arith.constant 0 : index
    %four = arith.constant 4 : index
    %g = arith.divui %h, %four : index
    %x = attn.at %Q[%b, %h, %i] : memref<1x32x1x64xf32> -> vector<64xf32>
    %acc = attn.sweep %j = %zero to %N {
      %codes = attn.at %K[%b, %g, %j] : memref<1x8x?x64xi8> -> vector<64xi8>
      %y = arith.sitofp %codes : vector<64xi8> to vector<64xf32>
      %s = attn.inner %x, %y : vector<64xf32>, vector<64xf32> -> f32
      %c = attn.carry outer %s, %y : (f32, vector<64xf32>) -> vector<64xf32>
      attn.yield %c : vector<64xf32>
    } : vector<64xf32>
    attn.store_row %acc : vector<64xf32>
  }
  return
}

// -----

// Many rows: the row that is a key and a value is loaded once, into the packed
// values, from which the keys are transposed.
// CHECK-LABEL: func.func private @prefill_stream0(
// CHECK:       vector.load {{.*}}, vector<16xi8>
// CHECK:       vector.shuffle
// CHECK-NOT:   vector<16xi8>
// CHECK-LABEL: func.func @prefill(
func.func @prefill(%q: memref<1x8x?x64xf32>, %k: memref<1x8x?x64xi8>, %o: memref<1x8x?x64xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %N = %n
      ins(%Q = %q : memref<1x8x?x64xf32>, %K = %k : memref<1x8x?x64xi8>) outs(%o : memref<1x8x?x64xf32>) {
    %zero = arith.constant 0 : index
    %x = attn.at %Q[%b, %h, %i] : memref<1x8x?x64xf32> -> vector<64xf32>
    %acc = attn.sweep %j = %zero to %N {
      %codes = attn.at %K[%b, %h, %j] : memref<1x8x?x64xi8> -> vector<64xi8>
      %y = arith.sitofp %codes : vector<64xi8> to vector<64xf32>
      %s = attn.inner %x, %y : vector<64xf32>, vector<64xf32> -> f32
      %c = attn.carry outer %s, %y : (f32, vector<64xf32>) -> vector<64xf32>
      attn.yield %c : vector<64xf32>
    } : vector<64xf32>
    attn.store_row %acc : vector<64xf32>
  }
  return
}

// -----

// Halves of a row change places by loads at other features.
// CHECK-LABEL: func.func private @shuffled_stream0(
// CHECK:       %[[COPY:.*]] = memref.alloc() {{.*}} : memref<64xf32>
// CHECK:       vector.store %{{.*}}, %[[COPY]][%{{.*}}] : memref<64xf32>, vector<16xf32>
// CHECK-NOT:   vector.gather
// CHECK:       vector.load %[[COPY]][%{{.*}}] : memref<64xf32>, vector<16xf32>
// CHECK-LABEL: func.func @shuffled(
func.func @shuffled(%x: memref<1x8x?x64xf32>, %o: memref<1x8x?x64xf32>, %m: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %N = %c0
      ins(%X = %x : memref<1x8x?x64xf32>) outs(%o : memref<1x8x?x64xf32>) {
    %r = attn.at %X[%b, %h, %i] : memref<1x8x?x64xf32> -> vector<64xf32>
    %y = vector.shuffle %r, %r [32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31] : vector<64xf32>, vector<64xf32>
    %z = arith.negf %y : vector<64xf32>
    attn.store_row %z : vector<64xf32>
  }
  return
}

// -----

// Scores of few rows that another stream computes again are rounded as there:
// one product per feature, in order, on packed keys.
// CHECK-LABEL: func.func private @columns_stream0(
// CHECK-NOT:     arith.addf
// The one query of a column fills one vector of a panel, not all of them.
// CHECK-LABEL: func.func private @columns_stream1(
// CHECK:         memref<48x16xf32>
// CHECK:         memref<1x64x16xf32>
func.func @columns(%q: memref<1x8x1x64xf32>, %k: memref<1x8x?x64xf32>, %o: memref<1x8x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %max = memref.alloc() : memref<1x8x1xf32>
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %c1] over %N = %n
      ins(%Q = %q : memref<1x8x1x64xf32>, %K = %k : memref<1x8x?x64xf32>) outs(%max : memref<1x8x1xf32>) {
    %zero = arith.constant 0 : index
    %m = attn.sweep %j = %zero to %N {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : memref<1x8x1x64xf32>, memref<1x8x?x64xf32> -> f32
      %r = attn.running max %s : (f32) -> f32
      attn.yield %r : f32
    } : f32
    attn.store_row %m : f32
  }
  attn.stream cols (%b, %h, %j) in [%c1, %c8, %n] over %M = %c1
      ins(%Q = %q : memref<1x8x1x64xf32>, %K = %k : memref<1x8x?x64xf32>, %R = %max : memref<1x8x1xf32>) outs(%o : memref<1x8x?xf32>) {
    %zero = arith.constant 0 : index
    %sum = attn.sweep %i = %zero to %M {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : memref<1x8x1x64xf32>, memref<1x8x?x64xf32> -> f32
      %r = attn.at %R[%b, %h, %i] : memref<1x8x1xf32> -> f32
      %d = arith.subf %s, %r : f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return
}

// -----

// Whether an entry is present depends on its score. Values are looked at for
// infinities only if a coefficient has the marker of an absent one.
// CHECK-LABEL: func.func private @guarded_stream0(
// CHECK:       %[[ALL:.*]] = vector.reduction <and>, %{{.*}} : vector<16xi1> into i1
// CHECK-NEXT:  scf.if %[[ALL]] -> (i1)
// CHECK:    scf.yield %false
// CHECK:       } else {
// CHECK:         arith.cmpf uno
// CHECK:         scf.if
// CHECK:           arith.select %{{.*}}, %{{.*}}, %{{.*}} : vector<16xi1>, vector<16xf32>
// CHECK-LABEL: func.func @guarded(
func.func @guarded(%q: memref<1x8x1x64xf32>, %v: memref<1x8x?x64xf32>, %o: memref<1x8x1x64xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %c1] over %N = %n
      ins(%Q = %q : memref<1x8x1x64xf32>, %V = %v : memref<1x8x?x64xf32>) outs(%o : memref<1x8x1x64xf32>) {
    %zero = arith.constant 0 : index
    %x = attn.at %Q[%b, %h, %i] : memref<1x8x1x64xf32> -> vector<64xf32>
    %acc = attn.sweep %j = %zero to %N {
      %y = attn.at %V[%b, %h, %j] : memref<1x8x?x64xf32> -> vector<64xf32>
      %s = attn.inner %x, %y : vector<64xf32>, vector<64xf32> -> f32
      %least = arith.constant 0.0 : f32
      %keep = arith.cmpf ogt, %s, %least : f32
      %c = attn.carry outer %s, %y if %keep : (f32, vector<64xf32>, i1) -> vector<64xf32>
      attn.yield %c : vector<64xf32>
    } : vector<64xf32>
    attn.store_row %acc : vector<64xf32>
  }
  return
}
