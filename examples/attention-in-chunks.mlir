// Keys that arrive in chunks: a loop carries the output and the logarithm of the
// softmax denominator, and each chunk is merged with what came before. States do
// not cross the loop; attn.state_from imports the finished part.
//
// Paper: Ring Attention with Blockwise Transformers, arXiv 2310.01889 (the local
// computation of one host).
// Shapes: q [1, 4, M, 32], k and v [1, 2, N, 32], chunks of 64 keys.
//
// RUN: attn-run %s --check --size M=37 N=200
// RUN: attn-run %s --check --loops=fused --size M=37 N=200
// RUN: attn-run %s --check --size M=5 N=0

!q = tensor<1x4x?x32xf32>
!kv = tensor<1x2x?x32xf32>
!row = tensor<1x4x?xf32>
!scores = !attn.scores<1x4x?x?xf32>
!state = !attn.state<tensor<1x4x?x32xf32>, tensor<1x4x?xf32>>

func.func @attention(
    %q: !q {attn.name = "q", attn.dims = ["1", "4", "M", "32"]},
    %k: !kv {attn.name = "k", attn.dims = ["1", "2", "N", "32"]},
    %v: !kv {attn.name = "v", attn.dims = ["1", "2", "N", "32"]}
  ) -> (!q {attn.name = "o"}, !row {attn.name = "lse"}) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %nothing = arith.constant 0xFF800000 : f32 // -inf
  %M = tensor.dim %q, %c2 : !q
  %N = tensor.dim %k, %c2 : !kv
  %past = arith.subi %N, %M : index
  %e0 = tensor.empty(%M) : !q
  %o0 = linalg.fill ins(%zero : f32) outs(%e0 : !q) -> !q
  %e1 = tensor.empty(%M) : !row
  %l0 = linalg.fill ins(%nothing : f32) outs(%e1 : !row) -> !row
  %r:2 = scf.for %j = %c0 to %N step %c64 iter_args(%o = %o0, %l = %l0) -> (!q, !row) {
    %left = arith.subi %N, %j : index
    %n = arith.minsi %left, %c64 : index
    %kc = tensor.extract_slice %k[0, 0, %j, 0] [1, 2, %n, 32] [1, 1, 1, 1] : !kv to !kv
    %vc = tensor.extract_slice %v[0, 0, %j, 0] [1, 2, %n, 32] [1, 1, 1, 1] : !kv to !kv
    %s = attn.score %q, %kc scale(0.1767766952966369)
         query_offset(%past : index) key_offset(%j : index) : !q, !kv -> !scores
    %c = attn.mask %s causal : !scores
    %chunk = attn.partial(%c, %vc) {
    ^bb0(%x: !scores, %w: !kv):
      %p = attn.softmax %x : !scores
      %po = attn.aggregate %p, %w : !scores, !kv -> !q
      %pl = attn.reduce lse keys %x : (!scores) -> !row
      attn.yield %po, %pl : !q, !row
    } : (!scores, !kv) -> !state
    %before = attn.state_from %o, %l : !q, !row -> !state
    %both = attn.merge %before, %chunk : !state
    %o1, %l1 = attn.finish %both : !state
    scf.yield %o1, %l1 : !q, !row
  }
  return %r#0, %r#1 : !q, !row
}
