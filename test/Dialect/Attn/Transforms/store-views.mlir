// What streams read is computed on load; the rest is stored.
// RUN: attn-opt %s --attn-form-streams --canonicalize --attn-store-views --canonicalize | FileCheck %s

// A key is row arithmetic inside of the stream, and nothing is stored.
// CHECK-LABEL: func @on_load
func.func @on_load(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x?x8xf16>, %n: index) -> tensor<1x2x5xf32> {
  // CHECK-COUNT-1: attn.stream
  // CHECK: attn.sweep %[[J:.*]] =
  // CHECK:   %[[ROW:.*]] = attn.at %{{.*}}[%{{.*}}, %{{.*}}, %[[J]]] : tensor<1x2x?x8xf16> -> vector<8xf16>
  // CHECK:   %[[KEY:.*]] = arith.extf %[[ROW]]
  // CHECK:   attn.inner %{{.*}}, %[[KEY]] : vector<8xf32>, vector<8xf32> -> f32
  // CHECK-NOT: attn.view
  %v = attn.view (%b, %h, %j) sizes(%n) {
    %row = attn.at %k[%b, %h, %j] : tensor<1x2x?x8xf16> -> vector<8xf16>
    %x = arith.extf %row : vector<8xf16> to vector<8xf32>
    attn.yield %x : vector<8xf32>
  } : tensor<1x2x?x8xf32>
  %s = attn.score %q, %v : tensor<1x2x5x8xf32>, tensor<1x2x?x8xf32> -> !attn.scores<1x2x5x?xf32>
  %m = attn.reduce max keys %s : (!attn.scores<1x2x5x?xf32>) -> tensor<1x2x5xf32>
  return %m : tensor<1x2x5xf32>
}

// A view of a view is stored by one stream.
// CHECK-LABEL: func @stored
// CHECK-SAME: (%[[X:.*]]: tensor<1x2x?x8xf32>, %[[N:.*]]: index)
func.func @stored(%x: tensor<1x2x?x8xf32>, %n: index) -> (tensor<1x2x?x8xf32>, index) {
  %c2 = arith.constant 2 : index
  // CHECK: %[[EMPTY:.*]] = tensor.empty(%[[N]])
  // CHECK: %[[Y:.*]] = attn.stream rows (%[[B:.*]], %[[H:.*]], %[[L:.*]]) in
  // CHECK:   %[[ROW:.*]] = attn.at %{{.*}}[%[[B]], %[[H]], %[[L]]]
  // CHECK:   %[[ONCE:.*]] = arith.negf %[[ROW]]
  // CHECK:   %[[TWICE:.*]] = arith.addf %[[ONCE]], %[[ONCE]]
  // CHECK:   attn.store_row %[[TWICE]]
  // CHECK: return %[[Y]], %[[N]]
  %a = attn.view (%b, %h, %l) sizes(%n) {
    %row = attn.at %x[%b, %h, %l] : tensor<1x2x?x8xf32> -> vector<8xf32>
    %y = arith.negf %row : vector<8xf32>
    attn.yield %y : vector<8xf32>
  } : tensor<1x2x?x8xf32>
  %c = attn.view (%b, %h, %l) sizes(%n) {
    %row = attn.at %a[%b, %h, %l] : tensor<1x2x?x8xf32> -> vector<8xf32>
    %y = arith.addf %row, %row : vector<8xf32>
    attn.yield %y : vector<8xf32>
  } : tensor<1x2x?x8xf32>
  %d = tensor.dim %c, %c2 : tensor<1x2x?x8xf32>
  return %c, %d : tensor<1x2x?x8xf32>, index
}

// CHECK-LABEL: func @elements
func.func @elements(%x: tensor<5xf32>) -> tensor<5xf32> {
  // CHECK: linalg.generic
  // CHECK:   %[[I:.*]] = linalg.index 0
  // CHECK:   tensor.extract %{{.*}}[%[[I]]]
  %v = attn.view (%i) {
    %e = tensor.extract %x[%i] : tensor<5xf32>
    attn.yield %e : f32
  } : tensor<5xf32>
  return %v : tensor<5xf32>
}

// An element of a page is a load, and an element of a computed row is not: that
// row is stored.
// CHECK-LABEL: func @captured
// CHECK:       attn.stream
// CHECK:         attn.store_row {{.*}} : vector<1xf32>
// CHECK:       attn.stream
// CHECK:         attn.sweep
// CHECK:           attn.at %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] : tensor<?x2x4x1xf32> -> f32
// CHECK:           attn.at %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] : tensor<1x2x8x1xf32> -> f32
func.func @captured(%t: tensor<1x2x5x8xf32>, %p: tensor<?x2x4x1xf32>, %table: tensor<1x2xi32>) -> tensor<1x2x5xf32> {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %a = attn.view (%b, %h, %j) {
    %block = arith.divui %j, %c4 : index
    %slot = arith.remui %j, %c4 : index
    %page = tensor.extract %table[%b, %block] : tensor<1x2xi32>
    %at = arith.index_cast %page : i32 to index
    %row = attn.at %p[%at, %h, %slot] : tensor<?x2x4x1xf32> -> vector<1xf32>
    attn.yield %row : vector<1xf32>
  } : tensor<1x2x8x1xf32>
  %n = attn.view (%b, %h, %j) {
    %row = attn.at %a[%b, %h, %j] : tensor<1x2x8x1xf32> -> vector<1xf32>
    %y = arith.negf %row : vector<1xf32>
    attn.yield %y : vector<1xf32>
  } : tensor<1x2x8x1xf32>
  %s = attn.bias %t : tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x8xf32>
  %m = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %u = tensor.extract %a[%b, %h, %j, %c0] : tensor<1x2x8x1xf32>
    %v = tensor.extract %n[%b, %h, %j, %c0] : tensor<1x2x8x1xf32>
    %y = arith.mulf %x, %u : f32
    %z = arith.mulf %y, %v : f32
    attn.yield %z : f32
  } : (!attn.scores<1x2x5x8xf32>) -> !attn.scores<1x2x5x8xf32>
  %r = attn.reduce sum keys %m : (!attn.scores<1x2x5x8xf32>) -> tensor<1x2x5xf32>
  return %r : tensor<1x2x5xf32>
}
