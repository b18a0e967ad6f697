// A layer of a language model around causal grouped-query attention: root mean
// square norm, projections straight into heads, attention, output projection, and
// the residual. Everything is ordinary linalg but the attention itself.
//
// Papers: Root Mean Square Layer Normalization, arXiv 1910.07467; GQA, arXiv
// 2305.13245.
// Shapes: x [B, L, 256]; 8 query heads and 2 key heads of 32 features.
//
// RUN: attn-run %s --check --size B=2 L=50
// RUN: attn-run %s --check --loops=fused --size B=2 L=50

!scores = !attn.scores<?x8x?x?xf32>
!tokens = tensor<?x?x256xf32>
!queries = tensor<?x8x?x32xf32>
!keys = tensor<?x2x?x32xf32>

#token = affine_map<(b, l, c) -> (b, l, c)>
#row = affine_map<(b, l, c) -> (b, l)>
#feature = affine_map<(b, l, c) -> (c)>

// x / rms(x) * gain.
func.func private @norm(%x: !tokens, %gain: tensor<256xf32>) -> !tokens {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %eps = arith.constant 1.0e-6 : f32
  %share = arith.constant 0.00390625 : f32
  %batch = tensor.dim %x, %c0 : !tokens
  %length = tensor.dim %x, %c1 : !tokens
  %rows = tensor.empty(%batch, %length) : tensor<?x?xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%rows : tensor<?x?xf32>) -> tensor<?x?xf32>
  %squares = linalg.generic {
    indexing_maps = [#token, #row], iterator_types = ["parallel", "parallel", "reduction"]
  } ins(%x : !tokens) outs(%zeros : tensor<?x?xf32>) {
  ^bb0(%in: f32, %sum: f32):
    %square = arith.mulf %in, %in : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  } -> tensor<?x?xf32>
  %out = tensor.empty(%batch, %length) : !tokens
  %y = linalg.generic {
    indexing_maps = [#token, #row, #feature, #token], iterator_types = ["parallel", "parallel", "parallel"]
  } ins(%x, %squares, %gain : !tokens, tensor<?x?xf32>, tensor<256xf32>) outs(%out : !tokens) {
  ^bb0(%in: f32, %sum: f32, %g: f32, %_: f32):
    %mean = arith.mulf %sum, %share : f32
    %safe = arith.addf %mean, %eps : f32
    %inverse = math.rsqrt %safe : f32
    %unit = arith.mulf %in, %inverse : f32
    %scaled = arith.mulf %unit, %g : f32
    linalg.yield %scaled : f32
  } -> !tokens
  return %y : !tokens
}

// q[b, h, l, d] = sum over c of x[b, l, c] w[c, h, d], and the same for keys.
#x = affine_map<(b, h, l, d, c) -> (b, l, c)>
#w = affine_map<(b, h, l, d, c) -> (c, h, d)>
#q = affine_map<(b, h, l, d, c) -> (b, h, l, d)>

func.func private @queries(%x: !tokens, %w: tensor<256x8x32xf32>) -> !queries {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %batch = tensor.dim %x, %c0 : !tokens
  %length = tensor.dim %x, %c1 : !tokens
  %e = tensor.empty(%batch, %length) : !queries
  %z = linalg.fill ins(%zero : f32) outs(%e : !queries) -> !queries
  %q = linalg.generic {
    indexing_maps = [#x, #w, #q], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
  } ins(%x, %w : !tokens, tensor<256x8x32xf32>) outs(%z : !queries) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %p = arith.mulf %a, %b fastmath<contract> : f32
    %s = arith.addf %sum, %p fastmath<contract> : f32
    linalg.yield %s : f32
  } -> !queries
  return %q : !queries
}

func.func private @keys(%x: !tokens, %w: tensor<256x2x32xf32>) -> !keys {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %batch = tensor.dim %x, %c0 : !tokens
  %length = tensor.dim %x, %c1 : !tokens
  %e = tensor.empty(%batch, %length) : !keys
  %z = linalg.fill ins(%zero : f32) outs(%e : !keys) -> !keys
  %k = linalg.generic {
    indexing_maps = [#x, #w, #q], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
  } ins(%x, %w : !tokens, tensor<256x2x32xf32>) outs(%z : !keys) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %p = arith.mulf %a, %b fastmath<contract> : f32
    %s = arith.addf %sum, %p fastmath<contract> : f32
    linalg.yield %s : f32
  } -> !keys
  return %k : !keys
}

func.func @layer(
    %x: !tokens {attn.name = "x", attn.dims = ["B", "L", "256"]},
    %gain: tensor<256xf32> {attn.name = "gain", attn.dims = ["256"]},
    %wq: tensor<256x8x32xf32>
        {attn.name = "wq", attn.dims = ["256", "8", "32"], attn.init = "normal(0.06)"},
    %wk: tensor<256x2x32xf32>
        {attn.name = "wk", attn.dims = ["256", "2", "32"], attn.init = "normal(0.06)"},
    %wv: tensor<256x2x32xf32>
        {attn.name = "wv", attn.dims = ["256", "2", "32"], attn.init = "normal(0.06)"},
    %wo: tensor<8x32x256xf32>
        {attn.name = "wo", attn.dims = ["8", "32", "256"], attn.init = "normal(0.06)"}
  ) -> (!tokens {attn.name = "y"}) {
  %n = func.call @norm(%x, %gain) : (!tokens, tensor<256xf32>) -> !tokens
  %q = func.call @queries(%n, %wq) : (!tokens, tensor<256x8x32xf32>) -> !queries
  %k = func.call @keys(%n, %wk) : (!tokens, tensor<256x2x32xf32>) -> !keys
  %v = func.call @keys(%n, %wv) : (!tokens, tensor<256x2x32xf32>) -> !keys
  %s = attn.score %q, %k scale(0.1767766952966369) : !queries, !keys -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, !keys -> !queries
  // The residual is where the output projection starts from.
  %y = linalg.generic {
    indexing_maps = [affine_map<(b, l, c, h, d) -> (b, h, l, d)>, affine_map<(b, l, c, h, d) -> (h, d, c)>,
                     affine_map<(b, l, c, h, d) -> (b, l, c)>],
    iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]
  } ins(%o, %wo : !queries, tensor<8x32x256xf32>) outs(%x : !tokens) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %m = arith.mulf %a, %b fastmath<contract> : f32
    %t = arith.addf %sum, %m fastmath<contract> : f32
    linalg.yield %t : f32
  } -> !tokens
  return %y : !tokens
}
