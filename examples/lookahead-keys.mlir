// Causal attention whose past keys keep absorbing later tokens: key s gains
// sigmoid(q^U_s . k^U_j) v^U_j from every token j up to the query. The scores of
// these updates are the product of two virtual triangles, so that no key is stored
// more than once; the price is a third loop over the sequence.
//
// Paper: Causal Attention with Lookahead Keys.
// Shapes: all inputs [1, 2, L, 16].
//
// RUN: attn-run %s --check --max-recompute-factor=0 --size L=70
// RUN: attn-run %s --check --loops=fused --max-recompute-factor=0 --size L=37

!in = tensor<1x2x?x16xf32>
!scores = !attn.scores<1x2x?x?xf32>

func.func @attention(
    %qc: !in {attn.name = "qc", attn.dims = ["1", "2", "L", "16"]},
    %kc: !in {attn.name = "kc", attn.dims = ["1", "2", "L", "16"]},
    %vc: !in {attn.name = "vc", attn.dims = ["1", "2", "L", "16"]},
    %qu: !in {attn.name = "qu", attn.dims = ["1", "2", "L", "16"]},
    %ku: !in {attn.name = "ku", attn.dims = ["1", "2", "L", "16"]},
    %vu: !in {attn.name = "vu", attn.dims = ["1", "2", "L", "16"]}
  ) -> (!in {attn.name = "o"}, tensor<1x2x?xf32> {attn.name = "lse"}) {
  %one = arith.constant 1.0 : f32
  // F: query t and update j, up to its own token.
  %f = attn.score %qc, %vu scale(0.25) : !in, !in -> !scores
  %lower = attn.mask %f causal : !scores
  // G: key s and update j, strictly after it.
  %g = attn.score %qu, %ku scale(0.25) : !in, !in -> !scores
  %later = attn.mask %g (%x: f32) at (%b, %h, %s, %j) {
    %after = arith.cmpi sgt, %j, %s : index
    attn.yield %after : i1
  } : !scores
  %gate = attn.map %later (%x: f32) {
    %n = arith.negf %x : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %y = arith.divf %one, %d : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %upper = attn.transpose %gate : !scores -> !scores
  %updates = attn.matmul %lower, %upper : !scores, !scores -> !scores
  %s = attn.score %qc, %kc scale(0.25) : !in, !in -> !scores
  // The updates leave through SiLU.
  %z = attn.map %s, %updates (%x: f32, %u: f32) {
    %n = arith.negf %u : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %silu = arith.divf %u, %d : f32
    %y = arith.subf %x, %silu : f32
    attn.yield %y : f32
  } : (!scores, !scores) -> !scores
  %c = attn.mask %z causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %vc : !scores, !in -> !in
  %lse = attn.reduce lse keys %c : (!scores) -> tensor<1x2x?xf32>
  return %o, %lse : !in, tensor<1x2x?xf32>
}
