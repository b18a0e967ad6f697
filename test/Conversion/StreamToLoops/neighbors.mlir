// Collectives as loops over taps and heads, with the region inside.
// RUN: attn-opt %s -attn-stream-to-loops -canonicalize | FileCheck %s

// CHECK-LABEL: func.func @collectives(
// CHECK-SAME:    %[[T:.*]]: memref<1x4x?x?xf32>, %[[W:.*]]: memref<1x2x3xf32>, %[[U:.*]]: memref<4x4xf32>, %[[S:.*]]: memref<1x?xi32>,
// CHECK-DAG:     %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG:     %[[NO:.*]] = arith.constant false
// CHECK:       scf.for %{{.*}} = %c0 to %c4 step %c1
// CHECK:       scf.for %[[I:.*]] = %c0 to %{{.*}} step %c1
// CHECK:       scf.for %[[J:.*]] = %c0 to %{{.*}} step %c1
// CHECK:         scf.for %[[TU:.*]] = %c0 to %c2 step %c1 iter_args(%{{.*}} = %[[ZERO]])
// A tap outside of the matrix, or in another segment, does not count.
// CHECK:           %[[QUERY:.*]] = arith.addi %[[I]], %[[TU]]
// CHECK:           arith.minsi
// CHECK:           %[[I2:.*]] = arith.maxsi
// CHECK:           arith.cmpi eq
// CHECK:           memref.load %[[S]][%c0, %[[I]]]
// CHECK:           memref.load %[[S]][%c0, %[[I2]]]
// CHECK:           scf.for %[[TV:.*]] = %c0 to %c3 step %c1 iter_args(%[[SUM:.*]] = %{{.*}})
// CHECK:             %[[J2:.*]] = arith.maxsi
// CHECK:             %[[MIX:.*]]:2 = scf.for %[[H2:.*]] = %c0 to %c4 step %c1 iter_args(%[[M:.*]] = %[[ZERO]], %[[ANY:.*]] = %[[NO]])
// CHECK:               %[[X:.*]] = memref.load %[[T]][%{{.*}}, %[[H2]], %[[I2]], %[[J2]]]
// CHECK:               %[[P:.*]] = arith.cmpi sle, %[[J2]], %[[I2]]
// CHECK:               memref.load %[[U]][%{{.*}}, %[[H2]]]
// CHECK:               arith.select %[[P]], %[[X]], %[[ZERO]]
// CHECK:               arith.ori %[[ANY]], %[[P]]
// CHECK:             memref.load %[[W]][%c0, %[[TU]], %[[TV]]]
// CHECK:             arith.select %{{.*}}, %[[MIX]]#0, %[[ZERO]]
// CHECK:             arith.addf %[[SUM]],
func.func @collectives(%t: memref<1x4x?x?xf32>, %w: memref<1x2x3xf32>, %u: memref<4x4xf32>, %seg: memref<1x?xi32>, %out: memref<1x4x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c4, %m] over %e = %n ins(%T = %t : memref<1x4x?x?xf32>, %W = %w : memref<1x2x3xf32>, %U = %u : memref<4x4xf32>, %S = %seg : memref<1x?xi32>, %M = %m : index) outs(%out : memref<1x4x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %r = attn.stencil [%i, %j] in [%M, %e] taps %W[%z] origin [0, 1] segments(%S[%z], %S[%z] : memref<1x?xi32>, memref<1x?xi32>) {
      ^bb0(%i2: index, %j2: index):
        %x, %any = attn.mix weights %U[%h] {
        ^bb0(%h2: index):
          %y = attn.at %T[%b, %h2, %i2, %j2] : memref<1x4x?x?xf32> -> f32
          %p = arith.cmpi sle, %j2, %i2 : index
          attn.yield %y, %p : f32, i1
        } : memref<4x4xf32> -> f32
        attn.yield %x, %any : f32, i1
      } : memref<1x2x3xf32> -> f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// Every row computes the others again; what was joined before is there.
// CHECK-LABEL: func.func @joined_rows(
// CHECK-SAME:    %[[T:.*]]: memref<1x1x7x?xf32>
// CHECK-DAG:     %[[LOW:.*]] = arith.constant 0xFF800000 : f32
// CHECK:       scf.for %[[I:.*]] = %c0 to %c7 step %c1
// CHECK:       scf.for %[[J:.*]] = %c0 to
// CHECK:         memref.load %[[T]][%c0, %c0, %[[I]], %[[J]]]
// CHECK:         %[[MAX:.*]] = scf.for %[[I2:.*]] = %c0 to %c7 step %c1 iter_args(%[[SO:.*]] = %[[LOW]])
// CHECK:           %[[X:.*]] = memref.load %[[T]][%c0, %c0, %[[I2]], %[[J]]]
// CHECK:           %[[P:.*]] = arith.cmpi sle, %[[J]], %[[I2]]
// CHECK:           %[[NEXT:.*]] = arith.maximumf %[[SO]], %[[X]]
// CHECK:           arith.select %[[P]], %[[NEXT]], %[[SO]]
// CHECK:         scf.for %[[I3:.*]] = %c0 to %c7 step %c1 iter_args(
// CHECK-NOT:       scf.for
// CHECK:           %[[Y:.*]] = memref.load %[[T]][%c0, %c0, %[[I3]], %[[J]]]
// CHECK:           arith.subf %[[Y]], %[[MAX]]
// CHECK:           arith.addf
func.func @joined_rows(%t: memref<1x1x7x?xf32>, %o: memref<1x1x7xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c7] over %e = %n ins(%T = %t : memref<1x1x7x?xf32>) outs(%o : memref<1x1x7xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : memref<1x1x7x?xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      %m = attn.across max %x if %p over 7 : f32
      %d = arith.subf %x, %m : f32
      %l = attn.across sum %d over 7 : f32
      %r = arith.mulf %l, %x : f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
