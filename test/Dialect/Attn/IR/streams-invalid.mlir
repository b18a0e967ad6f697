// RUN: attn-opt %s --split-input-file --verify-diagnostics

// One case per constraint of the plan level.

// attn.stream C1: an input without its argument
func.func @f(%t: tensor<1x1x?xf32>, %n: index) {
  // expected-error @+1 {{'attn.stream' op C1: block arguments are ('index', 'index', 'index', 'index', 'tensor<1x1x?xf32>'), got ('index', 'index', 'index', 'index')}}
  %r = "attn.stream"(%n, %n, %n, %n, %t, %t) <{orientation = #attn<orientation rows>, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1>}> ({
  ^bb0(%b: index, %h: index, %i: index, %m: index):
    %f0 = arith.constant 0.0 : f32
    attn.store_row %f0 : f32
  }) : (index, index, index, index, tensor<1x1x?xf32>, tensor<1x1x?xf32>) -> tensor<1x1x?xf32>
  return
}

// -----

// attn.stream C2: number of values
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  // expected-error @+1 {{'attn.stream' op C2: store_row has one operand per output}}
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    attn.store_row %f0, %f0 : f32, f32
  }
  return
}

// -----

// attn.stream C2: element type
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  // expected-error @+1 {{C2: store_row writes 'f64' to an output of type 'tensor<1x1x?xf32>'}}
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %d = arith.constant 0.0 : f64
    attn.store_row %d : f64
  }
  return
}

// -----

// attn.stream C2: a row where an element belongs
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  // expected-error @+1 {{C2: store_row writes 'vector<8xf32>' to an output of type 'tensor<1x1x?xf32>'}}
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %d = vector.broadcast %f0 : f32 to vector<8xf32>
    attn.store_row %d : vector<8xf32>
  }
  return
}

// -----

// attn.stream C3
func.func @f(%t: tensor<1x1x?xf32>, %n: index) {
  // expected-error @+1 {{'attn.stream' op C3: results are the tensor outputs' types}}
  "attn.stream"(%n, %n, %n, %n, %t) <{orientation = #attn<orientation rows>, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 1>}> ({
  ^bb0(%b: index, %h: index, %i: index, %m: index):
    %f0 = arith.constant 0.0 : f32
    attn.store_row %f0 : f32
  }) : (index, index, index, index, tensor<1x1x?xf32>) -> ()
  return
}

// -----

// A stream sees only its inputs.
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  // expected-note @+1 {{required by region isolation constraints}}
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{'attn.at' op using value defined outside the region}}
    %o = attn.at %q[%b, %h, %i, %i] : tensor<1x1x?x8xf32> -> f32
    attn.store_row %o : f32
  }
  return
}

// -----

func.func @f(%t: tensor<1x1x?xf32>, %n: index) {
  // expected-error @+1 {{a stream keeps rows or cols, got 'heads'}}
  %r = attn.stream heads (%b, %h, %i) in [%n, %n, %n] over %m = %n ins() outs(%t : tensor<1x1x?xf32>) {
    %f0 = arith.constant 0.0 : f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

func.func @f(%t: tensor<1x1x?xf32>, %n: index) {
  // expected-error @+1 {{a stream has three indices and extents}}
  %r = attn.stream rows (%b, %i) in [%n, %n] over %m = %n ins() outs(%t : tensor<1x1x?xf32>) {
    %f0 = arith.constant 0.0 : f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.sweep C1: types
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{'attn.sweep' op C1: the body takes the key index and yields ('f32')}}
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %c = attn.carry count : () -> i64
      attn.yield %c : i64
    } : f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.sweep C1: a value that is not accumulated
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{C1: a sweep yields accumulators and gauges of its body}}
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32

      attn.yield %x : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.sweep C2: tiles
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{C2: tiles takes four indices and yields two i1, bounds takes two and yields two indices}}
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %c = attn.carry sum %x : (f32) -> f32
      attn.yield %c : f32
    } tiles (%i0, %i1) {
      %true = arith.constant true
      attn.yield %true, %true : i1, i1
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.sweep C2: bounds
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{C2: tiles takes four indices and yields two i1, bounds takes two and yields two indices}}
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %c = attn.carry sum %x : (f32) -> f32
      attn.yield %c : f32
    } bounds (%i0, %i1) {
      %true = arith.constant true
      attn.yield %true, %true : i1, i1
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C1: no value
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{'attn.carry' op C1: sum takes one value}}
      %c = attn.carry sum : () -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C1: a value too many
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C1: count takes no value}}
      %c = attn.carry count %x : (f32) -> i64
      attn.yield %c : i64
    } : i64
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.carry C1: no row
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C1: outer takes a value and a row}}
      %c = attn.carry outer %x : (f32) -> vector<8xf32>
      attn.yield %c : vector<8xf32>
    } : vector<8xf32>
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.carry C1: a row too many
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %row = attn.at %Q[%b, %h, %j] : tensor<1x1x?x8xf32> -> vector<8xf32>
      // expected-error @+1 {{C1: max takes one value}}
      %c = attn.carry max %x, %row : (f32, vector<8xf32>) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C1: result of argmax
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C1: the result of argmax is 'i64', got 'index'}}
      %c = attn.carry argmax %x : (f32) -> index
      attn.yield %c : index
    } : index
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.carry C1: result of any
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C1: the result of any is 'i1', got 'i64'}}
      %c = attn.carry any : () -> i64
      attn.yield %c : i64
    } : i64
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.carry C1: result of outer
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %row = attn.at %Q[%b, %h, %j] : tensor<1x1x?x8xf32> -> vector<8xf32>
      // expected-error @+1 {{C1: the result of outer is 'vector<8xf32>', got 'vector<4xf32>'}}
      %c = attn.carry outer %x, %row : (f32, vector<8xf32>) -> vector<4xf32>
      attn.yield %c : vector<4xf32>
    } : vector<4xf32>
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.carry C1: result of sum
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C1: the result of sum is 'f32', got 'f64'}}
      %c = attn.carry sum %x : (f32) -> f64
      attn.yield %c : f64
    } : f64
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.carry C2: not a gauge
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C2: a gauge of act is an attn.running max of this sweep}}
      %c = attn.carry sum %x act(%x by %f0) : (f32, f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C2: a mean as gauge of act
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %g = attn.running mean %x : (f32) -> f32
      // expected-error @+1 {{C2: a gauge of act is an attn.running max of this sweep}}
      %c = attn.carry sum %x act(%g by %f0) : (f32, f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C2: rates
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %g = attn.running max %x : (f32) -> f32
      // expected-error @+1 {{C2: act has one rate per gauge}}
      %c = "attn.carry"(%x, %g) <{kind = #attn<carry_kind sum>, operandSegmentSizes = array<i32: 1, 0, 0, 1, 0, 0, 0>}> : (f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C2: the gauge of poly
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %n0 = attn.carry sum %f0 : (f32) -> f32
      // expected-error @+1 {{C2: the gauge of poly is an attn.running of this sweep}}
      %c = attn.carry sum %x poly(%x : %n0) : (f32, f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C2: a maximum does not move
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %g = attn.running max %x : (f32) -> f32
      // expected-error @+1 {{C2: only sum and outer move with a gauge}}
      %c = attn.carry max %x act(%g by %f0) : (f32, f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C3: not a carry
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %g = attn.running mean %x : (f32) -> f32
      // expected-error @+1 {{C3: companions are carries of this sweep with this type}}
      %c = attn.carry sum %x poly(%g : %x) : (f32, f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.carry C3: of another type
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %g = attn.running mean %x : (f32) -> f32
      %n0 = attn.carry count : () -> i64
      // expected-error @+1 {{C3: companions are carries of this sweep with this type}}
      %c = attn.carry sum %x poly(%g : %n0) : (f32, f32, i64) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.running C1: only of a maximum
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{'attn.running' op C1: only max takes an init}}
      %c = attn.running mean %x init %f0 : (f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.running C1: available before
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C1: init is available before the sweep}}
      %c = attn.running max %x init %x : (f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.running: types
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{operands and result have one type}}
      %c = attn.running max %x : (f32) -> f64
      attn.yield %c : f64
    } : f64
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.fold C1: lengths
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{'attn.fold' op C1: identity, values and results have one length and one float type}}
      %c = attn.fold [1.0, 2.0] %x {
      ^bb0(%u: f32, %w: f32):
        attn.yield %u : f32
      } : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.fold C1: types
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C1: identity, values and results have one length and one float type}}
      %c = attn.fold [1.0] %x {
      ^bb0(%u: f32, %w: f32):
        attn.yield %u : f32
      } : (f32) -> f64
      attn.yield %c : f64
    } : f64
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.fold C2
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %r = attn.sweep %j = %zero to %m {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      // expected-error @+1 {{C2: combine takes 2 values and yields 1}}
      %c = attn.fold [1.0] %x {
      ^bb0(%u: f32):
        attn.yield %u : f32
      } : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %r : f32
  }
  return
}

// -----

// attn.dot C1
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{'attn.dot' op C1: each side is indexed without its last dimension}}
    %x = attn.dot %Q[%b, %h], %Q[%b, %h, %i] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.dot C2
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{C2: the last extents are static and equal, got 'tensor<1x?xi32>' and 'tensor<1x?xi32>'}}
    %x = attn.dot %S[%b], %S[%b] : tensor<1x?xi32>, tensor<1x?xi32> -> f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.dot_with C1
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{'attn.dot_with' op C1: each side is indexed without its last dimension}}
    %x = attn.dot_with sum %Q[%b, %h], %Q[%b, %h, %i] {
    ^bb0(%u: f32, %w: f32, %d: index):
      attn.yield %u : f32
    } : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.dot_with C2
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{C2: the last extents are static and equal}}
    %x = attn.dot_with sum %S[%b], %S[%b] {
    ^bb0(%u: f32, %w: f32, %d: index):
      attn.yield %u : f32
    } : tensor<1x?xi32>, tensor<1x?xi32> -> f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.dot_with C3
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{C3: the region takes ('f32', 'f32', 'index') and yields 'f32'}}
    %x = attn.dot_with sum %Q[%b, %h, %i], %Q[%b, %h, %i] {
    ^bb0(%u: f32, %w: f32):
      attn.yield %u : f32
    } : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.at C1: an element
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{'attn.at' op C1: the result is an element, or a row of static extent, of 'tensor<1x1x?x8xf32>', got 'f64'}}
    %x = attn.at %Q[%b, %h, %i, %i] : tensor<1x1x?x8xf32> -> f64
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.at C1: a row of unknown extent
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{C1: the result is an element, or a row of static extent}}
    %x = attn.at %S[%b] : tensor<1x?xi32> -> vector<8xi32>
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.range C1
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{'attn.range' op C1: the source is indexed without its last dimension}}
    %lo, %hi = attn.range %S[%b, %i] from %i to %i : tensor<1x?xi32> -> i32
    attn.store_row %f0 : f32
  }
  return
}

// -----

// attn.range: types
func.func @f(%q: tensor<1x1x?x8xf32>, %t: tensor<1x1x?xf32>, %seg: tensor<1x?xi32>, %n: index) {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>, %S = %seg : tensor<1x?xi32>) outs(%t : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    // expected-error @+1 {{results have the element type of 'tensor<1x?xi32>'}}
    %lo, %hi = attn.range %S[%b] from %i to %i : tensor<1x?xi32> -> i64
    attn.store_row %f0 : f32
  }
  return
}
