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

// Each entry of a product visits its shared axis.
// CHECK: error: this stream visits its scores 8 times, more than max-recompute-factor = 1
// CHECK: note: attn.matmul visits its shared axis for every entry; raise the option
func.func @product(%a: tensor<1x1x?x7xf32>, %b: tensor<1x1x7x?xf32>) -> tensor<1x1x?xf32> {
  %x = attn.bias %a : tensor<1x1x?x7xf32> -> !attn.scores<1x1x?x7xf32>
  %y = attn.bias %b : tensor<1x1x7x?xf32> -> !attn.scores<1x1x7x?xf32>
  %c = attn.matmul %x, %y : !attn.scores<1x1x?x7xf32>, !attn.scores<1x1x7x?xf32> -> !scores
  %r = attn.reduce sum keys %c : (!scores) -> tensor<1x1x?xf32>
  return %r : tensor<1x1x?xf32>
}

// CHECK: error: every entry of this stream is a sum over a dynamic number of others (attn.matmul), which no max-recompute-factor bounds
// CHECK: note: give the shared axis a static extent, or lift the limit by max-recompute-factor = 0
func.func @dynamic_product(%a: tensor<1x1x?x?xf32>, %b: tensor<1x1x?x?xf32>) -> tensor<1x1x?xf32> {
  %x = attn.bias %a : tensor<1x1x?x?xf32> -> !scores
  %y = attn.bias %b : tensor<1x1x?x?xf32> -> !scores
  %c = attn.matmul %x, %y : !scores, !scores -> !scores
  %r = attn.reduce sum keys %c : (!scores) -> tensor<1x1x?xf32>
  return %r : tensor<1x1x?xf32>
}
