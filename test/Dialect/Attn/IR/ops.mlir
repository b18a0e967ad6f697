// RUN: attn-opt %s --verify-roundtrip | attn-opt | FileCheck %s

// Every op of the algebra with all of its syntax, printed and parsed again.

!scores = !attn.scores<?x8x?x?xf32>

// CHECK-LABEL: func.func @score
// CHECK-SAME: (%[[Q:.*]]: tensor<?x8x?x64xf32>, %[[K:.*]]: tensor<?x2x?x64xf32>, %[[MAP:.*]]: tensor<8xi32>, %[[POS:.*]]: tensor<?x1x?xi32>, %[[OFF:.*]]: tensor<?xi64>, %[[LEN:.*]]: tensor<?x1xi32>, %[[SEG:.*]]: tensor<1x?xindex>, %[[I:.*]]: index)
func.func @score(%q: tensor<?x8x?x64xf32>, %k: tensor<?x2x?x64xf32>,
                 %map: tensor<8xi32>, %pos: tensor<?x1x?xi32>,
                 %off: tensor<?xi64>, %len: tensor<?x1xi32>,
                 %seg: tensor<1x?xindex>, %i: index) {
  // A scale of 1 is not printed.
  // CHECK: attn.score %[[Q]], %[[K]] : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !attn.scores<?x8x?x?xf32>
  %0 = attn.score %q, %k scale(1.0) : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  // CHECK: attn.score %[[Q]], %[[K]] scale(1.250000e-01) heads(%[[MAP]] : tensor<8xi32>)
  // CHECK-SAME: query_positions(%[[POS]] : tensor<?x1x?xi32>) query_length(%[[LEN]] : tensor<?x1xi32>)
  // CHECK-SAME: query_segments(%[[SEG]] : tensor<1x?xindex>) key_offset(%[[OFF]] : tensor<?xi64>)
  // CHECK-SAME: key_length(%[[LEN]] : tensor<?x1xi32>) key_segments(%[[SEG]] : tensor<1x?xindex>)
  %1 = attn.score %q, %k scale(0.125) heads(%map : tensor<8xi32>)
         query_positions(%pos : tensor<?x1x?xi32>) query_length(%len : tensor<?x1xi32>)
         query_segments(%seg : tensor<1x?xindex>) key_offset(%off : tensor<?xi64>)
         key_length(%len : tensor<?x1xi32>) key_segments(%seg : tensor<1x?xindex>)
       : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  // CHECK: attn.score %[[Q]], %[[K]] query_offset(%[[I]] : index) key_positions(%[[POS]] : tensor<?x1x?xi32>)
  %2 = attn.score %q, %k query_offset(%i : index) key_positions(%pos : tensor<?x1x?xi32>)
       : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  return
}

// f64 and narrow operands: the accumulation type is f64, else f32; a batch
// extent of 1 broadcasts on either side.
// CHECK-LABEL: func.func @score_types
func.func @score_types(%d: tensor<2x4x5x8xf64>, %e: tensor<1x4x7x8xf64>,
                       %x: tensor<1x4x5x8xbf16>, %y: tensor<3x1x7x8xbf16>) {
  // CHECK: -> !attn.scores<2x4x5x7xf64>
  %0 = attn.score %d, %e : tensor<2x4x5x8xf64>, tensor<1x4x7x8xf64> -> !attn.scores<2x4x5x7xf64>
  // CHECK: -> !attn.scores<3x4x5x7xf32>
  %1 = attn.score %x, %y : tensor<1x4x5x8xbf16>, tensor<3x1x7x8xbf16> -> !attn.scores<3x4x5x7xf32>
  return
}

// CHECK-LABEL: func.func @score_with
// CHECK-SAME: (%[[Q:.*]]: tensor<1x2x5x8xf16>, %[[K:.*]]: tensor<1x2x7x8xf16>
func.func @score_with(%q: tensor<1x2x5x8xf16>, %k: tensor<1x2x7x8xf16>, %w: tensor<8xf32>, %map: tensor<2xi64>, %len: tensor<1x2xi32>) {
  // CHECK: attn.score_with max %[[Q]], %[[K]] heads(%{{.*}} : tensor<2xi64>) key_length(%{{.*}} : tensor<1x2xi32>) {
  // CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[Y:.*]]: f32, %[[D:.*]]: index):
  %0 = attn.score_with max %q, %k heads(%map : tensor<2xi64>) key_length(%len : tensor<1x2xi32>) {
  ^bb0(%x: f32, %y: f32, %d: index):
    // CHECK: %[[W:.*]] = tensor.extract %{{.*}}[%[[D]]]
    %a = tensor.extract %w[%d] : tensor<8xf32>
    // CHECK: arith.mulf %[[X]], %[[W]]
    %b = arith.mulf %x, %a : f32
    // CHECK: %[[R:.*]] = arith.addf %{{.*}}, %[[Y]]
    %c = arith.addf %b, %y : f32
    // CHECK: attn.yield %[[R]] : f32
    attn.yield %c : f32
  // CHECK: } : tensor<1x2x5x8xf16>, tensor<1x2x7x8xf16> -> !attn.scores<1x2x5x7xf32>
  } : tensor<1x2x5x8xf16>, tensor<1x2x7x8xf16> -> !attn.scores<1x2x5x7xf32>
  return
}

// CHECK-LABEL: func.func @bias
func.func @bias(%t: tensor<1x8x?x?xf32>, %len: tensor<1x1xi32>) {
  // CHECK: attn.bias %{{.*}} key_length(%{{.*}} : tensor<1x1xi32>) : tensor<1x8x?x?xf32> -> !attn.scores<1x8x?x?xf32>
  %0 = attn.bias %t key_length(%len : tensor<1x1xi32>) : tensor<1x8x?x?xf32> -> !attn.scores<1x8x?x?xf32>
  // A batch of 1 broadcasts to a static one.
  // CHECK: attn.bias %{{.*}} : tensor<1x8x?x?xf32> -> !attn.scores<4x8x?x?xf32>
  %1 = attn.bias %t : tensor<1x8x?x?xf32> -> !attn.scores<4x8x?x?xf32>
  return
}

// CHECK-LABEL: func.func @entries
// CHECK-SAME: (%[[S:[^:]*]]: !attn.scores<1x8x?x?xf32>, %[[ONE:[^:]*]]: !attn.scores<1x1x?x?xf32>, %[[N:[^:]*]]: index
func.func @entries(%s: !attn.scores<1x8x?x?xf32>, %one: !attn.scores<1x1x?x?xf32>, %n: index, %off: index) {
  // The index list is printed as far as it is used.
  // CHECK: attn.map %[[S]], %[[ONE]] (%[[X:.*]]: f32, %[[Y:.*]]: f32) at (%{{.*}}, %[[H:.*]]) {
  %0 = attn.map %s, %one (%x: f32, %y: f32) at (%b, %h, %i) {
    // CHECK: arith.index_cast %[[H]]
    %hi = arith.index_cast %h : index to i32
    %hf = arith.sitofp %hi : i32 to f32
    %p = arith.mulf %x, %hf : f32
    %r = arith.addf %p, %y : f32
    attn.yield %r : f32
  // CHECK: } : (!attn.scores<1x8x?x?xf32>, !attn.scores<1x1x?x?xf32>) -> !attn.scores<1x8x?x?xf32>
  } : (!attn.scores<1x8x?x?xf32>, !attn.scores<1x1x?x?xf32>) -> !attn.scores<1x8x?x?xf32>
  // Without indices there is no list.
  // CHECK: attn.map %[[S]] (%[[X:.*]]: f32) {
  // CHECK: attn.yield %[[X]] : f32
  %1 = attn.map %s (%x: f32) {
    attn.yield %x : f32
  } : (!attn.scores<1x8x?x?xf32>) -> !attn.scores<1x8x?x?xf32>
  // A generator reads positions.
  // CHECK: attn.map sizes(%[[N]], %[[N]]) () at (%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[PI:.*]], %[[PJ:.*]]) {
  // CHECK: arith.subi %[[PI]], %[[PJ]]
  // CHECK: } : () -> !attn.scores<1x1x?x?xf64>
  %2 = attn.map sizes(%n, %n) () at (%b, %h, %i, %j, %pi, %pj) {
    %d = arith.subi %pi, %pj : index
    %di = arith.index_cast %d : index to i64
    %df = arith.sitofp %di : i64 to f64
    attn.yield %df : f64
  } : () -> !attn.scores<1x1x?x?xf64>
  // CHECK: attn.mask %[[S]] (%[[X:.*]]: f32) at (%{{.*}}, %{{.*}}, %[[I:.*]], %[[J:.*]]) {
  // CHECK: %[[P:.*]] = arith.cmpi sle, %[[J]], %[[I]]
  // CHECK: attn.yield %[[P]] : i1
  // CHECK: } : !attn.scores<1x8x?x?xf32>
  %3 = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %p = arith.cmpi sle, %j, %i : index
    attn.yield %p : i1
  } : !attn.scores<1x8x?x?xf32>
  // CHECK: attn.fill %[[S]], -2.000000e+00 : !attn.scores<1x8x?x?xf32>
  %4 = attn.fill %s, -2.0 : !attn.scores<1x8x?x?xf32>
  // CHECK: attn.with_axes %[[S]] query_offset(%{{.*}} : index) : !attn.scores<1x8x?x?xf32>
  %5 = attn.with_axes %s query_offset(%off : index) : !attn.scores<1x8x?x?xf32>
  return
}

// CHECK-LABEL: func.func @transpose
func.func @transpose(%s: !attn.scores<1x8x5x?xf32>) {
  // CHECK: attn.transpose %{{.*}} : !attn.scores<1x8x5x?xf32> -> !attn.scores<1x8x?x5xf32>
  %0 = attn.transpose %s : !attn.scores<1x8x5x?xf32> -> !attn.scores<1x8x?x5xf32>
  return
}

// CHECK-LABEL: func.func @softmax
// CHECK-SAME: (%[[S:.*]]: !attn.scores<?x8x?x?xf32>
func.func @softmax(%s: !scores, %t: tensor<1x8x?xf32>, %z: tensor<1xf32>) {
  // CHECK: attn.softmax %[[S]] : !attn.scores<?x8x?x?xf32>
  %0 = attn.softmax %s scale(1.0) base(0.0) : !scores
  // CHECK: attn.softmax %[[S]] scale(5.000000e-01) base(2.000000e+00) temperature(%{{.*}} : tensor<1x8x?xf32>) sink(%{{.*}} : tensor<1xf32>) plus_one : !attn.scores<?x8x?x?xf32>
  %1 = attn.softmax %s scale(0.5) base(2.0) temperature(%t : tensor<1x8x?xf32>) sink(%z : tensor<1xf32>) plus_one : !scores
  return
}

// CHECK-LABEL: func.func @reduce
// CHECK-SAME: (%[[S:.*]]: !attn.scores<2x8x5x7xf32>)
func.func @reduce(%s: !attn.scores<2x8x5x7xf32>) {
  // CHECK: attn.reduce sum keys %[[S]] : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x5xf32>)
  %0 = attn.reduce sum keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xf32>
  // CHECK: attn.reduce max queries %[[S]] : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x7xf32>)
  %1 = attn.reduce max queries %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x7xf32>
  // CHECK: attn.reduce min keys
  %2 = attn.reduce min keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xf32>
  // CHECK: attn.reduce mean keys
  %3 = attn.reduce mean keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xf32>
  // CHECK: attn.reduce moments keys %[[S]] : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x5xf32>, tensor<2x8x5xf32>)
  %4:2 = attn.reduce moments keys %s : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x5xf32>, tensor<2x8x5xf32>)
  // CHECK: attn.reduce count keys %[[S]] : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x5xi64>)
  %5 = attn.reduce count keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xi64>
  // CHECK: attn.reduce any queries %[[S]] : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x7xi1>)
  %6 = attn.reduce any queries %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x7xi1>
  // CHECK: attn.reduce argmax keys
  %7 = attn.reduce argmax keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xi64>
  // CHECK: attn.reduce argmin keys
  %8 = attn.reduce argmin keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xi64>
  // CHECK: attn.reduce lse keys
  %9 = attn.reduce lse keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xf32>
  // CHECK: attn.reduce entropy keys
  %10 = attn.reduce entropy keys %s : (!attn.scores<2x8x5x7xf32>) -> tensor<2x8x5xf32>
  // CHECK: attn.reduce custom keys %[[S]] identity [1.000000e+00, 0.000000e+00] lift (%[[X:.*]]: f32) {
  // CHECK: attn.yield %[[X]], %[[X]] : f32, f32
  // CHECK: } combine {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %[[C:.*]]: f32, %[[D:.*]]: f32):
  // CHECK: arith.mulf %[[A]], %[[C]]
  // CHECK: arith.addf %[[B]], %[[D]]
  // CHECK: } : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x5xf32>, tensor<2x8x5xf32>)
  %11:2 = attn.reduce custom keys %s identity [1.0, 0.0] lift (%x: f32) {
    attn.yield %x, %x : f32, f32
  } combine {
  ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
    %p = arith.mulf %a, %c : f32
    %q = arith.addf %b, %d : f32
    attn.yield %p, %q : f32, f32
  } : (!attn.scores<2x8x5x7xf32>) -> (tensor<2x8x5xf32>, tensor<2x8x5xf32>)
  return
}

// CHECK-LABEL: func.func @aggregate
func.func @aggregate(%p: !scores, %v: tensor<?x2x?x128xbf16>, %map: tensor<8xindex>) {
  // CHECK: attn.aggregate %{{.*}}, %{{.*}} heads(%{{.*}} : tensor<8xindex>) operand_type(bf16) : !attn.scores<?x8x?x?xf32>, tensor<?x2x?x128xbf16> -> tensor<?x8x?x128xbf16>
  %0 = attn.aggregate %p, %v heads(%map : tensor<8xindex>) operand_type(bf16)
       : !scores, tensor<?x2x?x128xbf16> -> tensor<?x8x?x128xbf16>
  // The result may be wider than the values.
  // CHECK: -> tensor<?x8x?x128xf32>
  %1 = attn.aggregate %p, %v : !scores, tensor<?x2x?x128xbf16> -> tensor<?x8x?x128xf32>
  return
}

// CHECK-LABEL: func.func @materialize
func.func @materialize(%s: !scores) {
  // CHECK: attn.materialize %{{.*}} absent(0xFFF0000000000000) : !attn.scores<?x8x?x?xf32> -> tensor<?x8x?x?xbf16>
  %0 = attn.materialize %s absent(0xFFF0000000000000) : !scores -> tensor<?x8x?x?xbf16>
  // CHECK: attn.materialize %{{.*}} : !attn.scores<?x8x?x?xf32> -> tensor<?x8x?x?xf32>
  %1 = attn.materialize %s : !scores -> tensor<?x8x?x?xf32>
  return
}

// CHECK-LABEL: func.func @guard
func.func @guard(%m: f32) -> f32 {
  // CHECK: attn.guard %{{.*}} : f32
  %g = attn.guard %m : f32
  return %g : f32
}
