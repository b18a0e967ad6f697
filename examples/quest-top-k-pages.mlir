// Quest: a decoding query looks at the pages of keys whose scores can be largest.
// A page's keys lie in a box [lo, hi]; sum over d of max(q_d lo_d, q_d hi_d) bounds
// its scores. The 4 best pages are selected, the last one always among them, and
// attention visits their keys only.
//
// Paper: Quest, arXiv 2406.10774.
// Shapes: q [B, 8, M, 64] (M new tokens, at the end of N), k and v [B, 8, N, 64],
// lo and width = hi - lo [B, 8, P, 64], pages of 16 keys: P = ceil(N / 16).
//
// RUN: attn-run %s --check --size B=2 M=1 N=320 P=20
// RUN: attn-run %s --check --loops=fused --size B=1 M=3 N=320 P=20

!scores = !attn.scores<?x8x?x?xf32>
!pages = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "M", "64"]},
    %k: tensor<?x8x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "8", "N", "64"]},
    %v: tensor<?x8x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "8", "N", "64"]},
    %lo: tensor<?x8x?x64xf32>
        {attn.name = "lo", attn.dims = ["B", "8", "P", "64"]},
    %width: tensor<?x8x?x64xf32>
        {attn.name = "width", attn.dims = ["B", "8", "P", "64"]}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %c2 = arith.constant 2 : index
  %m = tensor.dim %q, %c2 : tensor<?x8x?x64xf32>
  %n = tensor.dim %k, %c2 : tensor<?x8x?x64xf32>
  %past = arith.subi %n, %m : index
  // max(q lo, q hi) = q lo + max(q (hi - lo), 0).
  %low = attn.score %q, %lo : tensor<?x8x?x64xf32>, tensor<?x8x?x64xf32> -> !pages
  %rest = attn.score_with sum %q, %width {
  ^bb0(%x: f32, %y: f32, %d: index):
    %zero = arith.constant 0.0 : f32
    %t = arith.mulf %x, %y : f32
    %r = arith.maximumf %t, %zero : f32
    attn.yield %r : f32
  } : tensor<?x8x?x64xf32>, tensor<?x8x?x64xf32> -> !pages
  %bound = attn.map %low, %rest (%x: f32, %y: f32) {
    %z = arith.addf %x, %y : f32
    attn.yield %z : f32
  } : (!pages, !pages) -> !pages
  %values, %best, %count = attn.topk %bound forced (%x: f32) at (%b, %h, %i, %j) {
    %c16 = arith.constant 16 : index
    %position = arith.addi %past, %i : index
    %page = arith.divui %position, %c16 : index
    %last = arith.cmpi eq, %j, %page : index
    attn.yield %last : i1
  } : (!pages) -> (tensor<?x8x?x4xf32>, tensor<?x8x?x4xi64>, tensor<?x8x?xi64>)
  %s = attn.score %q, %k scale(0.125) query_offset(%past : index)
     : tensor<?x8x?x64xf32>, tensor<?x8x?x64xf32> -> !scores
  %r = attn.restrict %s, %best counts(%count : tensor<?x8x?xi64>) block(1, 16)
     : !scores, tensor<?x8x?x4xi64>
  %c = attn.mask %r causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x8x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
