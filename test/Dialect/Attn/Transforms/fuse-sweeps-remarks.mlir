// Every sweep is explained: fused, or why it stays.
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --canonicalize --cse --attn-fuse-sweeps --split-input-file -o /dev/null 2>&1 | FileCheck %s

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>
!row = tensor<1x1x?xf32>

// CHECK: remark: sweep (sum) is fused into the one before it
// CHECK: remark: sweep (outer) is fused into the one before it
func.func @softmax(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>

// CHECK: remark: sweep (outer) stays on its own: 'arith.maximumf' needs a result that is finished only after the earlier sweep, not as a factor
func.func @function_of_weights(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %f = attn.map %p (%x: f32) {
    %t = arith.constant 0.05 : f32
    %y = arith.maximumf %x, %t : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %f, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>

// CHECK: remark: sweep (outer) stays on its own: a mask on values that are finished only after the earlier sweep
func.func @mask_on_weights(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %f = attn.mask %p (%x: f32) {
    %t = arith.constant 0.05 : f32
    %y = arith.cmpf ogt, %x, %t : f32
    attn.yield %y : i1
  } : !scores
  %o = attn.aggregate %f, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!row = tensor<1x1x?xf32>

// CHECK: remark: sweep (sum) stays on its own: an exponent that differs from the operand of its maximum by more than a value of the row: a prefix could overflow
func.func @bias_after_maximum(%q: tensor<1x1x?x8xf32>, %bias: tensor<?xf32>) -> !row {
  %s = attn.score %q, %q : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %e = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<?xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %y = arith.addf %d, %c : f32
    %z = math.exp2 %y : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %l = attn.reduce sum keys %e : (!scores) -> !row
  return %l : !row
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!row = tensor<1x1x?xf32>

// CHECK: remark: sweep (sum) stays on its own: a sum of values that scale differently
func.func @shift_and_one(%q: tensor<1x1x?x8xf32>) -> !row {
  %s = attn.score %q, %q : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %e = attn.map %s (%x: f32) at (%b, %h, %i) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = math.exp2 %d : f32
    %one = arith.constant 1.0 : f32
    %y = arith.addf %z, %one : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %l = attn.reduce sum keys %e : (!scores) -> !row
  return %l : !row
}

// -----

!scores = !attn.scores<1x1x?x?xf32>
!row = tensor<1x1x?xf32>

// Entries beyond those of the maximum are not bounded by it.
// CHECK: remark: sweep (sum) stays on its own: entries that are not among those of the maximum
func.func @other_entries(%q: tensor<1x1x?x8xf32>) -> !row {
  %s = attn.score %q, %q : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %m = attn.reduce max keys %c : (!scores) -> !row
  %e = attn.map %s (%x: f32) at (%b, %h, %i) {
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %z = math.exp2 %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %l = attn.reduce sum keys %e : (!scores) -> !row
  return %l : !row
}

// -----

!scores = !attn.scores<1x1x?x?xf32>

// CHECK: remark: sweep (bins) stays on its own: selections and bins read finished values only
func.func @bins_of_weights(%q: tensor<1x1x?x8xf32>) -> tensor<1x1x?x4xf32> {
  %s = attn.score %q, %q : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> !scores
  %p = attn.softmax %s : !scores
  %t = attn.reduce sum keys %p bins(4) by (%x: f32) at (%b, %h, %i, %j) {
    attn.yield %j : index
  } : (!scores) -> (tensor<1x1x?x4xf32>)
  return %t : tensor<1x1x?x4xf32>
}
