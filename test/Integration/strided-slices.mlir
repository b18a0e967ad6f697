// Slices that drop their last axis have gaps between elements: kernels get copies
// of them, whose rows lie otherwise.
//
// RUN: attn-run %s --entry=stacked --check
// RUN: attn-run %s --entry=columns --check
// RUN: attn-run %s --entry=loop --check --size L=7
// RUN: attn-run %s --entry=keys --check --size L=9

#map = affine_map<(d0, d1) -> (d0, d1)>
#map4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map2 = affine_map<(d0, d1, d2, d3) -> (d0, d1)>

// One half of what was put side by side.
func.func @stacked(%a: tensor<5x4xf64> {attn.name = "a"}, %b: tensor<5x4xf64> {attn.name = "b"})
    -> (tensor<5x4xf64> {attn.name = "r0"}) {
  %x = tensor.expand_shape %a [[0], [1, 2]] output_shape [5, 4, 1] : tensor<5x4xf64> into tensor<5x4x1xf64>
  %y = tensor.expand_shape %b [[0], [1, 2]] output_shape [5, 4, 1] : tensor<5x4xf64> into tensor<5x4x1xf64>
  %e = tensor.empty() : tensor<5x4x2xf64>
  %0 = tensor.insert_slice %x into %e[0, 0, 0] [5, 4, 1] [1, 1, 1] : tensor<5x4x1xf64> into tensor<5x4x2xf64>
  %1 = tensor.insert_slice %y into %0[0, 0, 1] [5, 4, 1] [1, 1, 1] : tensor<5x4x1xf64> into tensor<5x4x2xf64>
  %s = tensor.extract_slice %1[0, 0, 1] [5, 4, 1] [1, 1, 1] : tensor<5x4x2xf64> to tensor<5x4xf64>
  %o = tensor.empty() : tensor<5x4xf64>
  %r = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]}
       ins(%s : tensor<5x4xf64>) outs(%o : tensor<5x4xf64>) {
  ^bb0(%in: f64, %out: f64):
    %two = arith.constant 2.0 : f64
    %t = arith.mulf %in, %two : f64
    linalg.yield %t : f64
  } -> tensor<5x4xf64>
  return %r : tensor<5x4xf64>
}

// Every second column.
func.func @columns(%a: tensor<5x8xf32> {attn.name = "a"}) -> (tensor<5x4xf32> {attn.name = "r0"}) {
  %d = arith.addf %a, %a : tensor<5x8xf32>
  %s = tensor.extract_slice %d[0, 1] [5, 4] [1, 2] : tensor<5x8xf32> to tensor<5x4xf32>
  %r = arith.mulf %s, %s : tensor<5x4xf32>
  return %r : tensor<5x4xf32>
}

// In a loop, of an argument in another shape.
func.func @loop(%x: tensor<2x2x?x8xf64> {attn.dims = ["2", "2", "L", "8"], attn.name = "x"},
                %phi: tensor<2x2x4x4xf64> {attn.name = "phi"}) -> (tensor<2x2x?x8xf64> {attn.name = "r0"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %n = tensor.dim %x, %c2 : tensor<2x2x?x8xf64>
  %r = scf.for %i = %c0 to %c2 step %c1 iter_args(%y = %x) -> (tensor<2x2x?x8xf64>) {
    %flat = tensor.collapse_shape %phi [[0], [1], [2, 3]] : tensor<2x2x4x4xf64> into tensor<2x2x16xf64>
    %cut = tensor.expand_shape %flat [[0], [1], [2, 3, 4]] output_shape [2, 2, 2, 4, 2]
         : tensor<2x2x16xf64> into tensor<2x2x2x4x2xf64>
    %one = tensor.extract_slice %cut[1, 0, 0, 0, 0] [1, 2, 2, 4, 2] [1, 1, 1, 1, 1]
         : tensor<2x2x2x4x2xf64> to tensor<2x2x4x2xf64>
    %s = tensor.extract_slice %one[0, 0, 0, 0] [2, 2, 1, 1] [1, 1, 1, 1] : tensor<2x2x4x2xf64> to tensor<2x2xf64>
    %e = tensor.empty(%n) : tensor<2x2x?x8xf64>
    %z = linalg.generic {indexing_maps = [#map4, #map2, #map4],
                         iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
         ins(%y, %s : tensor<2x2x?x8xf64>, tensor<2x2xf64>) outs(%e : tensor<2x2x?x8xf64>) {
    ^bb0(%in: f64, %w: f64, %out: f64):
      %t = arith.mulf %in, %w : f64
      linalg.yield %t : f64
    } -> tensor<2x2x?x8xf64>
    scf.yield %z : tensor<2x2x?x8xf64>
  }
  return %r : tensor<2x2x?x8xf64>
}

// Keys and values that lie element by element side by side.
func.func @keys(%q: tensor<1x2x?x8xf32> {attn.dims = ["1", "2", "L", "8"], attn.name = "q"},
                %kv: tensor<1x2x16x8x2xf32> {attn.name = "kv"}) -> (tensor<1x2x?x8xf32> {attn.name = "o"}) {
  %both = arith.addf %kv, %kv : tensor<1x2x16x8x2xf32>
  %k = tensor.extract_slice %both[0, 0, 0, 0, 0] [1, 2, 16, 8, 1] [1, 1, 1, 1, 1]
     : tensor<1x2x16x8x2xf32> to tensor<1x2x16x8xf32>
  %v = tensor.extract_slice %both[0, 0, 0, 0, 1] [1, 2, 16, 8, 1] [1, 1, 1, 1, 1]
     : tensor<1x2x16x8x2xf32> to tensor<1x2x16x8xf32>
  %s = attn.score %q, %k : tensor<1x2x?x8xf32>, tensor<1x2x16x8xf32> -> !attn.scores<1x2x?x16xf32>
  %p = attn.softmax %s : !attn.scores<1x2x?x16xf32>
  %o = attn.aggregate %p, %v : !attn.scores<1x2x?x16xf32>, tensor<1x2x16x8xf32> -> tensor<1x2x?x8xf32>
  return %o : tensor<1x2x?x8xf32>
}
