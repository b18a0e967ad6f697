// RUN: attn-opt %s --split-input-file --verify-diagnostics

func.func @view_indices() {
  // expected-error @+1 {{C1: the region takes three indices for the rows of a tensor of rank 4, or 2 for elements, got 1}}
  %v = attn.view (%i) {
    %c = arith.constant dense<0.0> : vector<4xf32>
    attn.yield %c : vector<4xf32>
  } : tensor<3x4xf32>
  return
}

// -----

func.func @view_row() {
  // expected-error @+1 {{C1: the region yields one 'vector<8xf32>'}}
  %v = attn.view (%b, %h, %i) {
    %c = arith.constant dense<0.0> : vector<4xf32>
    attn.yield %c : vector<4xf32>
  } : tensor<1x2x3x8xf32>
  return
}

// -----

func.func @view_dynamic_rows(%n: index) {
  // expected-error @+1 {{C1: rows need a static last extent}}
  %v = attn.view (%b, %h, %i) sizes(%n) {
    %c = arith.constant dense<0.0> : vector<4xf32>
    attn.yield %c : vector<4xf32>
  } : tensor<1x2x3x?xf32>
  return
}

// -----

func.func @view_sizes() {
  // expected-error @+1 {{C2: sizes are given for the 1 dynamic extents, got 0}}
  %v = attn.view (%i) {
    %c = arith.constant 0.0 : f32
    attn.yield %c : f32
  } : tensor<?xf32>
  return
}

// -----

func.func @view_impure(%n: index) {
  // expected-error @+1 {{C3: the region may run on absent entries, so it is pure and speculatable; 'arith.divui' is not}}
  %v = attn.view (%i) {
    // expected-note @+1 {{an integer division needs a divisor known to be positive}}
    %d = arith.divui %i, %n : index
    attn.yield %d : index
  } : tensor<4xindex>
  return
}

// -----

func.func @view_rows_for_elements(%x: tensor<1x2x3x4xf32>) {
  // expected-error @+1 {{C4: a region that computes elements reads elements (tensor.extract), not rows}}
  %v = attn.view (%i) {
    %c0 = arith.constant 0 : index
    %row = attn.at %x[%c0, %c0, %c0] : tensor<1x2x3x4xf32> -> vector<4xf32>
    %s = vector.reduction <add>, %row : vector<4xf32> into f32
    attn.yield %s : f32
  } : tensor<4xf32>
  return
}

// -----

func.func @pool(%pool: tensor<?x2x?x64xf32>, %table: tensor<1x?xi32>) {
  // expected-error @+1 {{C1: the pool has rank 4 and static heads, slots and features, and the table is [B, maxpages]; got 'tensor<?x2x?x64xf32>' and 'tensor<1x?xi32>'}}
  %k = attn.paged %pool, %table : tensor<?x2x?x64xf32>, tensor<1x?xi32> -> tensor<1x2x?x64xf32>
  return
}

// -----

func.func @paged_result(%pool: tensor<?x2x16x64xf32>, %table: tensor<1x4xi32>) {
  // expected-error @+1 {{C2: the result is [1, 2, 64, 64] of 'f32', got 'tensor<1x2x?x64xf32>'}}
  %k = attn.paged %pool, %table : tensor<?x2x16x64xf32>, tensor<1x4xi32> -> tensor<1x2x?x64xf32>
  return
}

// -----

func.func @empty_pages(%pool: tensor<?x2x0x64xf32>, %table: tensor<1x4xi32>) {
  // expected-error @+1 {{C3: a page has at least one slot, head and feature}}
  %k = attn.paged %pool, %table : tensor<?x2x0x64xf32>, tensor<1x4xi32> -> tensor<1x2x0x64xf32>
  return
}

// -----

// expected-error @+1 {{the type of a scheme is i8, i4, i2, f8E4M3FN or f8E5M2, got 'i3'}}
func.func private @type() attributes {a = #attn.quant<type = i3, axis = token>}

// -----

// expected-error @+1 {{8-bit floats have no zeros; write zero = none}}
func.func private @zeros() attributes {a = #attn.quant<type = f8E5M2, axis = token, zero = point>}

// -----

// expected-error @+1 {{group is a number of features (axis = token) or of tokens (axis = channel), got 4}}
func.func private @group() attributes {a = #attn.quant<type = i8, axis = tensor, group = 4>}

// -----

// expected-error @+1 {{clamp is 0 or 1, got 2}}
func.func private @clamp() attributes {a = #attn.quant<type = i8, axis = tensor, clamp = 2>}

// -----

func.func @features(%x: tensor<1x2x5x6xf32>) {
  // expected-error @+1 {{C1: numbers and codes are [B, G, N, D] with static D, a multiple of the 4 codes per byte}}
  %q, %s = attn.quantize %x scheme(<type = i2, axis = token>)
    : tensor<1x2x5x6xf32> -> tensor<1x2x5x1xi8>, tensor<1x2x5x1xf32>
  return
}

// -----

func.func @codes(%x: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{C2: codes of 'i4' are [1, 2, 5, 4] of 'i8', got 'tensor<1x2x5x8xi8>'}}
  %q, %s = attn.quantize %x scheme(<type = i4, axis = token>)
    : tensor<1x2x5x8xf32> -> tensor<1x2x5x8xi8>, tensor<1x2x5x1xf32>
  return
}

// -----

func.func @groups(%x: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{C3: groups of 3 features do not divide 8}}
  %q, %s = attn.quantize %x scheme(<type = i8, axis = token, group = 3>)
    : tensor<1x2x5x8xf32> -> tensor<1x2x5x8xi8>, tensor<1x2x5x2xf32>
  return
}

// -----

func.func @scales(%q: tensor<1x2x5x8xi8>, %s: tensor<1x2x5x1xf32>) {
  // expected-error @+1 {{C3: scales and zeros by channel are [1, 2, 3, 8], got 'tensor<1x2x5x1xf32>'}}
  %x = attn.dequantize %q, %s scheme(<type = i8, axis = channel, group = 2>)
    : tensor<1x2x5x8xi8>, tensor<1x2x5x1xf32> -> tensor<1x2x5x8xf32>
  return
}

// -----

func.func @scale_types(%q: tensor<1x2x5x8xi8>, %s: tensor<1x2x5x1xf32>, %z: tensor<1x2x5x1xf16>) {
  // expected-error @+1 {{C3: scales and zeros have one element type}}
  %x = attn.dequantize %q, %s, %z scheme(<type = i8, axis = token, zero = point>)
    : tensor<1x2x5x8xi8>, tensor<1x2x5x1xf32>, tensor<1x2x5x1xf16> -> tensor<1x2x5x8xf32>
  return
}

// -----

func.func @missing_zeros(%q: tensor<1x2x5x8xi8>, %s: tensor<1x2x5x1xf32>) {
  // expected-error @+1 {{C4: a scheme with zero = offset needs zeros}}
  %x = attn.dequantize %q, %s scheme(<type = i8, axis = token, zero = offset>)
    : tensor<1x2x5x8xi8>, tensor<1x2x5x1xf32> -> tensor<1x2x5x8xf32>
  return
}

// -----

func.func @needless_zeros(%q: tensor<1x2x5x8xi8>, %s: tensor<1x2x5x1xf32>) {
  // expected-error @+1 {{C4: a scheme with zero = none has no zeros}}
  %x = attn.dequantize %q, %s, %s scheme(<type = i8, axis = token>)
    : tensor<1x2x5x8xi8>, tensor<1x2x5x1xf32>, tensor<1x2x5x1xf32> -> tensor<1x2x5x8xf32>
  return
}

// -----

func.func @narrow(%q: tensor<1x2x5x8xi8>, %s: tensor<1x2x5x1xf32>) {
  // expected-error @+1 {{C1: numbers come out as f32 or f64, got 'tensor<1x2x5x8xf16>'}}
  %x = attn.dequantize %q, %s scheme(<type = i8, axis = token>)
    : tensor<1x2x5x8xi8>, tensor<1x2x5x1xf32> -> tensor<1x2x5x8xf16>
  return
}

// -----

func.func @odd_rotation(%x: tensor<1x2x5x8xf32>, %p: tensor<1x5xi32>) {
  // expected-error @+1 {{C1: the input is [B, H, L, D] with static D, and an even number of features, at most D, rotates; got 'tensor<1x2x5x8xf32>' and rotary_dim 3}}
  %r = attn.rope %x positions(%p : tensor<1x5xi32>) half rotary_dim(3) : tensor<1x2x5x8xf32>
  return
}

// -----

func.func @no_angles(%x: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{C2: angles come from positions, or from cos and sin}}
  %r = attn.rope %x half : tensor<1x2x5x8xf32>
  return
}

// -----

func.func @angles(%x: tensor<2x2x5x8xf32>, %p: tensor<3x5xi32>) {
  // expected-error @+1 {{C3: positions are [2, 5], cos and sin [2, 5, 4], with the batch size or 1}}
  %r = attn.rope %x positions(%p : tensor<3x5xi32>) half : tensor<2x2x5x8xf32>
  return
}

// -----

func.func @hadamard(%x: tensor<1x2x5x12xf32>) {
  // expected-error @+1 {{C1: the input is [B, H, L, D] with D a static power of two, got 'tensor<1x2x5x12xf32>'}}
  %r = attn.hadamard %x : tensor<1x2x5x12xf32>
  return
}

// -----

func.func @append_types(%c: tensor<1x2x5x8xf32>, %n: tensor<1x2x1x8xf16>, %at: index) {
  // expected-error @+1 {{C1: cache and new rows have rank 4 and one element type, got}}
  %r = attn.append %c, %n at(%at : index) : tensor<1x2x5x8xf32>, tensor<1x2x1x8xf16>
  return
}

// -----

func.func @append_heads(%c: tensor<1x2x5x8xf32>, %n: tensor<1x3x1x8xf32>, %at: index) {
  // expected-error @+1 {{C1: cache and new rows agree in sequences, heads and features, got}}
  %r = attn.append %c, %n at(%at : index) : tensor<1x2x5x8xf32>, tensor<1x3x1x8xf32>
  return
}

// -----

func.func @append_at(%c: tensor<2x2x5x8xf32>, %n: tensor<2x2x1x8xf32>, %at: tensor<3xi32>) {
  // expected-error @+1 {{C2: at is an index, or integers [B] or [1], got 'tensor<3xi32>'}}
  %r = attn.append %c, %n at(%at : tensor<3xi32>) : tensor<2x2x5x8xf32>, tensor<2x2x1x8xf32>
  return
}

// -----

func.func @append_layout(%c: tensor<2x2x5x8xf32>, %n: tensor<2x2x1x8xf32>, %at: index) {
  // expected-error @+1 {{C3: a layout is for pools, which have a table}}
  %r = attn.append %c, %n at(%at : index) layout slots_first : tensor<2x2x5x8xf32>, tensor<2x2x1x8xf32>
  return
}

// -----

func.func @inner(%x: vector<4xf32>, %y: vector<5xf32>) {
  // expected-error @+1 {{C1: rows have one length, got 'vector<4xf32>' and 'vector<5xf32>'}}
  %s = attn.inner %x, %y : vector<4xf32>, vector<5xf32> -> f32
  return
}

// -----

func.func @expand(%x: vector<15xf32>, %w: tensor<8x16x64xf32>, %h: index) {
  // expected-error @+1 {{C1: the matrix is indexed up to its last two dimensions, the lengths of 'vector<15xf32>' and 'vector<64xf32>'; got 'tensor<8x16x64xf32>'}}
  %y = attn.expand %x, %w[%h] : vector<15xf32>, tensor<8x16x64xf32> -> vector<64xf32>
  return
}
