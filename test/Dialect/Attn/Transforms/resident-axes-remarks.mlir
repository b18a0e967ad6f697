// Every stream over a short axis is explained where another one holds the axis:
// resident, or why not.
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --canonicalize --cse --attn-resident-axes --split-input-file --verify-diagnostics -o /dev/null

!few = !attn.scores<1x1x4x?xf32>
!turned = !attn.scores<1x1x?x4xf32>
!v = tensor<1x1x?x8xf32>

func.func @resident(%t: tensor<1x1x4x?xf32>, %v: !v) -> tensor<1x1x4x8xf32> {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  %c = attn.transpose %s : !few -> !turned
  // expected-remark @below {{an axis of 4 entries is resident: reductions over it are pointwise in the streams that read them}}
  %p = attn.softmax %c : !turned
  %w = attn.transpose %p : !turned -> !few
  %o = attn.aggregate %w, %v : !few, !v -> tensor<1x1x4x8xf32>
  return %o : tensor<1x1x4x8xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!column = tensor<1x1x?xf32>

// Column statistics that are results as well are stored, and read from there.
func.func @tensor(%t: tensor<1x1x4x?xf32>) -> (!column, tensor<1x1x4xf32>) {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  // expected-remark @below {{an axis of 4 entries is not resident: a result is needed as a tensor}}
  %m = attn.reduce max queries %s : (!few) -> !column
  %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : !column
    %z = arith.subf %x, %y : f32
    attn.yield %z : f32
  } : (!few) -> !few
  %r = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
  return %m, %r : !column, tensor<1x1x4xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!column = tensor<1x1x?xf32>

func.func @other_rows(%t: tensor<1x1x4x?xf32>, %u: tensor<1x1x5x?xf32>) -> (tensor<1x1x5xf32>, tensor<1x1x4xf32>) {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  // expected-remark @below {{an axis of 4 entries is not resident: a stream of other rows reads a result}}
  %m = attn.reduce max queries %s : (!few) -> !column
  %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : !column
    %z = arith.subf %x, %y : f32
    attn.yield %z : f32
  } : (!few) -> !few
  %r = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
  %s5 = attn.bias %u : tensor<1x1x5x?xf32> -> !attn.scores<1x1x5x?xf32>
  %d5 = attn.map %s5 (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : !column
    %z = arith.subf %x, %y : f32
    attn.yield %z : f32
  } : (!attn.scores<1x1x5x?xf32>) -> !attn.scores<1x1x5x?xf32>
  %r5 = attn.reduce sum keys %d5 : (!attn.scores<1x1x5x?xf32>) -> tensor<1x1x5xf32>
  return %r5, %r : tensor<1x1x5xf32>, tensor<1x1x4xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!column = tensor<1x1x?xf32>

func.func @listed(%t: tensor<1x1x4x?xf32>, %l: tensor<1x1x2x4xi32>) -> tensor<1x1x4xf32> {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  %f = attn.restrict %s, %l block(2, 16) : !few, tensor<1x1x2x4xi32>
  // expected-remark @below {{an axis of 4 entries is not resident: its entries are listed per block of rows}}
  %m = attn.reduce max queries %f : (!few) -> !column
  %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : !column
    attn.yield %y : f32
  } : (!few) -> !few
  %r = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!column = tensor<1x1x?xf32>

func.func @reader_listed(%t: tensor<1x1x4x?xf32>, %l: tensor<1x1x2x4xi32>) -> tensor<1x1x4xf32> {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  // expected-remark @below {{an axis of 4 entries is not resident: keys are listed per block of rows}}
  %m = attn.reduce max queries %s : (!few) -> !column
  %f = attn.restrict %s, %l block(2, 16) : !few, tensor<1x1x2x4xi32>
  %d = attn.map %f (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : !column
    attn.yield %y : f32
  } : (!few) -> !few
  %r = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

!s = !attn.scores<1x1x?x4xf32>

func.func @joined(%t: tensor<1x1x?x1xf32>, %u: tensor<1x1x?x3xf32>) -> tensor<1x1x4xf32> {
  %x = attn.bias %t : tensor<1x1x?x1xf32> -> !attn.scores<1x1x?x1xf32>
  %y = attn.bias %u : tensor<1x1x?x3xf32> -> !attn.scores<1x1x?x3xf32>
  %s = attn.concat %x, %y : (!attn.scores<1x1x?x1xf32>, !attn.scores<1x1x?x3xf32>) -> !s
  // expected-remark @below {{an axis of 4 entries is not resident: it is a concatenation, whose parts have kernels of their own}}
  %p = attn.softmax %s : !s
  %r = attn.reduce sum queries %p : (!s) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

!s = !attn.scores<1x1x?x4xf32>
!row = tensor<1x1x?xf32>

func.func @reader_joined(%t: tensor<1x1x?x1xf32>, %u: tensor<1x1x?x3xf32>, %w: tensor<1x1x?x4xf32>) -> tensor<1x1x4xf32> {
  %x = attn.bias %t : tensor<1x1x?x1xf32> -> !attn.scores<1x1x?x1xf32>
  %y = attn.bias %u : tensor<1x1x?x3xf32> -> !attn.scores<1x1x?x3xf32>
  %z = attn.bias %w : tensor<1x1x?x4xf32> -> !s
  // expected-remark @below {{an axis of 4 entries is not resident: it is a concatenation, whose parts have kernels of their own}}
  %m = attn.reduce max keys %z : (!s) -> !row
  %s = attn.concat %x, %y : (!attn.scores<1x1x?x1xf32>, !attn.scores<1x1x?x3xf32>) -> !s
  %d = attn.map %s (%e: f32) at (%b, %h, %i) {
    %f = tensor.extract %m[%b, %h, %i] : !row
    %g = arith.subf %e, %f : f32
    attn.yield %g : f32
  } : (!s) -> !s
  %r = attn.reduce sum queries %d : (!s) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!column = tensor<1x1x?xf32>

func.func @product(%t: tensor<1x1x4x5xf32>, %u: tensor<1x1x5x?xf32>) -> tensor<1x1x4xf32> {
  %a = attn.bias %t : tensor<1x1x4x5xf32> -> !attn.scores<1x1x4x5xf32>
  %c = attn.bias %u : tensor<1x1x5x?xf32> -> !attn.scores<1x1x5x?xf32>
  %s = attn.matmul %a, %c : !attn.scores<1x1x4x5xf32>, !attn.scores<1x1x5x?xf32> -> !few
  // expected-remark @below {{an axis of 4 entries is not resident: its entries are products of two matrices}}
  %m = attn.reduce max queries %s : (!few) -> !column
  %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : !column
    %z = arith.subf %x, %y : f32
    attn.yield %z : f32
  } : (!few) -> !few
  %r = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>

func.func @argmax(%t: tensor<1x1x4x?xf32>) -> tensor<1x1x4xf32> {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  // expected-remark @below {{an axis of 4 entries is not resident: it is reduced by 'argmax'}}
  %m = attn.reduce argmax queries %s : (!few) -> tensor<1x1x?xi64>
  %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : tensor<1x1x?xi64>
    %z = arith.sitofp %y : i64 to f32
    attn.yield %z : f32
  } : (!few) -> !few
  %r = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!column = tensor<1x1x?xf32>

func.func @monoid(%t: tensor<1x1x4x?xf32>) -> tensor<1x1x4xf32> {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  // expected-remark @below {{an axis of 4 entries is not resident: it is reduced by 'attn.fold'}}
  %m = attn.reduce custom queries %s identity [1.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%x: f32, %y: f32):
    %z = arith.mulf %x, %y : f32
    attn.yield %z : f32
  } : (!few) -> !column
  %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %y = tensor.extract %m[%b, %h, %j] : !column
    attn.yield %y : f32
  } : (!few) -> !few
  %r = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

func.func @integers(%t: tensor<1x1x4x?xi32>, %o: tensor<1x1x?xi32>, %p: tensor<1x1x4xi32>, %n: index) -> tensor<1x1x4xi32> {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // expected-remark @below {{an axis of 4 entries is not resident: its scores are integers}}
  %m = attn.stream cols (%b, %h, %j) in [%c1, %c1, %n] over %e = %c4 ins(%T = %t : tensor<1x1x4x?xi32>) outs(%o : tensor<1x1x?xi32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %i = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x4x?xi32> -> i32
      %c = attn.carry max %x : (i32) -> i32
      attn.yield %c : i32
    } : i32
    attn.store_row %s : i32
  }
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %e = %n ins(%T = %t : tensor<1x1x4x?xi32>, %M = %m : tensor<1x1x?xi32>) outs(%p : tensor<1x1x4xi32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %y = attn.at %M[%b, %h, %j] : tensor<1x1x?xi32> -> i32
      %c = attn.carry max %y : (i32) -> i32
      attn.yield %c : i32
    } : i32
    attn.store_row %s : i32
  }
  return %r : tensor<1x1x4xi32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!turned = !attn.scores<1x1x?x4xf32>
!v = tensor<1x1x?x8xf32>

func.func @inside(%t: tensor<1x1x4x?xf32>, %w: tensor<1x3x3xf32>, %v: !v) -> tensor<1x1x4x8xf32> {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  %c = attn.transpose %s : !few -> !turned
  // expected-remark @below {{an axis of 4 entries is not resident: a result is read inside of 'attn.stencil'}}
  %p = attn.softmax %c : !turned
  %r = attn.transpose %p : !turned -> !few
  %d = attn.convolve %r, %w origin [1, 1] : !few, tensor<1x3x3xf32>
  %o = attn.aggregate %d, %v : !few, !v -> tensor<1x1x4x8xf32>
  return %o : tensor<1x1x4x8xf32>
}

// -----

func.func @part(%t: tensor<1x1x4x?xf32>, %v: tensor<1x1x?x8xf32>, %o: tensor<1x1x?xf32>, %p: tensor<1x1x4xf32>, %n: index) -> tensor<1x1x4xf32> {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // expected-remark @below {{an axis of 4 entries is not resident: a sweep visits a part of the axis}}
  %m = attn.stream cols (%b, %h, %j) in [%c1, %c1, %n] over %e = %c4 ins(%T = %t : tensor<1x1x4x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %two = arith.constant 2 : index
    %s = attn.sweep %i = %z to %two {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x4x?xf32> -> f32
      %c = attn.carry max %x : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %e = %n ins(%V = %v : tensor<1x1x?x8xf32>, %M = %m : tensor<1x1x?xf32>) outs(%p : tensor<1x1x4xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %y = attn.at %M[%b, %h, %j] : tensor<1x1x?xf32> -> f32
      %c = attn.carry max %y : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return %r : tensor<1x1x4xf32>
}

// -----

func.func @features(%t: tensor<1x1x4x?xf32>, %v: tensor<1x1x?x8xf32>, %o: tensor<1x1x?xf32>, %p: tensor<1x1x4x8xf32>, %n: index) -> tensor<1x1x4x8xf32> {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // expected-remark @below {{an axis of 4 entries is not resident: 'vector.broadcast' depends on a result}}
  %m = attn.stream cols (%b, %h, %j) in [%c1, %c1, %n] over %e = %c4 ins(%T = %t : tensor<1x1x4x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %two = arith.constant 2 : index
    %s = attn.sweep %i = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x4x?xf32> -> f32
      %c = attn.carry max %x : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %e = %n ins(%V = %v : tensor<1x1x?x8xf32>, %M = %m : tensor<1x1x?xf32>) outs(%p : tensor<1x1x4x8xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %y = attn.at %M[%b, %h, %j] : tensor<1x1x?xf32> -> f32
      %x = attn.at %V[%b, %h, %j] : tensor<1x1x?x8xf32> -> vector<8xf32>
      %w = vector.broadcast %y : f32 to vector<8xf32>
      %u = arith.mulf %x, %w : vector<8xf32>
      %c = attn.carry outer %y, %u : (f32, vector<8xf32>) -> vector<8xf32>
      attn.yield %c : vector<8xf32>
    } : vector<8xf32>
    attn.store_row %s : vector<8xf32>
  }
  return %r : tensor<1x1x4x8xf32>
}

// -----

!few = !attn.scores<1x1x4x?xf32>
!column = tensor<1x1x?xf32>

// Computed once, not once per iteration.
func.func @loop(%t: tensor<1x1x4x?xf32>, %o: tensor<1x1x4xf32>, %times: index) -> tensor<1x1x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !few
  // expected-remark @below {{an axis of 4 entries is not resident: a loop or a branch reads a result}}
  %m = attn.reduce max queries %s : (!few) -> !column
  %r = scf.for %k = %c0 to %times step %c1 iter_args(%before = %o) -> tensor<1x1x4xf32> {
    %u = attn.bias %t : tensor<1x1x4x?xf32> -> !few
    %d = attn.map %u (%x: f32) at (%b, %h, %i, %j) {
      %y = tensor.extract %m[%b, %h, %j] : !column
      %z = arith.subf %x, %y : f32
      attn.yield %z : f32
    } : (!few) -> !few
    %now = attn.reduce sum keys %d : (!few) -> tensor<1x1x4xf32>
    scf.yield %now : tensor<1x1x4xf32>
  }
  return %r : tensor<1x1x4xf32>
}
