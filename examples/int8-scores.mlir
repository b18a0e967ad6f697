// Scores of 8-bit queries and keys: codes are contracted as integers, exactly,
// and the scales of blocks of 128 queries and 64 keys make floats of the sums.
// The values stay bf16. Queries and keys come as codes, with the mean of the
// keys taken out before they were made, which a softmax does not notice.
//
// Paper: SageAttention: Accurate 8-Bit Attention for Plug-and-play Inference
// Acceleration, arXiv 2410.02367.
// Shapes: codes q [B, 8, M, 64] and k [B, 2, N, 64], scales [B, 8, blocks of
// queries] and [B, 2, blocks of keys], v [B, 2, N, 64].
//
// RUN: attn-run %s --check --size B=2 M=131 N=257 MB=2 NB=5
// RUN: attn-run %s --check --size B=1 M=1 N=130 MB=1 NB=3
// RUN: attn-run %s --check --size B=2 M=7 N=0 MB=1 NB=0
// RUN: attn-run %s --check --splits=3 --size B=1 M=1 N=330 MB=1 NB=6
// RUN: attn-run %s --check --size B=2 M=9 N=70 MB=1 NB=2 --pattern q_scales=nan-row --pattern k_scales=inf-row
// RUN: attn-run %s --check --loops=fused --size B=1 M=130 N=67 MB=2 NB=2

!codes_q = tensor<?x8x?x64xi8>
!codes_k = tensor<?x2x?x64xi8>
!values = tensor<?x2x?x64xbf16>
!sums = !attn.scores<?x8x?x?xi32>
!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: !codes_q {attn.name = "q", attn.dims = ["B", "8", "M", "64"]},
    %k: !codes_k {attn.name = "k", attn.dims = ["B", "2", "N", "64"]},
    %v: !values {attn.name = "v", attn.dims = ["B", "2", "N", "64"]},
    %qs: tensor<?x8x?xf32>
        {attn.name = "q_scales", attn.dims = ["B", "8", "MB"], attn.init = "positive 0.02"},
    %ks: tensor<?x2x?xf32>
        {attn.name = "k_scales", attn.dims = ["B", "2", "NB"], attn.init = "positive 0.02"}
  ) -> (tensor<?x8x?x64xbf16> {attn.name = "o"}) {
  %s = attn.score %q, %k : !codes_q, !codes_k -> !sums
  %f = attn.map %s (%x: i32) at (%b, %h, %i, %j) {
    %scale = arith.constant 0.125 : f32
    %queries = arith.constant 128 : index
    %keys = arith.constant 64 : index
    %heads = arith.constant 4 : index
    %g = arith.divui %h, %heads : index
    %bi = arith.divui %i, %queries : index
    %bj = arith.divui %j, %keys : index
    %sq = tensor.extract %qs[%b, %h, %bi] : tensor<?x8x?xf32>
    %sk = tensor.extract %ks[%b, %g, %bj] : tensor<?x2x?xf32>
    %number = arith.sitofp %x : i32 to f32
    %factor = arith.mulf %sq, %scale : f32
    %row = arith.mulf %number, %factor : f32
    %y = arith.mulf %row, %sk : f32
    attn.yield %y : f32
  } : (!sums) -> !scores
  %p = attn.softmax %f : !scores
  %o = attn.aggregate %p, %v operand_type(bf16) : !scores, !values -> tensor<?x8x?x64xbf16>
  return %o : tensor<?x8x?x64xbf16>
}
