// RUN: attn-opt %s --split-input-file --verify-diagnostics

// attn.score C5: the map has an element per batch
func.func @length(%map: tensor<3xi32>, %q: tensor<5x1x3x8xf32>, %k: tensor<2x1x7x8xf32>) {
  // expected-error @+1 {{'attn.score' op C5: batch_map has shape [5], got 'tensor<3xi32>'}}
  %s = attn.score %q, %k batches(%map : tensor<3xi32>)
     : tensor<5x1x3x8xf32>, tensor<2x1x7x8xf32> -> !attn.scores<5x1x3x7xf32>
  return
}

// -----

// attn.score C5: rank
func.func @rank(%map: tensor<?x1xi32>, %q: tensor<?x1x3x8xf32>, %k: tensor<2x1x7x8xf32>) {
  // expected-error @+1 {{C5: batch_map has shape [?], got 'tensor<?x1xi32>'}}
  %s = attn.score %q, %k batches(%map : tensor<?x1xi32>)
     : tensor<?x1x3x8xf32>, tensor<2x1x7x8xf32> -> !attn.scores<?x1x3x7xf32>
  return
}

// -----

// attn.lane C5
func.func @lane(%map: tensor<3xi32>, %q: tensor<5x1x3x8xf32>, %k: tensor<2x1x3x7x8xf32>) {
  // expected-error @+1 {{'attn.lane' op C5: batch_map has shape [5], got 'tensor<3xi32>'}}
  %s = attn.lane %q, %k batches(%map : tensor<3xi32>)
     : tensor<5x1x3x8xf32>, tensor<2x1x3x7x8xf32> -> !attn.scores<5x1x3x7xf32>
  return
}

// -----

// attn.aggregate C3
func.func @aggregate(%map: tensor<3xi32>, %p: !attn.scores<5x1x3x7xf32>, %v: tensor<2x1x7x8xf32>) {
  // expected-error @+1 {{'attn.aggregate' op C3: batch_map has shape [5], got 'tensor<3xi32>'}}
  %o = attn.aggregate %p, %v batches(%map : tensor<3xi32>)
     : !attn.scores<5x1x3x7xf32>, tensor<2x1x7x8xf32> -> tensor<5x1x3x8xf32>
  return
}

// -----

// attn.aggregate C3: maps are named by batch_mapped
func.func @batch_mapped(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x8x7x16xf32>) {
  // expected-error @+1 {{C3: batch_mapped says for each of the 1 values whether it has one of the 0 batch maps}}
  %o = "attn.aggregate"(%p, %v) <{mapped = array<i1: false>, batch_mapped = array<i1: true>, operandSegmentSizes = array<i32: 1, 1, 0, 0>}> : (!attn.scores<1x8x5x7xf32>, tensor<1x8x7x16xf32>) -> tensor<1x8x5x16xf32>
  return
}

// -----

// attn.partial C5: maps come from outside
func.func @partial(%s: !attn.scores<1x2x5x7xf32>, %v: tensor<3x2x7x8xf32>) {
  // expected-error @+1 {{'attn.partial' op C5: the maps of aggregates in the region come from outside of it}}
  %st = attn.partial(%s, %v) {
  ^bb0(%x: !attn.scores<1x2x5x7xf32>, %y: tensor<3x2x7x8xf32>):
    %map = arith.constant dense<2> : tensor<1xi32>
    %o = attn.aggregate %x, %y batches(%map : tensor<1xi32>)
       : !attn.scores<1x2x5x7xf32>, tensor<3x2x7x8xf32> -> tensor<1x2x5x8xf32>
    attn.yield %o : tensor<1x2x5x8xf32>
  } : (!attn.scores<1x2x5x7xf32>, tensor<3x2x7x8xf32>) -> !attn.state<tensor<1x2x5x8xf32>>
  return
}
