// RUN: attn-opt %s -attn-stream-to-loops -canonicalize -split-input-file | FileCheck %s
// RUN: attn-opt %s -attn-stream-to-loops=use-bounds -canonicalize -split-input-file \
// RUN:   | FileCheck %s --check-prefix=BOUNDS

!q = memref<2x8x?x64xf32>
!kv = memref<2x2x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>

// A fused softmax: the loop carries the maximum, the sum and the row.

// CHECK-LABEL: @softmax(
// CHECK-SAME:    %[[Q:[^:]*]]: memref<2x8x?x64xf32>, %[[K:[^:]*]]: {{.*}}, %[[V:[^:]*]]: {{.*}}, %[[O:[^:]*]]: {{.*}}, %[[M:[^:]*]]: index, %[[N:[^:]*]]: index
// CHECK-DAG:     %[[NONE:.*]] = arith.constant 0xFF800000 : f32
// CHECK-DAG:     %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-DAG:     %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG:     %[[EMPTY:.*]] = arith.constant dense<0.000000e+00> : vector<64xf32>
// CHECK-DAG:     %[[ROW:.*]] = memref.alloca() {alignment = 64 : i64} : memref<64xf32>
// CHECK:         scf.for %[[B:.*]] = %{{.*}} to %c2
// CHECK:           scf.for %[[H:.*]] = %{{.*}} to %c8
// CHECK:             scf.for %[[I:.*]] = %{{.*}} to %[[M]]
// CHECK:               %[[R:.*]]:3 = scf.for %[[J:.*]] = %c0 to %[[N]] step %c1
// CHECK-SAME:              iter_args(%[[G0:.*]] = %[[NONE]], %[[L0:.*]] = %[[ZERO]], %[[A0:.*]] = %[[EMPTY]])
// The contraction adds in order.
// CHECK:                 scf.for %[[D:.*]] = %c0 to %c64 step %c1 iter_args(%[[ACC:.*]] = %[[ZERO]])
// CHECK:                   memref.load %[[Q]][%[[B]], %[[H]], %[[I]], %[[D]]]
// CHECK:                   memref.load %[[K]][%[[B]], %{{.*}}, %[[J]], %[[D]]]
// CHECK:                   arith.addf %[[ACC]],
// CHECK:                 %[[MAX:.*]] = arith.maximumf %[[G0]], %[[F:.*]] :
// CHECK:                 %[[G1:.*]] = arith.select %[[P:.*]], %[[MAX]], %[[G0]]
// attn.guard:
// CHECK:                 %[[ISNONE:.*]] = arith.cmpf oeq, %[[G1]], %[[NONE]]
// CHECK:                 arith.select %[[ISNONE]], %[[ZERO]], %[[G1]]
// CHECK:                 %[[E:.*]] = math.exp2
// A row of unknown stride is gathered.
// CHECK:                 scf.for %[[D2:.*]] = %c0 to %c64
// CHECK:                   memref.load %[[V]][%[[B]], %{{.*}}, %[[J]], %[[D2]]]
// CHECK:                   memref.store %{{.*}}, %[[ROW]][%[[D2]]]
// CHECK:                 %[[VROW:.*]] = vector.load %[[ROW]]
// The factor is 0 before the first key, and 1 where the maximum stays.
// CHECK:                 %[[D3:.*]] = arith.subf %[[G1]], %[[G0]]
// CHECK:                 %[[POW:.*]] = math.exp2
// CHECK:                 %[[FIRST:.*]] = arith.cmpf oeq, %[[G0]], %[[NONE]]
// CHECK:                 %[[S0:.*]] = arith.select %[[FIRST]], %[[ZERO]], %[[POW]]
// CHECK:                 %[[SAME:.*]] = arith.cmpf oeq, %[[G0]], %[[G1]]
// CHECK:                 %[[S:.*]] = arith.select %[[SAME]], %[[ONE]], %[[S0]]
// CHECK:                 %[[MOVED:.*]] = arith.mulf %[[L0]], %[[S]]
// CHECK:                 %[[SUM:.*]] = arith.addf %[[MOVED]], %[[E]]
// CHECK:                 %[[L1:.*]] = arith.select %[[P]], %[[SUM]], %[[MOVED]]
// Both carries share the factor.
// CHECK-NOT:             math.exp2
// CHECK:                 %[[SV:.*]] = vector.broadcast %[[S]]
// CHECK:                 %[[AM:.*]] = arith.mulf %[[A0]], %[[SV]]
// CHECK:                 %[[A1:.*]] = arith.select %[[P]], %{{.*}}, %[[AM]] : vector<64xf32>
// CHECK:                 scf.yield %[[G1]], %[[L1]], %[[A1]]
// CHECK:               vector.store %{{.*}}, %[[O]][%[[B]], %[[H]], %[[I]], %c0]

// With bounds, the loop is shorter, entries are skipped, and conditions that are
// sure to hold are not asked.

// BOUNDS-LABEL: @softmax(
// BOUNDS-SAME:       %[[M:[^:]*]]: index, %{{[^:]*}}: index)
// BOUNDS:          scf.for %[[I:.*]] = %{{.*}} to %[[M]] step %c1 {
// BOUNDS:            %[[END:.*]] = arith.addi %[[I]], %c1
// BOUNDS:            %[[TO:.*]] = arith.minsi %{{.*}}, %[[END]]
// BOUNDS:            scf.for %[[J:.*]] = %{{.*}} to %[[TO]]
// BOUNDS:              %[[MAY:.*]] = arith.cmpi sle, %[[J]], %[[I]]
// BOUNDS:              %[[ALL:.*]] = arith.cmpi slt, %[[J]], %[[I]]
// BOUNDS:              scf.if %[[MAY]]
// BOUNDS:                arith.ori %{{.*}}, %[[ALL]]
func.func @softmax(%q: !q, %k: !kv, %v: !kv, %o: !q, %M: index, %N: index) {
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c2, %c8, %M] over %n = %N
      ins(%Q = %q : !q, %K = %k : !kv, %V = %v : !kv) outs(%o : !q) {
    %zero = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %rate = arith.constant -1.0 : f32
    %g = arith.divui %h, %c4 : index
    %m, %l, %acc = attn.sweep %j = %zero to %n {
      %f = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : !q, !kv -> f32
      %p = arith.cmpi ule, %j, %i : index
      %gm = attn.running max %f if %p : (f32, i1) -> f32
      %gs = attn.guard %gm : f32
      %d = arith.subf %f, %gs : f32
      %e = math.exp2 %d : f32
      %vr = attn.at %V[%b, %g, %j] : !kv -> vector<64xf32>
      %cl = attn.carry sum %e if %p act(%gm by %rate) : (f32, i1, f32, f32) -> f32
      %co = attn.carry outer %e, %vr if %p act(%gm by %rate) : (f32, vector<64xf32>, i1, f32, f32) -> vector<64xf32>
      attn.yield %gm, %cl, %co : f32, f32, vector<64xf32>
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi sle, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      %one = arith.constant 1 : index
      %hi = arith.addi %i1, %one : index
      attn.yield %zero, %hi : index, index
    } : f32, f32, vector<64xf32>
    %x = arith.addf %l, %m : f32
    %xs = vector.broadcast %x : f32 to vector<64xf32>
    %r = arith.divf %acc, %xs : vector<64xf32>
    attn.store_row %r : vector<64xf32>
  }
  return
}

// -----

// The order of the best index: not found yet, better, or the first NaN.

// CHECK-LABEL: @argmax(
// CHECK:         %[[R:.*]]:2 = scf.for %[[J:.*]] = {{.*}} iter_args(%[[BEST:.*]] = %c-1_i64, %[[MAX:.*]] = %{{.*}}) -> (i64, f32)
// CHECK:           %[[X:.*]] = memref.load
// CHECK:           %[[NONE:.*]] = arith.cmpi slt, %[[BEST]], %c0_i64
// CHECK:           %[[MORE:.*]] = arith.cmpf ogt, %[[X]], %[[MAX]]
// CHECK:           %[[NAN:.*]] = arith.cmpf uno, %[[X]], %[[X]]
// CHECK:           %[[NUMBER:.*]] = arith.cmpf ord, %[[MAX]], %[[MAX]]
// CHECK:           %[[FIRSTNAN:.*]] = arith.andi %[[NAN]], %[[NUMBER]]
// CHECK:           %[[BETTER:.*]] = arith.ori %[[MORE]], %[[FIRSTNAN]]
// CHECK:           %[[TAKE:.*]] = arith.ori %[[NONE]], %[[BETTER]]
// CHECK:           arith.select %[[TAKE]], %[[X]], %[[MAX]]
// CHECK:         memref.store %[[R]]#0
func.func @argmax(%x: memref<1x1x4x?xf32>, %o: memref<1x1x4xi64>, %N: index) {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %n = %N
      ins(%X = %x : memref<1x1x4x?xf32>) outs(%o : memref<1x1x4xi64>) {
    %zero = arith.constant 0 : index
    %k = attn.sweep %j = %zero to %n {
      %e = attn.at %X[%b, %h, %i, %j] : memref<1x1x4x?xf32> -> f32
      %c = attn.carry argmax %e : (f32) -> i64
      attn.yield %c : i64
    } : i64
    attn.store_row %k : i64
  }
  return
}

// -----

// A variance around the running mean, which moves by d = g' - g: the sum of
// squares c0 becomes c0 + c1 d + c2 d^2 and c1 becomes c1 + c3 d, from the values
// before this key.

// CHECK-LABEL: @variance(
// CHECK:         scf.for {{.*}} iter_args(%[[G:.*]] = %{{.*}}, %[[COUNT:.*]] = %{{.*}}, %[[C2:.*]] = %{{.*}}, %[[C3:.*]] = %{{.*}}, %[[C1:.*]] = %{{.*}}, %[[C0:.*]] = %{{.*}})
// CHECK:           %[[G1:.*]] = arith.addf %[[G]], %{{.*}} : f32
// CHECK:           arith.cmpf oeq, %[[COUNT]]
// CHECK:           %[[DIFF:.*]] = arith.subf %[[G1]], %[[G]]
// CHECK:           %[[D:.*]] = arith.select %{{.*}}, %{{.*}}, %[[DIFF]]
// CHECK:           %[[C3D:.*]] = arith.mulf %[[C3]], %[[D]]
// CHECK:           arith.addf %[[C1]], %[[C3D]]
// CHECK:           %[[C1D:.*]] = arith.mulf %[[C1]], %{{.*}}
// CHECK:           %[[T1:.*]] = arith.addf %[[C0]], %[[C1D]]
// CHECK:           %[[C2D2:.*]] = arith.mulf %[[C2]], %{{.*}}
// CHECK:           arith.addf %[[T1]], %[[C2D2]]
func.func @variance(%x: memref<1x1x4x?xf32>, %o: memref<1x1x4xf32>, %N: index) {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %n = %N
      ins(%X = %x : memref<1x1x4x?xf32>) outs(%o : memref<1x1x4xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1.0 : f32
    %two = arith.constant 2.0 : f32
    %minus2 = arith.constant -2.0 : f32
    %k = attn.sweep %j = %zero to %n {
      %e = attn.at %X[%b, %h, %i, %j] : memref<1x1x4x?xf32> -> f32
      %g = attn.running mean %e : (f32) -> f32
      %d = arith.subf %e, %g : f32
      %d1 = arith.mulf %d, %minus2 : f32
      %d2 = arith.mulf %d, %d : f32
      %s2 = attn.carry sum %one : (f32) -> f32
      %s3 = attn.carry sum %two : (f32) -> f32
      %s1 = attn.carry sum %d1 poly(%g : %s3) : (f32, f32, f32) -> f32
      %s0 = attn.carry sum %d2 poly(%g : %s1, %s2) : (f32, f32, f32, f32) -> f32
      attn.yield %s0 : f32
    } : f32
    attn.store_row %k : f32
  }
  return
}

// -----

// A range is clamped to the extent.

// CHECK-LABEL: @range(
// CHECK:         %[[SIZE:.*]] = memref.dim %{{.*}}, %c1
// CHECK:         %[[LAST:.*]] = arith.subi %[[SIZE]], %c1
// CHECK:         arith.minsi %{{.*}}, %[[LAST]]
// CHECK:         scf.for {{.*}} iter_args(%[[LO:.*]] = %c2147483647_i32, %[[HI:.*]] = %c-2147483648_i32)
// CHECK:           arith.minsi %[[LO]]
// CHECK:           arith.maxsi %[[HI]]
func.func @range(%x: memref<1x?xi32>, %o: memref<1x1x4xi32>) {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %n = %c4
      ins(%X = %x : memref<1x?xi32>) outs(%o : memref<1x1x4xi32>) {
    %lo, %hi = attn.range %X[%b] from %h to %i : memref<1x?xi32> -> i32
    %d = arith.subi %hi, %lo : i32
    attn.store_row %d : i32
  }
  return
}

// -----

// A reduction over features with a region of the user, on narrow floats.

// CHECK-LABEL: @dot_with(
// CHECK:         scf.for %[[D:.*]] = {{.*}} iter_args(%[[ACC:.*]] = %{{.*}}) -> (f32)
// CHECK:           %[[X:.*]] = memref.load %{{.*}} : memref<1x1x4x8xbf16>
// CHECK:           %[[Y:.*]] = memref.load %{{.*}} : memref<1x1x4x8xf32>
// CHECK:           %[[XW:.*]] = arith.extf %[[X]] : bf16 to f32
// CHECK:           %[[S:.*]] = arith.addf %[[XW]], %[[Y]]
// CHECK:           %[[T:.*]] = math.tanh %[[S]]
// CHECK:           arith.maximumf %[[ACC]], %[[T]]
func.func @dot_with(%x: memref<1x1x4x8xbf16>, %y: memref<1x1x4x8xf32>, %o: memref<1x1x4xf32>) {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %n = %c4
      ins(%X = %x : memref<1x1x4x8xbf16>, %Y = %y : memref<1x1x4x8xf32>) outs(%o : memref<1x1x4xf32>) {
    %s = attn.dot_with max %X[%b, %h, %i], %Y[%b, %h, %i] {
    ^bb0(%u: f32, %w: f32, %d: index):
      %a = arith.addf %u, %w : f32
      %t = math.tanh %a : f32
      attn.yield %t : f32
    } : memref<1x1x4x8xbf16>, memref<1x1x4x8xf32> -> f32
    attn.store_row %s : f32
  }
  return
}
