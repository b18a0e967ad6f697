// RUN: attn-opt %s -attn-resolve-scores | FileCheck %s

!scores = !attn.scores<1x2x4x6xf32>

// CHECK-NOT: func private @weights
func.func private @twice(%s: !scores) -> !scores {
  %r = attn.map %s (%x: f32) {
    %y = arith.addf %x, %x : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  return %r : !scores
}
func.func private @weights(%s: !scores) -> !scores {
  %t = call @twice(%s) : (!scores) -> !scores
  %p = attn.softmax %t : !scores
  return %p : !scores
}

// CHECK-LABEL: func @inline
func.func @inline(%t: tensor<1x2x4x6xf32>) -> tensor<1x2x4x6xf32> {
  // CHECK: %[[S:.*]] = attn.bias
  // CHECK: %[[T:.*]] = attn.map %[[S]]
  // CHECK: %[[P:.*]] = attn.softmax %[[T]]
  // CHECK: attn.materialize %[[P]]
  %s = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %p = call @weights(%s) : (!scores) -> !scores
  %o = attn.materialize %p : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// A mask in a callee sees the axes of its caller.
func.func private @document(%s: !scores) -> !scores {
  %r = attn.mask %s document : !scores
  return %r : !scores
}
// CHECK-LABEL: func @inherited_axes
func.func @inherited_axes(%t: tensor<1x2x4x6xf32>, %a: tensor<1x4xi32>, %b: tensor<1x6xi32>) -> tensor<1x2x4xi64> {
  %s = attn.bias %t query_segments(%a : tensor<1x4xi32>) key_segments(%b : tensor<1x6xi32>) : tensor<1x2x4x6xf32> -> !scores
  // CHECK: attn.mask %{{.*}} document
  %d = call @document(%s) : (!scores) -> !scores
  %n = attn.reduce count keys %d : (!scores) -> tensor<1x2x4xi64>
  return %n : tensor<1x2x4xi64>
}

// Values and presence are chosen apart.
// CHECK-LABEL: func @select
// CHECK-SAME: %[[C:[a-z0-9]+]]: i1
func.func @select(%t: tensor<1x2x4x6xf32>, %c: i1) -> tensor<1x2x4x6xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %y = attn.mask %x (%v: f32) {
    %zero = arith.constant 0.0 : f32
    %keep = arith.cmpf ogt, %v, %zero : f32
    attn.yield %keep : i1
  } : !scores
  // CHECK: %[[X:.*]] = attn.bias
  // CHECK: %[[Y:.*]] = attn.mask %[[X]]
  // CHECK: %[[FX:.*]] = attn.fill %[[X]], 0
  // CHECK: %[[FY:.*]] = attn.fill %[[Y]], 0
  // CHECK: %[[V:.*]] = attn.map %[[FX]], %[[FY]]
  // CHECK: arith.select %[[C]]
  // CHECK: %[[BITS:.*]] = attn.map %{{.*}}, %{{.*}}
  // CHECK: arith.select %[[C]]
  // CHECK: %[[KEPT:.*]] = attn.mask %[[BITS]]
  // CHECK: %[[R:.*]] = attn.map %[[V]], %[[KEPT]]
  // CHECK: attn.materialize %[[R]]
  %s = arith.select %c, %x, %y : !scores
  %o = attn.materialize %s : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// CHECK-LABEL: func @branch
func.func @branch(%t: tensor<1x2x4x6xf32>, %c: i1) -> (tensor<1x2x4x6xf32>, f32) {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  // CHECK-NOT: scf.if
  // CHECK: attn.softmax
  // CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
  %s:2 = scf.if %c -> (!scores, f32) {
    %p = attn.softmax %x : !scores
    scf.yield %p, %one : !scores, f32
  } else {
    scf.yield %x, %two : !scores, f32
  }
  %o = attn.materialize %s#0 : !scores -> tensor<1x2x4x6xf32>
  return %o, %s#1 : tensor<1x2x4x6xf32>, f32
}

// CHECK-LABEL: func @loop
func.func @loop(%t: tensor<1x2x4x6xf32>) -> tensor<1x2x4x6xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  // CHECK: %[[X:.*]] = attn.bias
  // CHECK: %[[A:.*]] = attn.softmax %[[X]]
  // CHECK: %[[B:.*]] = attn.softmax %[[A]]
  // CHECK: %[[C:.*]] = attn.softmax %[[B]]
  // CHECK: attn.materialize %[[C]]
  %s = scf.for %k = %c0 to %c3 step %c1 iter_args(%y = %x) -> !scores {
    %p = attn.softmax %y : !scores
    scf.yield %p : !scores
  }
  %o = attn.materialize %s : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// A loop without iterations gives what it started with.
// CHECK-LABEL: func @no_iteration
func.func @no_iteration(%t: tensor<1x2x4x6xf32>) -> tensor<1x2x4x6xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[X:.*]] = attn.bias
  // CHECK-NOT: attn.softmax
  // CHECK: attn.materialize %[[X]]
  %s = scf.for %k = %c0 to %c0 step %c1 iter_args(%y = %x) -> !scores {
    %p = attn.softmax %y : !scores
    scf.yield %p : !scores
  }
  %o = attn.materialize %s : !scores -> tensor<1x2x4x6xf32>
  return %o : tensor<1x2x4x6xf32>
}

// An expression is copied, once, into the block that reads it.
// CHECK-LABEL: func @nested_use
func.func @nested_use(%t: tensor<1x2x4x6xf32>, %u: tensor<1x2x4xf32>, %n: index) -> tensor<1x2x4xf32> {
  %x = attn.bias %t : tensor<1x2x4x6xf32> -> !scores
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for
  // CHECK-NEXT: %[[X:.*]] = attn.bias
  // CHECK-NOT: attn.bias
  // CHECK: attn.map %[[X]]
  // CHECK: attn.reduce min keys %[[X]]
  %r = scf.for %k = %c0 to %n step %c1 iter_args(%v = %u) -> tensor<1x2x4xf32> {
    %a = attn.map %x (%e: f32) at (%b, %h, %i) {
      %vi = tensor.extract %v[%b, %h, %i] : tensor<1x2x4xf32>
      %d = arith.subf %e, %vi : f32
      attn.yield %d : f32
    } : (!scores) -> !scores
    %w = attn.reduce max keys %a : (!scores) -> tensor<1x2x4xf32>
    %m = attn.reduce min keys %x : (!scores) -> tensor<1x2x4xf32>
    %sum = arith.addf %w, %m : tensor<1x2x4xf32>
    scf.yield %sum : tensor<1x2x4xf32>
  }
  return %r : tensor<1x2x4xf32>
}
