// RUN: attn-opt %s --split-input-file --attn-split-keys=splits=3 --cse | FileCheck %s
// RUN: attn-opt %s --split-input-file --attn-split-keys --cse | FileCheck %s --check-prefix=OFF

// OFF-LABEL: func @softmax
// OFF-COUNT-1: attn.stream
// OFF-NOT:     attn.stream
// OFF-LABEL: func @masked

// The ranges become part of the batch; the gauge and what moves with it are
// stored raw, and merged by the action before the epilogue of the original.

// CHECK-LABEL: func @softmax
// CHECK:         %[[BATCH:.*]] = arith.muli %{{.*}}, %c3
// CHECK:         %[[PARTS:.*]]:2 = attn.stream rows (%[[BS:[^ ,]*]], %{{[^ ,]*}}, %{{[^ ,]*}}) in [%[[BATCH]], %{{[^ ,]*}}, %{{[^ ,]*}}] over %[[N:[^ ]*]] =
// CHECK-DAG:       %[[B:.*]] = arith.remui %[[BS]], %[[SIZE:.*]] : index
// CHECK-DAG:       %[[S:.*]] = arith.divui %[[BS]], %[[SIZE]] : index
// CHECK-DAG:       %[[START:.*]] = arith.muli %[[S]], %[[CHUNK:.*]] : index
// CHECK:           %[[SUMS:.*]]:2 = attn.sweep
// CHECK:             attn.dot %{{.*}}[%[[B]],
// CHECK:             %[[G:.*]] = attn.running max
// CHECK:             %[[L:.*]] = attn.carry sum {{.*}} act(%[[G]] by
// CHECK:             attn.yield %[[L]], %[[G]]
// CHECK:           attn.store_row %[[SUMS]]#0, %[[SUMS]]#1
// CHECK:         attn.stream rows
// CHECK-SAME:      = %[[PARTS]]#1 :
// CHECK-NOT:       attn.sweep
// CHECK:           %[[M01:.*]] = arith.maximumf
// CHECK:           %[[M:.*]] = arith.maximumf %[[M01]], %[[G2:.*]] : f32
// CHECK:           %[[D:.*]] = arith.subf %[[M]], %[[G2]]
// CHECK:           %[[MOVED:.*]] = arith.select %{{.*}}, %cst{{.*}}, %[[D]]
// CHECK:           %[[POWER:.*]] = arith.mulf %{{.*}}, %[[MOVED]]
// CHECK:           %[[W:.*]] = math.exp2 %[[POWER]]
// One range after the other: only one is in registers beside the sum.
// CHECK:           %[[L01:.*]] = arith.addf
// CHECK:           attn.at
// CHECK:           arith.mulf %{{.*}}, %[[W]]
// CHECK:           %[[TOTAL:.*]] = arith.addf %[[L01]],
// CHECK:           math.log2 %[[TOTAL]]
func.func @softmax(%q: tensor<?x2x?x8xf32>, %e0: tensor<?x2x?xf32>, %B: index, %M: index) -> tensor<?x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%B, %c2, %M] over %n = %M ins(%Q = %q : tensor<?x2x?x8xf32>) outs(%e0 : tensor<?x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %minus1 = arith.constant -1.0 : f32
      %s = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32> -> f32
      %g = attn.running max %s : (f32) -> f32
      %gg = attn.guard %g : f32
      %d = arith.subf %s, %gg : f32
      %e = math.exp2 %d : f32
      %l = attn.carry sum %e act(%g by %minus1) : (f32, f32, f32) -> f32
      attn.yield %l : f32
    } : f32
    %log = math.log2 %c : f32
    attn.store_row %log : f32
  }
  return %a : tensor<?x2x?xf32>
}

// -----

// What mask analysis found is derived anew, for the range and the batch index
// of the range: the length is read for b, not for the folded index.

// CHECK-LABEL: func @masked
// CHECK:         attn.stream rows (%[[BS:[^ ,]*]], {{.*}} %[[LEN:[^ ]*]] = %{{[^ ]*}} : tensor<2xi32>) outs
// CHECK:           %[[B:.*]] = arith.remui %[[BS]], %{{.*}} : index
// CHECK:           %[[LENGTH:.*]] = attn.at %[[LEN]][%[[B]]]
// CHECK:           %[[INDEX:.*]] = arith.index_cast %[[LENGTH]]
// CHECK:           attn.sweep %{{.*}} = %[[FIRST:.*]] to %[[LAST:[^ ]*]] {
// CHECK:           tiles (%{{.*}}, %{{.*}}, %[[J0:.*]], %{{.*}}) {
// CHECK-NEXT:        arith.cmpi slt, %[[J0]], %[[INDEX]]
// CHECK:           bounds
// CHECK:             arith.minsi %{{.*}}, %[[LAST]]
// CHECK:             attn.yield %[[FIRST]],
func.func @masked(%x: tensor<2x2x?xf32>, %len: tensor<2xi32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>, %L = %len : tensor<2xi32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %l32 = attn.at %L[%b] : tensor<2xi32> -> i32
    %l = arith.index_cast %l32 : i32 to index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.cmpi slt, %j, %l : index
      %t = attn.carry sum %s if %p : (f32, i1) -> f32
      attn.yield %t : f32
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi slt, %j0, %l : index
      %must = arith.cmpi slt, %j1, %l : index
      attn.yield %may, %must : i1, i1
    } : f32
    attn.store_row %c : f32
  }
  return %a : tensor<2x2x?xf32>
}

// -----

// Counts are added, bits travel as i32, an argmax brings its maximum along.

// CHECK-LABEL: func @integers
// CHECK:         attn.stream rows
// CHECK-SAME:      tensor<6x2x?xi64>
// CHECK:           %[[R:.*]]:4 = attn.sweep
// CHECK:             %[[MAX:.*]] = attn.carry max %[[X:.*]] :
// CHECK:             attn.carry argmax %[[X]]
// CHECK:           %[[BIT:.*]] = arith.extui %[[R]]#1 : i1 to i32
// CHECK:           attn.store_row %[[R]]#0, %[[BIT]], %[[R]]#2, %[[R]]#3 : i64, i32, i64, f32
// CHECK:         attn.stream rows
// CHECK:           arith.addi %{{.*}} : i64
// CHECK:           arith.ori %{{.*}} : i32
// CHECK:           arith.cmpf ogt
// CHECK:           arith.select %{{.*}} : i64
func.func @integers(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xi64>, %e1: tensor<2x2x?xi1>, %M: index) -> (tensor<2x2x?xi64>, tensor<2x2x?xi1>, tensor<2x2x?xi64>) {
  %c2 = arith.constant 2 : index
  %a, %d, %e = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xi64>, %e1 : tensor<2x2x?xi1>, %e0 : tensor<2x2x?xi64>) {
    %z = arith.constant 0 : index
    %c:3 = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.cmpi ne, %j, %i : index
      %count = attn.carry count if %p : (i1) -> i64
      %any = attn.carry any if %p : (i1) -> i1
      %arg = attn.carry argmax %s : (f32) -> i64
      attn.yield %count, %any, %arg : i64, i1, i64
    } : i64, i1, i64
    attn.store_row %c#0, %c#1, %c#2 : i64, i1, i64
  }
  return %a, %d, %e : tensor<2x2x?xi64>, tensor<2x2x?xi1>, tensor<2x2x?xi64>
}

// -----

// Sums around running means are moved to the common mean, as polynomials.

// CHECK-LABEL: func @centred
// CHECK:         attn.stream rows
// CHECK:           %[[R:.*]]:4 = attn.sweep
// CHECK:             %[[N:.*]] = attn.carry count
// CHECK:             %[[MEAN:.*]] = attn.running mean
// CHECK:             %[[C1:.*]] = attn.carry sum
// CHECK:             %[[C0:.*]] = attn.carry sum %{{.*}} poly(%[[MEAN]] : %[[C1]])
// CHECK:             attn.yield %[[C0]], %[[C1]], %[[MEAN]], %[[N]]
// CHECK:         attn.stream rows
// CHECK:           %[[G:.*]] = arith.divf
// CHECK:           arith.subf %{{.*}}, %[[G0:.*]] : f32
// CHECK:           %[[D:.*]] = arith.select
// CHECK:           %[[T:.*]] = arith.mulf %{{.*}}, %[[D]]
// CHECK:           arith.addf %{{.*}}, %[[T]]
func.func @centred(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %mean = attn.running mean %s : (f32) -> f32
      %d = arith.subf %s, %mean : f32
      %minus1 = arith.constant -1.0 : f32
      %t0 = attn.carry sum %minus1 : (f32) -> f32
      %t = attn.carry sum %d poly(%mean : %t0) : (f32, f32, f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %c : f32
  }
  return %a : tensor<2x2x?xf32>
}

// -----

// A block of keys that a list names is visited by one range only.

// CHECK-LABEL: func @listed
// CHECK:         attn.stream rows
// CHECK:           %[[CHUNK:.*]] = arith.ceildivui %{{.*}}, %[[BLOCK:.*]] : index
// CHECK:           arith.muli %[[CHUNK]], %[[BLOCK]] : index
// CHECK:           attn.sweep
// CHECK:             attn.listed {{.*}} drives
func.func @listed(%x: tensor<2x2x?xf32>, %l: tensor<2x2x3xi32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>, %L = %l : tensor<2x2x3xi32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = attn.listed %L[%b, %h] block(8, 16) contains %j drives : tensor<2x2x3xi32>
      %t = attn.carry sum %s if %p : (f32, i1) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %c : f32
  }
  return %a : tensor<2x2x?xf32>
}
