// RUN: not attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --attn-fuse-sweeps=max-recompute-factor=1 2>&1 | FileCheck %s

!scores = !attn.scores<1x1x?x?xf32>
!qkv = tensor<1x1x?x8xf32>

// CHECK: error: this stream visits its scores 3 times, more than max-recompute-factor = 1
// CHECK: note: raise the option, or store the matrix with attn.materialize
func.func @softmax_of_softmax(%q: !qkv, %k: !qkv, %v: !qkv) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %r = attn.softmax %p : !scores
  %f = attn.map %r (%x: f32) {
    %t = arith.constant 0.05 : f32
    %y = arith.maximumf %x, %t : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %f, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}
