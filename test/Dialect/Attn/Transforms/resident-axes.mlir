// Reductions over an axis of a few entries join the rows of the stream that
// uses them.
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --attn-resident-axes --canonicalize --cse --split-input-file | FileCheck %s
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --attn-resident-axes="max-rows=6" --split-input-file | FileCheck %s --check-prefix=LIMIT

// Maximum and sum over seven queries. The scores that are joined are those of
// the row itself, and nothing is stored per key.
// CHECK-LABEL: func.func @few_queries
// CHECK:       attn.stream {{.*}} (%[[B:.*]], %[[H:.*]], %[[I:.*]]) in [%{{.*}}, %{{.*}}, %c7]
// CHECK:         attn.sweep %[[J:.*]] =
// CHECK:           attn.dot %{{.*}}[%[[B]], %[[H]], %[[I]]], %{{.*}}[%[[B]], %[[H]], %[[J]]]
// CHECK-NOT:       attn.dot
// CHECK:           %[[M:.*]] = attn.across max %[[F:.*]] over 7 : f32
// CHECK:           %[[G:.*]] = attn.guard %[[M]]
// CHECK:           %[[D:.*]] = arith.subf %[[F]], %[[G]]
// CHECK:           %[[E:.*]] = math.exp2 %[[D]]
// CHECK:           %[[L:.*]] = attn.across sum %[[E]] over 7 : f32
// CHECK:           %[[W:.*]] = arith.divf %[[E]], %[[L]]
// CHECK:           %[[P:.*]] = arith.cmpf une, %[[M]],
// CHECK:           attn.carry outer %[[W]], %{{.*}} if %[[P]]
// CHECK-NOT:   attn.stream
// LIMIT-LABEL: func.func @few_queries
// LIMIT-COUNT-2: attn.stream
func.func @few_queries(%q: tensor<1x1x7x8xf32>, %k: tensor<1x1x?x8xf32>, %v: tensor<1x1x?x8xf32>) -> tensor<1x1x7x8xf32> {
  %s = attn.score %q, %k : tensor<1x1x7x8xf32>, tensor<1x1x?x8xf32> -> !attn.scores<1x1x7x?xf32>
  %t = attn.transpose %s : !attn.scores<1x1x7x?xf32> -> !attn.scores<1x1x?x7xf32>
  %p = attn.softmax %t : !attn.scores<1x1x?x7xf32>
  %w = attn.transpose %p : !attn.scores<1x1x?x7xf32> -> !attn.scores<1x1x7x?xf32>
  %o = attn.aggregate %w, %v : !attn.scores<1x1x7x?xf32>, tensor<1x1x?x8xf32> -> tensor<1x1x7x8xf32>
  return %o : tensor<1x1x7x8xf32>
}

// -----

// The roles swapped: a softmax over three keys, summed over the queries. Masks
// say which entries are joined.
// CHECK-LABEL: func.func @few_keys
// CHECK:       attn.stream cols (%[[B:.*]], %[[H:.*]], %[[J:.*]]) in [%{{.*}}, %{{.*}}, %c3]
// CHECK:         attn.sweep %[[I:.*]] =
// CHECK:           %[[C:.*]] = arith.cmpi sle, %[[J]], %[[I]]
// CHECK:           attn.across max %{{.*}} if %[[C]] over 3
// CHECK:           attn.across sum %{{.*}} if %[[C]] over 3
// CHECK:           attn.carry sum
// CHECK-NOT:   attn.stream
func.func @few_keys(%q: tensor<1x1x?x8xf32>, %k: tensor<1x1x3x8xf32>) -> tensor<1x1x3xf32> {
  %s = attn.score %q, %k : tensor<1x1x?x8xf32>, tensor<1x1x3x8xf32> -> !attn.scores<1x1x?x3xf32>
  %c = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %y = arith.cmpi sle, %j, %i : index
    attn.yield %y : i1
  } : !attn.scores<1x1x?x3xf32>
  %p = attn.softmax %c : !attn.scores<1x1x?x3xf32>
  %r = attn.reduce sum queries %p : (!attn.scores<1x1x?x3xf32>) -> tensor<1x1x3xf32>
  return %r : tensor<1x1x3xf32>
}

// -----

// Means, counts and whether there is an entry come from sums; an empty column
// has a mean of 0.
// CHECK-LABEL: func.func @mean
// CHECK:       attn.stream
// CHECK-DAG:     %[[ONE:.*]] = arith.constant 1.0
// CHECK:         %[[COUNT:.*]] = attn.across sum %[[ONE]] if %[[C:.*]] over 4
// CHECK:         %[[NONE:.*]] = arith.cmpf oeq, %[[COUNT]],
// CHECK:         %[[SUM:.*]] = attn.across sum %{{.*}} if %[[C]] over 4
// CHECK:         %[[MEAN:.*]] = arith.divf %[[SUM]], %[[COUNT]]
// CHECK:         arith.select %[[NONE]], %{{.*}}, %[[MEAN]]
// CHECK:         arith.fptosi %[[COUNT]] : f32 to i64
// CHECK:         arith.cmpf one, %[[COUNT]],
// CHECK-NOT:   attn.stream
func.func @mean(%t: tensor<1x1x4x?xf32>) -> tensor<1x1x4xf32> {
  %s = attn.bias %t : tensor<1x1x4x?xf32> -> !attn.scores<1x1x4x?xf32>
  %c = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %y = arith.cmpi sle, %j, %i : index
    attn.yield %y : i1
  } : !attn.scores<1x1x4x?xf32>
  %mean = attn.reduce mean queries %c : (!attn.scores<1x1x4x?xf32>) -> tensor<1x1x?xf32>
  %count = attn.reduce count queries %c : (!attn.scores<1x1x4x?xf32>) -> tensor<1x1x?xi64>
  %any = attn.reduce any queries %c : (!attn.scores<1x1x4x?xf32>) -> tensor<1x1x?xi1>
  %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %m = tensor.extract %mean[%b, %h, %j] : tensor<1x1x?xf32>
    %n = tensor.extract %count[%b, %h, %j] : tensor<1x1x?xi64>
    %f = arith.sitofp %n : i64 to f32
    %a = tensor.extract %any[%b, %h, %j] : tensor<1x1x?xi1>
    %y = arith.subf %x, %m : f32
    %z = arith.mulf %y, %f : f32
    %r = arith.select %a, %z, %x : f32
    attn.yield %r : f32
  } : (!attn.scores<1x1x4x?xf32>) -> !attn.scores<1x1x4x?xf32>
  %r = attn.reduce sum keys %d : (!attn.scores<1x1x4x?xf32>) -> tensor<1x1x4xf32>
  return %r : tensor<1x1x4xf32>
}

// -----

// Rows, then columns, then rows again: what was joined first is joined in turn.
// The statistics of the rows end a kernel.
// CHECK-LABEL: func.func @in_turn
// CHECK:       %[[ROWS:.*]]:2 = attn.stream
// CHECK-NOT:     attn.across
// CHECK:         attn.store_row
// CHECK:       attn.stream {{.*}}ins({{.*}}%[[ROWS]]#0
// CHECK:         attn.across max
// CHECK:         attn.across sum
// CHECK-NOT:   attn.stream
func.func @in_turn(%q: tensor<1x1x7x8xf32>, %k: tensor<1x1x?x8xf32>, %v: tensor<1x1x?x8xf32>) -> tensor<1x1x7x8xf32> {
  %s = attn.score %q, %k : tensor<1x1x7x8xf32>, tensor<1x1x?x8xf32> -> !attn.scores<1x1x7x?xf32>
  %a = attn.softmax %s : !attn.scores<1x1x7x?xf32>
  %t = attn.transpose %a : !attn.scores<1x1x7x?xf32> -> !attn.scores<1x1x?x7xf32>
  %p = attn.softmax %t : !attn.scores<1x1x?x7xf32>
  %w = attn.transpose %p : !attn.scores<1x1x?x7xf32> -> !attn.scores<1x1x7x?xf32>
  %o = attn.aggregate %w, %v : !attn.scores<1x1x7x?xf32>, tensor<1x1x?x8xf32> -> tensor<1x1x7x8xf32>
  return %o : tensor<1x1x7x8xf32>
}

// -----

// Collectives are evaluated once, too: extents that are known to be equal are
// one value in the stream.
// CHECK-LABEL: func.func @convolved
// CHECK:       attn.stream
// CHECK:         attn.stencil
// CHECK-NOT:     attn.stencil
// CHECK:         attn.across max
// CHECK-NOT:   attn.stream
func.func @convolved(%q: tensor<1x1x7x8xf32> {attn.dims = ["1", "1", "7", "8"]},
                     %k: tensor<1x1x?x8xf32> {attn.dims = ["1", "1", "N", "8"]},
                     %v: tensor<1x1x?x8xf32> {attn.dims = ["1", "1", "N", "8"]},
                     %w: tensor<1x3x3xf32>) -> tensor<1x1x7x8xf32> {
  %s = attn.score %q, %k : tensor<1x1x7x8xf32>, tensor<1x1x?x8xf32> -> !attn.scores<1x1x7x?xf32>
  %c = attn.convolve %s, %w origin [1, 1] : !attn.scores<1x1x7x?xf32>, tensor<1x3x3xf32>
  %t = attn.transpose %c : !attn.scores<1x1x7x?xf32> -> !attn.scores<1x1x?x7xf32>
  %p = attn.softmax %t : !attn.scores<1x1x?x7xf32>
  %r = attn.transpose %p : !attn.scores<1x1x?x7xf32> -> !attn.scores<1x1x7x?xf32>
  %o = attn.aggregate %r, %v : !attn.scores<1x1x7x?xf32>, tensor<1x1x?x8xf32> -> tensor<1x1x7x8xf32>
  return %o : tensor<1x1x7x8xf32>
}

// -----

// A stream that has a result as its input and reads it no longer (entries are
// counted, and the arithmetic is gone) loses the input.
// CHECK-LABEL: func.func @unread_result
// CHECK:       attn.across sum
// CHECK:       %[[R:.*]] = attn.stream {{.*}} ins(%{{[a-z0-9]*}} = %{{[a-z0-9]*}} : tensor<1x1x?xf32>) outs
// CHECK:         attn.carry count
// CHECK-NOT:   attn.stream
func.func @unread_result(%k: tensor<1x1x?xf32>) -> (tensor<1x1x4xf32>, tensor<1x1x4xi64>) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %n = tensor.dim %k, %c2 : tensor<1x1x?xf32>
  %e0 = tensor.empty(%n) : tensor<1x1x?xf32>
  %e1 = tensor.empty() : tensor<1x1x4xf32>
  %e2 = tensor.empty() : tensor<1x1x4xi64>
  %sums = attn.stream rows (%b, %h, %j) in [%c1, %c1, %n] over %m = %c4 ins(%x = %k : tensor<1x1x?xf32>) outs(%e0 : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %v = attn.at %x[%b, %h, %j] : tensor<1x1x?xf32> -> f32
    %s = attn.sweep %i = %c0 to %m {
      %t = attn.carry sum %v : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %s : f32
  }
  %joined = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %m = %n ins(%l = %sums : tensor<1x1x?xf32>) outs(%e1 : tensor<1x1x4xf32>) {
    %c0 = arith.constant 0 : index
    %s = attn.sweep %j = %c0 to %m {
      %v = attn.at %l[%b, %h, %j] : tensor<1x1x?xf32> -> f32
      %t = attn.carry sum %v : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %s : f32
  }
  %counted = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %m = %n ins(%l = %sums : tensor<1x1x?xf32>, %x = %k : tensor<1x1x?xf32>) outs(%e2 : tensor<1x1x4xi64>) {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %s = attn.sweep %j = %c0 to %m {
      %v = attn.at %x[%b, %h, %j] : tensor<1x1x?xf32> -> f32
      %p = arith.cmpf ogt, %v, %zero : f32
      %t = attn.carry count if %p : (i1) -> i64
      attn.yield %t : i64
    } : i64
    attn.store_row %s : i64
  }
  return %joined, %counted : tensor<1x1x4xf32>, tensor<1x1x4xi64>
}
