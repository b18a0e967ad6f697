// Sigmoid attention: every weight is sigmoid(s - ln N) by itself; no row is
// normalised and nothing couples the keys.
//
// Paper: Theory, Analysis, and Best Practices for Sigmoid Self-Attention,
// arXiv 2409.04431.
// Shapes: q [B, 8, L, 64], k and v [B, 2, L, 64].
//
// RUN: attn-run %s --check --size B=2 L=65
// RUN: attn-run %s --check --loops=fused --size B=2 L=65

!scores = !attn.scores<?x8x?x?xf32>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "L", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "L", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "L", "64"]}
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"}) {
  %c2 = arith.constant 2 : index
  %one = arith.constant 1.0 : f32
  %n = tensor.dim %k, %c2 : tensor<?x2x?x64xf32>
  %integer = arith.index_cast %n : index to i64
  %float = arith.sitofp %integer : i64 to f32
  %offset = math.log %float : f32
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.map %c (%x: f32) {
    %minus = arith.subf %offset, %x : f32
    %e = math.exp %minus : f32
    %d = arith.addf %e, %one : f32
    %y = arith.divf %one, %d : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
