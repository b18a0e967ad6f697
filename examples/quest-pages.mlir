// Decoding over the pages of a cache that may matter: the extrema of the keys of
// a page bound what a query can score there, and only the pages with the largest
// bounds are read. The four most recent pages always are.
//
// Paper: Quest: Query-Aware Sparsity for Efficient Long-Context LLM Inference,
// arXiv 2406.10774. Bounds per query head, on grouped key heads.
// Shapes: q [B, 8, 1, 64], k and v [B, 2, P, 16, 64] in pages of 16 keys,
// budget of pages [B, 8].
//
// RUN: attn-run %s --check --size B=2,P=37
// RUN: attn-run %s --check --loops=fused --size B=1,P=19
// RUN: attn-run %s --check --size B=1,P=5

!bounds = !attn.scores<?x8x1x?xf32>
!scores = !attn.scores<?x8x1x192xf32>

func.func @attention(
    %q: tensor<?x8x1x64xf32> {attn.name = "q", attn.dims = ["B", "8", "1", "64"]},
    %k: tensor<?x2x?x16x64xf32> {attn.name = "k", attn.dims = ["B", "2", "P", "16", "64"]},
    %v: tensor<?x2x?x16x64xf32> {attn.name = "v", attn.dims = ["B", "2", "P", "16", "64"]},
    %budget: tensor<?x8xi32> {attn.name = "budget", attn.dims = ["B", "8"], attn.init = "range(4, 12)"}
  ) -> (tensor<?x8x1x64xf32> {attn.name = "o"}, tensor<?x8x12xi64> {attn.name = "pages"}) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %k, %c0 : tensor<?x2x?x16x64xf32>
  %p = tensor.dim %k, %c2 : tensor<?x2x?x16x64xf32>

  // What the cache knows of its pages.
  %low = arith.constant 0xFF800000 : f32
  %high = arith.constant 0x7F800000 : f32
  %init = tensor.empty(%b, %p) : tensor<?x2x?x64xf32>
  %init_max = linalg.fill ins(%low : f32) outs(%init : tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32>
  %init_min = linalg.fill ins(%high : f32) outs(%init : tensor<?x2x?x64xf32>) -> tensor<?x2x?x64xf32>
  %max = linalg.reduce { arith.maximumf }
    ins(%k : tensor<?x2x?x16x64xf32>) outs(%init_max : tensor<?x2x?x64xf32>) dimensions = [3]
  %min = linalg.reduce { arith.minimumf }
    ins(%k : tensor<?x2x?x16x64xf32>) outs(%init_min : tensor<?x2x?x64xf32>) dimensions = [3]

  // The bound: the sum of max(q max, q min) over features.
  %upper = attn.score_with sum %q, %max {
  ^bb0(%x: f32, %y: f32, %d: index):
    %zero = arith.constant 0.0 : f32
    %positive = arith.maximumf %x, %zero : f32
    %t = arith.mulf %positive, %y : f32
    attn.yield %t : f32
  } : tensor<?x8x1x64xf32>, tensor<?x2x?x64xf32> -> !bounds
  %lower = attn.score_with sum %q, %min {
  ^bb0(%x: f32, %y: f32, %d: index):
    %zero = arith.constant 0.0 : f32
    %negative = arith.minimumf %x, %zero : f32
    %t = arith.mulf %negative, %y : f32
    attn.yield %t : f32
  } : tensor<?x8x1x64xf32>, tensor<?x2x?x64xf32> -> !bounds
  %bound = attn.map %upper, %lower (%x: f32, %y: f32) {
    %t = arith.addf %x, %y : f32
    attn.yield %t : f32
  } : (!bounds, !bounds) -> !bounds
  // One number per page and head.
  %matrix = attn.materialize %bound : !bounds -> tensor<?x8x1x?xf32>
  %estimate = tensor.collapse_shape %matrix [[0], [1, 2], [3]]
    : tensor<?x8x1x?xf32> into tensor<?x8x?xf32>

  %recent_init = tensor.empty(%b, %p) : tensor<?x8x?xi1>
  %recent = linalg.generic {
      indexing_maps = [affine_map<(b, h, p) -> (b, h, p)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      outs(%recent_init : tensor<?x8x?xi1>) {
  ^bb0(%none: i1):
    %c4 = arith.constant 4 : index
    %page = linalg.index 2 : index
    %ahead = arith.addi %page, %c4 : index
    %is_recent = arith.cmpi sge, %ahead, %p : index
    linalg.yield %is_recent : i1
  } -> tensor<?x8x?xi1>
  %best, %pages, %count = attn.select_topk largest %estimate k(%budget : tensor<?x8xi32>)
    forced(%recent : tensor<?x8x?xi1>) sorted_by(position)
    : tensor<?x8x?xf32> -> tensor<?x8x12xf32>, tensor<?x8x12xi64>, tensor<?x8xi64>

  %kp = attn.gather %k, %pages dim(2) batch(2)
    : tensor<?x2x?x16x64xf32>, tensor<?x8x12xi64> -> tensor<?x8x12x16x64xf32>
  %vp = attn.gather %v, %pages dim(2) batch(2)
    : tensor<?x2x?x16x64xf32>, tensor<?x8x12xi64> -> tensor<?x8x12x16x64xf32>
  %keys = tensor.collapse_shape %kp [[0], [1], [2, 3], [4]]
    : tensor<?x8x12x16x64xf32> into tensor<?x8x192x64xf32>
  %values = tensor.collapse_shape %vp [[0], [1], [2, 3], [4]]
    : tensor<?x8x12x16x64xf32> into tensor<?x8x192x64xf32>
  %four = arith.constant 4 : i64
  %length_init = tensor.empty(%b) : tensor<?x8xi64>
  %shift = linalg.fill ins(%four : i64) outs(%length_init : tensor<?x8xi64>) -> tensor<?x8xi64>
  %length = arith.shli %count, %shift : tensor<?x8xi64>
  %s = attn.score %q, %keys scale(0.125) key_length(%length : tensor<?x8xi64>)
    : tensor<?x8x1x64xf32>, tensor<?x8x192x64xf32> -> !scores
  %w = attn.softmax %s : !scores
  %o = attn.aggregate %w, %values : !scores, tensor<?x8x192x64xf32> -> tensor<?x8x1x64xf32>
  return %o, %pages : tensor<?x8x1x64xf32>, tensor<?x8x12xi64>
}
