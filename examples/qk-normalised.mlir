// Query-key normalisation: queries and keys are divided by their length, so that
// scores are cosines, times a learned factor per head.
//
// Paper: Query-Key Normalization for Transformers, arXiv 2010.04245.
// Shapes: q [B, 4, L, 64], k and v [B, 4, L, 64], one factor per head.
//
// RUN: attn-run %s --check --size B=2 L=65
// RUN: attn-run %s --check --loops=fused --size B=2 L=65

!scores = !attn.scores<?x4x?x?xf32>

#element = affine_map<(b, h, l, d) -> (b, h, l, d)>
#row = affine_map<(b, h, l, d) -> (b, h, l)>

// x / |x| along the features.
func.func private @normalise(%x: tensor<?x4x?x64xf32>) -> tensor<?x4x?x64xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0.0 : f32
  %eps = arith.constant 1.0e-12 : f32
  %batch = tensor.dim %x, %c0 : tensor<?x4x?x64xf32>
  %length = tensor.dim %x, %c2 : tensor<?x4x?x64xf32>
  %rows = tensor.empty(%batch, %length) : tensor<?x4x?xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%rows : tensor<?x4x?xf32>)
    -> tensor<?x4x?xf32>
  %squares = linalg.generic {
    indexing_maps = [#element, #row],
    iterator_types = ["parallel", "parallel", "parallel", "reduction"]
  } ins(%x : tensor<?x4x?x64xf32>) outs(%zeros : tensor<?x4x?xf32>) {
  ^bb0(%in: f32, %sum: f32):
    %square = arith.mulf %in, %in : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  } -> tensor<?x4x?xf32>
  %out = tensor.empty(%batch, %length) : tensor<?x4x?x64xf32>
  %unit = linalg.generic {
    indexing_maps = [#element, #row, #element],
    iterator_types = ["parallel", "parallel", "parallel", "parallel"]
  } ins(%x, %squares : tensor<?x4x?x64xf32>, tensor<?x4x?xf32>) outs(%out : tensor<?x4x?x64xf32>) {
  ^bb0(%in: f32, %square: f32, %_: f32):
    %safe = arith.maximumf %square, %eps : f32
    %inverse = math.rsqrt %safe : f32
    %y = arith.mulf %in, %inverse : f32
    linalg.yield %y : f32
  } -> tensor<?x4x?x64xf32>
  return %unit : tensor<?x4x?x64xf32>
}

func.func @attention(
    %q: tensor<?x4x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "4", "L", "64"]},
    %k: tensor<?x4x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "4", "L", "64"]},
    %v: tensor<?x4x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "4", "L", "64"]},
    %factor: tensor<4xf32>
        {attn.name = "factor", attn.dims = ["4"], attn.init = "positive(15)"}
  ) -> (tensor<?x4x?x64xf32> {attn.name = "o"}) {
  %qn = func.call @normalise(%q) : (tensor<?x4x?x64xf32>) -> tensor<?x4x?x64xf32>
  %kn = func.call @normalise(%k) : (tensor<?x4x?x64xf32>) -> tensor<?x4x?x64xf32>
  %cosine = attn.score %qn, %kn : tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> !scores
  %s = attn.map %cosine (%x: f32) at (%b, %h) {
    %g = tensor.extract %factor[%h] : tensor<4xf32>
    %y = arith.mulf %g, %x : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x4x?x64xf32> -> tensor<?x4x?x64xf32>
  return %o : tensor<?x4x?x64xf32>
}
