// RUN: attn-opt %s --split-input-file --verify-diagnostics

// One case per constraint of the ops on neighbours and heads.

!scores = !attn.scores<1x8x5x7xf32>

// attn.convolve C1: heads
func.func @tap_heads(%s: !scores, %w: tensor<4x3x3xf32>) {
  // expected-error @+1 {{'attn.convolve' op C1: taps are [8 or 1, KU, KV] with static KU and KV, got 'tensor<4x3x3xf32>'}}
  %r = attn.convolve %s, %w origin [0, 0] : !scores, tensor<4x3x3xf32>
  return
}

// -----

!scores = !attn.scores<1x8x5x7xf32>

// attn.convolve C1: static extents
func.func @tap_extents(%s: !scores, %w: tensor<8x?x3xf32>) {
  // expected-error @+1 {{C1: taps are [8 or 1, KU, KV] with static KU and KV, got 'tensor<8x?x3xf32>'}}
  %r = attn.convolve %s, %w origin [0, 0] : !scores, tensor<8x?x3xf32>
  return
}

// -----

!scores = !attn.scores<1x8x5x7xf32>

// attn.convolve C1: rank
func.func @tap_rank(%s: !scores, %w: tensor<3x3xf32>) {
  // expected-error @+1 {{C1: taps are [8 or 1, KU, KV] with static KU and KV, got 'tensor<3x3xf32>'}}
  %r = attn.convolve %s, %w origin [0, 0] : !scores, tensor<3x3xf32>
  return
}

// -----

!scores = !attn.scores<1x8x5x7xf32>

// attn.convolve C2
func.func @origin(%s: !scores, %w: tensor<1x3x5xf32>) {
  // expected-error @+1 {{'attn.convolve' op C2: the origin is two indices inside of the taps [3, 5], got [1, 5]}}
  %r = attn.convolve %s, %w origin [1, 5] : !scores, tensor<1x3x5xf32>
  return
}

// -----

// attn.convolve C3
func.func @segments(%t: tensor<1x8x5x7xf32>, %seg: tensor<1x5xi32>, %w: tensor<1x3x5xf32>) {
  %s = attn.bias %t query_segments(%seg : tensor<1x5xi32>) : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  // expected-error @+1 {{'attn.convolve' op C3: same_segment needs segments on both axes; attach them with attn.with_axes}}
  %r = attn.convolve %s, %w origin [1, 1] same_segment : !attn.scores<1x8x5x7xf32>, tensor<1x3x5xf32>
  return
}

// -----

// attn.mix_heads C1
func.func @weights(%s: !attn.scores<1x8x5x7xf32>, %w: tensor<8x4xf32>) {
  // expected-error @+1 {{'attn.mix_heads' op C1: weights are [G, 8] with static extents, got 'tensor<8x4xf32>'}}
  %r = attn.mix_heads %s, %w : !attn.scores<1x8x5x7xf32>, tensor<8x4xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.mix_heads C2
func.func @mixed_type(%s: !attn.scores<1x8x5x7xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{'attn.mix_heads' op C2: the result is '!attn.scores<1x4x5x7xf32>', got '!attn.scores<1x8x5x7xf32>'}}
  %r = attn.mix_heads %s, %w : !attn.scores<1x8x5x7xf32>, tensor<4x8xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.mix_heads C3
func.func @head_lengths(%t: tensor<1x8x5x7xf32>, %n: tensor<1x8xi32>, %w: tensor<4x8xf32>) {
  %s = attn.bias %t key_length(%n : tensor<1x8xi32>) : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  // expected-error @+1 {{'attn.mix_heads' op C3: the key axis has positions or lengths per head, which 4 mixtures of 8 heads do not have; give them an extent of 1}}
  %r = attn.mix_heads %s, %w : !attn.scores<1x8x5x7xf32>, tensor<4x8xf32> -> !attn.scores<1x4x5x7xf32>
  return
}

// -----

// attn.stencil C1
func.func @stencil_taps(%w: tensor<8x?x3xf32>, %i: index) {
  // expected-error @+1 {{'attn.stencil' op C1: taps are [heads, KU, KV] with static KU and KV, got 'tensor<8x?x3xf32>'}}
  %r = attn.stencil [%i, %i] in [%i, %i] taps %w[%i] origin [0, 0] {
  ^bb0(%i2: index, %j2: index):
    %x = arith.constant 1.0 : f32
    %p = arith.constant true
    attn.yield %x, %p : f32, i1
  } : tensor<8x?x3xf32> -> f32
  return
}

// -----

// attn.stencil C2
func.func @stencil_origin(%w: tensor<8x2x3xf32>, %i: index) {
  // expected-error @+1 {{'attn.stencil' op C2: the origin is two indices inside of the taps [2, 3], got [2, 0]}}
  %r = attn.stencil [%i, %i] in [%i, %i] taps %w[%i] origin [2, 0] {
  ^bb0(%i2: index, %j2: index):
    %x = arith.constant 1.0 : f32
    %p = arith.constant true
    attn.yield %x, %p : f32, i1
  } : tensor<8x2x3xf32> -> f32
  return
}

// -----

// attn.stencil C3
func.func @stencil_region(%w: tensor<8x2x3xf32>, %i: index) {
  // expected-error @+1 {{'attn.stencil' op C3: the region takes ('index', 'index') and yields ('f32', 'i1')}}
  %r = attn.stencil [%i, %i] in [%i, %i] taps %w[%i] origin [1, 0] {
  ^bb0(%i2: index):
    %x = arith.constant 1.0 : f32
    attn.yield %x : f32
  } : tensor<8x2x3xf32> -> f32
  return
}

// -----

// attn.mix C1
func.func @mix_weights(%w: tensor<?x8xf32>, %h: index) {
  // expected-error @+1 {{'attn.mix' op C1: weights are a matrix of static extents, got 'tensor<?x8xf32>'}}
  %r, %any = attn.mix weights %w[%h] {
  ^bb0(%h2: index):
    %x = arith.constant 1.0 : f32
    %p = arith.constant true
    attn.yield %x, %p : f32, i1
  } : tensor<?x8xf32> -> f32
  return
}

// -----

// attn.mix C2
func.func @mix_region(%w: tensor<8x8xf32>, %h: index) {
  // expected-error @+1 {{'attn.mix' op C2: the region takes ('index') and yields ('f32', 'i1')}}
  %r, %any = attn.mix weights %w[%h] {
  ^bb0(%h2: index):
    %x = arith.constant 1.0 : f64
    %p = arith.constant true
    attn.yield %x, %p : f64, i1
  } : tensor<8x8xf32> -> f32
  return
}

// -----

// attn.across C1
func.func @joined_kind(%t: tensor<1x1x7x?xf32>, %o: tensor<1x1x7xf32>, %n: index) -> tensor<1x1x7xf32> {
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c7] over %e = %n ins(%T = %t : tensor<1x1x7x?xf32>) outs(%o : tensor<1x1x7xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x7x?xf32> -> f32
      // expected-error @+1 {{'attn.across' op C1: the kind is max, min or sum, got mean}}
      %m = attn.across mean %x over 7 : f32
      %c = attn.carry sum %m : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return %r : tensor<1x1x7xf32>
}

// -----

// attn.across C2: the rows of the stream
func.func @joined_rows(%t: tensor<1x1x7x?xf32>, %o: tensor<1x1x7xf32>, %n: index) -> tensor<1x1x7xf32> {
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c7] over %e = %n ins(%T = %t : tensor<1x1x7x?xf32>) outs(%o : tensor<1x1x7xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x7x?xf32> -> f32
      // expected-error @+1 {{'attn.across' op C2: it is in a sweep of a stream of 8 rows, got 7}}
      %m = attn.across max %x over 8 : f32
      %c = attn.carry sum %m : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return %r : tensor<1x1x7xf32>
}

// -----

// attn.across C2: inside of an entry
func.func @joined_inside(%t: tensor<1x1x7x?xf32>, %o: tensor<1x1x7xf32>, %n: index) -> tensor<1x1x7xf32> {
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c7] over %e = %n ins(%T = %t : tensor<1x1x7x?xf32>) outs(%o : tensor<1x1x7xf32>) {
    %z = arith.constant 0 : index
    %c7i = arith.constant 7 : index
    %s = attn.sweep %j = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x7x?xf32> -> f32
      %m = attn.sweep %k = %z to %c7i {
        // expected-error @+1 {{'attn.across' op C2: it is in a sweep of a stream of 7 rows}}
        %y = attn.across max %x over 7 : f32
        %d = attn.carry sum %y : (f32) -> f32
        attn.yield %d : f32
      } : f32
      %c = attn.carry sum %m : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return %r : tensor<1x1x7xf32>
}

// -----

// attn.across C3
func.func @joined_gauge(%t: tensor<1x1x7x?xf32>, %o: tensor<1x1x7xf32>, %n: index) -> tensor<1x1x7xf32> {
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c7] over %e = %n ins(%T = %t : tensor<1x1x7x?xf32>) outs(%o : tensor<1x1x7xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x7x?xf32> -> f32
      %g = attn.running max %x : (f32) -> f32
      %y = arith.subf %x, %g : f32
      // expected-error @+1 {{'attn.across' op C3: what it joins depends on no carry, no running value and no result of a sweep}}
      %m = attn.across max %y over 7 : f32
      %c = attn.carry sum %m : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return %r : tensor<1x1x7xf32>
}

// -----

// attn.mix C1: weights or groups
func.func @mix_both(%w: tensor<8x8xf32>, %h: index) {
  // expected-error @+1 {{'attn.mix' op C1: heads are mixed with weights, or reduced in groups}}
  %r, %any = attn.mix weights %w[%h] groups max [2, 4] {
  ^bb0(%h2: index):
    %x = arith.constant 1.0 : f32
    %p = arith.constant true
    attn.yield %x, %p : f32, i1
  } : tensor<8x8xf32> -> f32
  return
}

// -----

func.func @mix_groups(%h: index) {
  // expected-error @+1 {{'attn.mix' op C1: groups are the number of groups and of heads in each, got [2, 0]}}
  %r, %any = attn.mix [%h] groups max [2, 0] {
  ^bb0(%h2: index):
    %x = arith.constant 1.0 : f32
    %p = arith.constant true
    attn.yield %x, %p : f32, i1
  } -> f32
  return
}

// -----

// attn.reduce_heads C1
func.func @heads_kind(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce_heads' op C1: heads are reduced by sum, max, min, mean or count, got lse}}
  %r = attn.reduce_heads lse %s : !attn.scores<1x8x5x7xf32> -> !attn.scores<1x2x5x7xf32>
  return
}

// -----

// attn.reduce_heads C2
func.func @heads_groups(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce_heads' op C2: the result has a number of heads that divides 8, got 3}}
  %r = attn.reduce_heads sum %s : !attn.scores<1x8x5x7xf32> -> !attn.scores<1x3x5x7xf32>
  return
}

// -----

func.func @heads_shape(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.reduce_heads' op C2: the result is '!attn.scores<1x2x5x7xf32>', got '!attn.scores<1x2x7x5xf32>'}}
  %r = attn.reduce_heads sum %s : !attn.scores<1x8x5x7xf32> -> !attn.scores<1x2x7x5xf32>
  return
}

// -----

// attn.reduce_heads C3
func.func @heads_lengths(%s: !attn.scores<1x8x5x7xf32>, %n: tensor<1x8xi32>) {
  %t = attn.with_axes %s key_length(%n : tensor<1x8xi32>) : !attn.scores<1x8x5x7xf32>
  // expected-error @+1 {{'attn.reduce_heads' op C3: the key axis has positions or lengths per head, which 2 groups of 8 heads do not have; give them an extent of 1}}
  %r = attn.reduce_heads sum %t : !attn.scores<1x8x5x7xf32> -> !attn.scores<1x2x5x7xf32>
  return
}
