// Streams, naive and fused, run as scalar loops and compared with NumPy, with and
// without trust in what mask analysis would say. Entry (i, j) is present where
// j < i, so that the first row is empty.

// RUN: %python %S/Inputs/check_streams.py %s | FileCheck %s
// CHECK: 6 programs agree

!x = tensor<2x3x?x8xf32>
!y = tensor<2x3x?x8xf32>

// One sweep: maximum, sum and row move together.
func.func @softmax(%x: !x {attn.name = "x", attn.dims = ["2", "3", "M", "8"]},
    %y: !y {attn.name = "y", attn.dims = ["2", "3", "N", "8"]}) -> (tensor<2x3x?x8xf32>, tensor<2x3x?xf32>) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %M = tensor.dim %x, %c2 : !x
  %N = tensor.dim %y, %c2 : !y
  %o0 = tensor.empty(%M) : tensor<2x3x?x8xf32>
  %o1 = tensor.empty(%M) : tensor<2x3x?xf32>
  %r0, %r1 = attn.stream rows (%b, %h, %i) in [%c2, %c3, %M] over %n = %N
      ins(%X = %x : !x, %Y = %y : !y)
      outs(%o0 : tensor<2x3x?x8xf32>, %o1 : tensor<2x3x?xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %rate = arith.constant -1.0 : f32
    %m, %l, %acc = attn.sweep %j = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %p = arith.cmpi slt, %j, %i : index
      %g = attn.running max %s if %p : (f32, i1) -> f32
      %gs = attn.guard %g : f32
      %d = arith.subf %s, %gs : f32
      %e = math.exp2 %d : f32
      %v = attn.at %Y[%b, %h, %j] : !y -> vector<8xf32>
      %cl = attn.carry sum %e if %p act(%g by %rate) : (f32, i1, f32, f32) -> f32
      %ca = attn.carry outer %e, %v if %p act(%g by %rate) : (f32, vector<8xf32>, i1, f32, f32) -> vector<8xf32>
      attn.yield %g, %cl, %ca : f32, f32, vector<8xf32>
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi slt, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      attn.yield %zero, %i1 : index, index
    } : f32, f32, vector<8xf32>
    %f0 = arith.constant 0.0 : f32
    %f1 = arith.constant 1.0 : f32
    %some = arith.cmpf ogt, %l, %f0 : f32
    %inv = arith.divf %f1, %l : f32
    %factor = arith.select %some, %inv, %f0 : f32
    %row = vector.broadcast %factor : f32 to vector<8xf32>
    %o = arith.mulf %acc, %row : vector<8xf32>
    %log = math.log2 %l : f32
    %lse = arith.addf %log, %m : f32
    attn.store_row %o, %lse : vector<8xf32>, f32
  }
  return %r0, %r1 : tensor<2x3x?x8xf32>, tensor<2x3x?xf32>
}

// The same in three sweeps.
func.func @naive_softmax(%x: !x {attn.name = "x", attn.dims = ["2", "3", "M", "8"]},
    %y: !y {attn.name = "y", attn.dims = ["2", "3", "N", "8"]}) -> (tensor<2x3x?x8xf32>, tensor<2x3x?xf32>) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %M = tensor.dim %x, %c2 : !x
  %N = tensor.dim %y, %c2 : !y
  %o0 = tensor.empty(%M) : tensor<2x3x?x8xf32>
  %o1 = tensor.empty(%M) : tensor<2x3x?xf32>
  %r0, %r1 = attn.stream rows (%b, %h, %i) in [%c2, %c3, %M] over %n = %N
      ins(%X = %x : !x, %Y = %y : !y)
      outs(%o0 : tensor<2x3x?x8xf32>, %o1 : tensor<2x3x?xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %m = attn.sweep %j = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %p = arith.cmpi slt, %j, %i : index
      %c = attn.carry max %s if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi slt, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      attn.yield %zero, %i1 : index, index
    } : f32
    %gs = attn.guard %m : f32
    %l = attn.sweep %j = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %p = arith.cmpi slt, %j, %i : index
      %d = arith.subf %s, %gs : f32
      %e = math.exp2 %d : f32
      %c = attn.carry sum %e if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi slt, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      attn.yield %zero, %i1 : index, index
    } : f32
    %o = attn.sweep %j = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %p = arith.cmpi slt, %j, %i : index
      %d = arith.subf %s, %gs : f32
      %e = math.exp2 %d : f32
      %w = arith.divf %e, %l : f32
      %v = attn.at %Y[%b, %h, %j] : !y -> vector<8xf32>
      %c = attn.carry outer %w, %v if %p : (f32, vector<8xf32>, i1) -> vector<8xf32>
      attn.yield %c : vector<8xf32>
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi slt, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      attn.yield %zero, %i1 : index, index
    } : vector<8xf32>
    %log = math.log2 %l : f32
    %lse = arith.addf %log, %m : f32
    attn.store_row %o, %lse : vector<8xf32>, f32
  }
  return %r0, %r1 : tensor<2x3x?x8xf32>, tensor<2x3x?xf32>
}

// Every kind of carry.
func.func @kinds(%x: !x {attn.name = "x", attn.dims = ["2", "3", "M", "8"]},
    %y: !y {attn.name = "y", attn.dims = ["2", "3", "N", "8"]}) -> (tensor<2x3x?xf32>, tensor<2x3x?xf32>, tensor<2x3x?xf32>, tensor<2x3x?xf32>, tensor<2x3x?xi64>, tensor<2x3x?xi64>, tensor<2x3x?xi64>, tensor<2x3x?xi1>) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %M = tensor.dim %x, %c2 : !x
  %N = tensor.dim %y, %c2 : !y
  %o0 = tensor.empty(%M) : tensor<2x3x?xf32>
  %o1 = tensor.empty(%M) : tensor<2x3x?xf32>
  %o2 = tensor.empty(%M) : tensor<2x3x?xf32>
  %o3 = tensor.empty(%M) : tensor<2x3x?xf32>
  %o4 = tensor.empty(%M) : tensor<2x3x?xi64>
  %o5 = tensor.empty(%M) : tensor<2x3x?xi64>
  %o6 = tensor.empty(%M) : tensor<2x3x?xi64>
  %o7 = tensor.empty(%M) : tensor<2x3x?xi1>
  %r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7 = attn.stream rows (%b, %h, %i) in [%c2, %c3, %M] over %n = %N
      ins(%X = %x : !x, %Y = %y : !y)
      outs(%o0 : tensor<2x3x?xf32>, %o1 : tensor<2x3x?xf32>, %o2 : tensor<2x3x?xf32>, %o3 : tensor<2x3x?xf32>, %o4 : tensor<2x3x?xi64>, %o5 : tensor<2x3x?xi64>, %o6 : tensor<2x3x?xi64>, %o7 : tensor<2x3x?xi1>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %k:8 = attn.sweep %j = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %p = arith.cmpi slt, %j, %i : index
      %v0 = attn.carry sum %s if %p : (f32, i1) -> f32
      %v1 = attn.carry max %s if %p : (f32, i1) -> f32
      %v2 = attn.carry min %s if %p : (f32, i1) -> f32
      %v3 = attn.carry mean %s if %p : (f32, i1) -> f32
      %v4 = attn.carry count if %p : (i1) -> i64
      %v5 = attn.carry argmax %s if %p : (f32, i1) -> i64
      %v6 = attn.carry argmin %s if %p : (f32, i1) -> i64
      %v7 = attn.carry any if %p : (i1) -> i1
      attn.yield %v0, %v1, %v2, %v3, %v4, %v5, %v6, %v7 : f32, f32, f32, f32, i64, i64, i64, i1
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi slt, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      attn.yield %zero, %i1 : index, index
    } : f32, f32, f32, f32, i64, i64, i64, i1
    attn.store_row %k#0, %k#1, %k#2, %k#3, %k#4, %k#5, %k#6, %k#7 : f32, f32, f32, f32, i64, i64, i64, i1
  }
  return %r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7 : tensor<2x3x?xf32>, tensor<2x3x?xf32>, tensor<2x3x?xf32>, tensor<2x3x?xf32>, tensor<2x3x?xi64>, tensor<2x3x?xi64>, tensor<2x3x?xi64>, tensor<2x3x?xi1>
}

// Central moments around the running mean: carries that are polynomials of degree
// 2 and 3 in its movement.
func.func @variance(%x: !x {attn.name = "x", attn.dims = ["2", "3", "M", "8"]},
    %y: !y {attn.name = "y", attn.dims = ["2", "3", "N", "8"]}) -> (tensor<2x3x?xf32>, tensor<2x3x?xf32>) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %M = tensor.dim %x, %c2 : !x
  %N = tensor.dim %y, %c2 : !y
  %o0 = tensor.empty(%M) : tensor<2x3x?xf32>
  %o1 = tensor.empty(%M) : tensor<2x3x?xf32>
  %r0, %r1 = attn.stream rows (%b, %h, %i) in [%c2, %c3, %M] over %n = %N
      ins(%X = %x : !x, %Y = %y : !y)
      outs(%o0 : tensor<2x3x?xf32>, %o1 : tensor<2x3x?xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %f1 = arith.constant 1.0 : f32
    %two = arith.constant 2.0 : f32
    %six = arith.constant 6.0 : f32
    %minus6 = arith.constant -6.0 : f32
    %minus2 = arith.constant -2.0 : f32
    %minus3 = arith.constant -3.0 : f32
    %three = arith.constant 3.0 : f32
    %minus1 = arith.constant -1.0 : f32
    %q:2 = attn.sweep %j = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %g = attn.running mean %s : (f32) -> f32
      %d = arith.subf %s, %g : f32
      %dd = arith.mulf %d, %d : f32
      %ddd = arith.mulf %dd, %d : f32
      %d1 = arith.mulf %d, %minus2 : f32
      %t1 = arith.mulf %dd, %minus3 : f32
      %t2 = arith.mulf %d, %three : f32
      %t6 = arith.mulf %d, %six : f32
      %a2 = attn.carry sum %f1 : (f32) -> f32
      %a3 = attn.carry sum %two : (f32) -> f32
      %a1 = attn.carry sum %d1 poly(%g : %a3) : (f32, f32, f32) -> f32
      %a0 = attn.carry sum %dd poly(%g : %a1, %a2) : (f32, f32, f32, f32) -> f32
      %b3 = attn.carry sum %minus1 : (f32) -> f32
      %b4 = attn.carry sum %minus3 : (f32) -> f32
      %b2 = attn.carry sum %t2 poly(%g : %b4) : (f32, f32, f32) -> f32
      %b5 = attn.carry sum %minus6 : (f32) -> f32
      %b6 = attn.carry sum %t6 poly(%g : %b5) : (f32, f32, f32) -> f32
      %b1 = attn.carry sum %t1 poly(%g : %b6, %b4) : (f32, f32, f32, f32) -> f32
      %b0 = attn.carry sum %ddd poly(%g : %b1, %b2, %b3) : (f32, f32, f32, f32, f32) -> f32
      attn.yield %a0, %b0 : f32, f32
    } : f32, f32
    attn.store_row %q#0, %q#1 : f32, f32
  }
  return %r0, %r1 : tensor<2x3x?xf32>, tensor<2x3x?xf32>
}

// A carry that is scaled and shifted when the maximum moves.
func.func @entropy(%x: !x {attn.name = "x", attn.dims = ["2", "3", "M", "8"]},
    %y: !y {attn.name = "y", attn.dims = ["2", "3", "N", "8"]}) -> (tensor<2x3x?xf32>, tensor<2x3x?xf32>) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %M = tensor.dim %x, %c2 : !x
  %N = tensor.dim %y, %c2 : !y
  %o0 = tensor.empty(%M) : tensor<2x3x?xf32>
  %o1 = tensor.empty(%M) : tensor<2x3x?xf32>
  %r0, %r1 = attn.stream rows (%b, %h, %i) in [%c2, %c3, %M] over %n = %N
      ins(%X = %x : !x, %Y = %y : !y)
      outs(%o0 : tensor<2x3x?xf32>, %o1 : tensor<2x3x?xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %rate = arith.constant -1.0 : f32
    %minus1 = arith.constant -1.0 : f32
    %q:2 = attn.sweep %j = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %p = arith.cmpi slt, %j, %i : index
      %g = attn.running max %s if %p : (f32, i1) -> f32
      %gs = attn.guard %g : f32
      %d = arith.subf %s, %gs : f32
      %e = math.exp2 %d : f32
      %ed = arith.mulf %e, %d : f32
      %em = arith.mulf %e, %minus1 : f32
      %l = attn.carry sum %e if %p act(%g by %rate) : (f32, i1, f32, f32) -> f32
      %c1 = attn.carry sum %em if %p act(%g by %rate) : (f32, i1, f32, f32) -> f32
      %c0 = attn.carry sum %ed if %p act(%g by %rate) poly(%g : %c1) : (f32, i1, f32, f32, f32, f32) -> f32
      attn.yield %c0, %l : f32, f32
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi slt, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      attn.yield %zero, %i1 : index, index
    } : f32, f32
    attn.store_row %q#0, %q#1 : f32, f32
  }
  return %r0, %r1 : tensor<2x3x?xf32>, tensor<2x3x?xf32>
}

// Keys stay, queries stream past.
func.func @column_sums(%x: !x {attn.name = "x", attn.dims = ["2", "3", "M", "8"]},
    %y: !y {attn.name = "y", attn.dims = ["2", "3", "N", "8"]}) -> (tensor<2x3x?xf32>) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %M = tensor.dim %x, %c2 : !x
  %N = tensor.dim %y, %c2 : !y
  %o0 = tensor.empty(%N) : tensor<2x3x?xf32>
  %r0 = attn.stream cols (%b, %h, %j) in [%c2, %c3, %N] over %n = %M
      ins(%X = %x : !x, %Y = %y : !y)
      outs(%o0 : tensor<2x3x?xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %q = attn.sweep %i = %zero to %n {
      %s = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : !x, !y -> f32
      %p = arith.cmpi slt, %j, %i : index
      %c = attn.carry sum %s if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } tiles (%j0, %j1, %i0, %i1) {
      %may = arith.cmpi slt, %j0, %i1 : index
      %all = arith.cmpi slt, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%j0, %j1) {
      attn.yield %j0, %n : index, index
    } : f32
    attn.store_row %q : f32
  }
  return %r0 : tensor<2x3x?xf32>
}
