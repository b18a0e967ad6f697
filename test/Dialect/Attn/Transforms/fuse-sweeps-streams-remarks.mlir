// What keeps sweeps apart that programs come with, or that no reduction of the
// algebra makes.
// RUN: attn-opt %s --attn-fuse-sweeps -o /dev/null 2>&1 | FileCheck %s

!row = tensor<1x1x?xf32>
!rows = tensor<1x1x?x8xf32>

// CHECK: remark: sweep (sum) stays on its own: it runs over other keys than the earlier sweep
func.func @other_keys(%x: !row, %e: !row, %M: index, %N: index) -> !row {
  %c1 = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %M] over %n = %N ins(%X = %x : !row) outs(%e : !row) {
    %z = arith.constant 0 : index
    %one = arith.constant 1 : index
    %m = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %t = attn.carry max %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %l = attn.sweep %j = %one to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %d = arith.subf %s, %m : f32
      %p = math.exp2 %d : f32
      %t = attn.carry sum %p : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : !row
}

// CHECK: remark: sweep (sum) stays on its own: it follows running values of its own
func.func @own_maximum(%x: !row, %e: !row, %M: index, %N: index) -> !row {
  %c1 = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %M] over %n = %N ins(%X = %x : !row) outs(%e : !row) {
    %z = arith.constant 0 : index
    %minus1 = arith.constant -1.0 : f32
    %k = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %t = attn.carry max %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %l = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %m = attn.running max %s : (f32) -> f32
      %g = attn.guard %m : f32
      %d = arith.subf %s, %g : f32
      %p = math.exp2 %d : f32
      %t = attn.carry sum %p act(%m by %minus1) : (f32, f32, f32) -> f32
      attn.yield %t : f32
    } : f32
    %o = arith.addf %k, %l : f32
    attn.store_row %o : f32
  }
  return %r : !row
}

// CHECK: remark: sweep (sum) stays on its own: a running value of something that moves with another
func.func @maximum_of_shifted(%x: !row, %e: !row, %M: index, %N: index) -> !row {
  %c1 = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %M] over %n = %N ins(%X = %x : !row) outs(%e : !row) {
    %z = arith.constant 0 : index
    %k = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %m = attn.running mean %s : (f32) -> f32
      %d = arith.subf %s, %m : f32
      %t = attn.running max %d : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %l = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %d = arith.subf %s, %k : f32
      %p = math.exp2 %d : f32
      %t = attn.carry sum %p : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : !row
}

// CHECK: remark: sweep (outer) stays on its own: an outer product with a row that moves
func.func @row_that_moves(%x: !row, %e: !rows, %M: index, %N: index) -> !rows {
  %c1 = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %M] over %n = %N ins(%X = %x : !row) outs(%e : !rows) {
    %z = arith.constant 0 : index
    %k = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %t = attn.carry max %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %l = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : !row -> f32
      %d = arith.subf %s, %k : f32
      %v = vector.broadcast %d : f32 to vector<8xf32>
      %t = attn.carry outer %s, %v : (f32, vector<8xf32>) -> vector<8xf32>
      attn.yield %t : vector<8xf32>
    } : vector<8xf32>
    attn.store_row %l : vector<8xf32>
  }
  return %r : !rows
}
