// Every head chooses its tokens: the rows with the largest gates are queries and
// keys of a small causal attention in the order of their positions, and what it
// finds is weighted by the gate and added up where the rows were.
//
// Paper: Mixture of Sparse Attention: Content-Based Learnable Sparse Attention via
// Expert-Choice Routing, arXiv 2505.00315.
// Shapes: q, k, v [B, 6, N, 32], gate [B, 6, N]; 16 rows per head.
//
// RUN: attn-run %s --check --size B=2,N=101
// RUN: attn-run %s --check --loops=fused --size B=1,N=77
// RUN: attn-run %s --check --size B=1,N=9

!scores = !attn.scores<?x6x16x16xf32>

func.func @attention(
    %q: tensor<?x6x?x32xf32> {attn.name = "q", attn.dims = ["B", "6", "N", "32"]},
    %k: tensor<?x6x?x32xf32> {attn.name = "k", attn.dims = ["B", "6", "N", "32"]},
    %v: tensor<?x6x?x32xf32> {attn.name = "v", attn.dims = ["B", "6", "N", "32"]},
    %gate: tensor<?x6x?xf32> {attn.name = "gate", attn.dims = ["B", "6", "N"]}
  ) -> (tensor<?x6x?x32xf32> {attn.name = "o"}) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %q, %c0 : tensor<?x6x?x32xf32>
  %n = tensor.dim %q, %c2 : tensor<?x6x?x32xf32>
  %weight, %rows, %count = attn.select_topk largest %gate sorted_by(position)
    : tensor<?x6x?xf32> -> tensor<?x6x16xf32>, tensor<?x6x16xi64>, tensor<?x6xi64>
  %qs = attn.gather %q, %rows dim(2) batch(2)
    : tensor<?x6x?x32xf32>, tensor<?x6x16xi64> -> tensor<?x6x16x32xf32>
  %ks = attn.gather %k, %rows dim(2) batch(2)
    : tensor<?x6x?x32xf32>, tensor<?x6x16xi64> -> tensor<?x6x16x32xf32>
  %vs = attn.gather %v, %rows dim(2) batch(2)
    : tensor<?x6x?x32xf32>, tensor<?x6x16xi64> -> tensor<?x6x16x32xf32>
  %s = attn.score %qs, %ks scale(0.17677669529663687)
      query_positions(%rows : tensor<?x6x16xi64>)
      key_positions(%rows : tensor<?x6x16xi64>) key_length(%count : tensor<?x6xi64>)
    : tensor<?x6x16x32xf32>, tensor<?x6x16x32xf32> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %found = attn.aggregate %p, %vs : !scores, tensor<?x6x16x32xf32> -> tensor<?x6x16x32xf32>
  %weighted = linalg.generic {
      indexing_maps = [affine_map<(b, h, i, d) -> (b, h, i)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%weight : tensor<?x6x16xf32>) outs(%found : tensor<?x6x16x32xf32>) {
  ^bb0(%g: f32, %x: f32):
    %one = arith.constant 1.0 : f32
    %minus = arith.negf %g : f32
    %e = math.exp %minus : f32
    %t = arith.addf %one, %e : f32
    %y = arith.divf %x, %t : f32
    linalg.yield %y : f32
  } -> tensor<?x6x16x32xf32>
  %none = tensor.empty(%b, %n) : tensor<?x6x?x32xf32>
  %zero = arith.constant 0.0 : f32
  %init = linalg.fill ins(%zero : f32) outs(%none : tensor<?x6x?x32xf32>) -> tensor<?x6x?x32xf32>
  %o = attn.scatter_reduce sum %init, %rows, %weighted dim(2) batch(2)
    : tensor<?x6x?x32xf32>, tensor<?x6x16xi64>, tensor<?x6x16x32xf32>
  return %o : tensor<?x6x?x32xf32>
}
