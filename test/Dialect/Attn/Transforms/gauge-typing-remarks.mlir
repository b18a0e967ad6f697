// A sum whose entries move with a running maximum in a way that has no action
// stays a sweep of its own, and the remark says why.
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --canonicalize --cse --attn-fuse-sweeps -o /dev/null 2>&1 | FileCheck %s

!scores = !attn.scores<1x1x16x16xf32>
!qkv = tensor<1x1x16x8xf32>
!row = tensor<1x1x16xf32>

// CHECK: remark: sweep (sum) stays on its own: a division by a shifted value
func.func @divisor(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = arith.divf %x, %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a division by a polynomial in a running value
func.func @divisor_polynomial(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %g = math.exp2 %d : f32
    %h0 = arith.mulf %g, %d : f32
    %z = arith.divf %x, %h0 : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a logarithm of a value that does not scale
func.func @logarithm(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = math.log2 %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: 'math.sqrt' of a value that does not scale
func.func @root(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = math.sqrt %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: 'arith.maximumf' of values that move differently
func.func @larger(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = arith.maximumf %d, %c : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a select of values that scale differently
func.func @choice(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %one = arith.constant 1.0 : f32
    %d = arith.subf %x, %r : f32
    %g = math.exp2 %d : f32
    %cond = arith.cmpf ogt, %c, %x : f32
    %z = arith.select %cond, %g, %one : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: an exponential of a running mean
func.func @mean(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce mean keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = math.exp2 %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: an exponent that grows with the running maximum, or whose rate is not a known positive number
func.func @growing(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %g = arith.subf %r, %x : f32
    %z = math.exp2 %g : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: an exponential of a value that scales
func.func @twice(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %g = math.exp2 %d : f32
    %z = math.exp2 %g : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: an exponent with two running values
func.func @two_maxima(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %t = attn.score %p, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %n = attn.reduce max keys %t : (!scores) -> !row
  %f = attn.map %s, %t (%x: f32, %y: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %w = tensor.extract %n[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %g = arith.subf %d, %w : f32
    %z = math.exp2 %g : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: shifts with different rates are added
func.func @shifts(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %u = tensor.extract %a[%b, %h, %i] : !row
    %v = tensor.extract %e[%b, %h, %i] : !row
    %zero = arith.constant 0.0 : f32
    %d = arith.subf %x, %r : f32
    %cond = arith.cmpf ogt, %c, %x : f32
    %g = arith.mulf %d, %u : f32
    %f0 = arith.subf %c, %r : f32
    %h0 = arith.mulf %f0, %v : f32
    %k0 = arith.addf %g, %h0 : f32
    %z = arith.select %cond, %k0, %zero : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a polynomial in two running values has no action
func.func @polynomial_of_sum(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %t = attn.score %p, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %n = attn.reduce max keys %t : (!scores) -> !row
  %f = attn.map %s, %t (%x: f32, %y: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %w = tensor.extract %n[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %g = arith.subf %y, %w : f32
    %g0 = arith.mulf %g, %c : f32
    %h0 = arith.mulf %d, %c : f32
    %z = arith.addf %g0, %h0 : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a polynomial in two running values has no action
func.func @polynomial_of_product(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %t = attn.score %p, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %n = attn.reduce max keys %t : (!scores) -> !row
  %f = attn.map %s, %t (%x: f32, %y: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %w = tensor.extract %n[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %g = arith.subf %y, %w : f32
    %z = arith.mulf %d, %g : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a polynomial in two running values has no action
func.func @polynomial_of_shift(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %t = attn.score %p, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %n = attn.reduce max keys %t : (!scores) -> !row
  %f = attn.map %s, %t (%x: f32, %y: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %w = tensor.extract %n[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %g = arith.subf %d, %w : f32
    %z = arith.mulf %g, %c : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a polynomial in two running values has no action
func.func @polynomial_of_choice(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %t = attn.score %p, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %n = attn.reduce max keys %t : (!scores) -> !row
  %f = attn.map %s, %t (%x: f32, %y: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %w = tensor.extract %n[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %cond = arith.cmpf ogt, %c, %x : f32
    %g = arith.subf %y, %w : f32
    %z = arith.select %cond, %d, %g : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a polynomial in two running values has no action
func.func @two_shifts(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %t = attn.score %p, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %n = attn.reduce max keys %t : (!scores) -> !row
  %f = attn.map %s, %t (%x: f32, %y: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %w = tensor.extract %n[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %cond = arith.cmpf ogt, %c, %x : f32
    %g = arith.subf %d, %w : f32
    %g0 = arith.subf %c, %r : f32
    %h0 = arith.subf %g0, %w : f32
    %z = arith.select %cond, %g, %h0 : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}
