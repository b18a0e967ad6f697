// RUN: attn-opt %s --split-input-file --attn-fold-single-keys | FileCheck %s

// One entry per row: its gauge never moves, and each accumulator is that entry
// or, where it is absent, what it starts with.

// CHECK-LABEL: func @state
// CHECK-NOT:     attn.sweep
// CHECK:         %[[X:.*]] = attn.at
// CHECK:         %[[C:.*]] = arith.cmpf une, %[[X]]
// CHECK:         %[[M:.*]] = arith.select %[[C]], %[[X]], %{{.*}} : f32
// CHECK:         %[[G:.*]] = attn.guard %[[M]]
// CHECK:         %[[D:.*]] = arith.subf %[[X]], %[[G]]
// CHECK:         %[[E:.*]] = math.exp2 %[[D]]
// CHECK:         %[[L:.*]] = arith.select %[[C]], %[[E]], %{{.*}} : f32
// CHECK:         %[[V:.*]] = attn.at %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %c0{{.*}}] : tensor<1x2x?x1x8xf32> -> vector<8xf32>
// CHECK:         %[[W:.*]] = vector.broadcast %[[E]]
// CHECK:         %[[P:.*]] = arith.mulf %[[W]], %[[V]]
// CHECK:         %[[O:.*]] = arith.select %[[C]], %[[P]], %{{.*}} : vector<8xf32>
// CHECK:         %[[A:.*]] = arith.select %[[C]], %{{.*}}, %{{.*}} : i1
// CHECK:         attn.store_row %[[M]], %[[L]], %[[O]]
func.func @state(%x: tensor<1x2x?xf32>, %v: tensor<1x2x?x1x8xf32>, %m: tensor<1x2x?xf32>, %l: tensor<1x2x?xf32>, %o: tensor<1x2x?x8xf32>, %M: index) -> (tensor<1x2x?xf32>, tensor<1x2x?xf32>, tensor<1x2x?x8xf32>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %r:3 = attn.stream rows (%b, %h, %i) in [%c1, %c2, %M] over %n = %c1 ins(%X = %x : tensor<1x2x?xf32>, %V = %v : tensor<1x2x?x1x8xf32>) outs(%m : tensor<1x2x?xf32>, %l : tensor<1x2x?xf32>, %o : tensor<1x2x?x8xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %minus1 = arith.constant -1.0 : f32
    %inf = arith.constant 0xFF800000 : f32
    %s:4 = attn.sweep %j = %zero to %one {
      %y = attn.at %X[%b, %h, %i] : tensor<1x2x?xf32> -> f32
      %c = arith.cmpf une, %y, %inf : f32
      %g = attn.running max %y if %c : (f32, i1) -> f32
      %guard = attn.guard %g : f32
      %d = arith.subf %y, %guard : f32
      %e = math.exp2 %d : f32
      %t = attn.carry sum %e if %c act(%g by %minus1) : (f32, i1, f32, f32) -> f32
      %w = attn.at %V[%b, %h, %i, %j] : tensor<1x2x?x1x8xf32> -> vector<8xf32>
      %u = attn.carry outer %e, %w if %c act(%g by %minus1) : (f32, vector<8xf32>, i1, f32, f32) -> vector<8xf32>
      %any = attn.carry any if %c : (i1) -> i1
      attn.yield %g, %t, %u, %any : f32, f32, vector<8xf32>, i1
    } : f32, f32, vector<8xf32>, i1
    attn.store_row %s#0, %s#1, %s#2 : f32, f32, vector<8xf32>
  }
  return %r#0, %r#1, %r#2 : tensor<1x2x?xf32>, tensor<1x2x?xf32>, tensor<1x2x?x8xf32>
}

// -----

// A key that may be missing: where it is not, nothing counts.

// CHECK-LABEL: func @perhaps
// CHECK-NOT:     attn.sweep
// CHECK:         %[[THERE:.*]] = arith.cmpi slt, %{{.*}}, %{{.*}} : index
// CHECK:         arith.select %[[THERE]], %{{.*}} : f32
// CHECK:         arith.select %[[THERE]], %{{.*}} : i64
// CHECK:         arith.select %[[THERE]], %{{.*}} : i64
func.func @perhaps(%x: tensor<1x2x?x1xf32>, %o: tensor<1x2x?xf32>, %n: tensor<1x2x?xi64>, %a: tensor<1x2x?xi64>, %M: index, %N: index) -> (tensor<1x2x?xf32>, tensor<1x2x?xi64>, tensor<1x2x?xi64>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %r:3 = attn.stream rows (%b, %h, %i) in [%c1, %c2, %M] over %k = %N ins(%X = %x : tensor<1x2x?x1xf32>) outs(%o : tensor<1x2x?xf32>, %n : tensor<1x2x?xi64>, %a : tensor<1x2x?xi64>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %upper = arith.minsi %k, %one : index
    %s:3 = attn.sweep %j = %zero to %upper {
      %y = attn.at %X[%b, %h, %i, %j] : tensor<1x2x?x1xf32> -> f32
      %t = attn.carry max %y : (f32) -> f32
      %count = attn.carry count : () -> i64
      %best = attn.carry argmax %y : (f32) -> i64
      attn.yield %t, %count, %best : f32, i64, i64
    } : f32, i64, i64
    attn.store_row %s#0, %s#1, %s#2 : f32, i64, i64
  }
  return %r#0, %r#1, %r#2 : tensor<1x2x?xf32>, tensor<1x2x?xi64>, tensor<1x2x?xi64>
}

// -----

// Products stay in the microkernel; a key that may not be there is not read; and
// more than one key is a sweep.

// CHECK-LABEL: func @stays
// CHECK-COUNT-3: attn.sweep
func.func @stays(%q: tensor<1x2x?x8xf32>, %k: tensor<1x2x?x8xf32>, %x: tensor<1x2x?x?xf32>, %o: tensor<1x2x?xf32>, %M: index, %N: index) -> tensor<1x2x?xf32> {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c2, %M] over %n = %N ins(%Q = %q : tensor<1x2x?x8xf32>, %K = %k : tensor<1x2x?x8xf32>, %X = %x : tensor<1x2x?x?xf32>) outs(%o : tensor<1x2x?xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %two = arith.constant 2 : index
    %upper = arith.minsi %n, %one : index
    %s = attn.sweep %j = %zero to %one {
      %y = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32> -> f32
      %t = attn.carry sum %y : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %u = attn.sweep %j = %zero to %upper {
      %y = attn.at %X[%b, %h, %i, %j] : tensor<1x2x?x?xf32> -> f32
      %t = attn.carry sum %y : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %v = attn.sweep %j = %zero to %two {
      %y = attn.at %X[%b, %h, %i, %j] : tensor<1x2x?x?xf32> -> f32
      %t = attn.carry sum %y : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %su = arith.addf %s, %u : f32
    %suv = arith.addf %su, %v : f32
    attn.store_row %suv : f32
  }
  return %r : tensor<1x2x?xf32>
}
