// What keeps a sweep from following the one before it, beyond how values move.
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --canonicalize --cse --attn-fuse-sweeps -o /dev/null 2>&1 | FileCheck %s

!scores = !attn.scores<1x1x16x16xf32>
!qkv = tensor<1x1x16x8xf32>
!row = tensor<1x1x16xf32>

// CHECK: remark: sweep (sum) stays on its own: a maximum of values that both follow the sweep
func.func @maximum_of_two(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %t = attn.score %p, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %n = attn.reduce max keys %t : (!scores) -> !row
  %f = attn.map %s, %t (%x: f32, %y: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %w = tensor.extract %n[%b, %h, %i] : !row
    %g = arith.maximumf %r, %w : f32
    %h0 = arith.subf %x, %g : f32
    %z = math.exp2 %h0 : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a maximum of something other than a running maximum
func.func @maximum_of_mean(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce mean keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %u = tensor.extract %a[%b, %h, %i] : !row
    %g = arith.maximumf %r, %u : f32
    %h0 = arith.subf %x, %g : f32
    %z = math.exp2 %h0 : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// A difference that is rounded is not one of rounded numbers.
// CHECK: remark: sweep (outer) stays on its own: the rounding of its operands is that of the whole sum
func.func @rounded_difference(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %l = attn.reduce lse keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i) {
    %r = tensor.extract %l[%b, %h, %i] : !row
    %z = arith.subf %x, %r : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %f, %v operand_type(bf16) : !scores, !qkv -> !qkv
  return %o : !qkv
}

// CHECK: remark: sweep (sum) stays on its own: it has more than 4 terms
func.func @many_terms(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %sum = attn.reduce sum keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %l = tensor.extract %sum[%b, %h, %i] : !row
    %g = arith.addf %x, %l : f32
    %h0 = arith.addf %c, %l : f32
    %k0 = arith.mulf %g, %h0 : f32
    %z = arith.mulf %k0, %g : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: it has more than 4 terms
func.func @long_sum(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %sum = attn.reduce sum keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %l = tensor.extract %sum[%b, %h, %i] : !row
    %g0 = arith.mulf %x, %l : f32
    %g1 = arith.mulf %c, %l : f32
    %g2 = math.exp2 %x : f32
    %g3 = arith.mulf %g2, %l : f32
    %g4 = math.sqrt %x : f32
    %g5 = arith.mulf %g4, %l : f32
    %g6 = math.exp2 %c : f32
    %g7 = arith.mulf %g6, %l : f32
    %h0 = arith.addf %g0, %g1 : f32
    %h1 = arith.addf %h0, %g3 : f32
    %h2 = arith.addf %h1, %g5 : f32
    %z = arith.addf %h2, %g7 : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a division by a sum with finished results
func.func @sum_as_divisor(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %sum = attn.reduce sum keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %l = tensor.extract %sum[%b, %h, %i] : !row
    %g = arith.addf %x, %l : f32
    %z = arith.divf %c, %g : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (max) stays on its own: 'max' of a value that moves has no action
func.func @other_reduction(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = math.exp2 %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce max keys %f : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (sum) stays on its own: a mask on values that move with a running maximum
func.func @mask_that_moves(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %g = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<16xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = arith.cmpf ogt, %d, %c : f32
    attn.yield %z : i1
  } : !scores
  %o = attn.reduce sum keys %g : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep ({{.*}}) stays on its own: a user's monoid of a value that moves has no action
func.func @monoid(%q: !qkv, %p: !qkv, %k: !qkv, %bias: tensor<16xf32>, %a: !row, %e: !row) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %f = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = math.exp2 %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.reduce custom keys %f identity [0.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%x: f32, %y: f32):
    %z = arith.addf %x, %y : f32
    attn.yield %z : f32
  } : (!scores) -> !row
  return %o : !row
}

// CHECK: remark: sweep (fold) stays on its own: a mask on values that are finished only after the earlier sweep
func.func @monoid_of_chosen(%q: !qkv, %k: !qkv) -> !row {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %c = attn.mask %p (%x: f32) {
    %t = arith.constant 0.05 : f32
    %y = arith.cmpf ogt, %x, %t : f32
    attn.yield %y : i1
  } : !scores
  %f = attn.map %c, %s (%x: f32, %y: f32) {
    attn.yield %y : f32
  } : (!scores, !scores) -> !scores
  %o = attn.reduce custom keys %f identity [0.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%x: f32, %y: f32):
    %z = arith.addf %x, %y : f32
    attn.yield %z : f32
  } : (!scores) -> !row
  return %o : !row
}
