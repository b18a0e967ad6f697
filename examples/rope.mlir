// Rotary position embedding inside causal attention: queries and keys are
// rotated as they are loaded, and never stored rotated.
//
// Paper: RoFormer: Enhanced Transformer with Rotary Position Embedding,
// arXiv 2104.09864.
// Shapes: q [B, 8, L, 80], k and v [B, 2, L, 80]; 64 of 80 features rotate.
//
// RUN: attn-run %s --check --size B=2 L=65
// RUN: attn-run %s --check --loops=fused --size B=1 L=33
// RUN: attn-run %s --check --size B=1 L=1
// RUN: attn-run %s --check --size B=1 L=200 --pattern k=nan-row --pattern q=inf-row

!q = tensor<?x8x?x80xf32>
!kv = tensor<?x2x?x80xf32>
!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: !q {attn.name = "q", attn.dims = ["B", "8", "L", "80"]},
    %k: !kv {attn.name = "k", attn.dims = ["B", "2", "L", "80"]},
    %v: !kv {attn.name = "v", attn.dims = ["B", "2", "L", "80"]},
    %positions: tensor<?x?xi32>
        {attn.name = "positions", attn.dims = ["B", "L"], attn.init = "positions 3"}
  ) -> (!q {attn.name = "o"}) {
  %qr = attn.rope %q positions(%positions : tensor<?x?xi32>) half rotary_dim(64) : !q
  %kr = attn.rope %k positions(%positions : tensor<?x?xi32>) half rotary_dim(64) : !kv
  %s = attn.score %qr, %kr scale(0.11180339887498949) : !q, !kv -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, !kv -> !q
  return %o : !q
}
