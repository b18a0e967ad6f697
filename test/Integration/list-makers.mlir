// Lists made on the device restrict scores; lists-test.py checks what they hold.

// RUN: attn-run %s --entry=window --check --size B=2,L=230,Q=4
// RUN: attn-run %s --entry=window --check --loops=fused --size B=2,L=230,Q=4

!scores = !attn.scores<?x2x?x?xf32>
!qkv = tensor<?x2x?x16xf32>

// A window of one block to either side, and the first block: from a predicate,
// with a table that switches blocks off.

func.func @window(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "L", "16"]},
    %on: tensor<2x?xi32> {attn.name = "on", attn.dims = ["2", "Q"], attn.init = "range(0, 4)"})
    -> (!qkv, tensor<?x2x?xf32>) {
  %c2 = arith.constant 2 : index
  %c1 = arith.constant 1 : index
  %c63 = arith.constant 63 : index
  %c64 = arith.constant 64 : index
  %n = tensor.dim %q, %c2 : !qkv
  %up = arith.addi %n, %c63 : index
  %blocks = arith.divui %up, %c64 : index
  %near, %nears = attn.list %blocks sizes(%blocks) {
  ^bb0(%b: index, %h: index, %i: index, %j: index):
    %low = arith.subi %i, %c1 : index
    %high = arith.addi %i, %c1 : index
    %above = arith.cmpi sge, %j, %low : index
    %below = arith.cmpi sle, %j, %high : index
    %p = arith.andi %above, %below : i1
    attn.yield %p : i1
  } : tensor<1x2x?x3xi32>, tensor<1x2x?xi32>
  %first, %firsts = attn.list %blocks sizes(%blocks) {
  ^bb0(%b: index, %h: index, %i: index, %j: index):
    %zero = arith.constant 0 : i32
    %t = tensor.extract %on[%h, %j] : tensor<2x?xi32>
    %p = arith.cmpi ne, %t, %zero : i32
    attn.yield %p : i1
  } : tensor<1x2x?x?xi32>, tensor<1x2x?xi32>
  %both, %boths = attn.list_intersect %first counts(%firsts), %near counts(%nears)
     : (tensor<1x2x?x?xi32>, tensor<1x2x?xi32>, tensor<1x2x?x3xi32>, tensor<1x2x?xi32>)
     -> (tensor<1x2x?x?xi32>, tensor<1x2x?xi32>)
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %both counts(%boths : tensor<1x2x?xi32>) block(64, 64) : !scores, tensor<1x2x?x?xi32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  %t, %ts = attn.list_transpose %both counts(%boths) to %blocks
     : (tensor<1x2x?x?xi32>, tensor<1x2x?xi32>) -> (tensor<1x2x?x?xi32>, tensor<1x2x?xi32>)
  %u = attn.transpose %s : !scores -> !scores
  %w = attn.restrict %u, %t counts(%ts : tensor<1x2x?xi32>) block(64, 64) : !scores, tensor<1x2x?x?xi32>
  %l = attn.reduce lse keys %w : (!scores) -> tensor<?x2x?xf32>
  return %o, %l : !qkv, tensor<?x2x?xf32>
}
