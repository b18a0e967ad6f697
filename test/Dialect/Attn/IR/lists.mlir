// RUN: attn-opt %s --verify-roundtrip | attn-opt | FileCheck %s

// Lists, selections and bins: on scores, on tensors, in sweeps.

// CHECK-LABEL: func.func @scores
// CHECK-SAME: (%[[S:.*]]: !attn.scores<2x4x?x?xf32>, %[[L:[^:]*]]: tensor<2x1x?x3xi32>, %[[N:[^:]*]]: tensor<2x1x?xi64>, %[[K:[^:]*]]: tensor<1x4x?xi32>)
func.func @scores(%s: !attn.scores<2x4x?x?xf32>, %l: tensor<2x1x?x3xi32>, %n: tensor<2x1x?xi64>, %k: tensor<1x4x?xi32>) {
  // CHECK: attn.restrict %[[S]], %[[L]] block(64, 16) : !attn.scores<2x4x?x?xf32>, tensor<2x1x?x3xi32>
  %a = attn.restrict %s, %l block(64, 16) : !attn.scores<2x4x?x?xf32>, tensor<2x1x?x3xi32>
  // CHECK: attn.restrict %[[S]], %[[L]] lengths(%[[L]] : tensor<2x1x?x3xi32>) counts(%[[N]] : tensor<2x1x?xi64>) block(1, 1)
  %b = attn.restrict %s, %l lengths(%l : tensor<2x1x?x3xi32>) counts(%n : tensor<2x1x?xi64>) block(1, 1) : !attn.scores<2x4x?x?xf32>, tensor<2x1x?x3xi32>
  // CHECK: attn.topk %[[S]] limit(%[[K]] : tensor<1x4x?xi32>) smallest by_position forced (%[[X:.*]]: f32) at (%{{.*}}, %{{.*}}, %[[I:.*]], %[[J:.*]]) {
  // CHECK-NEXT: %[[P:.*]] = arith.cmpi eq, %[[I]], %[[J]] : index
  // CHECK-NEXT: attn.yield %[[P]] : i1
  // CHECK-NEXT: } : (!attn.scores<2x4x?x?xf32>) -> (tensor<2x4x?x5xf32>, tensor<2x4x?x5xi64>, tensor<2x4x?xi64>)
  %v, %i, %c = attn.topk %s limit(%k : tensor<1x4x?xi32>) smallest by_position forced (%x: f32) at (%b0, %h, %q, %j) {
    %p = arith.cmpi eq, %q, %j : index
    attn.yield %p : i1
  } : (!attn.scores<2x4x?x?xf32>) -> (tensor<2x4x?x5xf32>, tensor<2x4x?x5xi64>, tensor<2x4x?xi64>)
  // CHECK: attn.reduce sum queries %[[S]] bins(7) by (%{{.*}}: f32) at (%{{.*}}, %[[H:.*]]) {
  // CHECK-NEXT: attn.yield %[[H]] : index
  // CHECK-NEXT: } : (!attn.scores<2x4x?x?xf32>) -> (tensor<2x4x?x7xf32>)
  %t = attn.reduce sum queries %s bins(7) by (%x: f32) at (%b0, %h) {
    attn.yield %h : index
  } : (!attn.scores<2x4x?x?xf32>) -> (tensor<2x4x?x7xf32>)
  return
}

// CHECK-LABEL: func.func @makers
func.func @makers(%n: index, %a: tensor<1x2x?x4xi32>, %na: tensor<1x2x?xi32>) {
  // CHECK: attn.list %[[N:.*]] sizes(%[[N]]) {
  // CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[I:.*]]: index, %[[J:.*]]: index):
  %i, %ni = attn.list %n sizes(%n) {
  ^bb0(%b: index, %g: index, %q: index, %j: index):
    %p = arith.cmpi ule, %j, %q : index
    attn.yield %p : i1
  } : tensor<1x2x?x?xi32>, tensor<1x2x?xi32>
  // CHECK: attn.list_union %{{.*}} counts(%{{.*}}), %{{.*}} counts(%{{.*}}) : (tensor<1x2x?x4xi32>
  %u, %nu = attn.list_union %a counts(%na), %i counts(%ni) : (tensor<1x2x?x4xi32>, tensor<1x2x?xi32>, tensor<1x2x?x?xi32>, tensor<1x2x?xi32>) -> (tensor<1x2x?x?xi32>, tensor<1x2x?xi32>)
  // CHECK: attn.list_intersect
  %t, %nt = attn.list_intersect %a counts(%na), %u counts(%nu) : (tensor<1x2x?x4xi32>, tensor<1x2x?xi32>, tensor<1x2x?x?xi32>, tensor<1x2x?xi32>) -> (tensor<1x2x?x4xi32>, tensor<1x2x?xi32>)
  // CHECK: attn.list_transpose %{{.*}} counts(%{{.*}}) to %[[N]] :
  %r, %nr = attn.list_transpose %t counts(%nt) to %n : (tensor<1x2x?x4xi32>, tensor<1x2x?xi32>) -> (tensor<1x2x?x9xi32>, tensor<1x2x?xi32>)
  // CHECK: attn.list_index %{{.*}} lengths(%{{.*}} : tensor<1x2x?x4xi32>) counts(%{{.*}} : tensor<1x2x?xi32>) to %[[N]] :
  %e, %o = attn.list_index %a lengths(%a : tensor<1x2x?x4xi32>) counts(%na : tensor<1x2x?xi32>) to %n : tensor<1x2x?x4xi32> -> (tensor<1x2x?xi32>, tensor<1x2x?xi32>)
  return
}

// CHECK-LABEL: func.func @sweep
func.func @sweep(%x: tensor<1x2x5x?xf32>, %l: tensor<1x2x?xi32>, %o: tensor<1x2x5x3xi64>, %c: tensor<1x2x5x4xf32>, %n: index) {
  %one = arith.constant 1 : index
  %r:2 = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n ins(%X = %x : tensor<1x2x5x?xf32>, %L = %l : tensor<1x2x?xi32>) outs(%o : tensor<1x2x5x3xi64>, %c : tensor<1x2x5x4xf32>) {
    %c0 = arith.constant 0 : index
    %s:2 = attn.sweep %j = %c0 to %m {
      %v = attn.at %X[%b, %h, %i, %j] : tensor<1x2x5x?xf32> -> f32
      // CHECK: %[[P:.*]] = attn.listed %{{.*}}[%{{.*}}, %{{.*}}] first(%{{.*}}) count(%{{.*}}) block(8, 4) contains %{{.*}} drives : tensor<1x2x?xi32>
      %p = attn.listed %L[%b, %h] first(%i) count(%h) block(8, 4) contains %j drives : tensor<1x2x?xi32>
      // CHECK: attn.top %[[V:.*]] if %[[P]] limit %{{.*}} smallest : (f32, i1, index) -> (vector<3xf32>, vector<3xi64>, i64)
      %tv, %tk, %tn = attn.top %v if %p limit %h smallest : (f32, i1, index) -> (vector<3xf32>, vector<3xi64>, i64)
      // CHECK: attn.bins sum %[[V]] in %{{.*}} if %[[P]] : (f32, index, i1) -> vector<4xf32>
      %bins = attn.bins sum %v in %j if %p : (f32, index, i1) -> vector<4xf32>
      attn.yield %tk, %bins : vector<3xi64>, vector<4xf32>
    } : vector<3xi64>, vector<4xf32>
    attn.store_row %s#0, %s#1 : vector<3xi64>, vector<4xf32>
  }
  return
}

// CHECK-LABEL: func.func @axes
func.func @axes(%s: !attn.scores<?x8x?x?xf32>, %n: index) {
  // CHECK: attn.reduce max both %{{.*}} : (!attn.scores<?x8x?x?xf32>) -> (tensor<?x8xf32>)
  %0 = attn.reduce max [queries, keys] %s : (!attn.scores<?x8x?x?xf32>) -> tensor<?x8xf32>
  // CHECK: attn.reduce sum [queries, heads, batch] %{{.*}} groups(2) :
  %1 = attn.reduce sum [batch, heads, queries] %s groups(2) : (!attn.scores<?x8x?x?xf32>) -> tensor<2x?xf32>
  // CHECK: attn.reduce count [both, batch] %{{.*}} bins(%[[N:.*]]) by (%{{.*}}: f32) at (%{{.*}}, %{{.*}}, %[[I:.*]]) {
  %2 = attn.reduce count [both, batch] %s bins(%n) by (%x: f32) at (%b, %h, %i) {
    attn.yield %i : index
  } : (!attn.scores<?x8x?x?xf32>) -> tensor<8x?xi64>
  // CHECK: attn.reduce sum keys
  // CHECK: } rows(%[[N]]) : (!attn.scores<?x8x?x?xf32>) -> (tensor<?x8x?x4xf32>)
  %3 = attn.reduce sum keys %s bins(4) by (%x: f32) at (%b, %h, %i) {
    attn.yield %i : index
  } rows(%n) : (!attn.scores<?x8x?x?xf32>) -> tensor<?x8x?x4xf32>
  return
}

// CHECK-LABEL: func.func @tally
func.func @tally(%x: f32, %o: tensor<1x2x?x?xf32>, %n: index) {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %m = %n ins(%X = %x : f32, %R = %n : index) outs(%o : tensor<1x2x?x?xf32>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      // CHECK: attn.bins sum %{{.*}} in %{{.*}} rows %{{.*}} : (f32, index, index) -> !attn.tally<f32>
      %v = attn.bins sum %X in %j rows %R : (f32, index, index) -> !attn.tally<f32>
      attn.yield %v : !attn.tally<f32>
    } : !attn.tally<f32>
    // CHECK: attn.store_row %{{.*}} : !attn.tally<f32>
    attn.store_row %s : !attn.tally<f32>
  }
  return
}
