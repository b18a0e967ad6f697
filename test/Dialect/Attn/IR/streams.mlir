// RUN: attn-opt %s --verify-roundtrip | attn-opt | FileCheck %s

// The plan level: one causal attention kernel with all parts of a sweep, and
// every kind of carry.

// CHECK-LABEL: func.func @fused
// CHECK-SAME: (%[[Q:.*]]: tensor<2x8x5x64xf32>, %[[K:.*]]: tensor<2x2x7x64xf32>, %[[V:.*]]: tensor<2x2x7x64xf32>, %[[O:.*]]: tensor<2x8x5x64xf32>, %[[L:.*]]: tensor<2x8x5xf32>
func.func @fused(%q: tensor<2x8x5x64xf32>, %k: tensor<2x2x7x64xf32>, %v: tensor<2x2x7x64xf32>,
                 %o: tensor<2x8x5x64xf32>, %l: tensor<2x8x5xf32>,
                 %B: index, %H: index, %M: index, %N: index) -> (tensor<2x8x5x64xf32>, tensor<2x8x5xf32>) {
  // CHECK: %[[R:.*]]:2 = attn.stream rows (%[[b:.*]], %[[h:.*]], %[[i:.*]]) in [%{{.*}}, %{{.*}}, %{{.*}}] over %[[n:.*]] = %{{.*}} ins(%[[QQ:.*]] = %[[Q]] : tensor<2x8x5x64xf32>, %{{.*}} = %[[K]] : tensor<2x2x7x64xf32>, %[[VV:.*]] = %[[V]] : tensor<2x2x7x64xf32>) outs(%[[O]] : tensor<2x8x5x64xf32>, %[[L]] : tensor<2x8x5xf32>) {
  %r:2 = attn.stream rows (%b, %h, %i) in [%B, %H, %M] over %n = %N
      ins(%Q = %q : tensor<2x8x5x64xf32>, %K = %k : tensor<2x2x7x64xf32>, %V = %v : tensor<2x2x7x64xf32>)
      outs(%o : tensor<2x8x5x64xf32>, %l : tensor<2x8x5xf32>) {
    %zero = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %init = arith.constant 0.0 : f32
    %minus = arith.constant -1.0 : f32
    %g = arith.divui %h, %c4 : index
    // CHECK: %[[S:.*]]:3 = attn.sweep %[[j:.*]] = %{{.*}} to %[[n]] {
    %s:3 = attn.sweep %j = %zero to %n {
      // CHECK: %[[x:.*]] = attn.dot %[[QQ]][%[[b]], %[[h]], %[[i]]], %{{.*}}[%[[b]], %[[g:.*]], %[[j]]] : tensor<2x8x5x64xf32>, tensor<2x2x7x64xf32> -> f32
      %x = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : tensor<2x8x5x64xf32>, tensor<2x2x7x64xf32> -> f32
      // CHECK: %[[p:.*]] = arith.cmpi sle, %[[j]], %[[i]]
      %p = arith.cmpi sle, %j, %i : index
      // CHECK: %[[m:.*]] = attn.running max %[[x]] if %[[p]] init %{{.*}} : (f32, i1, f32) -> f32
      %m = attn.running max %x if %p init %init : (f32, i1, f32) -> f32
      %y = arith.subf %x, %m : f32
      %e = math.exp2 %y : f32
      // CHECK: attn.at %[[VV]][%[[b]], %[[g]], %[[j]]] : tensor<2x2x7x64xf32> -> vector<64xf32>
      %row = attn.at %V[%b, %g, %j] : tensor<2x2x7x64xf32> -> vector<64xf32>
      // CHECK: %[[c0:.*]] = attn.carry sum %[[e:.*]] if %[[p]] act(%[[m]] by %[[a:.*]]) : (f32, i1, f32, f32) -> f32
      %c0 = attn.carry sum %e if %p act(%m by %minus) : (f32, i1, f32, f32) -> f32
      // CHECK: %[[c1:.*]] = attn.carry outer %[[e]], %{{.*}} if %[[p]] act(%[[m]] by %[[a]]) operand_type(bf16) : (f32, vector<64xf32>, i1, f32, f32) -> vector<64xf32>
      %c1 = attn.carry outer %e, %row if %p act(%m by %minus) operand_type(bf16) : (f32, vector<64xf32>, i1, f32, f32) -> vector<64xf32>
      // CHECK: attn.yield %[[m]], %[[c0]], %[[c1]] : f32, f32, vector<64xf32>
      attn.yield %m, %c0, %c1 : f32, f32, vector<64xf32>
    // CHECK: } tiles (%[[i0:.*]], %[[i1:.*]], %[[j0:.*]], %[[j1:.*]]) {
    } tiles (%i0, %i1, %j0, %j1) {
      // CHECK: arith.cmpi sle, %[[j0]], %[[i1]]
      %may = arith.cmpi sle, %j0, %i1 : index
      // CHECK: arith.cmpi sle, %[[j1]], %[[i0]]
      %all = arith.cmpi sle, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    // CHECK: } bounds (%{{.*}}, %[[last:.*]]) {
    } bounds (%i0, %i1) {
      %one = arith.constant 1 : index
      // CHECK: arith.addi %[[last]],
      %hi = arith.addi %i1, %one : index
      attn.yield %zero, %hi : index, index
    // CHECK: } : f32, f32, vector<64xf32>
    } : f32, f32, vector<64xf32>
    // CHECK: attn.store_row %[[S]]#2, %[[S]]#1 : vector<64xf32>, f32
    attn.store_row %s#2, %s#1 : vector<64xf32>, f32
  }
  // CHECK: return %[[R]]#0, %[[R]]#1
  return %r#0, %r#1 : tensor<2x8x5x64xf32>, tensor<2x8x5xf32>
}

// Memref operands: no results. All kinds of carries; polynomial actions with
// companions; a fold.
// CHECK-LABEL: func.func @carries
func.func @carries(%q: memref<1x1x?x8xf32, strided<[?, ?, ?, 1], offset: ?>>, %t: memref<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  // CHECK: attn.stream cols (%{{.*}}, %{{.*}}, %{{.*}}) in
  // CHECK-NOT: ->
  attn.stream cols (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : memref<1x1x?x8xf32, strided<[?, ?, ?, 1], offset: ?>>, %S = %seg : tensor<1x?xi32>)
      outs(%t : memref<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    // CHECK: attn.range %{{.*}}[%{{.*}}] from %{{.*}} to %{{.*}} : tensor<1x?xi32> -> i32
    %lo, %hi = attn.range %S[%b] from %zero to %i : tensor<1x?xi32> -> i32
    // CHECK: attn.sweep
    %r = attn.sweep %j = %zero to %m {
      // CHECK: attn.dot_with min %{{.*}}[%{{.*}}], %{{.*}}[%{{.*}}] {
      // CHECK: } : memref
      %x = attn.dot_with min %Q[%b, %h, %i], %Q[%b, %h, %j] {
      ^bb0(%u: f32, %w: f32, %d: index):
        %z = arith.maximumf %u, %w : f32
        attn.yield %z : f32
      } : memref<1x1x?x8xf32, strided<[?, ?, ?, 1], offset: ?>>, memref<1x1x?x8xf32, strided<[?, ?, ?, 1], offset: ?>> -> f32
      // CHECK: %[[MEAN:.*]] = attn.running mean %[[X:.*]] : (f32) -> f32
      %mean = attn.running mean %x : (f32) -> f32
      %c = arith.subf %x, %mean : f32
      %cc = arith.mulf %c, %c : f32
      // CHECK: attn.carry max %[[X]] : (f32) -> f32
      %max = attn.carry max %x : (f32) -> f32
      // CHECK: attn.carry min %[[X]]
      %min = attn.carry min %x : (f32) -> f32
      // CHECK: attn.carry mean %[[X]]
      %avg = attn.carry mean %x : (f32) -> f32
      // CHECK: attn.carry argmax %[[X]] : (f32) -> i64
      %amax = attn.carry argmax %x : (f32) -> i64
      // CHECK: attn.carry argmin %[[X]] : (f32) -> i64
      %amin = attn.carry argmin %x : (f32) -> i64
      // CHECK: attn.carry count : () -> i64
      %count = attn.carry count : () -> i64
      %pos = arith.cmpf ogt, %x, %c : f32
      // CHECK: attn.carry any if %{{.*}} : (i1) -> i1
      %any = attn.carry any if %pos : (i1) -> i1
      %unit = arith.constant 1.0 : f32
      // CHECK: %[[N0:.*]] = attn.carry sum
      %n0 = attn.carry sum %unit : (f32) -> f32
      // CHECK: %[[N1:.*]] = attn.carry sum %{{.*}} poly(%[[MEAN]] : %[[N0]]) : (f32, f32, f32) -> f32
      %n1 = attn.carry sum %c poly(%mean : %n0) : (f32, f32, f32) -> f32
      // CHECK: %[[N2:.*]] = attn.carry sum %{{.*}} poly(%[[MEAN]] : %[[N1]], %[[N0]]) : (f32, f32, f32, f32) -> f32
      %n2 = attn.carry sum %cc poly(%mean : %n1, %n0) : (f32, f32, f32, f32) -> f32
      // CHECK: attn.fold [1.000000e+00] %[[X]] if %{{.*}} {
      %fold = attn.fold [1.0] %x if %pos {
      ^bb0(%u: f32, %w: f32):
        %z = arith.mulf %u, %w : f32
        attn.yield %z : f32
      } : (f32, i1) -> f32
      attn.yield %n2 : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}
