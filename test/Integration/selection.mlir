// Selection inside of programs: what is selected feeds scores, and what scores
// give is sorted and summed. Grouped heads, odd lengths, a budget beyond what
// there is.

// RUN: attn-run %s --check --entry=pages --size P=7
// RUN: attn-run %s --check --entry=pages --size P=2
// RUN: attn-run %s --check --loops --entry=pages --size P=7
// RUN: attn-run %s --check --entry=heavy_hitters --size N=37,M=21
// RUN: attn-run %s --check --loops=fused --entry=heavy_hitters --size N=37,M=21
// RUN: attn-run %s --check --entry=ordered --size N=37
// RUN: attn-run %s --check --loops --entry=ordered --size N=37
// RUN: attn-run %s --check --entry=routed --size M=33
// RUN: attn-run %s --check --entry=iterated --size N=9
// RUN: attn-run %s --check --loops --entry=iterated --size N=9

!scores = !attn.scores<1x4x1x?xf32>

// The most relevant pages of keys (arXiv 2406.10774) are gathered and attended.
func.func @pages(
    %q: tensor<1x4x1x16xf32> {attn.name = "q"},
    %k: tensor<1x2x?x8x16xf32> {attn.name = "k", attn.dims = ["1", "2", "P", "8", "16"]},
    %v: tensor<1x2x?x8x16xf32> {attn.name = "v", attn.dims = ["1", "2", "P", "8", "16"]},
    %relevance: tensor<1x4x?xf32> {attn.name = "relevance", attn.dims = ["1", "4", "P"]}
  ) -> (tensor<1x4x1x16xf32> {attn.name = "o"}, tensor<1x4x3xi64> {attn.name = "pages"}) {
  %values, %pages, %count = attn.select_topk largest %relevance sorted_by(position)
    : tensor<1x4x?xf32> -> tensor<1x4x3xf32>, tensor<1x4x3xi64>, tensor<1x4xi64>
  %ks = attn.gather %k, %pages dim(2) batch(2)
    : tensor<1x2x?x8x16xf32>, tensor<1x4x3xi64> -> tensor<1x4x3x8x16xf32>
  %vs = attn.gather %v, %pages dim(2) batch(2)
    : tensor<1x2x?x8x16xf32>, tensor<1x4x3xi64> -> tensor<1x4x3x8x16xf32>
  %kf = tensor.collapse_shape %ks [[0], [1], [2, 3], [4]]
    : tensor<1x4x3x8x16xf32> into tensor<1x4x24x16xf32>
  %vf = tensor.collapse_shape %vs [[0], [1], [2, 3], [4]]
    : tensor<1x4x3x8x16xf32> into tensor<1x4x24x16xf32>
  %c8 = arith.constant dense<8> : tensor<1x4xi64>
  %length = arith.muli %count, %c8 : tensor<1x4xi64>
  %s = attn.score %q, %kf scale(0.25) key_length(%length : tensor<1x4xi64>)
    : tensor<1x4x1x16xf32>, tensor<1x4x24x16xf32> -> !attn.scores<1x4x1x24xf32>
  %p = attn.softmax %s : !attn.scores<1x4x1x24xf32>
  %o = attn.aggregate %p, %vf
    : !attn.scores<1x4x1x24xf32>, tensor<1x4x24x16xf32> -> tensor<1x4x1x16xf32>
  return %o, %pages : tensor<1x4x1x16xf32>, tensor<1x4x3xi64>
}

// Keys that receive much attention stay (arXiv 2306.14048); running sums of what
// they receive bias a second pass.
func.func @heavy_hitters(
    %q: tensor<1x4x?x16xf32> {attn.name = "q", attn.dims = ["1", "4", "M", "16"]},
    %k: tensor<1x4x?x16xf32> {attn.name = "k", attn.dims = ["1", "4", "N", "16"]},
    %v: tensor<1x4x?x16xf32> {attn.name = "v", attn.dims = ["1", "4", "N", "16"]}
  ) -> (tensor<1x4x?x16xf32> {attn.name = "o"}, tensor<1x4x5x16xf32> {attn.name = "kept"},
        tensor<1x4x5xi64> {attn.name = "places"}) {
  %s = attn.score %q, %k scale(0.25)
    : tensor<1x4x?x16xf32>, tensor<1x4x?x16xf32> -> !attn.scores<1x4x?x?xf32>
  %p = attn.softmax %s : !attn.scores<1x4x?x?xf32>
  %received = attn.reduce sum queries %p : (!attn.scores<1x4x?x?xf32>) -> tensor<1x4x?xf32>
  %most, %places, %count = attn.select_topk largest %received
    : tensor<1x4x?xf32> -> tensor<1x4x5xf32>, tensor<1x4x5xi64>, tensor<1x4xi64>
  %kept = attn.gather %v, %places dim(2) batch(2)
    : tensor<1x4x?x16xf32>, tensor<1x4x5xi64> -> tensor<1x4x5x16xf32>
  %sums = attn.prefix %received dim(2) identity [0.0 : f32] {
  ^bb0(%a: f32, %x: f32):
    %n = arith.addf %a, %x : f32
    attn.yield %n : f32
  } : tensor<1x4x?xf32> -> tensor<1x4x?xf32>
  %biased = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %zero = arith.constant 0 : index
    %t = tensor.extract %sums[%zero, %h, %j] : tensor<1x4x?xf32>
    %y = arith.subf %x, %t : f32
    attn.yield %y : f32
  } : (!attn.scores<1x4x?x?xf32>) -> !attn.scores<1x4x?x?xf32>
  %w = attn.softmax %biased : !attn.scores<1x4x?x?xf32>
  %o = attn.aggregate %w, %v
    : !attn.scores<1x4x?x?xf32>, tensor<1x4x?x16xf32> -> tensor<1x4x?x16xf32>
  return %o, %kept, %places : tensor<1x4x?x16xf32>, tensor<1x4x5x16xf32>, tensor<1x4x5xi64>
}

// Keys in the order of a code; a causal mask in the order of positions.
func.func @ordered(
    %q: tensor<1x4x?x16xf32> {attn.name = "q", attn.dims = ["1", "4", "N", "16"]},
    %k: tensor<1x4x?x16xf32> {attn.name = "k", attn.dims = ["1", "4", "N", "16"]},
    %code: tensor<1x4x?xi32> {attn.name = "code", attn.dims = ["1", "4", "N"], attn.init = "range(0, 5)"}
  ) -> (tensor<1x4x?x16xf32> {attn.name = "o"}) {
  %order, %codes = attn.argsort %code dim(2)
    : tensor<1x4x?xi32> -> tensor<1x4x?xi64>, tensor<1x4x?xi32>
  %ks = attn.gather %k, %order dim(2) batch(2)
    : tensor<1x4x?x16xf32>, tensor<1x4x?xi64> -> tensor<1x4x?x16xf32>
  %qs = attn.gather %q, %order dim(2) batch(2)
    : tensor<1x4x?x16xf32>, tensor<1x4x?xi64> -> tensor<1x4x?x16xf32>
  %s = attn.score %qs, %ks scale(0.25) query_positions(%order : tensor<1x4x?xi64>)
      key_positions(%order : tensor<1x4x?xi64>)
    : tensor<1x4x?x16xf32>, tensor<1x4x?x16xf32> -> !attn.scores<1x4x?x?xf32>
  %c = attn.mask %s causal : !attn.scores<1x4x?x?xf32>
  %p = attn.softmax %c : !attn.scores<1x4x?x?xf32>
  %o = attn.aggregate %p, %ks
    : !attn.scores<1x4x?x?xf32>, tensor<1x4x?x16xf32> -> tensor<1x4x?x16xf32>
  // Back to where the queries were.
  %r = attn.scatter_reduce replace %q, %order, %o dim(2) batch(2)
    : tensor<1x4x?x16xf32>, tensor<1x4x?xi64>, tensor<1x4x?x16xf32>
  return %r : tensor<1x4x?x16xf32>
}

// Each expert takes its best tokens (arXiv 2505.00315), attends among them and
// adds what it finds where they were; a factorisation of what is there.
func.func @routed(
    %x: tensor<1x?x16xf32> {attn.name = "x", attn.dims = ["1", "M", "16"]},
    %gate: tensor<1x?x4xf32> {attn.name = "gate", attn.dims = ["1", "M", "4"]}
  ) -> (tensor<1x?x16xf32> {attn.name = "o"}, tensor<1x16x16xf32> {attn.name = "l"},
        tensor<1x16x16xf32> {attn.name = "inverse"}) {
  %g, %tokens, %n = attn.select_topk largest %gate dims [1]
    : tensor<1x?x4xf32> -> tensor<1x6x4xf32>, tensor<1x6x4xi64>, tensor<1x4xi64>
  %empty = tensor.empty() : tensor<1x4x6xi64>
  %t = linalg.transpose ins(%tokens : tensor<1x6x4xi64>) outs(%empty : tensor<1x4x6xi64>) permutation = [0, 2, 1]
  %rows = attn.gather %x, %t dim(1) batch(1)
    : tensor<1x?x16xf32>, tensor<1x4x6xi64> -> tensor<1x4x6x16xf32>
  %s = attn.score %rows, %rows scale(0.25)
    : tensor<1x4x6x16xf32>, tensor<1x4x6x16xf32> -> !attn.scores<1x4x6x6xf32>
  %p = attn.softmax %s : !attn.scores<1x4x6x6xf32>
  %o = attn.aggregate %p, %rows
    : !attn.scores<1x4x6x6xf32>, tensor<1x4x6x16xf32> -> tensor<1x4x6x16xf32>
  %y = attn.scatter_reduce sum %x, %t, %o dim(1) batch(1)
    : tensor<1x?x16xf32>, tensor<1x4x6xi64>, tensor<1x4x6x16xf32>
  %zero = arith.constant 0.0 : f32
  %none = tensor.empty() : tensor<1x16x16xf32>
  %cleared = linalg.fill ins(%zero : f32) outs(%none : tensor<1x16x16xf32>) -> tensor<1x16x16xf32>
  %gram = linalg.generic {
      indexing_maps = [affine_map<(b, i, j, m) -> (b, m, i)>, affine_map<(b, i, j, m) -> (b, m, j)>,
                       affine_map<(b, i, j, m) -> (b, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %x : tensor<1x?x16xf32>, tensor<1x?x16xf32>) outs(%cleared : tensor<1x16x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %ab = arith.mulf %a, %b : f32
    %d = arith.addf %c, %ab : f32
    linalg.yield %d : f32
  } -> tensor<1x16x16xf32>
  %l = attn.cholesky %gram : tensor<1x16x16xf32>
  %inverse = attn.solve lower %l, %gram : tensor<1x16x16xf32>, tensor<1x16x16xf32>
  return %y, %l, %inverse : tensor<1x?x16xf32>, tensor<1x16x16xf32>, tensor<1x16x16xf32>
}

// A loop carries what an op made (power iteration); a region reads captured
// values; what an op read is overwritten afterwards, and so is what it made.
func.func @iterated(%a: tensor<9x9xf32> {attn.name = "a"}, %decay: f32, 
    %w: tensor<?xf32> {attn.name = "w", attn.dims = ["N"]}, %x: tensor<?xf32> {attn.name = "x", attn.dims = ["N"]})
    -> (tensor<9x3xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %zero = arith.constant 0.0 : f32
  %start = tensor.extract_slice %a[0, 0] [9, 3] [1, 1] : tensor<9x9xf32> to tensor<9x3xf32>
  %q = scf.for %i = %c0 to %c3 step %c1 iter_args(%v = %start) -> (tensor<9x3xf32>) {
    %none = tensor.empty() : tensor<9x3xf32>
    %clear = linalg.fill ins(%zero : f32) outs(%none : tensor<9x3xf32>) -> tensor<9x3xf32>
    %av = linalg.matmul ins(%a, %v : tensor<9x9xf32>, tensor<9x3xf32>) outs(%clear : tensor<9x3xf32>) -> tensor<9x3xf32>
    %qq, %r = attn.qr %av : tensor<9x3xf32> -> tensor<9x3xf32>, tensor<3x3xf32>
    scf.yield %qq : tensor<9x3xf32>
  }
  %s = attn.prefix %x dim(0) identity [0.0 : f32] {
  ^bb0(%acc: f32, %e: f32):
    %w0 = tensor.extract %w[%c0] : tensor<?xf32>
    %d = arith.mulf %acc, %decay : f32
    %ww = arith.mulf %w0, %e : f32
    %y = arith.addf %d, %ww : f32
    attn.yield %y : f32
  } : tensor<?xf32> -> tensor<?xf32>
  %idx = arith.constant dense<[0, 1]> : tensor<2xi64>
  %z = tensor.insert %zero into %x[%c0] : tensor<?xf32>
  %g = attn.gather %z, %idx dim(0) : tensor<?xf32>, tensor<2xi64> -> tensor<2xf32>
  %g0 = tensor.extract %g[%c0] : tensor<2xf32>
  %u = tensor.insert %g0 into %s[%c0] : tensor<?xf32>
  return %q, %u : tensor<9x3xf32>, tensor<?xf32>
}
