// What stands around attention in a model, as threaded vector kernels: odd sizes,
// small ones that stay on one thread, and operands that are strided.

// DEFINE: %{run} = attn-run %s --check
// RUN: %{run} --entry=projections --size L=61 && %{run} --entry=projections --size L=3
// RUN: %{run} --entry=projections --size L=61 --strided x --strided w --strided wt
// RUN: %{run} --entry=convolutions --size L=45 && %{run} --entry=convolutions --size L=5
// RUN: %{run} --entry=pooling --size L=70
// RUN: %{run} --entry=norms --size L=37,K=129 && %{run} --entry=norms --size L=1,K=1
// RUN: %{run} --entry=norms --size L=300,K=257 --strided x
// RUN: %{run} --entry=gates --size L=19 && %{run} --entry=gates --size L=700

// x W, x W^T, and a product per head, with bf16 operands.
func.func @projections(%x: tensor<?x48xf32> {attn.name = "x", attn.dims = ["L", "48"]},
    %w: tensor<48x100xf32> {attn.name = "w", attn.dims = ["48", "100"]},
    %wt: tensor<33x48xf32> {attn.name = "wt", attn.dims = ["33", "48"]},
    %y: tensor<3x?x16xbf16> {attn.name = "y", attn.dims = ["3", "L", "16"]},
    %u: tensor<3x16x20xbf16> {attn.name = "u", attn.dims = ["3", "16", "20"]})
    -> (tensor<?x100xf32>, tensor<?x33xf32>, tensor<3x?x20xf32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %l = tensor.dim %x, %c0 : tensor<?x48xf32>
  %e0 = tensor.empty(%l) : tensor<?x100xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<?x100xf32>) -> tensor<?x100xf32>
  %a = linalg.matmul ins(%x, %w : tensor<?x48xf32>, tensor<48x100xf32>) outs(%z0 : tensor<?x100xf32>) -> tensor<?x100xf32>
  %e1 = tensor.empty(%l) : tensor<?x33xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x33xf32>) -> tensor<?x33xf32>
  %b = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %wt : tensor<?x48xf32>, tensor<33x48xf32>) outs(%z1 : tensor<?x33xf32>) -> tensor<?x33xf32>
  %e2 = tensor.empty(%l) : tensor<3x?x20xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<3x?x20xf32>) -> tensor<3x?x20xf32>
  %c = linalg.batch_matmul ins(%y, %u : tensor<3x?x16xbf16>, tensor<3x16x20xbf16>) outs(%z2 : tensor<3x?x20xf32>) -> tensor<3x?x20xf32>
  return %a, %b, %c : tensor<?x100xf32>, tensor<?x33xf32>, tensor<3x?x20xf32>
}

// Along the sequence with padding; on a grid; per channel, dilated.
func.func @convolutions(%x: tensor<2x?x12xf32> {attn.name = "x", attn.dims = ["2", "L", "12"]},
    %w: tensor<4x12x20xf32> {attn.name = "w", attn.dims = ["4", "12", "20"]},
    %g: tensor<1x18x19x5xf32> {attn.name = "g", attn.dims = ["1", "18", "19", "5"]},
    %f: tensor<3x3x5x17xf32> {attn.name = "f", attn.dims = ["3", "3", "5", "17"]},
    %d: tensor<3x5x5xf32> {attn.name = "d", attn.dims = ["3", "5", "5"]},
    %p: tensor<1x5x18x19xf32> {attn.name = "p", attn.dims = ["1", "5", "18", "19"]},
    %n: tensor<7x5x3x3xf32> {attn.name = "n", attn.dims = ["7", "5", "3", "3"]})
    -> (tensor<2x?x20xf32>, tensor<1x8x9x17xf32>, tensor<1x14x15x5xf32>, tensor<1x7x16x17xf32>) {
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %l = tensor.dim %x, %c1 : tensor<2x?x12xf32>
  // Causal: three zeros in front.
  %padded = tensor.pad %x low[0, 3, 0] high[0, 0, 0] {
  ^bb0(%i: index, %j: index, %k: index):
    tensor.yield %zero : f32
  } : tensor<2x?x12xf32> to tensor<2x?x12xf32>
  %e0 = tensor.empty(%l) : tensor<2x?x20xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<2x?x20xf32>) -> tensor<2x?x20xf32>
  %a = linalg.conv_1d_nwc_wcf ins(%padded, %w : tensor<2x?x12xf32>, tensor<4x12x20xf32>) outs(%z0 : tensor<2x?x20xf32>) -> tensor<2x?x20xf32>
  %e1 = tensor.empty() : tensor<1x8x9x17xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<1x8x9x17xf32>) -> tensor<1x8x9x17xf32>
  %b = linalg.conv_2d_nhwc_hwcf {strides = dense<2> : tensor<2xi64>} ins(%g, %f : tensor<1x18x19x5xf32>, tensor<3x3x5x17xf32>) outs(%z1 : tensor<1x8x9x17xf32>) -> tensor<1x8x9x17xf32>
  %e2 = tensor.empty() : tensor<1x14x15x5xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<1x14x15x5xf32>) -> tensor<1x14x15x5xf32>
  %k = tensor.extract_slice %d[0, 0, 0] [3, 3, 5] [1, 1, 1] : tensor<3x5x5xf32> to tensor<3x3x5xf32>
  %c = linalg.depthwise_conv_2d_nhwc_hwc {dilations = dense<2> : tensor<2xi64>} ins(%g, %k : tensor<1x18x19x5xf32>, tensor<3x3x5xf32>) outs(%z2 : tensor<1x14x15x5xf32>) -> tensor<1x14x15x5xf32>
  %e3 = tensor.empty() : tensor<1x7x16x17xf32>
  %z3 = linalg.fill ins(%zero : f32) outs(%e3 : tensor<1x7x16x17xf32>) -> tensor<1x7x16x17xf32>
  %q = linalg.conv_2d_nchw_fchw ins(%p, %n : tensor<1x5x18x19xf32>, tensor<7x5x3x3xf32>) outs(%z3 : tensor<1x7x16x17xf32>) -> tensor<1x7x16x17xf32>
  return %a, %b, %c, %q : tensor<2x?x20xf32>, tensor<1x8x9x17xf32>, tensor<1x14x15x5xf32>, tensor<1x7x16x17xf32>
}

// The maximum of three, the sum of four by stride four.
func.func @pooling(%x: tensor<2x?x24xf32> {attn.name = "x", attn.dims = ["2", "L", "24"]})
    -> (tensor<2x?x24xf32>, tensor<2x?x24xf32>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %l = tensor.dim %x, %c1 : tensor<2x?x24xf32>
  %l2 = arith.subi %l, %c2 : index
  %l4 = arith.divui %l, %c4 : index
  %window3 = tensor.empty() : tensor<3xf32>
  %window4 = tensor.empty() : tensor<4xf32>
  %e0 = tensor.empty(%l2) : tensor<2x?x24xf32>
  %z0 = linalg.fill ins(%low : f32) outs(%e0 : tensor<2x?x24xf32>) -> tensor<2x?x24xf32>
  %a = linalg.pooling_nwc_max ins(%x, %window3 : tensor<2x?x24xf32>, tensor<3xf32>) outs(%z0 : tensor<2x?x24xf32>) -> tensor<2x?x24xf32>
  %e1 = tensor.empty(%l4) : tensor<2x?x24xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2x?x24xf32>) -> tensor<2x?x24xf32>
  %b = linalg.pooling_nwc_sum {strides = dense<4> : tensor<1xi64>} ins(%x, %window4 : tensor<2x?x24xf32>, tensor<4xf32>) outs(%z1 : tensor<2x?x24xf32>) -> tensor<2x?x24xf32>
  return %a, %b : tensor<2x?x24xf32>, tensor<2x?x24xf32>
}

#row = affine_map<(m, k) -> (m)>
#col = affine_map<(m, k) -> (k)>
#full = affine_map<(m, k) -> (m, k)>

// Root mean square with a gain per feature; the maximum of rows; a sum over rows.
func.func @norms(%x: tensor<?x?xf32> {attn.name = "x", attn.dims = ["L", "K"]},
    %gain: tensor<?xf32> {attn.name = "gain", attn.dims = ["K"]})
    -> (tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %eps = arith.constant 1.0e-6 : f32
  %m = tensor.dim %x, %c0 : tensor<?x?xf32>
  %k = tensor.dim %x, %c1 : tensor<?x?xf32>
  %ki = arith.index_cast %k : index to i64
  %kf = arith.sitofp %ki : i64 to f32
  %rows = tensor.empty(%m) : tensor<?xf32>
  %z = linalg.fill ins(%zero : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
  %lows = linalg.fill ins(%low : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
  %squares = linalg.generic {indexing_maps = [#full, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x?xf32>) outs(%z : tensor<?xf32>) {
  ^bb0(%a: f32, %s: f32):
    %p = arith.mulf %a, %a : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<?xf32>
  %max = linalg.generic {indexing_maps = [#full, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x?xf32>) outs(%lows : tensor<?xf32>) {
  ^bb0(%a: f32, %s: f32):
    %q = arith.maximumf %s, %a : f32
    linalg.yield %q : f32
  } -> tensor<?xf32>
  %cols = tensor.empty(%k) : tensor<?xf32>
  %zc = linalg.fill ins(%zero : f32) outs(%cols : tensor<?xf32>) -> tensor<?xf32>
  %sums = linalg.generic {indexing_maps = [affine_map<(k, m) -> (m, k)>, affine_map<(k, m) -> (k)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x?xf32>) outs(%zc : tensor<?xf32>) {
  ^bb0(%a: f32, %s: f32):
    %q = arith.addf %s, %a : f32
    linalg.yield %q : f32
  } -> tensor<?xf32>
  %o = tensor.empty(%m, %k) : tensor<?x?xf32>
  %y = linalg.generic {indexing_maps = [#full, #row, #col, #full], iterator_types = ["parallel", "parallel"]} ins(%x, %squares, %gain : tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>) outs(%o : tensor<?x?xf32>) {
  ^bb0(%a: f32, %s: f32, %w: f32, %_: f32):
    %mean = arith.divf %s, %kf : f32
    %safe = arith.addf %mean, %eps : f32
    %r = math.rsqrt %safe : f32
    %b = arith.mulf %a, %r : f32
    %c = arith.mulf %b, %w : f32
    linalg.yield %c : f32
  } -> tensor<?x?xf32>
  return %y, %max, %sums : tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>
}

// A gated projection, silu(x w) * (x u), positions added from an index.
func.func @gates(%x: tensor<?x40xf32> {attn.name = "x", attn.dims = ["L", "40"]},
    %w: tensor<40x72xf32> {attn.name = "w", attn.dims = ["40", "72"]},
    %u: tensor<40x72xf32> {attn.name = "u", attn.dims = ["40", "72"]}) -> tensor<?x72xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %l = tensor.dim %x, %c0 : tensor<?x40xf32>
  %e = tensor.empty(%l) : tensor<?x72xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<?x72xf32>) -> tensor<?x72xf32>
  %a = linalg.matmul ins(%x, %w : tensor<?x40xf32>, tensor<40x72xf32>) outs(%z : tensor<?x72xf32>) -> tensor<?x72xf32>
  %b = linalg.matmul ins(%x, %u : tensor<?x40xf32>, tensor<40x72xf32>) outs(%z : tensor<?x72xf32>) -> tensor<?x72xf32>
  %y = linalg.generic {indexing_maps = [#full, #full, #full], iterator_types = ["parallel", "parallel"]} ins(%a, %b : tensor<?x72xf32>, tensor<?x72xf32>) outs(%e : tensor<?x72xf32>) {
  ^bb0(%p: f32, %q: f32, %_: f32):
    %n = arith.negf %p : f32
    %x1 = math.exp %n : f32
    %d = arith.addf %x1, %one : f32
    %s = arith.divf %p, %d : f32
    %g = arith.mulf %s, %q : f32
    %k = linalg.index 1 : index
    %ki = arith.index_cast %k : index to i64
    %kf = arith.sitofp %ki : i64 to f32
    %r = arith.addf %g, %kf : f32
    linalg.yield %r : f32
  } -> tensor<?x72xf32>
  return %y : tensor<?x72xf32>
}
