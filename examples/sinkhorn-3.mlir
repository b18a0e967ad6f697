// Sinkformer with three half-steps: rows, columns, rows are normalised in turn, so
// that the weights come close to doubly stochastic. The potentials u [B, H, M] and
// f [B, H, N] are carried as tensors; the matrix is never stored. The last row step
// is the softmax of scores biased per key.
//
// Paper: Sinkformers: Transformers with Doubly Stochastic Attention,
// arXiv 2110.11773.
// Shapes: q [B, 4, M, 64], k and v [B, 4, N, 64]; no causal form.
//
// RUN: attn-run %s --check --size B=2 M=50 N=37
// RUN: attn-run %s --check --loops=fused --size B=2 M=50 N=37

!scores = !attn.scores<?x4x?x?xf32>

#rows = affine_map<(b, h, l) -> (b, h, l)>

// The potential that makes sums exp(lse + potential) equal to 1 / count.
func.func private @potential(%lse: tensor<?x4x?xf32>, %count: index) -> tensor<?x4x?xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %batch = tensor.dim %lse, %c0 : tensor<?x4x?xf32>
  %length = tensor.dim %lse, %c2 : tensor<?x4x?xf32>
  %integer = arith.index_cast %count : index to i64
  %float = arith.sitofp %integer : i64 to f32
  %log = math.log %float : f32
  %out = tensor.empty(%batch, %length) : tensor<?x4x?xf32>
  %u = linalg.generic {
    indexing_maps = [#rows, #rows],
    iterator_types = ["parallel", "parallel", "parallel"]
  } ins(%lse : tensor<?x4x?xf32>) outs(%out : tensor<?x4x?xf32>) {
  ^bb0(%x: f32, %_: f32):
    %sum = arith.addf %x, %log : f32
    %y = arith.negf %sum : f32
    linalg.yield %y : f32
  } -> tensor<?x4x?xf32>
  return %u : tensor<?x4x?xf32>
}

func.func @attention(
    %q: tensor<?x4x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "4", "M", "64"]},
    %k: tensor<?x4x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "4", "N", "64"]},
    %v: tensor<?x4x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "4", "N", "64"]}
  ) -> (tensor<?x4x?x64xf32> {attn.name = "o"},
        tensor<?x4x?xf32> {attn.name = "f"}) {
  %c2 = arith.constant 2 : index
  %m = tensor.dim %q, %c2 : tensor<?x4x?x64xf32>
  %n = tensor.dim %k, %c2 : tensor<?x4x?x64xf32>
  %s = attn.score %q, %k scale(0.125) : tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> !scores

  // Half-step 1, rows: u = -ln M - lse_j s.
  %rows = attn.reduce lse keys %s : (!scores) -> tensor<?x4x?xf32>
  %u = func.call @potential(%rows, %m) : (tensor<?x4x?xf32>, index) -> tensor<?x4x?xf32>

  // Half-step 2, columns: f = -ln N - lse_i (s + u).
  %su = attn.map %s (%x: f32) at (%b, %h, %i) {
    %ui = tensor.extract %u[%b, %h, %i] : tensor<?x4x?xf32>
    %y = arith.addf %x, %ui : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %columns = attn.reduce lse queries %su : (!scores) -> tensor<?x4x?xf32>
  %f = func.call @potential(%columns, %n) : (tensor<?x4x?xf32>, index) -> tensor<?x4x?xf32>

  // Half-step 3, rows again, fused with the aggregation.
  %sf = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %fj = tensor.extract %f[%b, %h, %j] : tensor<?x4x?xf32>
    %y = arith.addf %x, %fj : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %p = attn.softmax %sf : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x4x?x64xf32> -> tensor<?x4x?x64xf32>
  return %o, %f : tensor<?x4x?x64xf32>, tensor<?x4x?xf32>
}
