// RUN: attn-opt %s --split-input-file --verify-diagnostics

// One case per constraint of the ops from scores to scores.

// attn.map C1
func.func @map_arguments(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.map' op C1: the region takes ('f32') and six indices, got ('f64'}}
  %r = attn.map %s (%x: f64) {
    %y = arith.truncf %x : f64 to f32
    attn.yield %y : f32
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.map C1: one block
func.func @map_blocks(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.map' op region #0 ('body') failed to verify constraint: region with 1 blocks}}
  %r = attn.map %s (%x: f32) {
    cf.br ^next
  ^next:
    attn.yield %x : f32
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.map C2
func.func @map_yield(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C2: the region yields ('f32'), got ('f32', 'f32')}}
  %r = attn.map %s (%x: f32) {
    attn.yield %x, %x : f32, f32
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.map C3: operands
func.func @map_extents(%s: !attn.scores<1x8x5x7xf32>, %t: !attn.scores<1x8x5x1xf32>) {
  // expected-error @+1 {{C3: extents agree, up to broadcast of batch and heads; extent 3 is 7 and 1}}
  %r = attn.map %s, %t (%x: f32, %y: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x5x1xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.map C3: an extent of 1 first does not broadcast over queries either
func.func @map_extents_first(%s: !attn.scores<1x8x1x7xf32>, %t: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C3: extents agree, up to broadcast of batch and heads; extent 2 is 1 and 5}}
  %r = attn.map %s, %t (%x: f32, %y: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x1x7xf32>, !attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.map C3: result
func.func @map_result(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C3: extent 0 of the result is 2, expected 1}}
  %r = attn.map %s (%x: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.scores<2x8x5x7xf32>
  return
}

// -----

// attn.map C4: missing
func.func @map_sizes(%n: index) {
  // expected-error @+1 {{C4: expected 2 sizes, got 1}}
  %r = attn.map sizes(%n) () at (%b, %h, %i, %j) {
    %zero = arith.constant 0.0 : f32
    attn.yield %zero : f32
  } : () -> !attn.scores<1x8x?x?xf32>
  return
}

// -----

// attn.map C4: superfluous
func.func @map_sizes_with_operands(%s: !attn.scores<1x8x?x?xf32>, %n: index) {
  // expected-error @+1 {{C4: expected 0 sizes, got 2}}
  %r = attn.map %s sizes(%n, %n) (%x: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x?x?xf32>) -> !attn.scores<1x8x?x?xf32>
  return
}

// -----

// attn.map C5: a division by an index that may be 0
func.func @map_division(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C5: the region may run on absent entries, so it is pure and speculatable; 'arith.divsi' is not}}
  %r = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %one = arith.constant 1 : index
    // expected-note @+1 {{an integer division needs a divisor known to be positive: a constant, or arith.maxsi of the divisor and 1}}
    %d = arith.divsi %one, %j : index
    attn.yield %x : f32
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.map C5: an effect
func.func @map_effect(%s: !attn.scores<1x8x5x7xf32>, %m: memref<f32>) {
  // expected-error @+1 {{C5: the region may run on absent entries, so it is pure and speculatable; 'memref.store' is not}}
  %r = attn.map %s (%x: f32) {
    // expected-note @+1 {{captured data is read with tensor.extract; compute the rest before the op}}
    memref.store %x, %m[] : memref<f32>
    attn.yield %x : f32
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

func.func @map_index_names(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{an entry has six indices: b, h, i, j, pi, pj; got 7 names}}
  %r = attn.map %s (%x: f32) at (%b, %h, %i, %j, %pi, %pj, %more) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

func.func @map_results(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{a map has one result}}
  %r:2 = attn.map %s (%x: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x5x7xf32>) -> (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x5x7xf32>)
  return
}

// -----

// attn.mask C1: neither
func.func @mask_nothing(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{'attn.mask' op C1: exactly one of a named mask and a region}}
  %r = "attn.mask"(%s) ({}) : (!attn.scores<1x8x5x5xf32>) -> !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C1: both
func.func @mask_both(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{C1: exactly one of a named mask and a region}}
  %r = "attn.mask"(%s) <{kind = #attn.causal}> ({
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index, %pi: index, %pj: index):
    %t = arith.constant true
    "attn.yield"(%t) : (i1) -> ()
  }) : (!attn.scores<1x8x5x5xf32>) -> !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C1: an attribute that is no mask
func.func @mask_attribute(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{C1: 3 : i64 is not a named mask}}
  %r = "attn.mask"(%s) <{kind = 3 : i64}> ({}) : (!attn.scores<1x8x5x5xf32>) -> !attn.scores<1x8x5x5xf32>
  return
}

// -----

func.func @mask_name(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{unknown mask 'casual'}}
  %r = attn.mask %s casual : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C2: arguments
func.func @mask_arguments(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{C2: the region takes ('f32') and six indices}}
  %r = attn.mask %s (%x: f64) {
    %t = arith.constant true
    attn.yield %t : i1
  } : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C2: result
func.func @mask_yield(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{C2: the region yields ('i1'), got ('f32')}}
  %r = attn.mask %s (%x: f32) {
    attn.yield %x : f32
  } : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C3: static extents
func.func @mask_origin(%q: tensor<1x8x5x64xf32>, %k: tensor<1x8x7x64xf32>) {
  %s = attn.score %q, %k : tensor<1x8x5x64xf32>, tensor<1x8x7x64xf32> -> !attn.scores<1x8x5x7xf32>
  // expected-error @+2 {{C3: #attn.causal compares positions, but queries and keys differ in extent and neither axis has an offset or positions}}
  // expected-note @+1 {{give query_offset(...) to attn.score; bottom-right alignment is N - M}}
  %r = attn.mask %s causal : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.mask C3: dynamic extents with two names
func.func @mask_names(%q: tensor<1x8x?x64xf32> {attn.dims = ["B", "H", "M", "D"]},
                      %k: tensor<1x8x?x64xf32> {attn.dims = ["B", "H", "N", "D"]}) {
  %s = attn.score %q, %k : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> !attn.scores<1x8x?x?xf32>
  %a = attn.map %s (%x: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x?x?xf32>) -> !attn.scores<1x8x?x?xf32>
  // expected-error @+2 {{C3: #attn.window<left = 3, right = 0> compares positions, but queries and keys differ in extent}}
  // expected-note @+1 {{give query_offset(...) to attn.score}}
  %r = attn.mask %a window<left = 3, right = 0> : !attn.scores<1x8x?x?xf32>
  return
}

// -----

// attn.mask C3: an offset, even on one axis, says where the axes stand.
func.func @mask_with_origin(%q: tensor<1x8x5x64xf32>, %k: tensor<1x8x7x64xf32>, %off: index) {
  %s = attn.score %q, %k : tensor<1x8x5x64xf32>, tensor<1x8x7x64xf32> -> !attn.scores<1x8x5x7xf32>
  %t = attn.with_axes %s query_offset(%off : index) : !attn.scores<1x8x5x7xf32>
  %r = attn.mask %t causal : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.mask C4
func.func @mask_segments(%q: tensor<1x8x5x64xf32>, %k: tensor<1x8x7x64xf32>, %seg: tensor<1x5xi32>) {
  %s = attn.score %q, %k : tensor<1x8x5x64xf32>, tensor<1x8x7x64xf32> -> !attn.scores<1x8x5x7xf32>
  %t = attn.with_axes %s query_segments(%seg : tensor<1x5xi32>) : !attn.scores<1x8x5x7xf32>
  // expected-error @+1 {{C4: #attn.document needs segments on both axes}}
  %r = attn.mask %t document : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.mask C5: missing
func.func @mask_no_prefix(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{C5: #attn.prefix takes a prefix length operand}}
  %r = attn.mask %s prefix : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C5: superfluous
func.func @mask_prefix(%s: !attn.scores<1x8x5x5xf32>, %n: tensor<1xi32>) {
  // expected-error @+1 {{C5: #attn.causal takes no prefix}}
  %r = attn.mask %s causal prefix(%n : tensor<1xi32>) : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C5: shape
func.func @mask_prefix_shape(%s: !attn.scores<2x8x5x5xf32>, %n: tensor<3xi32>) {
  // expected-error @+1 {{C5: the prefix length has shape [B] or [1], got 'tensor<3xi32>'}}
  %r = attn.mask %s prefix prefix(%n : tensor<3xi32>) : !attn.scores<2x8x5x5xf32>
  return
}

// -----

// attn.mask C5: a region reads its own captures
func.func @mask_region_prefix(%s: !attn.scores<1x8x5x5xf32>, %n: tensor<1xi32>) {
  // expected-error @+1 {{C5: a region mask takes no prefix}}
  %r = "attn.mask"(%s, %n) ({
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index, %pi: index, %pj: index):
    %t = arith.constant true
    "attn.yield"(%t) : (i1) -> ()
  }) : (!attn.scores<1x8x5x5xf32>, tensor<1xi32>) -> !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C6
func.func @mask_division(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{C6: the region may run on absent entries, so it is pure and speculatable; 'arith.remui' is not}}
  %r = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    // expected-note @+1 {{an integer division}}
    %m = arith.remui %i, %j : index
    %p = arith.cmpi eq, %m, %b : index
    attn.yield %p : i1
  } : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C6: a divisor may be a constant, or made positive.
func.func @mask_safe_division(%s: !attn.scores<1x8x5x5xf32>, %n: index) {
  %c4 = arith.constant 4 : index
  %one = arith.constant 1 : index
  %r = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %m = arith.remui %i, %c4 : index
    %safe = arith.maxsi %n, %one : index
    %d = arith.divsi %j, %safe : index
    %p = arith.cmpi eq, %m, %d : index
    attn.yield %p : i1
  } : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.mask C6: not by a constant 0
func.func @mask_zero_division(%s: !attn.scores<1x8x5x5xf32>) {
  %zero = arith.constant 0 : index
  // expected-error @+1 {{C6: the region may run on absent entries, so it is pure and speculatable; 'arith.floordivsi' is not}}
  %r = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    // expected-note @+1 {{an integer division}}
    %m = arith.floordivsi %i, %zero : index
    %p = arith.cmpi eq, %m, %j : index
    attn.yield %p : i1
  } : !attn.scores<1x8x5x5xf32>
  return
}

// -----

func.func @mask_type(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{'attn.mask' op the result has the type of the operand}}
  %r = "attn.mask"(%s) <{kind = #attn.causal}> ({}) : (!attn.scores<1x8x5x5xf32>) -> !attn.scores<1x8x6x6xf32>
  return
}

// -----

// Parameters of named masks.
// expected-error @+1 {{window: left and right are at least 0, got -1 and 0}}
func.func private @window() attributes {m = #attn.window<left = -1, right = 0>}

// -----

// expected-error @+1 {{dilated: window and dilation are at least 1, got 2 and 0}}
func.func private @dilated() attributes {m = #attn.dilated<window = 2, dilation = 0>}

// -----

// expected-error @+1 {{chunked: size is at least 1, got 0}}
func.func private @chunked() attributes {m = #attn.chunked<size = 0>}

// -----

// expected-error @+1 {{neighborhood: shape has 1 to 3 axes, and window, dilation and causal as many}}
func.func private @axes() attributes {m = #attn.neighborhood<shape = [4, 4], window = [3]>}

// -----

// expected-error @+1 {{neighborhood: 1 <= window * dilation <= extent, got 3 * 2 on axis 1 of extent 5}}
func.func private @too_wide() attributes {m = #attn.neighborhood<shape = [6, 5], window = [3, 3], dilation = [2, 2]>}

// -----

// expected-error @+1 {{neighborhood: causal is 0 or 1, got 2}}
func.func private @causal_flag() attributes {m = #attn.neighborhood<shape = [6], window = [3], causal = [2]>}

// -----

// expected-error @+1 {{expected dilation or causal, got 'stride'}}
func.func private @stride() attributes {m = #attn.neighborhood<shape = [6], window = [3], stride = [2]>}

// -----

// expected-error @+1 {{causal is given twice}}
func.func private @twice() attributes {m = #attn.neighborhood<shape = [6], window = [3], causal = [1], causal = [1]>}

// -----

// attn.fill C1
func.func @fill(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{'attn.fill' op C1: the value is not representable in 'f32'}}
  %r = attn.fill %s, 1.0e300 : !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.transpose C1
func.func @transpose(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.transpose' op C1: the result type is '!attn.scores<1x8x7x5xf32>', got '!attn.scores<1x8x5x7xf32>'}}
  %r = attn.transpose %s : !attn.scores<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.softmax C1: base 1 makes all weights equal, a negative one none
func.func @softmax_base(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.softmax' op C1: base is 0 (for e) or positive and not 1, got 1}}
  %r = attn.softmax %s base(1.0) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.softmax C1
func.func @softmax_negative_base(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C1: base is 0 (for e) or positive and not 1, got -2}}
  %r = attn.softmax %s base(-2.0) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.softmax C2
func.func @softmax_temperature(%s: !attn.scores<1x8x5x7xf32>, %t: tensor<1x8x7xf32>) {
  // expected-error @+1 {{C2: temperature has shape [B or 1, H or 1, M or 1], got 'tensor<1x8x7xf32>'}}
  %r = attn.softmax %s temperature(%t : tensor<1x8x7xf32>) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.softmax C3
func.func @softmax_sink(%s: !attn.scores<1x8x5x7xf32>, %z: tensor<4xf32>) {
  // expected-error @+1 {{C3: sink has shape [H] or [1], got 'tensor<4xf32>'}}
  %r = attn.softmax %s sink(%z : tensor<4xf32>) : !attn.scores<1x8x5x7xf32>
  return
}

// -----

// In the generic form, an operand that softmax always has can be counted as one
// that it may have.
func.func @segments(%s: !attn.scores<1x8x5x5xf32>) {
  // expected-error @+1 {{'attn.softmax' op operandSegmentSizes has 0 operands for segment 0, which always has 1}}
  %r = "attn.softmax"(%s) <{operandSegmentSizes = array<i32: 0, 1, 0>}> : (!attn.scores<1x8x5x5xf32>) -> !attn.scores<1x8x5x5xf32>
  return
}
