// Attention with one learned bias per relative distance and head, shared by the
// batch, and what its training needs: how the sum of all squared weights changes
// with every entry of the table. An entry i, j adds p (p - sum_k p^2) times 2 to
// the bias of its diagonal, i - j + N - 1, so the gradient is a sum in M + N - 1
// bins over queries, keys and batch.
//
// Paper: Exploring the Limits of Transfer Learning with a Unified Text-to-Text
// Transformer, arXiv 1910.10683 (a table of biases per distance).
// Shapes: q [B, 4, M, 32], k [B, 4, N, 32], table [4, M + N - 1].
//
// RUN: attn-run %s --check --size B=2 M=33 N=70 D=102
// RUN: attn-run %s --check --loops=fused --size B=2 M=33 N=70 D=102
// RUN: attn-run %s --check --size B=1 M=301 N=40 D=340

!scores = !attn.scores<?x4x?x?xf32>
!row = tensor<?x4x?xf32>

func.func @attention(
    %q: tensor<?x4x?x32xf32>
        {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: tensor<?x4x?x32xf32>
        {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %table: tensor<4x?xf32>
        {attn.name = "table", attn.dims = ["4", "D"]}
  ) -> (!row {attn.name = "squares"},
        tensor<4x?xf32> {attn.name = "gradient"}) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %n = tensor.dim %k, %c2 : tensor<?x4x?x32xf32>
  %diagonals = tensor.dim %table, %c1 : tensor<4x?xf32>
  %last = arith.subi %n, %c1 : index
  %s = attn.score %q, %k scale(0.17677669529663687)
     : tensor<?x4x?x32xf32>, tensor<?x4x?x32xf32> -> !scores
  %t = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %i, %j : index
    %at = arith.addi %d, %last : index
    %bias = tensor.extract %table[%h, %at] : tensor<4x?xf32>
    %y = arith.addf %x, %bias : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %p = attn.softmax %t : !scores
  %pp = attn.map %p (%w: f32) {
    %y = arith.mulf %w, %w : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %squares = attn.reduce sum keys %pp : (!scores) -> !row
  %change = attn.map %p (%w: f32) at (%b, %h, %i) {
    %two = arith.constant 2.0 : f32
    %mean = tensor.extract %squares[%b, %h, %i] : !row
    %d = arith.subf %w, %mean : f32
    %e = arith.mulf %w, %d : f32
    %y = arith.mulf %e, %two : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %gradient = attn.reduce sum [both, batch] %change bins(%diagonals)
      by (%w: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %i, %j : index
    %at = arith.addi %d, %last : index
    attn.yield %at : index
  } : (!scores) -> tensor<4x?xf32>
  return %squares, %gradient : !row, tensor<4x?xf32>
}
