// Additive attention: the score is a small network of a query and a key,
// sum over d of w_d * tanh(q_d + k_d), with both projections done before.
//
// Paper: Neural Machine Translation by Jointly Learning to Align and Translate,
// arXiv 1409.0473.
// Shapes: q [B, 2, M, 24], k and v [B, 2, N, 24], w [24].
//
// RUN: attn-run %s --check --size B=2 M=19 N=37
// RUN: attn-run %s --check --loops=fused --size B=2 M=19 N=37

!scores = !attn.scores<?x2x?x?xf32>

func.func @attention(
    %q: tensor<?x2x?x24xf32>
        {attn.name = "q", attn.dims = ["B", "2", "M", "24"]},
    %k: tensor<?x2x?x24xf32>
        {attn.name = "k", attn.dims = ["B", "2", "N", "24"]},
    %v: tensor<?x2x?x24xf32>
        {attn.name = "v", attn.dims = ["B", "2", "N", "24"]},
    %w: tensor<24xf32>
        {attn.name = "w", attn.dims = ["24"]}
  ) -> (tensor<?x2x?x24xf32> {attn.name = "o"}) {
  %s = attn.score_with sum %q, %k {
  ^bb0(%x: f32, %y: f32, %d: index):
    %weight = tensor.extract %w[%d] : tensor<24xf32>
    %sum = arith.addf %x, %y : f32
    %t = math.tanh %sum : f32
    %term = arith.mulf %weight, %t : f32
    attn.yield %term : f32
  } : tensor<?x2x?x24xf32>, tensor<?x2x?x24xf32> -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x24xf32> -> tensor<?x2x?x24xf32>
  return %o : tensor<?x2x?x24xf32>
}
