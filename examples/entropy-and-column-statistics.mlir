// Causal attention that also reports what its weights look like: per query the
// log-sum-exp, the entropy and the largest score, per key the weight it received
// from all queries (by which caches decide what to evict).
//
// Paper: H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large
// Language Models, arXiv 2306.14048 (column sums).
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
  ) -> (tensor<?x8x?x64xf32> {attn.name = "o"},
        tensor<?x8x?xf32> {attn.name = "lse"},
        tensor<?x8x?xf32> {attn.name = "entropy"},
        tensor<?x8x?xf32> {attn.name = "largest"},
        tensor<?x8x?xf32> {attn.name = "received"}) {
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  %lse = attn.reduce lse keys %c : (!scores) -> tensor<?x8x?xf32>
  %entropy = attn.reduce entropy keys %c : (!scores) -> tensor<?x8x?xf32>
  %largest = attn.reduce max keys %c : (!scores) -> tensor<?x8x?xf32>
  %received = attn.reduce sum queries %p : (!scores) -> tensor<?x8x?xf32>
  return %o, %lse, %entropy, %largest, %received
    : tensor<?x8x?x64xf32>, tensor<?x8x?xf32>, tensor<?x8x?xf32>, tensor<?x8x?xf32>, tensor<?x8x?xf32>
}
