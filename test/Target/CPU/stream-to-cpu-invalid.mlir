// RUN: attn-opt %s --attn-stream-to-cpu -split-input-file -verify-diagnostics

func.func @tensors(%x: tensor<1x1x?x8xf32>, %out: tensor<1x1x?xf32>, %n: index) -> tensor<1x1x?xf32> {
  %c1 = arith.constant 1 : index
  // expected-error @below {{a stream has memref operands here, got 'tensor<1x1x?x8xf32>'; run attn-bufferize-streams first}}
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : tensor<1x1x?x8xf32>) outs(%out : tensor<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return %r : tensor<1x1x?xf32>
}

// -----

func.func @range(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    // expected-error @below {{the range of a sweep must not depend on the row of its stream; give it in the sweep's bounds}}
    %s = attn.sweep %j = %z to %i {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @row_of_outer(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?x8xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?x8xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %m = attn.running mean %d : (f32) -> f32
      %r = vector.broadcast %m : f32 to vector<8xf32>
      // expected-error @below {{the row of an outer carry must not depend on a gauge of its sweep}}
      %c = attn.carry outer %d, %r : (f32, vector<8xf32>) -> vector<8xf32>
      attn.yield %c : vector<8xf32>
    } : vector<8xf32>
    attn.store_row %s : vector<8xf32>
  }
  return
}

// -----

func.func @inner_sweep(%x: memref<1x1x?x?xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x?xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      // expected-error @below {{the CPU target runs a sweep inside of an entry as one sum of products only}}
      %t = attn.sweep %k = %z to %e {
        %a = attn.at %X[%b, %h, %i, %k] : memref<1x1x?x?xf32> -> f32
        %m = attn.carry max %a : (f32) -> f32
        attn.yield %m : f32
      } : f32
      %c = attn.carry sum %t : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @inner_factor(%x: memref<1x1x?x?xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x?xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      // expected-error @below {{a factor of attn.matmul depends on the row and the key of the product at once}}
      %t = attn.sweep %k = %z to %e {
        %a = attn.at %X[%b, %h, %i, %k] : memref<1x1x?x?xf32> -> f32
        %d = attn.at %X[%b, %h, %k, %j] : memref<1x1x?x?xf32> -> f32
        %q = arith.divf %a, %d : f32
        %m = attn.carry sum %q : (f32) -> f32
        attn.yield %m : f32
      } : f32
      %c = attn.carry sum %t : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @effects(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      // expected-error @below {{the CPU target cannot evaluate 'memref.load' here}}
      %d = memref.load %X[%b, %h, %j, %z] : memref<1x1x?x8xf32>
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @stencil_centre(%x: memref<1x1x?x8xf32>, %w: memref<1x1x3xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %W = %w : memref<1x1x3xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %one = arith.constant 1 : index
    %s = attn.sweep %j = %z to %e {
      %next = arith.addi %j, %one : index
      // expected-error @below {{the centre of a stencil must be the row and the key of its entry}}
      %r = attn.stencil [%i, %next] in [%e, %e] taps %W[%z] origin [0, 1] {
      ^bb0(%i2: index, %j2: index):
        %d = attn.dot %X[%b, %h, %i2], %X[%b, %h, %j2] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
        %p = arith.constant true
        attn.yield %d, %p : f32, i1
      } : memref<1x1x3xf32> -> f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @stencil_region(%x: memref<1x1x?x8xf32>, %w: memref<1x1x3xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %W = %w : memref<1x1x3xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      // expected-error @below {{the region of a stencil must not depend on its centre}}
      %r = attn.stencil [%i, %j] in [%e, %e] taps %W[%z] origin [0, 1] {
      ^bb0(%i2: index, %j2: index):
        %d = attn.dot %X[%b, %h, %i2], %X[%b, %h, %j2] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
        %p = arith.cmpi sle, %j, %i2 : index
        attn.yield %d, %p : f32, i1
      } : memref<1x1x3xf32> -> f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @mix_of_running(%x: memref<1x1x?x8xf32>, %w: memref<1x1xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %W = %w : memref<1x1xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %m = attn.running max %d : (f32) -> f32
      // expected-error @below {{the region of a collective must not depend on a running value of its sweep}}
      %r, %any = attn.mix weights %W[%h] {
      ^bb0(%h2: index):
        %f = arith.subf %d, %m : f32
        %p = arith.constant true
        attn.yield %f, %p : f32, i1
      } : memref<1x1xf32> -> f32
      %c = attn.running max %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @dynamic_heads(%x: memref<1x?x?x8xf32>, %w: memref<2x2xf32>, %out: memref<1x?x?xf32>, %n: index, %heads: index) {
  %c1 = arith.constant 1 : index
  // expected-error @below {{a stream that mixes heads must have a constant number of them}}
  attn.stream rows (%b, %h, %i) in [%c1, %heads, %n] over %e = %n ins(%X = %x : memref<1x?x?x8xf32>, %W = %w : memref<2x2xf32>) outs(%out : memref<1x?x?xf32>) {
    %z = arith.constant 0 : index
    %p = arith.constant true
    %s = attn.sweep %j = %z to %e {
      %r, %any = attn.mix weights %W[%h] {
      ^bb0(%h2: index):
        %d = attn.dot %X[%b, %h2, %i], %X[%b, %h2, %j] : memref<1x?x?x8xf32>, memref<1x?x?x8xf32> -> f32
        attn.yield %d, %p : f32, i1
      } : memref<2x2xf32> -> f32
      %c = attn.carry max %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @joined_dynamic(%x: memref<1x1x?x?xf32>, %out: memref<1x1x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %e = %n ins(%X = %x : memref<1x1x?x?xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.at %X[%b, %h, %i, %j] : memref<1x1x?x?xf32> -> f32
      // expected-error @below {{a stream that joins its rows has a constant number of them, at most 48 on this target}}
      %r = attn.across max %d over 7 : f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @joined_lists(%x: memref<1x1x7x?xf32>, %l: memref<1x1x4x4xi32>, %out: memref<1x1x7xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c7] over %e = %n ins(%X = %x : memref<1x1x7x?xf32>, %L = %l : memref<1x1x4x4xi32>) outs(%out : memref<1x1x7xf32>) {
    %z = arith.constant 0 : index
    %two = arith.constant 2 : index
    %row = arith.divui %i, %two : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.at %X[%b, %h, %i, %j] : memref<1x1x7x?xf32> -> f32
      %p = attn.listed %L[%b, %h, %row] block(2, 16) contains %j : memref<1x1x4x4xi32>
      // expected-error @below {{a stream that joins its rows cannot follow lists per block of rows}}
      %r = attn.across max %d if %p over 7 : f32
      %c = attn.carry sum %r if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @rows_of_bins(%out: memref<1x1x?x8xi64>, %other: memref<1x1x?x8xi64>, %n: index, %m: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%N = %n : index, %M = %m : index) outs(%out : memref<1x1x?x8xi64>, %other : memref<1x1x?x8xi64>) {
    %z = arith.constant 0 : index
    %s, %t = attn.sweep %j = %z to %e {
      %x = attn.bins count in %j rows %N : (index, index) -> !attn.tally<i64>
      // expected-error @below {{the bins of a stream must be shared by the same blocks of rows}}
      %y = attn.bins count in %j rows %M : (index, index) -> !attn.tally<i64>
      attn.yield %x, %y : !attn.tally<i64>, !attn.tally<i64>
    } : !attn.tally<i64>, !attn.tally<i64>
    attn.store_row %s, %t : !attn.tally<i64>, !attn.tally<i64>
  }
  return
}

// -----

func.func @rows_of_row(%out: memref<1x1x?x8xi64>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins() outs(%out : memref<1x1x?x8xi64>) {
    %z = arith.constant 0 : index
    %r = arith.addi %i, %e : index
    %s = attn.sweep %j = %z to %e {
      // expected-error @below {{the rows that share bins must be as many as a constant or an input of the stream says}}
      %x = attn.bins count in %j rows %r : (index, index) -> !attn.tally<i64>
      attn.yield %x : !attn.tally<i64>
    } : !attn.tally<i64>
    attn.store_row %s : !attn.tally<i64>
  }
  return
}
