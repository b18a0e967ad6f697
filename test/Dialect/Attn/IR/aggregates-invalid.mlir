// RUN: attn-opt %s --split-input-file --verify-diagnostics

// One case per constraint of the ops from scores to tensors.

// attn.reduce C1
func.func @reduce_types(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce' op C1: count gives elements ('i64'), got ('i32')}}
  %r = attn.reduce count keys %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xi32>
  return
}

// -----

// attn.reduce C1: number of results
func.func @reduce_results(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C1: moments gives elements ('f32', 'f32'), got ('f32')}}
  %r = attn.reduce moments keys %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

// attn.reduce C1: custom
func.func @reduce_nothing(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C1: custom gives at least one result}}
  attn.reduce custom keys %s identity [] lift (%x: f32) {
    attn.yield
  } combine {
    attn.yield
  } : (!attn.scores<1x8x5x7xf32>) -> ()
  return
}

// -----

// attn.reduce C2: keys
func.func @reduce_keys(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C2: over keys the results have the shape of 'tensor<1x8x5xf32>', got 'tensor<1x8x7xf32>'}}
  %r = attn.reduce sum keys %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x7xf32>
  return
}

// -----

// attn.reduce C2: queries
func.func @reduce_queries(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C2: over queries the results have the shape of 'tensor<1x8x7xf32>', got 'tensor<1x8x5xf32>'}}
  %r = attn.reduce sum queries %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

// attn.reduce C3: not for named kinds
func.func @reduce_identity(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C3: identity, lift and combine are given for custom, and only for it}}
  %r = attn.reduce sum keys %s identity [0.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%a: f32, %b: f32):
    attn.yield %a : f32
  } : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

// attn.reduce C3: needed for custom
func.func @reduce_custom(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C3: identity, lift and combine are given for custom, and only for it}}
  %r = attn.reduce custom keys %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

// attn.reduce C4: identity
func.func @reduce_identity_size(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C4: identity has 2 values for 1 results}}
  %r = attn.reduce custom keys %s identity [0.0, 0.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%a: f32, %b: f32):
    attn.yield %a : f32
  } : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

// attn.reduce C4: element types
func.func @reduce_elements(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C4: results of custom have element type 'f32', got 'f64'}}
  %r = attn.reduce custom keys %s identity [0.0] lift (%x: f32) {
    %y = arith.extf %x : f32 to f64
    attn.yield %y : f64
  } combine {
  ^bb0(%a: f64, %b: f64):
    attn.yield %a : f64
  } : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf64>
  return
}

// -----

// attn.reduce C4: lift
func.func @reduce_lift(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C4: the region yields ('f32', 'f32'), got ('f32')}}
  %r:2 = attn.reduce custom keys %s identity [0.0, 0.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
    attn.yield %a, %b : f32, f32
  } : (!attn.scores<1x8x5x7xf32>) -> (tensor<1x8x5xf32>, tensor<1x8x5xf32>)
  return
}

// -----

// attn.reduce C4: combine
func.func @reduce_combine(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C4: combine takes ('f32', 'f32') and yields ('f32')}}
  %r = attn.reduce custom keys %s identity [0.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%a: f32):
    attn.yield %a : f32
  } : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

// attn.reduce C4: effects
func.func @reduce_effect(%s: !attn.scores<1x8x5x7xf32>, %m: memref<f32>) {
  // expected-error @+1 {{C4: the region may run on absent entries, so it is pure and speculatable; 'memref.load' is not}}
  %r = attn.reduce custom keys %s identity [0.0] lift (%x: f32) {
    attn.yield %x : f32
  } combine {
  ^bb0(%a: f32, %b: f32):
    // expected-note @+1 {{captured data is read with tensor.extract}}
    %c = memref.load %m[] : memref<f32>
    attn.yield %c : f32
  } : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

func.func @reduce_kind(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{unknown reduction 'median'}}
  %r = attn.reduce median keys %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

func.func @reduce_axis(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{a reduction runs over keys, queries or both; over heads alone it is attn.reduce_heads}}
  %r = attn.reduce sum heads %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

func.func @reduce_operands(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{a reduction has one operand}}
  %r = attn.reduce sum keys %s : (!attn.scores<1x8x5x7xf32>, f32) -> tensor<1x8x5xf32>
  return
}

// -----

// attn.aggregate C1
func.func @aggregate_features(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x2x7x64xf32>) {
  // expected-error @+1 {{'attn.aggregate' op C1: values have rank 4 (or 5), the result rank 4, and a static, equal feature size}}
  %o = attn.aggregate %p, %v : !attn.scores<1x8x5x7xf32>, tensor<1x2x7x64xf32> -> tensor<1x8x5x32xf32>
  return
}

// -----

// attn.aggregate C1: rank
func.func @aggregate_rank(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<2x7x64xf32>) {
  // expected-error @+1 {{C1: values have rank 4 (or 5)}}
  %o = attn.aggregate %p, %v : !attn.scores<1x8x5x7xf32>, tensor<2x7x64xf32> -> tensor<1x8x5x64xf32>
  return
}

// -----

// attn.aggregate C2
func.func @aggregate_heads(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x3x7x64xf32>) {
  // expected-error @+1 {{C2: 8 query heads are no multiple of the value heads of 'tensor<1x3x7x64xf32>'}}
  %o = attn.aggregate %p, %v : !attn.scores<1x8x5x7xf32>, tensor<1x3x7x64xf32> -> tensor<1x8x5x64xf32>
  return
}

// -----

// attn.aggregate C3
func.func @aggregate_map(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x3x7x64xf32>, %map: tensor<3xi32>) {
  // expected-error @+1 {{C3: head_map has shape [8], got 'tensor<3xi32>'}}
  %o = attn.aggregate %p, %v heads(%map : tensor<3xi32>) : !attn.scores<1x8x5x7xf32>, tensor<1x3x7x64xf32> -> tensor<1x8x5x64xf32>
  return
}

// -----

// attn.aggregate C4: keys
func.func @aggregate_keys(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x2x6x64xf32>) {
  // expected-error @+1 {{C4: the result has the shape of 'tensor<1x8x5x64xf32>' and value has 7 rows}}
  %o = attn.aggregate %p, %v : !attn.scores<1x8x5x7xf32>, tensor<1x2x6x64xf32> -> tensor<1x8x5x64xf32>
  return
}

// -----

// attn.aggregate C4: result
func.func @aggregate_result(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x2x7x64xf32>) {
  // expected-error @+1 {{C4: the result has the shape of 'tensor<1x8x5x64xf32>'}}
  %o = attn.aggregate %p, %v : !attn.scores<1x8x5x7xf32>, tensor<1x2x7x64xf32> -> tensor<1x8x7x64xf32>
  return
}

// -----

// attn.aggregate C5
func.func @aggregate_operand(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x2x7x64xf32>) {
  // expected-error @+1 {{C5: operand_type is bf16, f16 or 'f32', got 'i8'}}
  %o = attn.aggregate %p, %v operand_type(i8) : !attn.scores<1x8x5x7xf32>, tensor<1x2x7x64xf32> -> tensor<1x8x5x64xf32>
  return
}

// -----

// attn.materialize C1: shape
func.func @materialize_shape(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.materialize' op C1: the result has the shape of '!attn.scores<1x8x5x7xf32>', got 'tensor<1x8x7x5xf32>'}}
  %t = attn.materialize %s : !attn.scores<1x8x5x7xf32> -> tensor<1x8x7x5xf32>
  return
}

// -----

// attn.materialize C1: element type
func.func @materialize_element(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.materialize' op result #0 must be ranked tensor of 16-bit float or bfloat16 type or 32-bit float or 64-bit float values}}
  %t = attn.materialize %s : !attn.scores<1x8x5x7xf32> -> tensor<1x8x5x7xi32>
  return
}

// -----

func.func @axis(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{a reduction runs over keys, queries, both, heads or batch, got 'rows'}}
  %r = attn.reduce sum [rows] %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
  return
}

// -----

func.func @axis_twice(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'keys' is named twice}}
  %r = attn.reduce sum [both, keys] %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8xf32>
  return
}

// -----

func.func @heads_twice(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'heads' is named twice}}
  %r = attn.reduce sum [heads, keys, heads] %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x5xf32>
  return
}

// -----

// attn.reduce C1: one index per axis
func.func @indices(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce' op C1: argmax gives elements ('i64', 'i64'), got ('i64')}}
  %r = attn.reduce argmax both %s : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8xi64>
  return
}

// -----

// attn.reduce C2: several axes
func.func @shape(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce' op C2: over [queries, heads] the results have the shape of 'tensor<1x2x7xf32>', got 'tensor<1x7xf32>'}}
  %r = attn.reduce sum [queries, heads] %s groups(2) : (!attn.scores<1x8x5x7xf32>) -> tensor<1x7xf32>
  return
}

// -----

// attn.reduce C6
func.func @groups(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce' op C6: the number of groups divides the 8 heads, got 3}}
  %r = attn.reduce sum [keys, heads] %s groups(3) : (!attn.scores<1x8x5x7xf32>) -> tensor<1x3x5xf32>
  return
}

// -----

func.func @groups_of_heads(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce' op C6: groups come with heads among the axes, got [keys, batch]}}
  %r = attn.reduce sum [keys, batch] %s groups(2) : (!attn.scores<1x8x5x7xf32>) -> tensor<2x5xf32>
  return
}
