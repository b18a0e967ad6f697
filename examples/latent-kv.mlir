// Multi-head latent attention with absorbed projections: keys and values of all
// heads are one latent per token, stored in 8-bit floats, and a small rotated
// key besides. The latent is read and decoded once for both of its uses.
//
// Paper: DeepSeek-V2, arXiv 2405.04434.
// Shapes: q [B, 16, M, 128] in the latent's space, qr [B, 16, M, 32],
// c [B, 1, N, 128], kr [B, 1, N, 32].
//
// RUN: attn-run %s --check --size B=2 M=5 N=70
// RUN: attn-run %s --check --size B=1 M=1 N=129
// RUN: attn-run %s --check --loops=fused --size B=1 M=3 N=17

!q = tensor<?x16x?x128xf32>
!qr = tensor<?x16x?x32xf32>
!latent = tensor<?x1x?x128xf32>
!kr = tensor<?x1x?x32xf32>
!scores = !attn.scores<?x16x?x?xf32>

func.func @attention(
    %q: !q {attn.name = "q", attn.dims = ["B", "16", "M", "128"]},
    %qr: !qr {attn.name = "qr", attn.dims = ["B", "16", "M", "32"]},
    %c: tensor<?x1x?x128xf8E4M3FN> {attn.name = "c", attn.dims = ["B", "1", "N", "128"]},
    %cs: tensor<?x1x?x1xf32>
        {attn.name = "cs", attn.dims = ["B", "1", "N", "1"], attn.init = "positive"},
    %kr: !kr {attn.name = "kr", attn.dims = ["B", "1", "N", "32"]},
    %at: tensor<?x?xi32> {attn.name = "at", attn.dims = ["B", "M"], attn.init = "positions"},
    %from: tensor<?x?xi32> {attn.name = "from", attn.dims = ["B", "N"], attn.init = "positions"}
  ) -> (!q {attn.name = "o"}) {
  %latent = attn.dequantize %c, %cs scheme(<type = f8E4M3FN, axis = token>)
    : tensor<?x1x?x128xf8E4M3FN>, tensor<?x1x?x1xf32> -> !latent
  %x = attn.score %q, %latent scale(0.0790569415) : !q, !latent -> !scores
  %qt = attn.rope %qr positions(%at : tensor<?x?xi32>) interleaved : !qr
  %kt = attn.rope %kr positions(%from : tensor<?x?xi32>) interleaved : !kr
  %y = attn.score %qt, %kt scale(0.0790569415) : !qr, !kr -> !scores
  %s = attn.map %x, %y (%a: f32, %b: f32) {
    %sum = arith.addf %a, %b : f32
    attn.yield %sum : f32
  } : (!scores, !scores) -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %latent : !scores, !latent -> !q
  return %o : !q
}
