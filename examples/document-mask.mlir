// Packed documents: tokens see earlier tokens of their own document only. Segments
// is the document number of every token.
//
// Paper: Efficient Sequence Packing without Cross-contamination, arXiv 2107.02027.
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64], segments [B, L].
//
// RUN: attn-run %s --check --size B=2 L=129
// RUN: attn-run %s --check --loops=fused --size B=2 L=129

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]},
    %segments: tensor<?x?xi32>
        {attn.name = "segments", attn.dims = ["B", "L"], attn.init = "segments(3)"}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
       query_segments(%segments : tensor<?x?xi32>)
       key_segments(%segments : tensor<?x?xi32>)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %d = attn.mask %s document : !scores
  %c = attn.mask %d causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
