// Block-sparse attention: a window of one block to either side, the first block
// for everyone, and blocks that a list adds per query block. The window is a list
// made from a predicate; the two lists are united, and the sweep visits the keys
// of the union only.
//
// Papers: BigBird, arXiv 2007.14062; MoBA, arXiv 2502.13189 (chosen blocks).
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64], blocks of 64 x 64; chosen
// [1, 1, Q, 3] with Q = ceil(L / 64): up to 3 blocks more per query block.
//
// RUN: attn-run %s --check --size B=2 L=300 Q=5
// RUN: attn-run %s --check --loops=fused --size B=1 L=300 Q=5

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]},
    %chosen: tensor<1x1x?x3xi32>
        {attn.name = "chosen", attn.dims = ["1", "1", "Q", "3"], attn.init = "range(0, Q)"},
    %count: tensor<1x1x?xi32>
        {attn.name = "count", attn.dims = ["1", "1", "Q"], attn.init = "range(0, 4)"}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %c2 = arith.constant 2 : index
  %blocks = tensor.dim %count, %c2 : tensor<1x1x?xi32>
  %near, %nears = attn.list %blocks sizes(%blocks) {
  ^bb0(%b: index, %g: index, %i: index, %j: index):
    %d = arith.subi %i, %j : index
    %low = arith.constant -1 : index
    %high = arith.constant 1 : index
    %above = arith.cmpi sge, %d, %low : index
    %below = arith.cmpi sle, %d, %high : index
    %window = arith.andi %above, %below : i1
    %zero = arith.constant 0 : index
    %first = arith.cmpi eq, %j, %zero : index
    %p = arith.ori %window, %first : i1
    attn.yield %p : i1
  } : tensor<1x1x?x4xi32>, tensor<1x1x?xi32>
  %list, %counts = attn.list_union %near counts(%nears), %chosen counts(%count)
     : (tensor<1x1x?x4xi32>, tensor<1x1x?xi32>, tensor<1x1x?x3xi32>, tensor<1x1x?xi32>)
     -> (tensor<1x1x?x7xi32>, tensor<1x1x?xi32>)
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %r = attn.restrict %s, %list counts(%counts : tensor<1x1x?xi32>) block(64, 64)
     : !scores, tensor<1x1x?x7xi32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
