// Cross attention of a padded batch: every element has its own number of queries
// and of keys. Rows beyond the query length are 0.
//
// Paper: Attention Is All You Need, arXiv 1706.03762 (encoder-decoder attention).
// Shapes: q [B, 8, M, 64], k and v [B, 2, N, 64], lengths [B, 1].
//
// RUN: attn-run %s --check --size B=5 M=33 N=70
// RUN: attn-run %s --check --loops=fused --size B=5 M=33 N=70

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "M", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "N", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "N", "64"]},
    %query_length: tensor<?x1xi32>
        {attn.name = "query_length", attn.dims = ["B", "1"], attn.init = "lengths(M)"},
    %key_length: tensor<?x1xi32>
        {attn.name = "key_length", attn.dims = ["B", "1"], attn.init = "lengths(N)"}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125)
       query_length(%query_length : tensor<?x1xi32>)
       key_length(%key_length : tensor<?x1xi32>)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
