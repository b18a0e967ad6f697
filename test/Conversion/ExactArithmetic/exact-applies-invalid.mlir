// RUN: attn-opt %s -attn-exact-applies -split-input-file -verify-diagnostics

func.func @mean(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %m = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      // expected-error @below {{exact mode does not apply: a running mean divides by counts, and even ones have no inverse in the ring}}
      %g = attn.running mean %v : (f32) -> f32
      attn.yield %g : f32
    } : f32
    attn.store_row %m : f32
  }
  return %r : tensor<1x1x?xf32>
}

// -----

func.func @maximum(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %k = arith.constant -1.0 : f32
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      %g = attn.running max %v : (f32) -> f32
      %d = arith.subf %v, %g : f32
      %p = math.exp2 %d : f32
      %q = arith.addf %p, %p : f32
      // expected-error @below {{exact mode does not apply: 'arith.maximumf' compares values that move with a running maximum, and no order of the ring moves with them}}
      %y = arith.maximumf %p, %q : f32
      %a = attn.carry sum %y act(%g by %k) : (f32, f32, f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : tensor<1x1x?xf32>
}

// -----

func.func @root(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %k = arith.constant -0.5 : f32
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      %g = attn.running max %v : (f32) -> f32
      %d = arith.subf %v, %g : f32
      %p = math.exp2 %d : f32
      // expected-error @below {{exact mode does not apply: 'math.sqrt' takes a root of a value that moves with a running maximum, and the ring has no roots}}
      %y = math.sqrt %p : f32
      %a = attn.carry sum %y act(%g by %k) : (f32, f32, f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : tensor<1x1x?xf32>
}

// -----

func.func @rate(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %t = arith.constant 1.5 : f32
    %u = arith.constant 1.7 : f32
    %k = arith.constant -2.55 : f32
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      %g = attn.running max %v : (f32) -> f32
      %d = arith.subf %v, %g : f32
      %f = arith.mulf %d, %t : f32
      %q = arith.mulf %f, %u : f32
      %p = math.exp2 %q : f32
      // expected-error @below {{exact mode does not apply: a carry moves at the rate -2.550000e+00, which was computed from several constants}}
      %a = attn.carry sum %p act(%g by %k) : (f32, f32, f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : tensor<1x1x?xf32>
}

// -----

func.func @rounded(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>, %u: tensor<1x1x?x4xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%u : tensor<1x1x?x4xf32>) {
    %c0 = arith.constant 0 : index
    %row = arith.constant dense<1.0> : vector<4xf32>
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      // expected-error @below {{exact mode does not apply: a sum of operands that are rounded has low bits only, and another sweep reads it}}
      %a = attn.carry outer %v, %row operand_type(bf16) : (f32, vector<4xf32>) -> vector<4xf32>
      attn.yield %a : vector<4xf32>
    } : vector<4xf32>
    attn.store_row %l : vector<4xf32>
  }
  %q = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %r : tensor<1x1x?x4xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %j, %c0] : tensor<1x1x?x4xf32> -> f32
      %g = attn.carry max %v : (f32) -> f32
      attn.yield %g : f32
    } : f32
    attn.store_row %l : f32
  }
  return %q : tensor<1x1x?xf32>
}

// -----

func.func @hashed(%n: index, %x: tensor<1x1x?x?xf32>, %u: tensor<1x1x?x4xf32>) -> tensor<1x1x?x4xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%u : tensor<1x1x?x4xf32>) {
    %c0 = arith.constant 0 : index
    %row = arith.constant dense<1.0> : vector<4xf32>
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      // expected-error @below {{exact mode does not apply: a sum of operands that are rounded has low bits only, and 'math.tanh' needs more}}
      %a = attn.carry outer %v, %row operand_type(bf16) : (f32, vector<4xf32>) -> vector<4xf32>
      attn.yield %a : vector<4xf32>
    } : vector<4xf32>
    attn.store_row %l : vector<4xf32>
  }
  %t = math.tanh %r : tensor<1x1x?x4xf32>
  return %t : tensor<1x1x?x4xf32>
}

// -----

func.func @logarithm(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      %a = attn.carry sum %v : (f32) -> f32
      attn.yield %a : f32
    } : f32
    // expected-error @below {{exact mode does not apply: two bits of a logarithm are not known, and 'math.tanh' needs all}}
    %g = math.log %l : f32
    attn.store_row %g : f32
  }
  %t = math.tanh %r : tensor<1x1x?xf32>
  return %t : tensor<1x1x?xf32>
}

// -----

func.func @merge(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %m, %k = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      %a = attn.carry mean %v : (f32) -> f32
      %d = attn.carry count : () -> i64
      attn.yield %a, %d : f32, i64
    } : f32, i64
    attn.store_row %m : f32
  }
  %q = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %r : tensor<1x1x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c7 = arith.constant 7 : i64
    %w = arith.sitofp %c7 : i64 to f32
    %m = attn.at %s[%b, %h, %i] : tensor<1x1x?xf32> -> f32
    // expected-error @below {{exact mode does not apply: means of several ranges are merged by their counts, and even ones have no inverse in the ring}}
    %t = arith.mulf %m, %w : f32
    attn.store_row %t : f32
  }
  return %q : tensor<1x1x?xf32>
}
