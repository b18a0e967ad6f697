// RUN: attn-opt %s --split-input-file --verify-diagnostics

// One case per constraint of lists, selections and bins.

// attn.restrict C1
func.func @f(%s: !attn.scores<1x4x8x8xf32>, %l: tensor<1x4x3xi32>) {
  // expected-error @+1 {{'attn.restrict' op C1: indices have rank 4 and counts rank 3, got 'tensor<1x4x3xi32>'}}
  %r = attn.restrict %s, %l block(4, 4) : !attn.scores<1x4x8x8xf32>, tensor<1x4x3xi32>
  return
}

// -----

// attn.restrict C2: rows
func.func @f(%s: !attn.scores<1x4x9x8xf32>, %l: tensor<1x4x2x3xi32>) {
  // expected-error @+1 {{'attn.restrict' op C2: lists of blocks of 4 queries of '!attn.scores<1x4x9x8xf32>' are [B or 1, G, ceil(M / r)], got 'tensor<1x4x2x3xi32>'}}
  %r = attn.restrict %s, %l block(4, 4) : !attn.scores<1x4x9x8xf32>, tensor<1x4x2x3xi32>
  return
}

// -----

// attn.restrict C2: counts of other groups
func.func @f(%s: !attn.scores<1x4x8x8xf32>, %l: tensor<1x4x2x3xi32>, %n: tensor<1x2x2xi32>) {
  // expected-error @+1 {{'attn.restrict' op C2: lists of blocks of 4 queries of '!attn.scores<1x4x8x8xf32>' are [B or 1, G, ceil(M / r)], got 'tensor<1x4x2x3xi32>' with counts 'tensor<1x2x2xi32>'}}
  %r = attn.restrict %s, %l counts(%n : tensor<1x2x2xi32>) block(4, 4) : !attn.scores<1x4x8x8xf32>, tensor<1x4x2x3xi32>
  return
}

// -----

// attn.restrict C3
func.func @f(%s: !attn.scores<1x4x8x8xf32>, %l: tensor<1x3x2x3xi32>) {
  // expected-error @+1 {{'attn.restrict' op C3: 4 heads are no multiple of the groups of 'tensor<1x3x2x3xi32>'}}
  %r = attn.restrict %s, %l block(4, 4) : !attn.scores<1x4x8x8xf32>, tensor<1x3x2x3xi32>
  return
}

// -----

// attn.restrict C4
func.func @f(%s: !attn.scores<1x4x8x8xf32>, %l: tensor<1x4x2x3xi32>, %n: tensor<1x4x2x2xi32>) {
  // expected-error @+1 {{'attn.restrict' op C4: lengths have the type of the indices, 'tensor<1x4x2x3xi32>', got 'tensor<1x4x2x2xi32>'}}
  %r = attn.restrict %s, %l lengths(%n : tensor<1x4x2x2xi32>) block(4, 4) : !attn.scores<1x4x8x8xf32>, tensor<1x4x2x3xi32>
  return
}

// -----

// attn.restrict C5
func.func @f(%s: !attn.scores<1x4x8x8xf32>, %l: tensor<1x4x2x3xi32>) {
  // expected-error @+1 {{'attn.restrict' op C5: blocks are positive, got 4 by 0}}
  %r = attn.restrict %s, %l block(4, 0) : !attn.scores<1x4x8x8xf32>, tensor<1x4x2x3xi32>
  return
}

// -----

// attn.topk C1
func.func @f(%s: !attn.scores<1x4x8x8xf32>) {
  // expected-error @+1 {{'attn.topk' op C1: the results are [B, H, M, K] of 'f32' and of i64, and [B, H, M] of i64, with one static K > 0}}
  %v, %i, %n = attn.topk %s : (!attn.scores<1x4x8x8xf32>) -> (tensor<1x4x8x?xf32>, tensor<1x4x8x?xi64>, tensor<1x4x8xi64>)
  return
}

// -----

// attn.topk C2
func.func @f(%s: !attn.scores<1x4x8x8xf32>, %k: tensor<8xi32>) {
  // expected-error @+1 {{'attn.topk' op C2: limit has rank 3 with extents 1 or those of '!attn.scores<1x4x8x8xf32>', got 'tensor<8xi32>'}}
  %v, %i, %n = attn.topk %s limit(%k : tensor<8xi32>) : (!attn.scores<1x4x8x8xf32>) -> (tensor<1x4x8x2xf32>, tensor<1x4x8x2xi64>, tensor<1x4x8xi64>)
  return
}

// -----

// attn.topk C3
func.func @f(%s: !attn.scores<1x4x8x8xf32>) {
  // expected-error @+1 {{'attn.topk' op C3: the region yields ('i1'), got ('f32')}}
  %v, %i, %n = attn.topk %s forced (%x: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x4x8x8xf32>) -> (tensor<1x4x8x2xf32>, tensor<1x4x8x2xi64>, tensor<1x4x8xi64>)
  return
}

// -----

func.func @f(%s: !attn.scores<1x4x8x8xf32>) {
  // expected-error @+1 {{topk has one operand, and values, indices and count}}
  %v = attn.topk %s : (!attn.scores<1x4x8x8xf32>) -> tensor<1x4x8x2xf32>
  return
}

// -----

// attn.list C1
func.func @f(%n: index) {
  // expected-error @+1 {{'attn.list' op C1: indices have rank 4 and counts their first three extents, got 'tensor<1x1x4x4xi32>' and 'tensor<1x1x5xi32>'}}
  %i, %c = attn.list %n {
  ^bb0(%b: index, %g: index, %q: index, %j: index):
    %p = arith.cmpi ule, %j, %q : index
    attn.yield %p : i1
  } : tensor<1x1x4x4xi32>, tensor<1x1x5xi32>
  return
}

// -----

// attn.list C2
func.func @f(%n: index) {
  // expected-error @+1 {{'attn.list' op C2: the region takes four indices and yields i1}}
  %i, %c = attn.list %n {
  ^bb0(%b: index, %g: index, %q: index):
    %p = arith.cmpi ule, %b, %q : index
    attn.yield %p : i1
  } : tensor<1x1x4x4xi32>, tensor<1x1x4xi32>
  return
}

// -----

// attn.list C3
func.func @f(%n: index) {
  // expected-error @+1 {{'attn.list' op C3: expected 1 sizes, got 0}}
  %i, %c = attn.list %n {
  ^bb0(%b: index, %g: index, %q: index, %j: index):
    %p = arith.cmpi ule, %j, %q : index
    attn.yield %p : i1
  } : tensor<1x1x?x4xi32>, tensor<1x1x?xi32>
  return
}

// -----

// attn.list_union C2
func.func @f(%a: tensor<1x1x4x2xi32>, %n: tensor<1x1x4xi32>, %b: tensor<1x1x4x2xi64>, %m: tensor<1x1x4xi64>) {
  // expected-error @+1 {{'attn.list_union' op C2: operands and results agree in element type and in the first three extents, got 'tensor<1x1x4x2xi64>' and 'tensor<1x1x4x4xi32>'}}
  %i, %c = attn.list_union %a counts(%n), %b counts(%m) : (tensor<1x1x4x2xi32>, tensor<1x1x4xi32>, tensor<1x1x4x2xi64>, tensor<1x1x4xi64>) -> (tensor<1x1x4x4xi32>, tensor<1x1x4xi32>)
  return
}

// -----

// attn.list_union C3
func.func @f(%a: tensor<1x1x4x2xi32>, %n: tensor<1x1x4xi32>) {
  // expected-error @+1 {{'attn.list_union' op C3: the last extent 3 does not hold every result; make it dynamic, or large enough for the operands}}
  %i, %c = attn.list_union %a counts(%n), %a counts(%n) : (tensor<1x1x4x2xi32>, tensor<1x1x4xi32>, tensor<1x1x4x2xi32>, tensor<1x1x4xi32>) -> (tensor<1x1x4x3xi32>, tensor<1x1x4xi32>)
  return
}

// -----

// attn.list_transpose C2
func.func @f(%a: tensor<1x1x4x2xi32>, %n: tensor<1x1x4xi32>, %k: index) {
  // expected-error @+1 {{'attn.list_transpose' op C2: operands and results agree in element type and in the first two extents}}
  %i, %c = attn.list_transpose %a counts(%n) to %k : (tensor<1x1x4x2xi32>, tensor<1x1x4xi32>) -> (tensor<1x2x?x?xi32>, tensor<1x2x?xi32>)
  return
}

// -----

// attn.list_index C1
func.func @f(%a: tensor<1x4x2xi32>, %k: index) {
  // expected-error @+1 {{'attn.list_index' op C1: indices have rank 4, counts and results rank 3, and lengths the type of the indices}}
  %i, %c = attn.list_index %a to %k : tensor<1x4x2xi32> -> (tensor<1x1x?xi32>, tensor<1x1x?xi32>)
  return
}

// -----

// attn.listed C1, C2
func.func @f(%l: tensor<1x2x?xi32>, %f: tensor<1x2x?xf32>, %n: index) {
  // expected-error @+1 {{'attn.listed' op C1: an integer source is indexed without its last dimension, and lengths have its type; got 'tensor<1x2x?xf32>'}}
  %p = attn.listed %f[%n, %n] block(1, 1) contains %n : tensor<1x2x?xf32>
  return
}

// -----

func.func @f(%l: tensor<1x2x?xi32>, %n: index) {
  // expected-error @+1 {{'attn.listed' op C2: blocks are positive}}
  %p = attn.listed %l[%n, %n] block(0, 1) contains %n : tensor<1x2x?xi32>
  return
}

// -----

// attn.listed C3: a carry that it does not restrict
func.func @f(%l: tensor<1x2x?xi32>, %o: tensor<1x2x5xi64>, %n: index) {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %m = %n ins(%L = %l : tensor<1x2x?xi32>) outs(%o : tensor<1x2x5xi64>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      // expected-error @+1 {{'attn.listed' op C3: a test that drives is in the body of a sweep, tests its key, and is implied by all of its conditions}}
      %p = attn.listed %L[%b, %h] block(8, 4) contains %j drives : tensor<1x2x?xi32>
      %c = attn.carry count : () -> i64
      attn.yield %c : i64
    } : i64
    attn.store_row %s : i64
  }
  return
}

// -----

// attn.top C1
func.func @f(%x: f32, %o: tensor<1x2x5x3xi64>, %n: index) {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %m = %n ins(%X = %x : f32) outs(%o : tensor<1x2x5x3xi64>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      // expected-error @+1 {{'attn.top' op C1: the results are vectors of K elements, of 'f32' and of i64, got 'vector<4xf32>' and 'vector<3xi64>'}}
      %v, %k, %t = attn.top %X : (f32) -> (vector<4xf32>, vector<3xi64>, i64)
      attn.yield %k : vector<3xi64>
    } : vector<3xi64>
    attn.store_row %s : vector<3xi64>
  }
  return
}

// -----

// attn.bins C1
func.func @f(%x: f32, %o: tensor<1x2x5x3xf32>, %n: index) {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %m = %n ins(%X = %x : f32) outs(%o : tensor<1x2x5x3xf32>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      // expected-error @+1 {{'attn.bins' op C1: bins take sum, max or min of a value, or a count of none}}
      %v = attn.bins mean %X in %j : (f32, index) -> vector<3xf32>
      attn.yield %v : vector<3xf32>
    } : vector<3xf32>
    attn.store_row %s : vector<3xf32>
  }
  return
}

// -----

// attn.bins C2
func.func @f(%x: f32, %o: tensor<1x2x5x3xf64>, %n: index) {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %m = %n ins(%X = %x : f32) outs(%o : tensor<1x2x5x3xf64>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      // expected-error @+1 {{'attn.bins' op C2: the result is a vector or a tally of 'f32', got 'vector<3xf64>'}}
      %v = attn.bins sum %X in %j : (f32, index) -> vector<3xf64>
      attn.yield %v : vector<3xf64>
    } : vector<3xf64>
    attn.store_row %s : vector<3xf64>
  }
  return
}

// -----

// attn.reduce C5
func.func @f(%s: !attn.scores<1x4x8x8xf32>) {
  // expected-error @+1 {{'attn.reduce' op C5: bins take sum, max, min or count, got mean}}
  %t = attn.reduce mean keys %s bins(7) by (%x: f32) at (%b, %h) {
    attn.yield %h : index
  } : (!attn.scores<1x4x8x8xf32>) -> (tensor<1x4x8x7xf32>)
  return
}

// -----

func.func @f(%s: !attn.scores<1x4x8x8xf32>) {
  // expected-error @+1 {{'attn.reduce' op C5: bins are given with a region, and positive}}
  %t = attn.reduce sum keys %s bins(0) by (%x: f32) at (%b, %h) {
    attn.yield %h : index
  } : (!attn.scores<1x4x8x8xf32>) -> (tensor<1x4x8x0xf32>)
  return
}

// -----

// attn.bins C3
func.func @f(%x: f32, %o: tensor<1x2x5x3xf32>, %n: index) {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %m = %n ins(%X = %x : f32, %N = %n : index) outs(%o : tensor<1x2x5x3xf32>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      // expected-error @+1 {{'attn.bins' op C3: rows share the bins of a tally only, got 'vector<3xf32>'}}
      %v = attn.bins sum %X in %j rows %N : (f32, index, index) -> vector<3xf32>
      attn.yield %v : vector<3xf32>
    } : vector<3xf32>
    attn.store_row %s : vector<3xf32>
  }
  return
}

// -----

// attn.stream C2: a tally
func.func @f(%x: f32, %o: tensor<1x2x5xf32>, %n: index) {
  // expected-error @+1 {{'attn.stream' op C2: store_row writes '!attn.tally<f32>' to an output of type 'tensor<1x2x5xf32>'}}
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %m = %n ins(%X = %x : f32) outs(%o : tensor<1x2x5xf32>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      %v = attn.bins sum %X in %j : (f32, index) -> !attn.tally<f32>
      attn.yield %v : !attn.tally<f32>
    } : !attn.tally<f32>
    attn.store_row %s : !attn.tally<f32>
  }
  return
}

// -----

// attn.reduce C7
func.func @f(%s: !attn.scores<1x4x8x8xf32>, %n: index) {
  // expected-error @+1 {{'attn.reduce' op C7: rows come with bins over keys or over queries alone, at least 1 at a time}}
  %t = attn.reduce sum both %s bins(7) by (%x: f32) at (%b, %h) {
    attn.yield %h : index
  } rows(%n) : (!attn.scores<1x4x8x8xf32>) -> (tensor<1x4x7xf32>)
  return
}

// -----

func.func @f(%s: !attn.scores<1x4x8x8xf32>) {
  %n = arith.constant 0 : index
  // expected-error @+1 {{'attn.reduce' op C7: rows come with bins over keys or over queries alone, at least 1 at a time}}
  %t = attn.reduce sum keys %s bins(7) by (%x: f32) at (%b, %h) {
    attn.yield %h : index
  } rows(%n) : (!attn.scores<1x4x8x8xf32>) -> (tensor<1x4x?x7xf32>)
  return
}
