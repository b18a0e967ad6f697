// RUN: attn-opt %s --split-input-file --verify-diagnostics

// One case per constraint of the ops on several sources.

// attn.concat C1
func.func @concat_nothing() {
  // expected-error @+1 {{'attn.concat' op C1: there is at least one segment}}
  %c = attn.concat : () -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.concat C2
func.func @concat_queries(%a: !attn.scores<1x8x5x7xf32>, %b: !attn.scores<1x8x6x7xf32>) {
  // expected-error @+1 {{C2: segments agree in element type, queries, and, up to broadcast, in batch and heads, got '!attn.scores<1x8x6x7xf32>' in '!attn.scores<1x8x5x14xf32>'}}
  %c = attn.concat %a, %b : (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x6x7xf32>) -> !attn.scores<1x8x5x14xf32>
  return
}

// -----

// attn.concat C2: batch
func.func @concat_batch(%a: !attn.scores<2x8x5x7xf32>, %b: !attn.scores<3x8x5x7xf32>) {
  // expected-error @+1 {{C2: segments agree}}
  %c = attn.concat %a, %b : (!attn.scores<2x8x5x7xf32>, !attn.scores<3x8x5x7xf32>) -> !attn.scores<2x8x5x14xf32>
  return
}

// -----

// attn.concat C3
func.func @concat_keys(%a: !attn.scores<1x8x5x7xf32>, %b: !attn.scores<1x8x5x2xf32>) {
  // expected-error @+1 {{C3: the result is '!attn.scores<1x8x5x9xf32>', got '!attn.scores<1x8x5x7xf32>'}}
  %c = attn.concat %a, %b : (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x5x2xf32>) -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.lane C1
func.func @lane_rank(%q: tensor<1x8x5x16xf32>, %k: tensor<1x8x5x16xf32>) {
  // expected-error @+1 {{'attn.lane' op C1: query has rank 4 and key rank 5, got 'tensor<1x8x5x16xf32>' and 'tensor<1x8x5x16xf32>'}}
  %s = attn.lane %q, %k : tensor<1x8x5x16xf32>, tensor<1x8x5x16xf32> -> !attn.scores<1x8x5x5xf32>
  return
}

// -----

// attn.lane C2
func.func @lane_element(%q: tensor<1x8x5x16xf32>, %k: tensor<1x8x5x3x16xf16>) {
  // expected-error @+1 {{C2: query and key have the same element type, got 'f32' and 'f16'}}
  %s = attn.lane %q, %k : tensor<1x8x5x16xf32>, tensor<1x8x5x3x16xf16> -> !attn.scores<1x8x5x3xf32>
  return
}

// -----

// attn.lane C3
func.func @lane_features(%q: tensor<1x8x5x16xf32>, %k: tensor<1x8x5x3x8xf32>) {
  // expected-error @+1 {{C3: the feature sizes are static and equal}}
  %s = attn.lane %q, %k : tensor<1x8x5x16xf32>, tensor<1x8x5x3x8xf32> -> !attn.scores<1x8x5x3xf32>
  return
}

// -----

// attn.lane C4
func.func @lane_heads(%q: tensor<1x8x5x16xf32>, %k: tensor<1x3x5x3x16xf32>) {
  // expected-error @+1 {{C4: the static number of query heads is a multiple of that of key heads}}
  %s = attn.lane %q, %k : tensor<1x8x5x16xf32>, tensor<1x3x5x3x16xf32> -> !attn.scores<1x8x5x3xf32>
  return
}

// -----

// attn.lane C5
func.func @lane_map(%q: tensor<1x8x5x16xf32>, %k: tensor<1x2x5x3x16xf32>, %m: tensor<4xi32>) {
  // expected-error @+1 {{C5: head_map has shape [8], got 'tensor<4xi32>'}}
  %s = attn.lane %q, %k heads(%m : tensor<4xi32>) : tensor<1x8x5x16xf32>, tensor<1x2x5x3x16xf32> -> !attn.scores<1x8x5x3xf32>
  return
}

// -----

// attn.lane C6
func.func @lane_queries(%q: tensor<1x8x5x16xf32>, %k: tensor<1x8x6x3x16xf32>) {
  // expected-error @+1 {{C6: the result is '!attn.scores<1x8x5x3xf32>' and key has a row per query}}
  %s = attn.lane %q, %k : tensor<1x8x5x16xf32>, tensor<1x8x6x3x16xf32> -> !attn.scores<1x8x5x3xf32>
  return
}

// -----

// attn.lane C7
func.func @lane_axes(%q: tensor<1x8x5x16xf32>, %k: tensor<1x8x5x3x16xf32>, %n: tensor<4x1xi32>) {
  // expected-error @+1 {{C7: extent 0 of key_length is 4, expected 1}}
  %s = attn.lane %q, %k key_length(%n : tensor<4x1xi32>) : tensor<1x8x5x16xf32>, tensor<1x8x5x3x16xf32> -> !attn.scores<1x8x5x3xf32>
  return
}

// -----

// attn.matmul C1
func.func @matmul_shared(%a: !attn.scores<1x8x5x7xf32>, %b: !attn.scores<1x8x6x9xf32>) {
  // expected-error @+1 {{'attn.matmul' op C1: the keys of lhs are the queries of rhs}}
  %c = attn.matmul %a, %b : !attn.scores<1x8x5x7xf32>, !attn.scores<1x8x6x9xf32> -> !attn.scores<1x8x5x9xf32>
  return
}

// -----

// attn.matmul C2
func.func @matmul_elements(%a: !attn.scores<1x8x5x7xf32>, %b: !attn.scores<1x8x7x9xf64>) {
  // expected-error @+1 {{C2: element types agree, got '!attn.scores<1x8x5x7xf32>' and '!attn.scores<1x8x7x9xf64>'}}
  %c = attn.matmul %a, %b : !attn.scores<1x8x5x7xf32>, !attn.scores<1x8x7x9xf64> -> !attn.scores<1x8x5x9xf32>
  return
}

// -----

// attn.matmul C2
func.func @matmul_heads(%a: !attn.scores<1x8x5x7xf32>, %b: !attn.scores<1x4x7x9xf32>) {
  // expected-error @+1 {{C2: batch and heads agree up to broadcast}}
  %c = attn.matmul %a, %b : !attn.scores<1x8x5x7xf32>, !attn.scores<1x4x7x9xf32> -> !attn.scores<1x8x5x9xf32>
  return
}

// -----

// attn.matmul C2: elements
func.func @matmul_elements(%a: !attn.scores<1x8x5x7xf32>, %b: !attn.scores<1x8x7x9xf64>) {
  // expected-error @+1 {{C2: element types agree}}
  %c = attn.matmul %a, %b : !attn.scores<1x8x5x7xf32>, !attn.scores<1x8x7x9xf64> -> !attn.scores<1x8x5x9xf32>
  return
}

// -----

// attn.matmul C3
func.func @matmul_result(%a: !attn.scores<1x8x5x7xf32>, %b: !attn.scores<1x8x7x9xf32>) {
  // expected-error @+1 {{C3: the result is '!attn.scores<1x8x5x9xf32>', got '!attn.scores<1x8x5x7xf32>'}}
  %c = attn.matmul %a, %b : !attn.scores<1x8x5x7xf32>, !attn.scores<1x8x7x9xf32> -> !attn.scores<1x8x5x7xf32>
  return
}

// -----

// attn.aggregate C1: rank
func.func @aggregate_rank(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<8x7x16xf32>) {
  // expected-error @+1 {{'attn.aggregate' op C1: values have rank 4 (or 5)}}
  %o = attn.aggregate %p, %v : !attn.scores<1x8x5x7xf32>, tensor<8x7x16xf32> -> tensor<1x8x5x16xf32>
  return
}

// -----

// attn.aggregate C3: maps are named by mapped
func.func @aggregate_mapped(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x8x7x16xf32>) {
  // expected-error @+1 {{C3: mapped says for each of the 1 values whether it has one of the 0 head maps}}
  %o = "attn.aggregate"(%p, %v) <{mapped = array<i1: true>, batch_mapped = array<i1: false>, operandSegmentSizes = array<i32: 1, 1, 0, 0>}> : (!attn.scores<1x8x5x7xf32>, tensor<1x8x7x16xf32>) -> tensor<1x8x5x16xf32>
  return
}

// -----

// attn.aggregate C4: rows of several values
func.func @aggregate_rows(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x8x3x16xf32>) {
  // expected-error @+1 {{C4: the result has the shape of 'tensor<1x8x5x16xf32>' and value has 7 rows, got 'tensor<1x8x5x16xf32>' and 'tensor<1x8x3x16xf32>', 'tensor<1x8x3x16xf32>'}}
  %o = attn.aggregate %p, (%v, %v) : !attn.scores<1x8x5x7xf32>, tensor<1x8x3x16xf32>, tensor<1x8x3x16xf32> -> tensor<1x8x5x16xf32>
  return
}

// -----

// attn.aggregate C4: queries of a value per query
func.func @aggregate_queries(%p: !attn.scores<1x8x5x7xf32>, %v: tensor<1x8x4x7x16xf32>) {
  // expected-error @+1 {{C4: the result has the shape of}}
  %o = attn.aggregate %p, %v : !attn.scores<1x8x5x7xf32>, tensor<1x8x4x7x16xf32> -> tensor<1x8x5x16xf32>
  return
}

// -----

// attn.aggregate C6
func.func @aggregate_nothing(%p: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C6: there is at least one value}}
  %o = "attn.aggregate"(%p) <{mapped = array<i1>, batch_mapped = array<i1>, operandSegmentSizes = array<i32: 1, 0, 0, 0>}> : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5x16xf32>
  return
}

// -----

// attn.partial C1
func.func @partial_arguments(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{'attn.partial' op C1: the region takes}}
  %a = attn.partial(%s) {
  ^bb0(%x: !attn.scores<1x8x5x9xf32>):
    %l = attn.reduce lse keys %x : (!attn.scores<1x8x5x9xf32>) -> tensor<1x8x5xf32>
    attn.yield %l : tensor<1x8x5xf32>
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.partial C1: kinds of inputs
func.func @partial_inputs(%n: index) {
  // expected-error @+1 {{C1: inputs are scores and values, got 'index'}}
  %a = attn.partial(%n) {
  ^bb0(%x: index):
    attn.yield
  } : (index) -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.partial C2
func.func @partial_results(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C2: the region yields ('tensor<1x8x5xf64>')}}
  %a = attn.partial(%s) {
  ^bb0(%x: !attn.scores<1x8x5x7xf32>):
    %l = attn.reduce lse keys %x : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
    attn.yield %l : tensor<1x8x5xf32>
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.state<tensor<1x8x5xf64>>
  return
}

// -----

// attn.partial C3
func.func @partial_keys(%s: !attn.scores<1x8x5x7xf32>, %t: !attn.scores<1x8x5x8xf32>) {
  // expected-error @+1 {{C3: the scores have the same queries and keys}}
  %a = attn.partial(%s, %t) {
  ^bb0(%x: !attn.scores<1x8x5x7xf32>, %y: !attn.scores<1x8x5x8xf32>):
    %l = attn.reduce lse keys %x : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
    attn.yield %l : tensor<1x8x5xf32>
  } : (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x5x8xf32>) -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.partial C3: no scores
func.func @partial_nothing(%v: tensor<1x8x7x16xf32>) {
  // expected-error @+1 {{C3: a program takes at least one score matrix}}
  %a = attn.partial(%v) {
  ^bb0(%x: tensor<1x8x7x16xf32>):
    attn.yield
  } : (tensor<1x8x7x16xf32>) -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.partial C4
func.func @partial_queries(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C4: the region keeps the keys of its scores, but has 'attn.reduce' over queries}}
  %a = attn.partial(%s) {
  ^bb0(%x: !attn.scores<1x8x5x7xf32>):
    %l = attn.reduce lse queries %x : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x7xf32>
    attn.yield %l : tensor<1x8x7xf32>
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.state<tensor<1x8x7xf32>>
  return
}

// -----

// attn.partial C4: other scores
func.func @partial_other(%s: !attn.scores<1x8x5x7xf32>, %t: tensor<1x8x5x7xf32>) {
  // expected-error @+1 {{C4: the region keeps the keys of its scores, but has 'attn.bias'}}
  %a = attn.partial(%s) {
  ^bb0(%x: !attn.scores<1x8x5x7xf32>):
    %b = attn.bias %t : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
    %l = attn.reduce lse keys %b : (!attn.scores<1x8x5x7xf32>) -> tensor<1x8x5xf32>
    attn.yield %l : tensor<1x8x5xf32>
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.partial C5
func.func @partial_values(%s: !attn.scores<1x8x5x7xf32>, %v: tensor<1x8x7x16xf32>) {
  // expected-error @+1 {{C5: the values of aggregates in the region are arguments of the region}}
  %a = attn.partial(%s) {
  ^bb0(%x: !attn.scores<1x8x5x7xf32>):
    %o = attn.aggregate %x, %v : !attn.scores<1x8x5x7xf32>, tensor<1x8x7x16xf32> -> tensor<1x8x5x16xf32>
    attn.yield %o : tensor<1x8x5x16xf32>
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.state<tensor<1x8x5x16xf32>>
  return
}

// -----

// attn.partial C5: what values are for
func.func @partial_use(%s: !attn.scores<1x8x5x7xf32>, %v: tensor<1x8x5xf32>) {
  // expected-error @+1 {{C5: argument 1 of the region is a value and is used by 'attn.yield'}}
  %a = attn.partial(%s, %v) {
  ^bb0(%x: !attn.scores<1x8x5x7xf32>, %y: tensor<1x8x5xf32>):
    attn.yield %y : tensor<1x8x5xf32>
  } : (!attn.scores<1x8x5x7xf32>, tensor<1x8x5xf32>) -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.merge C1
func.func @merge_nothing() {
  // expected-error @+1 {{'attn.merge' op expected 1 or more operands, but found 0}}
  %m = "attn.merge"() : () -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.finish C1
func.func @finish_types(%s: !attn.state<tensor<1x8x5xf32>>) {
  // expected-error @+1 {{'attn.finish' op C1: the results are ('tensor<1x8x5xf32>'), got ('tensor<1x8x5xf64>')}}
  %m = "attn.finish"(%s) : (!attn.state<tensor<1x8x5xf32>>) -> tensor<1x8x5xf64>
  return
}

// -----

// attn.state_from C1
func.func @from_shapes(%o: tensor<1x8x5x16xf32>, %l: tensor<1x8x6xf32>) {
  // expected-error @+1 {{'attn.state_from' op C1: output is [B, H, M, Dv] and lse [B, H, M] of f32 or f64}}
  %s = attn.state_from %o, %l : tensor<1x8x5x16xf32>, tensor<1x8x6xf32> -> !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x6xf32>>
  return
}

// -----

// attn.state_from C2
func.func @from_state(%o: tensor<1x8x5x16xf32>, %l: tensor<1x8x5xf32>) {
  // expected-error @+1 {{C2: the state is '!attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>', got '!attn.state<tensor<1x8x5xf32>>'}}
  %s = attn.state_from %o, %l : tensor<1x8x5x16xf32>, tensor<1x8x5xf32> -> !attn.state<tensor<1x8x5xf32>>
  return
}

// -----

// attn.partial C4
func.func @partial_heads(%s: !attn.scores<1x8x5x7xf32>) {
  // expected-error @+1 {{C4: the region keeps the keys of its scores, but has 'attn.reduce' over [keys, heads]}}
  %a = attn.partial(%s) {
  ^bb0(%x: !attn.scores<1x8x5x7xf32>):
    %l = attn.reduce lse [keys, heads] %x : (!attn.scores<1x8x5x7xf32>) -> tensor<1x5xf32>
    attn.yield %l : tensor<1x5xf32>
  } : (!attn.scores<1x8x5x7xf32>) -> !attn.state<tensor<1x5xf32>>
  return
}
