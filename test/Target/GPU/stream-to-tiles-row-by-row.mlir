// What has no tiles yet runs with a thread for each row, and says why.
// RUN: attn-opt %s --attn-stream-to-tiles --split-input-file --verify-diagnostics -o /dev/null

func.func @tensors(%x: tensor<1x1x?x8xf32>, %out: tensor<1x1x?xf32>, %n: index) -> tensor<1x1x?xf32> {
  %c1 = arith.constant 1 : index
  // expected-error @below {{works on tensors; attn-bufferize-streams gives it memrefs}}
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

func.func @features(%x: memref<1x1x?x1024xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  // expected-warning @below {{has rows of 1024 features; GPU kernels keep up to 512 in registers; a thread computes each row instead}}
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x1024xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x1024xf32>, memref<1x1x?x1024xf32> -> f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @range(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    // expected-warning @below {{visits other keys in every row, which has no form in tiles yet}}
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

func.func @constant(%x: memref<1x1x?x2xf32>, %out: memref<1x1x?x2xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x2xf32>) outs(%out : memref<1x1x?x2xf32>) {
    // expected-warning @below {{has different features, which GPU kernels have no registers for}}
    %v = arith.constant dense<[1.0, 2.0]> : vector<2xf32>
    %r = attn.at %X[%b, %h, %i] : memref<1x1x?x2xf32> -> vector<2xf32>
    %s = arith.addf %r, %v : vector<2xf32>
    attn.store_row %s : vector<2xf32>
  }
  return
}

// -----

func.func @region_over_features(%x: memref<1x1x?x8xf32>, %y: memref<?xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %Y = %y : memref<?xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %p = attn.at %Y[%j] : memref<?xf32> -> f32
      %d = attn.dot_with sum %X[%b, %h, %i], %X[%b, %h, %j] {
      ^bb0(%q: f32, %k: f32, %f: index):
        // expected-warning @below {{in a region over features reads what differs between rows or keys, which has no form in tiles yet}}
        %t = arith.addf %q, %p : f32
        attn.yield %t : f32
      } : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @rows_joined(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?xf32>) {
    // expected-warning @below {{'attn.dot' op has no form in tiles yet}}
    %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %i] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
    attn.store_row %d : f32
  }
  return
}

// -----

func.func @fold(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      // expected-warning @below {{'attn.fold' op has no form in tiles yet}}
      %c = attn.fold [0.0] %d {
      ^bb0(%a: f32, %y: f32):
        %t = arith.addf %a, %y : f32
        attn.yield %t : f32
      } : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @stored_shuffle(%x: memref<1x1x?x2xf32>, %out: memref<1x1x?x2xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x2xf32>) outs(%out : memref<1x1x?x2xf32>) {
    %r = attn.at %X[%b, %h, %i] : memref<1x1x?x2xf32> -> vector<2xf32>
    // expected-note @below {{it is computed here}}
    %s = vector.shuffle %r, %r [1, 0] : vector<2xf32>, vector<2xf32>
    // expected-warning @below {{reads what has no form in tiles yet}}
    attn.store_row %s : vector<2xf32>
  }
  return
}

// -----

func.func @computed_row(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %one = arith.constant 1.0 : f32
    %q = attn.at %X[%b, %h, %i] : memref<1x1x?x8xf32> -> vector<8xf32>
    %s = attn.sweep %j = %z to %e {
      %r = attn.at %X[%b, %h, %j] : memref<1x1x?x8xf32> -> vector<8xf32>
      %k = vector.insert %one, %r [3] : f32 into vector<8xf32>
      // expected-warning @below {{multiplies a row that is computed in a way which has no form in tiles yet}}
      %d = attn.inner %q, %k : vector<8xf32>, vector<8xf32> -> f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @own_keys(%x: memref<1x1x?x8xf32>, %y: memref<1x?x?x8xf32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %Y = %y : memref<1x?x?x8xf32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      // expected-warning @below {{multiplies rows of which one depends on rows and keys at once, which has no form in tiles yet}}
      %d = attn.dot %X[%b, %h, %i], %Y[%b, %i, %j] : memref<1x1x?x8xf32>, memref<1x?x?x8xf32> -> f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @own_values(%x: memref<1x1x?xf32>, %y: memref<1x?x?x8xf32>, %out: memref<1x1x?x8xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?xf32>, %Y = %y : memref<1x?x?x8xf32>) outs(%out : memref<1x1x?x8xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %p = attn.at %X[%b, %h, %j] : memref<1x1x?xf32> -> f32
      %v = attn.at %Y[%b, %i, %j] : memref<1x?x?x8xf32> -> vector<8xf32>
      // expected-warning @below {{adds rows that depend on rows and keys at once, which has no form in tiles yet}}
      %c = attn.carry outer %p, %v : (f32, vector<8xf32>) -> vector<8xf32>
      attn.yield %c : vector<8xf32>
    } : vector<8xf32>
    attn.store_row %s : vector<8xf32>
  }
  return
}

// -----

func.func @rows_of_sums(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?x8xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?x8xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %v = attn.at %X[%b, %h, %j] : memref<1x1x?x8xf32> -> vector<8xf32>
      // expected-warning @below {{accumulates rows in a way that has no form in tiles yet}}
      %c = attn.carry sum %v : (vector<8xf32>) -> vector<8xf32>
      attn.yield %c : vector<8xf32>
    } : vector<8xf32>
    attn.store_row %s : vector<8xf32>
  }
  return
}

// -----

func.func @list_by_key(%x: memref<1x1x?x8xf32>, %l: memref<1x?x?x4xi32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %L = %l : memref<1x?x?x4xi32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      // expected-warning @below {{asks a list that is chosen in a way which has no form in tiles yet}}
      %p = attn.listed %L[%b, %j, %i] block(1, 1) contains %j : memref<1x?x?x4xi32>
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %c = attn.carry sum %d if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @joined(%x: memref<1x1x65x8xf32>, %y: memref<1x1x?x8xf32>, %out: memref<1x1x65xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c65 = arith.constant 65 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c65] over %e = %n ins(%X = %x : memref<1x1x65x8xf32>, %Y = %y : memref<1x1x?x8xf32>) outs(%out : memref<1x1x65xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : memref<1x1x65x8xf32>, memref<1x1x?x8xf32> -> f32
      // expected-warning @below {{joins 65 rows; the threads of a block have up to 64}}
      %m = attn.across max %d over 65 : f32
      %c = attn.carry sum %m : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @joined_lists(%x: memref<1x1x40x8xf32>, %y: memref<1x1x?x8xf32>, %lists: memref<1x1x3x4xi32>, %out: memref<1x1x40xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c40 = arith.constant 40 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c40] over %e = %n ins(%X = %x : memref<1x1x40x8xf32>, %Y = %y : memref<1x1x?x8xf32>, %L = %lists : memref<1x1x3x4xi32>) outs(%out : memref<1x1x40xf32>) {
    %z = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %c16 = arith.constant 16 : index
    %block = arith.divui %i, %c16 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : memref<1x1x40x8xf32>, memref<1x1x?x8xf32> -> f32
      %in = attn.listed %L[%b, %h, %block] count(%c4) block(16, 16) contains %j drives : memref<1x1x3x4xi32>
      // expected-warning @below {{joins rows that follow different lists of keys}}
      %m = attn.across max %d if %in over 40 : f32
      %c = attn.carry sum %m if %in : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

func.func @long_lists(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?x17xi64>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?x17xi64>) {
    %z = arith.constant 0 : index
    %keys = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      // expected-warning @below {{keeps the best 17 entries of a row; registers have room for 16}}
      %v, %k, %count = attn.top %d : (f32) -> (vector<17xf32>, vector<17xi64>, i64)
      attn.yield %k : vector<17xi64>
    } : vector<17xi64>
    attn.store_row %keys : vector<17xi64>
  }
  return
}

// -----

func.func @bins(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?x512xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?x512xf32>) {
    %z = arith.constant 0 : index
    %t = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      // expected-warning @below {{keeps 2048 bytes of bins for a row, where blocks share up to 1536; a thread computes each row instead}}
      %v = attn.bins sum %d in %j : (f32, index) -> vector<512xf32>
      attn.yield %v : vector<512xf32>
    } : vector<512xf32>
    attn.store_row %t : vector<512xf32>
  }
  return
}
