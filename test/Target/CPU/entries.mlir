// What entries read and count, on vectors of keys.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" --split-input-file | FileCheck %s
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=haswell" --split-input-file | FileCheck %s --check-prefix=AVX2

// A table that is read backwards: its elements are loaded and turned round.
// CHECK-LABEL: func.func private @backwards_stream0(
// CHECK:       %[[X:.*]] = vector.load {{.*}}, vector<16xf32>
// CHECK:       vector.shuffle %[[X]], %[[X]] [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
func.func @backwards(%t: memref<?xf32>, %o: memref<1x1x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %N = %n
      ins(%T = %t : memref<?xf32>, %last = %n : index) outs(%o : memref<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %sum = attn.sweep %j = %zero to %N {
      %d = arith.subi %i, %j : index
      %at = arith.addi %d, %last : index
      %x = attn.at %T[%at] : memref<?xf32> -> f32
      %c = attn.carry sum %x : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return
}

// -----

// Quotients of positions come out of f64, signed ones with half a unit of their
// own sign; a value that is not bounded is divided lane by lane.
// CHECK-LABEL: func.func private @columns_stream0(
// CHECK:       llvm.sitofp {{.*}} : vector<16xi64> to vector<16xf64>
// CHECK-NOT:   llvm.intr.copysign
// CHECK:       llvm.fptosi {{.*}} : vector<16xf64> to vector<16xi64>
// CHECK:       llvm.intr.copysign({{.*}} {attn.positions}
// CHECK:       llvm.fptosi {{.*}} : vector<16xf64> to vector<16xi64>
// CHECK:       arith.divui {{.*}} : vector<16xindex>
// AVX2-LABEL: func.func private @columns_stream0(
// AVX2-NOT:   llvm.fptosi
func.func @columns(%o: memref<1x1x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %N = %n
      ins() outs(%o : memref<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %seven = arith.constant 7 : index
    %big = arith.constant 40503 : index
    %sum = attn.sweep %j = %zero to %N {
      %q = arith.divui %j, %seven : index
      %d = arith.subi %j, %i : index
      %r = arith.remsi %d, %seven : index
      %hash = arith.muli %j, %big : index
      %u = arith.divui %hash, %seven : index
      %qr = arith.addi %q, %r : index
      %s = arith.addi %qr, %u : index
      %z = arith.index_cast %s : index to i64
      %x = arith.sitofp %z : i64 to f32
      %c = attn.carry sum %x : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return
}

// -----

// Presence that takes more than a few operations is kept from the stage of the
// maximum to that of the sum, a byte each.
// CHECK-LABEL: func.func private @presence_stream0(
// CHECK:       vector.store {{.*}}, vector<16xi8>
// CHECK:       %[[KEPT:.*]] = vector.load {{.*}}, vector<16xi8>
// CHECK:       arith.trunci %[[KEPT]] : vector<16xi8> to vector<16xi1>
func.func @presence(%x: memref<?x?xf32>, %o: memref<1x1x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %N = %n
      ins(%X = %x : memref<?x?xf32>) outs(%o : memref<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %two = arith.constant 2 : index
    %seven = arith.constant 7 : index
    %minus = arith.constant -1.0 : f32
    %r = arith.remui %i, %seven : index
    %last, %sum = attn.sweep %j = %zero to %N {
      %f = attn.at %X[%i, %j] : memref<?x?xf32> -> f32
      %q = arith.remui %j, %seven : index
      %d = arith.subi %q, %r : index
      %a = math.absi %d : index
      %in = arith.cmpi sle, %a, %two : index
      %before = arith.cmpi sle, %j, %i : index
      %p = arith.andi %in, %before : i1
      %g = attn.running max %f if %p : (f32, i1) -> f32
      %safe = attn.guard %g : f32
      %y = arith.subf %f, %safe : f32
      %e = math.exp2 %y : f32
      %c = attn.carry sum %e if %p act(%g by %minus) : (f32, i1, f32, f32) -> f32
      attn.yield %g, %c : f32, f32
    } : f32, f32
    attn.store_row %sum : f32
  }
  return
}

// -----

// Pixels of one row of an image, which is asked for first: whether the row is
// near enough is asked once, the other tests take lane numbers of 32 bits, and a
// row of the table is loaded once. Other keys go the way of all tables.
// CHECK-LABEL: func.func private @taps_stream0(
// CHECK-COUNT-4: arith.cmpi slt, %{{.*}}, %c1073741824
// CHECK:       %[[FIRST:.*]] = arith.divui
// CHECK:       %[[LAST:.*]] = arith.divui
// CHECK:       %[[SAME:.*]] = arith.cmpi eq, %[[FIRST]], %[[LAST]] : index
// CHECK:       %[[HOLDS:.*]] = arith.andi %{{.*}}, %[[SAME]]
// CHECK:       scf.if %[[HOLDS]]
// CHECK:         %[[NEAR:.*]] = arith.cmpi sle, %{{.*}} : index
// CHECK:         scf.if %[[NEAR]]
// CHECK:           %[[ROW:.*]] = vector.maskedload
// CHECK:           %[[BITS:.*]] = arith.bitcast %[[ROW]] : vector<16xf32> to vector<16xi32>
// CHECK:           attn.choose %[[BITS]][%{{.*}}]
// CHECK:           math.absi %{{.*}} : vector<16xi32>
// CHECK:       vector.gather
// AVX2-LABEL: func.func private @taps_stream0(
// AVX2-NOT:   attn.choose
// AVX2:       vector.gather
func.func @taps(%t: memref<5x5xf32>, %o: memref<1x1x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %N = %n
      ins(%T = %t : memref<5x5xf32>) outs(%o : memref<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %two = arith.constant 2 : index
    %four = arith.constant 4 : index
    %width = arith.constant 40 : index
    %yi = arith.divui %i, %width : index
    %xi = arith.remui %i, %width : index
    %sum = attn.sweep %j = %zero to %N {
      %yj = arith.divui %j, %width : index
      %xj = arith.remui %j, %width : index
      %dy = arith.subi %yj, %yi : index
      %dx = arith.subi %xj, %xi : index
      %u0 = arith.addi %dy, %two : index
      %u1 = arith.maxsi %u0, %zero : index
      %u = arith.minsi %u1, %four : index
      %v0 = arith.addi %dx, %two : index
      %v1 = arith.maxsi %v0, %zero : index
      %v = arith.minsi %v1, %four : index
      %x = attn.at %T[%u, %v] : memref<5x5xf32> -> f32
      %ay = math.absi %dy : index
      %ax = math.absi %dx : index
      %iny = arith.cmpi sle, %ay, %two : index
      %inx = arith.cmpi sle, %ax, %two : index
      %in = arith.andi %iny, %inx : i1
      %c = attn.carry sum %x if %in : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return
}

// -----

// Two constant factors are one; the second of them may be anything, the first
// one must not make numbers larger.
// CHECK-LABEL: func.func private @scaled_stream0(
// CHECK:       %[[X:.*]] = vector.load
// CHECK:       %[[Z:.*]] = arith.mulf %[[X]], %cst{{.*}} : vector<16xf32>
// CHECK-NOT:   arith.mulf %[[Z]]
// CHECK:       arith.addf %[[Z]]
// CHECK-LABEL: func.func private @grown_stream0(
// CHECK:       %[[Y:.*]] = arith.mulf
// CHECK:       arith.mulf %[[Y]]
func.func @scaled(%t: memref<?xf32>, %o: memref<1x1x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %N = %n
      ins(%T = %t : memref<?xf32>) outs(%o : memref<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %first = arith.constant 0.125 : f32
    %second = arith.constant 1.5 : f32
    %sum = attn.sweep %j = %zero to %N {
      %x = attn.at %T[%j] : memref<?xf32> -> f32
      %y = arith.mulf %x, %first : f32
      %z = arith.mulf %y, %second : f32
      %c = attn.carry sum %z : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return
}

func.func @grown(%t: memref<?xf32>, %o: memref<1x1x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %N = %n
      ins(%T = %t : memref<?xf32>) outs(%o : memref<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %first = arith.constant 1.5 : f32
    %second = arith.constant 0.125 : f32
    %sum = attn.sweep %j = %zero to %N {
      %x = attn.at %T[%j] : memref<?xf32> -> f32
      %y = arith.mulf %x, %first : f32
      %z = arith.mulf %y, %second : f32
      %c = attn.carry sum %z : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return
}
