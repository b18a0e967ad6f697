// RUN: attn-opt %s --split-input-file --verify-diagnostics

// One case per constraint of the ops that start an expression.

// attn.score C1
func.func @rank(%q: tensor<8x5x64xf32>, %k: tensor<1x8x7x64xf32>) {
  // expected-error @+1 {{'attn.score' op C1: query and key have rank 4, got 'tensor<8x5x64xf32>'}}
  %s = attn.score %q, %k : tensor<8x5x64xf32>, tensor<1x8x7x64xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C2
func.func @element_types(%q: tensor<1x8x5x64xf32>, %k: tensor<1x8x7x64xbf16>) {
  // expected-error @+1 {{C2: query and key have the same element type, got 'f32' and 'bf16'}}
  %s = attn.score %q, %k : tensor<1x8x5x64xf32>, tensor<1x8x7x64xbf16> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C3: different sizes
func.func @features(%q: tensor<1x8x5x64xf32>, %k: tensor<1x8x7x32xf32>) {
  // expected-error @+1 {{C3: the feature sizes are static and equal}}
  %s = attn.score %q, %k : tensor<1x8x5x64xf32>, tensor<1x8x7x32xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C3: dynamic sizes
func.func @dynamic_features(%q: tensor<1x8x5x?xf32>, %k: tensor<1x8x7x?xf32>) {
  // expected-error @+1 {{C3: the feature sizes are static and equal}}
  %s = attn.score %q, %k : tensor<1x8x5x?xf32>, tensor<1x8x7x?xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C4
func.func @heads(%q: tensor<1x8x5x64xf32>, %k: tensor<1x3x7x64xf32>) {
  // expected-error @+1 {{C4: the static number of query heads is a multiple of that of key heads}}
  %s = attn.score %q, %k : tensor<1x8x5x64xf32>, tensor<1x3x7x64xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C4: a head map lifts it, for any number of key heads.
func.func @heads_with_map(%q: tensor<1x8x5x64xf32>, %k: tensor<1x3x7x64xf32>, %map: tensor<8xi32>) {
  %s = attn.score %q, %k heads(%map : tensor<8xi32>) : tensor<1x8x5x64xf32>, tensor<1x3x7x64xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C5
func.func @head_map(%q: tensor<1x8x5x64xf32>, %k: tensor<1x2x7x64xf32>, %map: tensor<2xi32>) {
  // expected-error @+1 {{C5: head_map has shape [8], got 'tensor<2xi32>'}}
  %s = attn.score %q, %k heads(%map : tensor<2xi32>) : tensor<1x8x5x64xf32>, tensor<1x2x7x64xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C6: extents
func.func @extents(%q: tensor<1x8x5x64xf32>, %k: tensor<1x2x7x64xf32>) {
  // expected-error @+1 {{C6: the result is '!attn.scores<1x8x5x7xf32>', got '!attn.scores<1x8x7x5xf32>'}}
  %s = attn.score %q, %k : tensor<1x8x5x64xf32>, tensor<1x2x7x64xf32> -> !attn.scores<1x8x7x5xf32>
  return
}

// -----

// attn.score C6: accumulation type
func.func @accumulation(%q: tensor<1x8x5x64xf64>, %k: tensor<1x2x7x64xf64>) {
  // expected-error @+1 {{C6: the result is '!attn.scores<1x8x5x7xf64>', got '!attn.scores<1x8x5x7xf32>'}}
  %s = attn.score %q, %k : tensor<1x8x5x64xf64>, tensor<1x2x7x64xf64> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.score C6: batch sizes
func.func @batches(%q: tensor<2x8x5x64xf32>, %k: tensor<3x2x7x64xf32>) {
  // expected-error @+2 {{C6: query and key have one batch size}}
  // expected-note @+1 {{batches(...) names the batch of keys that each batch of queries reads}}
  %s = attn.score %q, %k : tensor<2x8x5x64xf32>, tensor<3x2x7x64xf32> -> !attn.scores<2x8x5x7xf32>
  return
}

// -----

// attn.score C7
func.func @axis(%q: tensor<2x8x5x64xf32>, %k: tensor<2x2x7x64xf32>, %len: tensor<3x1xi32>) {
  // expected-error @+1 {{C7: extent 0 of key_length is 3, expected 2}}
  %s = attn.score %q, %k key_length(%len : tensor<3x1xi32>) : tensor<2x8x5x64xf32>, tensor<2x2x7x64xf32> -> !attn.scores<2x8x5x7xf32>
  return
}

// -----

// attn.score C7: positions and an offset
func.func @axis_origin(%q: tensor<2x8x5x64xf32>, %k: tensor<2x2x7x64xf32>, %pos: tensor<1x1x5xi32>, %off: index) {
  // expected-error @+1 {{C7: the query axis has positions or an offset, not both}}
  %s = attn.score %q, %k query_positions(%pos : tensor<1x1x5xi32>) query_offset(%off : index) : tensor<2x8x5x64xf32>, tensor<2x2x7x64xf32> -> !attn.scores<2x8x5x7xf32>
  return
}

// -----

// attn.score_with has C1 to C7 of attn.score; C3 stands for them.
func.func @with_features(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x7x9xf32>) {
  // expected-error @+1 {{'attn.score_with' op C3: the feature sizes are static and equal}}
  %s = attn.score_with sum %q, %k {
  ^bb0(%x: f32, %y: f32, %d: index):
    attn.yield %x : f32
  } : tensor<1x2x5x8xf32>, tensor<1x2x7x9xf32> -> !attn.scores<1x2x5x7xf32>
  return
}

// -----

// attn.score_with C8: arguments
func.func @with_arguments(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x7x8xf32>) {
  // expected-error @+1 {{C8: the region takes ('f32', 'f32', index) and yields one 'f32'}}
  %s = attn.score_with sum %q, %k {
  ^bb0(%x: f32, %y: f32):
    attn.yield %x : f32
  } : tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32> -> !attn.scores<1x2x5x7xf32>
  return
}

// -----

// attn.score_with C8: result
func.func @with_result(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x7x8xf32>) {
  // expected-error @+1 {{C8: the region takes ('f32', 'f32', index) and yields one 'f32'}}
  %s = attn.score_with sum %q, %k {
  ^bb0(%x: f32, %y: f32, %d: index):
    attn.yield %d : index
  } : tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32> -> !attn.scores<1x2x5x7xf32>
  return
}

// -----

// attn.score_with C8: speculatable
func.func @with_effects(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x7x8xf32>, %m: memref<8xf32>) {
  // expected-error @+1 {{C8: the region may run on absent entries, so it is pure and speculatable; 'memref.load' is not}}
  %s = attn.score_with sum %q, %k {
  ^bb0(%x: f32, %y: f32, %d: index):
    // expected-note @+1 {{captured data is read with tensor.extract}}
    %z = memref.load %m[%d] : memref<8xf32>
    attn.yield %z : f32
  } : tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32> -> !attn.scores<1x2x5x7xf32>
  return
}

// -----

// attn.bias C1
func.func @bias_rank(%t: tensor<8x5x7xf32>) {
  // expected-error @+1 {{'attn.bias' op C1: the tensor has rank 4, got 'tensor<8x5x7xf32>'}}
  %s = attn.bias %t : tensor<8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.bias C2: only batch and heads broadcast
func.func @bias_extents(%t: tensor<1x8x1x7xf32>) {
  // expected-error @+1 {{C2: the result has the extents of the tensor, got 'tensor<1x8x1x7xf32>' and '!attn.scores<1x8x5x7xf32>'}}
  %s = attn.bias %t : tensor<1x8x1x7xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.bias C2: a dynamic broadcast has no extent
func.func @bias_dynamic(%t: tensor<1x8x5x7xf32>) {
  // expected-error @+1 {{C2: a broadcast extent of the result is static}}
  %s = attn.bias %t : tensor<1x8x5x7xf32> -> !attn.scores<?x8x5x7xf32>
  return
}

// -----

// attn.bias C2: the element type is the accumulation type of the tensor's
func.func @bias_element(%t: tensor<1x8x5x7xf64>) {
  // expected-error @+1 {{C2: the result has element type 'f64', got 'f32'}}
  %s = attn.bias %t : tensor<1x8x5x7xf64> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.bias C3
func.func @bias_axis(%t: tensor<1x8x5x7xf32>, %seg: tensor<1x5xi32>) {
  // expected-error @+1 {{C3: extent 1 of key_segments is 5, expected 7}}
  %s = attn.bias %t key_segments(%seg : tensor<1x5xi32>) : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.with_axes C1: positions
func.func @axes_positions(%s: !attn.scores<1x8x5x7xf32>, %pos: tensor<1x5xi32>) {
  // expected-error @+1 {{'attn.with_axes' op C1: query_positions has rank 3, got 'tensor<1x5xi32>'}}
  %t = attn.with_axes %s query_positions(%pos : tensor<1x5xi32>) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.with_axes C1: length
func.func @axes_length(%s: !attn.scores<1x8x5x7xf32>, %len: tensor<1xi32>) {
  // expected-error @+1 {{C1: query_length has rank 2, got 'tensor<1xi32>'}}
  %t = attn.with_axes %s query_length(%len : tensor<1xi32>) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.with_axes C1: segments
func.func @axes_segments(%s: !attn.scores<1x8x5x7xf32>, %seg: tensor<7xi32>) {
  // expected-error @+1 {{C1: key_segments has rank 2, got 'tensor<7xi32>'}}
  %t = attn.with_axes %s key_segments(%seg : tensor<7xi32>) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.with_axes C1: offset
func.func @axes_offset(%s: !attn.scores<1x8x5x7xf32>, %off: tensor<1x1xi32>) {
  // expected-error @+1 {{C1: key_offset has rank 1, got 'tensor<1x1xi32>'}}
  %t = attn.with_axes %s key_offset(%off : tensor<1x1xi32>) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.with_axes C2: the extent of an axis does not broadcast
func.func @axes_extent(%s: !attn.scores<1x8x5x7xf32>, %pos: tensor<1x1x1xi32>) {
  // expected-error @+1 {{C2: extent 2 of key_positions is 1, expected 7}}
  %t = attn.with_axes %s key_positions(%pos : tensor<1x1x1xi32>) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.with_axes C3
func.func @axes_origin(%s: !attn.scores<1x8x5x7xf32>, %pos: tensor<1x1x7xi32>, %off: index) {
  // expected-error @+1 {{C3: the key axis has positions or an offset, not both}}
  %t = attn.with_axes %s key_positions(%pos : tensor<1x1x7xi32>) key_offset(%off : index) : !attn.scores<1x8x5x7xf32>
  return
}
