// Programs that random campaigns found to be compiled wrongly, made small.

// DEFINE: %{run} = attn-run %s --check --max-recompute-factor=0
// RUN: %{run} --entry=listed_beside_mixed --size B=1,M=37,N=50
// RUN: %{run} --entry=listed_beside_mixed --size B=2,M=1,N=16 --loops=fused
// RUN: %{run} --entry=rotated_factor --size B=2,M=9,L=5,N=7
// RUN: %{run} --entry=sure_factor --size B=1,M=64,L=3,N=63
// RUN: %{run} --entry=sure_columns --size N=300
// RUN: %{run} --entry=coefficients_wait
// RUN: %{run} --entry=rounded_difference --size M=9,N=1
// RUN: %{run} --entry=dense_columns --size N=9
// RUN: %{run} --entry=listed_sources --size M=17,L=21,S=13
// RUN: %{run} --entry=stored_weights --size M=60,N=77
// RUN: %{run} --entry=scores_within_blocks --size M=3,A=15,B=20
// RUN: %{run} --entry=columns_within_blocks --size M=9,N=9,L=63,R=9
// RUN: %{run} --entry=lengths_of_sources --size M=9,N=9,L=5
// RUN: %{run} --entry=product_in_stencil --size M=9,N=7 --loops=fused
// RUN: %{run} --entry=product_in_stencil --size M=9,N=7 --target=hip:gfx1100,emulate

// A block of rows has all heads, because one result mixes them: the list drives
// neither sweep.
func.func @listed_beside_mixed(
    %v: tensor<?x2x?x3xf32> {attn.name = "v", attn.dims = ["B", "2", "N", "3"]},
    %w: tensor<2x2xf32> {attn.name = "w", attn.dims = ["2", "2"]},
    %list: tensor<1x2x?x2xi32>
        {attn.name = "list", attn.dims = ["1", "2", "R", "2"], attn.init = "range(0, 5)"},
    %t: tensor<?x2x?x?xf32> {attn.name = "t", attn.dims = ["B", "2", "M", "N"]})
    -> (tensor<?x2x?x3xf32>, tensor<?x2x?x3xf32>) attributes {attn.sizes = {R = 3}} {
  %s = attn.bias %t : tensor<?x2x?x?xf32> -> !attn.scores<?x2x?x?xf32>
  %r = attn.restrict %s, %list block(16, 8) : !attn.scores<?x2x?x?xf32>, tensor<1x2x?x2xi32>
  %o = attn.aggregate %r, %v : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x3xf32> -> tensor<?x2x?x3xf32>
  %m = attn.mix_heads %r, %w : !attn.scores<?x2x?x?xf32>, tensor<2x2xf32> -> !attn.scores<?x2x?x?xf32>
  %u = attn.aggregate %m, %v : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x3xf32> -> tensor<?x2x?x3xf32>
  return %o, %u : tensor<?x2x?x3xf32>, tensor<?x2x?x3xf32>
}

// Keys of a factor of a product whose features change places need a buffer.
func.func @rotated_factor(
    %q: tensor<?x1x?x4xf64> {attn.name = "q", attn.dims = ["B", "1", "M", "4"]},
    %k: tensor<?x1x?x4xf64> {attn.name = "k", attn.dims = ["B", "1", "L", "4"]},
    %at: tensor<?x?xi32> {attn.name = "at", attn.dims = ["B", "L"], attn.init = "positions"},
    %t: tensor<?x1x?x?xf64> {attn.name = "t", attn.dims = ["B", "1", "L", "N"]})
    -> tensor<?x1x?xf64> {
  %r = attn.rope %k positions(%at : tensor<?x?xi32>) half : tensor<?x1x?x4xf64>
  %a = attn.score %q, %r : tensor<?x1x?x4xf64>, tensor<?x1x?x4xf64> -> !attn.scores<?x1x?x?xf64>
  %b = attn.bias %t : tensor<?x1x?x?xf64> -> !attn.scores<?x1x?x?xf64>
  %c = attn.matmul %a, %b : !attn.scores<?x1x?x?xf64>, !attn.scores<?x1x?x?xf64> -> !attn.scores<?x1x?x?xf64>
  %m = attn.reduce min keys %c : (!attn.scores<?x1x?x?xf64>) -> tensor<?x1x?xf64>
  return %m : tensor<?x1x?xf64>
}

// Large scores: a factor has to meet the very maximum that another kernel found.
func.func @sure_factor(
    %q: tensor<?x3x?x16xf32> {attn.name = "q", attn.dims = ["B", "3", "M", "16"]},
    %k: tensor<?x3x?x16xf32> {attn.name = "k", attn.dims = ["B", "3", "L", "16"], attn.init = "large(8)"},
    %r: tensor<?x3x?x16xf32> {attn.name = "r", attn.dims = ["B", "3", "N", "16"]},
    %v: tensor<?x3x?x16xf32> {attn.name = "v", attn.dims = ["B", "3", "N", "16"]}) -> tensor<?x3x?x16xf32> {
  %s = attn.score %q, %k scale(0.25) : tensor<?x3x?x16xf32>, tensor<?x3x?x16xf32> -> !attn.scores<?x3x?x?xf32>
  %a = attn.softmax %s : !attn.scores<?x3x?x?xf32>
  %t = attn.score %k, %r scale(0.25) : tensor<?x3x?x16xf32>, tensor<?x3x?x16xf32> -> !attn.scores<?x3x?x?xf32>
  %b = attn.softmax %t : !attn.scores<?x3x?x?xf32>
  %c = attn.matmul %a, %b : !attn.scores<?x3x?x?xf32>, !attn.scores<?x3x?x?xf32> -> !attn.scores<?x3x?x?xf32>
  %o = attn.aggregate %c, %v : !attn.scores<?x3x?x?xf32>, tensor<?x3x?x16xf32> -> tensor<?x3x?x16xf32>
  return %o : tensor<?x3x?x16xf32>
}

// Large scores: columns of a softmax over the keys of a few rows meet the very
// maxima that the kernel of the rows found.
func.func @sure_columns(
    %q: tensor<1x2x4x16xf32> {attn.name = "q", attn.init = "normal(12)"},
    %k: tensor<1x2x?x16xf32> {attn.name = "k", attn.dims = ["1", "2", "N", "16"], attn.init = "normal(12)"},
    %v: tensor<1x2x4x16xf32> {attn.name = "v"}) -> (tensor<1x2x?x16xf32>, tensor<1x2x?xf32>) {
  %s = attn.score %q, %k scale(0.25) : tensor<1x2x4x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x4x?xf32>
  %p = attn.softmax %s : !attn.scores<1x2x4x?xf32>
  %t = attn.transpose %p : !attn.scores<1x2x4x?xf32> -> !attn.scores<1x2x?x4xf32>
  %o = attn.aggregate %t, %v : !attn.scores<1x2x?x4xf32>, tensor<1x2x4x16xf32> -> tensor<1x2x?x16xf32>
  %c = attn.reduce sum queries %p : (!attn.scores<1x2x4x?xf32>) -> tensor<1x2x?xf32>
  return %o, %c : tensor<1x2x?x16xf32>, tensor<1x2x?xf32>
}

// Sums of constants take no part in stages, but as coefficients of a variance
// they have to be of the keys that its mean is of, which waits for sums of rows.
func.func @coefficients_wait(
    %t: tensor<1x2x7x5xf32> {attn.name = "t"}) -> (tensor<1x2x5xf32>, tensor<1x2x5xf32>) {
  %s = attn.bias %t : tensor<1x2x7x5xf32> -> !attn.scores<1x2x7x5xf32>
  %p = attn.softmax %s : !attn.scores<1x2x7x5xf32>
  %mean, %variance = attn.reduce moments queries %p : (!attn.scores<1x2x7x5xf32>) -> (tensor<1x2x5xf32>, tensor<1x2x5xf32>)
  return %mean, %variance : tensor<1x2x5xf32>, tensor<1x2x5xf32>
}

// Logarithms of weights near 0: the difference is rounded, not what it is of.
func.func @rounded_difference(
    %t: tensor<1x2x?x?xf32> {attn.name = "t", attn.dims = ["1", "2", "M", "N"], attn.init = "normal(30)"},
    %v: tensor<1x2x?x5xbf16> {attn.name = "v", attn.dims = ["1", "2", "N", "5"]}) -> tensor<1x2x?x5xf32> {
  %s = attn.bias %t : tensor<1x2x?x?xf32> -> !attn.scores<1x2x?x?xf32>
  %l = attn.reduce lse keys %s : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  %d = attn.map %s (%x: f32) at (%b, %h, %i) {
    %r = tensor.extract %l[%b, %h, %i] : tensor<1x2x?xf32>
    %y = arith.subf %x, %r : f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x?x?xf32>) -> !attn.scores<1x2x?x?xf32>
  %o = attn.aggregate %d, %v operand_type(bf16) : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x5xbf16> -> tensor<1x2x?x5xf32>
  return %o : tensor<1x2x?x5xf32>
}

// Panels of one vector, as there are few queries: rows end in one of them.
func.func @dense_columns(
    %q: tensor<1x2x16x8xf32> {attn.name = "q"},
    %k: tensor<1x2x?x8xf32> {attn.name = "k", attn.dims = ["1", "2", "N", "8"]},
    %length: tensor<1x1xi32> {attn.name = "length", attn.init = "constant(8)"}) -> tensor<1x2x?xf32> {
  %s = attn.score %q, %k key_length(%length : tensor<1x1xi32>) : tensor<1x2x16x8xf32>, tensor<1x2x?x8xf32> -> !attn.scores<1x2x16x?xf32>
  %m = attn.reduce max queries %s : (!attn.scores<1x2x16x?xf32>) -> tensor<1x2x?xf32>
  return %m : tensor<1x2x?xf32>
}

// Sources of values begin within the blocks of keys that lists name.
func.func @listed_sources(
    %t: tensor<1x2x?x?xf32> {attn.name = "t", attn.dims = ["1", "2", "M", "N"]},
    %list: tensor<1x2x?x3xi32> {attn.name = "list", attn.dims = ["1", "2", "R", "3"], attn.init = "range(0, 6)"},
    %u: tensor<1x2x7x5xf32> {attn.name = "u"},
    %v: tensor<1x2x?x5xf32> {attn.name = "v", attn.dims = ["1", "2", "L", "5"]},
    %w: tensor<1x2x?x5xf32> {attn.name = "w", attn.dims = ["1", "2", "S", "5"]})
    -> tensor<1x2x?x5xf32> attributes {attn.sizes = {R = 3, N = 41}} {
  %s = attn.bias %t : tensor<1x2x?x?xf32> -> !attn.scores<1x2x?x?xf32>
  %r = attn.restrict %s, %list block(8, 8) : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x3xi32>
  %o = attn.aggregate %r, (%u, %v, %w) : !attn.scores<1x2x?x?xf32>, tensor<1x2x7x5xf32>, tensor<1x2x?x5xf32>, tensor<1x2x?x5xf32> -> tensor<1x2x?x5xf32>
  return %o : tensor<1x2x?x5xf32>
}

// Large scores: weights that are stored meet the very maximum of their row.
func.func @stored_weights(
    %q: tensor<1x2x?x16xf32> {attn.name = "q", attn.dims = ["1", "2", "M", "16"], attn.init = "normal(12)"},
    %k: tensor<1x1x?x16xf32> {attn.name = "k", attn.dims = ["1", "1", "N", "16"], attn.init = "normal(12)"}) -> tensor<1x2x?x?xf32> {
  %s = attn.score %q, %k scale(0.25) : tensor<1x2x?x16xf32>, tensor<1x1x?x16xf32> -> !attn.scores<1x2x?x?xf32>
  %p = attn.softmax %s : !attn.scores<1x2x?x?xf32>
  %w = attn.materialize %p absent(0.0) : !attn.scores<1x2x?x?xf32> -> tensor<1x2x?x?xf32>
  return %w : tensor<1x2x?x?xf32>
}

// A source of scores begins within a block, whose other keys are not
// consecutive.
func.func @scores_within_blocks(
    %q: tensor<1x1x?x4xf32> {attn.name = "q", attn.dims = ["1", "1", "M", "4"]},
    %k0: tensor<1x1x?x4xf32> {attn.name = "k0", attn.dims = ["1", "1", "A", "4"]},
    %k1: tensor<1x1x?x4xf32> {attn.name = "k1", attn.dims = ["1", "1", "B", "4"]},
    %list: tensor<1x1x1x1xi32> {attn.name = "list", attn.init = "constant(0)"}) -> tensor<1x1x?x4xf32> {
  %0 = attn.score %q, %k0 : tensor<1x1x?x4xf32>, tensor<1x1x?x4xf32> -> !attn.scores<1x1x?x?xf32>
  %1 = attn.score %q, %k1 : tensor<1x1x?x4xf32>, tensor<1x1x?x4xf32> -> !attn.scores<1x1x?x?xf32>
  %s = attn.concat %0, %1 : (!attn.scores<1x1x?x?xf32>, !attn.scores<1x1x?x?xf32>) -> !attn.scores<1x1x?x?xf32>
  %r = attn.restrict %s, %list block(32, 64) : !attn.scores<1x1x?x?xf32>, tensor<1x1x1x1xi32>
  %o = attn.aggregate %r, (%k0, %k1) : !attn.scores<1x1x?x?xf32>, tensor<1x1x?x4xf32>, tensor<1x1x?x4xf32> -> tensor<1x1x?x4xf32>
  return %o : tensor<1x1x?x4xf32>
}

// Columns of a second source begin within the blocks that share a list.
func.func @columns_within_blocks(%a: tensor<1x1x?x?xf32> {attn.dims = ["1", "1", "M", "N"], attn.name = "a"}, %b: tensor<1x1x?x?xf32> {attn.dims = ["1", "1", "M", "L"], attn.name = "b"}, %l: tensor<1x1x?x1xi32> {attn.dims = ["1", "1", "R", "1"], attn.init = "range(-1, 18)", attn.name = "list"}) -> (tensor<1x1x?xf32> {attn.name = "r0"}) {
  %0 = attn.bias %a : tensor<1x1x?x?xf32> -> !attn.scores<1x1x?x?xf32>
  %1 = attn.bias %b : tensor<1x1x?x?xf32> -> !attn.scores<1x1x?x?xf32>
  %3 = attn.concat %0, %1 : (!attn.scores<1x1x?x?xf32>, !attn.scores<1x1x?x?xf32>) -> !attn.scores<1x1x?x?xf32>
  %4 = attn.restrict %3, %l block(1, 4) : !attn.scores<1x1x?x?xf32>, tensor<1x1x?x1xi32>
  %5 = attn.reduce sum queries %4 : (!attn.scores<1x1x?x?xf32>) -> tensor<1x1x?xf32>
  return %5 : tensor<1x1x?xf32>
}

// The queries of one source of scores are shorter than those of the other.
func.func @lengths_of_sources(%a: tensor<1x1x?x?xf32> {attn.dims = ["1", "1", "M", "N"], attn.name = "a"}, %b: tensor<1x1x?x?xf32> {attn.dims = ["1", "1", "M", "L"], attn.name = "b"}, %n: tensor<1x1xi32> {attn.name = "n", attn.init = "constant(3)"}) -> (tensor<1x1x?xf32> {attn.name = "r0"}) {
  %0 = attn.bias %a query_length(%n : tensor<1x1xi32>) : tensor<1x1x?x?xf32> -> !attn.scores<1x1x?x?xf32>
  %1 = attn.bias %b : tensor<1x1x?x?xf32> -> !attn.scores<1x1x?x?xf32>
  %3 = attn.concat %0, %1 : (!attn.scores<1x1x?x?xf32>, !attn.scores<1x1x?x?xf32>) -> !attn.scores<1x1x?x?xf32>
  %w = attn.with_axes %3 : !attn.scores<1x1x?x?xf32>
  %5 = attn.reduce sum keys %w : (!attn.scores<1x1x?x?xf32>) -> tensor<1x1x?xf32>
  return %5 : tensor<1x1x?xf32>
}

// Loops over the inner axis of a product, within the taps of a stencil.
func.func @product_in_stencil(
    %a: tensor<1x1x?x3xf32> {attn.name = "a", attn.dims = ["1", "1", "M", "3"]},
    %b: tensor<1x1x3x?xf32> {attn.name = "b", attn.dims = ["1", "1", "3", "N"]},
    %taps: tensor<1x3x1xf32> {attn.name = "taps", attn.dims = ["1", "3", "1"]},
    %v: tensor<1x1x?x4xf32> {attn.name = "v", attn.dims = ["1", "1", "N", "4"]}) -> tensor<1x1x?x4xf32> {
  %0 = attn.bias %a : tensor<1x1x?x3xf32> -> !attn.scores<1x1x?x3xf32>
  %1 = attn.bias %b : tensor<1x1x3x?xf32> -> !attn.scores<1x1x3x?xf32>
  %2 = attn.matmul %0, %1 : !attn.scores<1x1x?x3xf32>, !attn.scores<1x1x3x?xf32> -> !attn.scores<1x1x?x?xf32>
  %3 = attn.convolve %2, %taps origin [2, 0] : !attn.scores<1x1x?x?xf32>, tensor<1x3x1xf32>
  %o = attn.aggregate %3, %v : !attn.scores<1x1x?x?xf32>, tensor<1x1x?x4xf32> -> tensor<1x1x?x4xf32>
  return %o : tensor<1x1x?x4xf32>
}
