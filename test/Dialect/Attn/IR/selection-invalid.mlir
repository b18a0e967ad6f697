// RUN: attn-opt %s -split-input-file -verify-diagnostics

func.func @c1_rank(%t: tensor<f32>) {
  // expected-error @below {{C1: the input has no dimension to select along}}
  %0:3 = attn.select_topk largest %t : tensor<f32> -> tensor<3xf32>, tensor<3xi64>, tensor<i64>
  return
}

// -----

func.func @c1_dims(%t: tensor<2x3x4xf32>) {
  // expected-error @below {{C1: dims are consecutive dimensions of a tensor of rank 3, got [0, 2]}}
  %0:3 = attn.select_topk largest %t dims [0, 2] : tensor<2x3x4xf32> -> tensor<2x3xf32>, tensor<2x3xi64>, tensor<3xi64>
  return
}

// -----

func.func @c2_rank(%t: tensor<2x3x4xf32>) {
  // expected-error @below {{C2: values have rank 3, got 2}}
  %0:3 = attn.select_topk largest %t : tensor<2x3x4xf32> -> tensor<2x3xf32>, tensor<2x3xi64>, tensor<2x3xi64>
  return
}

// -----

func.func @c2_shape(%t: tensor<2x3xf32>) {
  // expected-error @below {{C2: values has shape [2, 5], got [7, 5]}}
  %0:3 = attn.select_topk largest %t : tensor<2x3xf32> -> tensor<7x5xf32>, tensor<2x5xi64>, tensor<2xi64>
  return
}

// -----

func.func @c2_element(%t: tensor<2x3xf32>) {
  // expected-error @below {{C2: values has element type 'f32', got 'f64'}}
  %0:3 = attn.select_topk largest %t : tensor<2x3xf32> -> tensor<2x5xf64>, tensor<2x5xi64>, tensor<2xi64>
  return
}

// -----

func.func @c2_one_extent(%t: tensor<2x3xf32>) {
  // expected-error @below {{C2: values and indices have one extent K}}
  %0:3 = attn.select_topk largest %t : tensor<2x3xf32> -> tensor<2x5xf32>, tensor<2x?xi64>, tensor<2xi64>
  return
}

// -----

func.func @c3(%t: tensor<2x3xf32>) {
  // expected-error @below {{C3: count has shape [2], got [3]}}
  %0:3 = attn.select_topk largest %t : tensor<2x3xf32> -> tensor<2x5xf32>, tensor<2x5xi64>, tensor<3xi64>
  return
}

// -----

func.func @c4(%t: tensor<2x3xf32>, %f: tensor<2x4xi1>) {
  // expected-error @below {{C4: forced has shape [2, 3], got [2, 4]}}
  %0:3 = attn.select_topk largest %t forced(%f : tensor<2x4xi1>) : tensor<2x3xf32> -> tensor<2x5xf32>, tensor<2x5xi64>, tensor<2xi64>
  return
}

// -----

func.func @c5(%t: tensor<2x3xf32>, %k: tensor<3xi32>) {
  // expected-error @below {{C5: k has shape [2], got [3]}}
  %0:3 = attn.select_topk largest %t k(%k : tensor<3xi32>) : tensor<2x3xf32> -> tensor<2x5xf32>, tensor<2x5xi64>, tensor<2xi64>
  return
}

// -----

func.func @c6(%t: tensor<2x3xf32>) {
  // expected-error @below {{C6: bound is given exactly where the extent of the results is '?'}}
  %0:3 = attn.select_topk largest %t : tensor<2x3xf32> -> tensor<2x?xf32>, tensor<2x?xi64>, tensor<2xi64>
  return
}

// -----

func.func @argsort_c1(%t: tensor<2x3xf32>) {
  // expected-error @below {{C1: dim is a dimension of a tensor of rank 2, got 2}}
  %0:2 = attn.argsort %t dim(2) : tensor<2x3xf32> -> tensor<2x3xi64>, tensor<2x3xf32>
  return
}

// -----

func.func @argsort_c2(%t: tensor<2x3xf32>) {
  // expected-error @below {{C2: indices has shape [2, 3], got [3]}}
  %0:2 = attn.argsort %t dim(1) : tensor<2x3xf32> -> tensor<3xi64>, tensor<2x3xf32>
  return
}

// -----

func.func @search_c1(%t: tensor<2x3xf32>, %v: tensor<3x3xf32>) {
  // expected-error @below {{C1: sorted and values agree in rank, element type and leading extents, got 'tensor<2x3xf32>' and 'tensor<3x3xf32>'}}
  %0 = attn.search_sorted %t, %v : tensor<2x3xf32>, tensor<3x3xf32> -> tensor<3x3xi64>
  return
}

// -----

func.func @search_c2(%t: tensor<2x3xf32>, %v: tensor<2x5xf32>) {
  // expected-error @below {{C2: indices has shape [2, 5], got [2, 3]}}
  %0 = attn.search_sorted %t, %v : tensor<2x3xf32>, tensor<2x5xf32> -> tensor<2x3xi64>
  return
}

// -----

func.func @prefix_c1() {
  // expected-error @below {{C1: there is at least one input}}
  "attn.prefix"() <{dim = 0 : i64, identity = []}> ({
    "attn.yield"() : () -> ()
  }) : () -> ()
  return
}

// -----

func.func @prefix_c2_shape(%t: tensor<2xf32>, %u: tensor<3xf32>) {
  // expected-error @below {{C2: an input has shape [2], got [3]}}
  %0:2 = attn.prefix %t, %u dim(0) identity [0.0 : f32, 0.0 : f32] {
  ^bb0(%a: f32, %b: f32, %x: f32, %y: f32):
    attn.yield %x, %y : f32, f32
  } : tensor<2xf32>, tensor<3xf32> -> tensor<2xf32>, tensor<2xf32>
  return
}

// -----

func.func @prefix_c2(%t: tensor<2xf32>) {
  // expected-error @below {{C2: there are 1 results, one per input, got 2}}
  %0:2 = attn.prefix %t dim(0) identity [0.0 : f32] {
  ^bb0(%a: f32, %x: f32):
    attn.yield %x : f32
  } : tensor<2xf32> -> tensor<2xf32>, tensor<2xf32>
  return
}

// -----

func.func @prefix_c2_types(%t: tensor<2xi64>) {
  // expected-error @below {{C2: elements of type 'i64' do not accumulate to 'i32'}}
  %0 = attn.prefix %t dim(0) identity [0 : i32] {
  ^bb0(%a: i32, %x: i32):
    attn.yield %x : i32
  } : tensor<2xi64> -> tensor<2xi32>
  return
}

// -----

func.func @prefix_c3(%t: tensor<2xf32>) {
  // expected-error @below {{C3: identity has 1 constants, got 0}}
  %0 = attn.prefix %t dim(0) identity [] {
  ^bb0(%a: f32, %x: f32):
    attn.yield %x : f32
  } : tensor<2xf32> -> tensor<2xf32>
  return
}

// -----

func.func @prefix_c3_type(%t: tensor<2xbf16>) {
  // expected-error @below {{C3: identity is a constant of type 'f32', got 0.000000e+00 : bf16}}
  %0 = attn.prefix %t dim(0) identity [0.0 : bf16] {
  ^bb0(%a: f32, %x: f32):
    attn.yield %x : f32
  } : tensor<2xbf16> -> tensor<2xbf16>
  return
}

// -----

func.func @prefix_c4(%t: tensor<2xbf16>) {
  // expected-error @below {{C4: the region takes ('f32', 'f32') and yields ('f32')}}
  %0 = attn.prefix %t dim(0) identity [0.0 : f32] {
  ^bb0(%a: f32, %x: bf16):
    attn.yield %a : f32
  } : tensor<2xbf16> -> tensor<2xbf16>
  return
}

// -----

func.func @prefix_c5(%t: tensor<2xf32>, %m: memref<f32>) {
  // expected-error @below {{C5: the region has no side effects; 'memref.store' has}}
  %0 = attn.prefix %t dim(0) identity [0.0 : f32] {
  ^bb0(%a: f32, %x: f32):
    memref.store %x, %m[] : memref<f32>
    attn.yield %x : f32
  } : tensor<2xf32> -> tensor<2xf32>
  return
}

// -----

func.func @compact_rank(%b: tensor<i1>) {
  // expected-error @below {{C1: the bits have no dimension to compact}}
  %0:2 = attn.compact %b : tensor<i1> -> tensor<1xi64>, tensor<i64>
  return
}

// -----

func.func @compact_c1(%b: tensor<2x3xi1>) {
  // expected-error @below {{C1: indices have rank 2, got 1}}
  %0:2 = attn.compact %b : tensor<2x3xi1> -> tensor<2xi64>, tensor<2xi64>
  return
}

// -----

func.func @compact_c2(%b: tensor<2x3xi1>, %k: index) {
  // expected-error @below {{C2: bound is given only where the extent of the indices is '?'}}
  %0:2 = attn.compact %b bound(%k) : tensor<2x3xi1> -> tensor<2x3xi64>, tensor<2xi64>
  return
}

// -----

func.func @gather_c1(%t: tensor<2x3xf32>, %i: tensor<2x5xi64>) {
  // expected-error @below {{C1: batch is at most dim (0) and the rank of the indices (2), got 1}}
  %0 = attn.gather %t, %i dim(0) batch(1) : tensor<2x3xf32>, tensor<2x5xi64> -> tensor<2x5x3xf32>
  return
}

// -----

func.func @gather_c2(%t: tensor<4x3xf32>, %i: tensor<6x5xi64>) {
  // expected-error @below {{C2: shared extents agree, got [4] and [6]}}
  %0 = attn.gather %t, %i dim(1) batch(1) : tensor<4x3xf32>, tensor<6x5xi64> -> tensor<6x5xf32>
  return
}

// -----

func.func @gather_c2_rank(%t: tensor<4x3xf32>, %i: tensor<4xi64>) {
  // expected-error @below {{C2: along needs indices of rank 2, got 1}}
  %0 = attn.gather %t, %i dim(1) along : tensor<4x3xf32>, tensor<4xi64> -> tensor<4xf32>
  return
}

// -----

func.func @gather_c3(%t: tensor<4x3xf32>, %i: tensor<4x2xi64>) {
  // expected-error @below {{C3: the result has shape [4, 2], got [4, 3]}}
  %0 = attn.gather %t, %i dim(1) batch(1) : tensor<4x3xf32>, tensor<4x2xi64> -> tensor<4x3xf32>
  return
}

// -----

func.func @gather_c4(%t: tensor<4x3xf32>, %i: tensor<4x2xi64>) {
  // expected-error @below {{C4: fill is a constant of type 'f32', got 1.000000e+00 : f64}}
  %0 = attn.gather %t, %i dim(1) batch(1) fill(1.0 : f64) : tensor<4x3xf32>, tensor<4x2xi64> -> tensor<4x2xf32>
  return
}

// -----

func.func @gather_c5(%t: tensor<4x3xf32>, %i: tensor<4x2xi64>) {
  // expected-error @below {{C5: along excludes batch}}
  %0 = attn.gather %t, %i dim(1) batch(1) along : tensor<4x3xf32>, tensor<4x2xi64> -> tensor<4x2xf32>
  return
}

// -----

func.func @scatter_c1(%t: tensor<4x3xf32>, %i: tensor<4x2xi64>, %s: tensor<4x2xf32>) {
  // expected-error @below {{C1: along excludes batch}}
  %0 = attn.scatter_reduce sum %t, %i, %s dim(1) batch(1) along : tensor<4x3xf32>, tensor<4x2xi64>, tensor<4x2xf32>
  return
}

// -----

// Grouped heads are for reading: several would write to one.
func.func @scatter_c2(%t: tensor<2x3xf32>, %i: tensor<4x2xi64>, %s: tensor<4x2xf32>) {
  // expected-error @below {{C2: shared extents agree, got [2] and [4]}}
  %0 = attn.scatter_reduce sum %t, %i, %s dim(1) batch(1) : tensor<2x3xf32>, tensor<4x2xi64>, tensor<4x2xf32>
  return
}

// -----

func.func @scatter_c3(%t: tensor<4x3xf32>, %i: tensor<4x2xi64>, %s: tensor<4x3xf32>) {
  // expected-error @below {{C3: source has shape [4, 2], got [4, 3]}}
  %0 = attn.scatter_reduce sum %t, %i, %s dim(1) batch(1) : tensor<4x3xf32>, tensor<4x2xi64>, tensor<4x3xf32>
  return
}

// -----

func.func @scatter_c3_type(%t: tensor<4x3xf32>, %i: tensor<4x2xi64>, %s: tensor<4x2xf64>) {
  // expected-error @below {{C3: source has element type 'f32', got 'f64'}}
  %0 = attn.scatter_reduce sum %t, %i, %s dim(1) batch(1) : tensor<4x3xf32>, tensor<4x2xi64>, tensor<4x2xf64>
  return
}

// -----

func.func @solve_c1(%a: tensor<2x3x3xf32>, %b: tensor<4x3x5xf32>) {
  // expected-error @below {{C1: matrix and rhs agree in rank, element type and leading extents, got 'tensor<2x3x3xf32>' and 'tensor<4x3x5xf32>'}}
  %0 = attn.solve lower %a, %b : tensor<2x3x3xf32>, tensor<4x3x5xf32>
  return
}

// -----

func.func @solve_square(%a: tensor<3x4xf32>, %b: tensor<3x5xf32>) {
  // expected-error @below {{C2: the matrix has rank 2 or more and is square, got [3, 4]}}
  %0 = attn.solve lower %a, %b : tensor<3x4xf32>, tensor<3x5xf32>
  return
}

// -----

func.func @solve_c2(%a: tensor<3x3xf32>, %b: tensor<3x5xf32>) {
  // expected-error @below {{C2: the matrix of order 3 meets an extent of rhs of 5}}
  %0 = attn.solve lower %a, %b right : tensor<3x3xf32>, tensor<3x5xf32>
  return
}

// -----

func.func @cholesky_c1(%a: tensor<3x4xf32>) {
  // expected-error @below {{C1: the matrix has rank 2 or more and is square, got [3, 4]}}
  %0 = attn.cholesky %a : tensor<3x4xf32>
  return
}

// -----

func.func @qr_c1(%a: tensor<3xf32>) {
  // expected-error @below {{C1: the matrix has rank 2 or more, got [3]}}
  %0:2 = attn.qr %a : tensor<3xf32> -> tensor<3xf32>, tensor<3xf32>
  return
}

// -----

func.func @qr_c2(%a: tensor<3x4xf32>) {
  // expected-error @below {{C2: r has shape [3, 4], got [4, 4]}}
  %0:2 = attn.qr %a : tensor<3x4xf32> -> tensor<3x3xf32>, tensor<4x4xf32>
  return
}
