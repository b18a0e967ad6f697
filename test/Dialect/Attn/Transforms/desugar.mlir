// RUN: attn-opt %s -attn-desugar | FileCheck %s

!scores = !attn.scores<?x8x?x?xf32>
!rows = tensor<?x8x?xf32>

// CHECK-LABEL: func @causal
func.func @causal(%q: tensor<?x8x?x64xf32>, %k: tensor<?x2x?x64xf32>) -> tensor<?x8x?xi64> {
  %s = attn.score %q, %k : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  // CHECK: attn.mask %{{.*}} ({{.*}}) at ({{.*}}, %[[PI:[a-z0-9]+]], %[[PJ:[a-z0-9]+]])
  // CHECK: arith.cmpi sle, %[[PJ]], %[[PI]] : index
  %c = attn.mask %s causal : !scores
  %n = attn.reduce count keys %c : (!scores) -> tensor<?x8x?xi64>
  return %n : tensor<?x8x?xi64>
}

// Segments follow the axes through a transpose, and an extent of 1 is read at 0.
// CHECK-LABEL: func @document
// CHECK-SAME: %[[QS:[a-z0-9]+]]: tensor<1x5xi32>, %[[KS:[a-z0-9]+]]: tensor<2x7xi32>
func.func @document(%t: tensor<2x8x5x7xf32>, %qs: tensor<1x5xi32>, %ks: tensor<2x7xi32>) -> tensor<2x8x7xi64> {
  %s = attn.bias %t query_segments(%qs : tensor<1x5xi32>) key_segments(%ks : tensor<2x7xi32>) : tensor<2x8x5x7xf32> -> !attn.scores<2x8x5x7xf32>
  %r = attn.transpose %s : !attn.scores<2x8x5x7xf32> -> !attn.scores<2x8x7x5xf32>
  // CHECK: attn.mask %{{.*}} ({{.*}}) at (%[[B:[a-z0-9]+]], %{{.*}}, %[[I:[a-z0-9]+]], %[[J:[a-z0-9]+]])
  // CHECK: %[[QSEG:.*]] = tensor.extract %[[KS]][%[[B]], %[[I]]]
  // CHECK: %[[QX:.*]] = arith.index_cast %[[QSEG]]
  // CHECK: %[[ZERO:.*]] = arith.constant 0 : index
  // CHECK: %[[KSEG:.*]] = tensor.extract %[[QS]][%[[ZERO]], %[[J]]]
  // CHECK: %[[KX:.*]] = arith.index_cast %[[KSEG]]
  // CHECK: arith.cmpi eq, %[[KX]], %[[QX]] : index
  %c = attn.mask %r document : !attn.scores<2x8x7x5xf32>
  %n = attn.reduce count keys %c : (!attn.scores<2x8x7x5xf32>) -> tensor<2x8x7xi64>
  return %n : tensor<2x8x7xi64>
}

// CHECK-LABEL: func @prefix
// CHECK-SAME: %[[LENGTH:[a-z0-9]+]]: tensor<2xi32>
func.func @prefix(%t: tensor<2x8x5x5xf32>, %n: tensor<2xi32>) -> tensor<2x8x5x5xf32> {
  %s = attn.bias %t : tensor<2x8x5x5xf32> -> !attn.scores<2x8x5x5xf32>
  // CHECK: attn.mask %{{.*}} ({{.*}}) at (%[[B:[a-z0-9]+]],
  // CHECK: tensor.extract %[[LENGTH]][%[[B]]]
  %c = attn.mask %s prefix prefix(%n : tensor<2xi32>) : !attn.scores<2x8x5x5xf32>
  %o = attn.materialize %c : !attn.scores<2x8x5x5xf32> -> tensor<2x8x5x5xf32>
  return %o : tensor<2x8x5x5xf32>
}

// CHECK-LABEL: func @softmax
func.func @softmax(%t: tensor<?x8x?x?xf32>) -> tensor<?x8x?x?xf32> {
  %s = attn.bias %t : tensor<?x8x?x?xf32> -> !scores
  // CHECK: %[[F:.*]] = attn.map
  // CHECK: arith.constant 0.72134751 : f32
  // CHECK: %[[M:.*]] = attn.reduce max keys %[[F]]
  // CHECK: %[[E:.*]] = attn.map %[[F]] (%[[X:.*]]: f32) at (%[[B:.*]], %[[H:.*]], %[[I:.*]]) {
  // CHECK: %[[MI:.*]] = tensor.extract %[[M]][%[[B]], %[[H]], %[[I]]]
  // CHECK: %[[G:.*]] = attn.guard %[[MI]]
  // CHECK: %[[D:.*]] = arith.subf %[[X]], %[[G]]
  // CHECK: math.exp2 %[[D]]
  // CHECK: %[[L:.*]] = attn.reduce sum keys %[[E]]
  // CHECK-NOT: linalg.generic
  // CHECK: %[[P:.*]] = attn.map %[[E]]
  // CHECK: tensor.extract %[[L]]
  // CHECK: arith.divf
  // CHECK: attn.mask %[[P]]
  // CHECK: %[[INF:.*]] = arith.constant 0xFF800000
  // CHECK: %[[MAX:.*]] = tensor.extract %[[M]]
  // CHECK: arith.cmpf une, %[[MAX]], %[[INF]]
  %p = attn.softmax %s scale(0.5) : !scores
  %o = attn.materialize %p : !scores -> tensor<?x8x?x?xf32>
  return %o : tensor<?x8x?x?xf32>
}

// The sink and the one of plus_one take part in the shift and the denominator,
// but not in the maximum that decides whether a row is empty.
// CHECK-LABEL: func @sink
// CHECK-SAME: %[[SINK:[a-z0-9]+]]: tensor<8xbf16>
func.func @sink(%t: tensor<?x8x?x?xf32>, %z: tensor<8xbf16>) -> tensor<?x8x?x?xf32> {
  %s = attn.bias %t : tensor<?x8x?x?xf32> -> !scores
  // CHECK: %[[M:.*]] = attn.reduce max keys
  // CHECK: %[[SHIFT:.*]] = linalg.generic {{.*}} ins(%[[M]], %[[SINK]] :
  // CHECK-COUNT-2: arith.maximumf
  // CHECK: attn.map
  // CHECK: tensor.extract %[[SHIFT]]
  // CHECK: %[[L:.*]] = attn.reduce sum keys
  // CHECK: %[[DENOMINATOR:.*]] = linalg.generic {{.*}} ins(%[[L]], %[[SHIFT]], %[[SINK]] :
  // CHECK: attn.guard
  // CHECK-COUNT-2: math.exp2
  // CHECK: tensor.extract %[[DENOMINATOR]]
  // CHECK: attn.mask
  // CHECK: tensor.extract %[[M]]
  %p = attn.softmax %s sink(%z : tensor<8xbf16>) plus_one : !scores
  %o = attn.materialize %p : !scores -> tensor<?x8x?x?xf32>
  return %o : tensor<?x8x?x?xf32>
}

// CHECK-LABEL: func @temperature
// CHECK-SAME: %[[T:[a-z0-9]+]]: tensor<?x1x?xf16>
func.func @temperature(%t: tensor<?x8x?x?xf32>, %temperature: tensor<?x1x?xf16>) -> tensor<?x8x?x?xf32> {
  %s = attn.bias %t : tensor<?x8x?x?xf32> -> !scores
  // CHECK: attn.map %{{.*}} at (%[[B:.*]], %{{.*}}, %[[I:.*]]) {
  // CHECK: %[[ZERO:.*]] = arith.constant 0 : index
  // CHECK: %[[TI:.*]] = tensor.extract %[[T]][%[[B]], %[[ZERO]], %[[I]]]
  // CHECK: %[[TF:.*]] = arith.extf %[[TI]] : f16 to f32
  // CHECK: arith.divf %{{.*}}, %[[TF]]
  // CHECK: attn.reduce max
  %p = attn.softmax %s base(2.0) temperature(%temperature : tensor<?x1x?xf16>) : !scores
  %o = attn.materialize %p : !scores -> tensor<?x8x?x?xf32>
  return %o : tensor<?x8x?x?xf32>
}

// Over queries the row tensors are [B, H, N] and are read at j.
// CHECK-LABEL: func @lse_queries
// CHECK-SAME: %[[T:[a-z0-9]+]]: tensor<?x8x?x?xf64>
func.func @lse_queries(%t: tensor<?x8x?x?xf64>) -> tensor<?x8x?xf64> {
  %s = attn.bias %t : tensor<?x8x?x?xf64> -> !attn.scores<?x8x?x?xf64>
  // CHECK: %[[THREE:.*]] = arith.constant 3 : index
  // CHECK: %[[N:.*]] = tensor.dim %[[T]], %[[THREE]]
  // CHECK: %[[M:.*]] = attn.reduce max queries
  // CHECK: attn.map %{{.*}} at (%[[B:.*]], %[[H:.*]], %{{.*}}, %[[J:.*]]) {
  // CHECK: tensor.extract %[[M]][%[[B]], %[[H]], %[[J]]]
  // CHECK: %[[L:.*]] = attn.reduce sum queries
  // CHECK: tensor.empty(%{{.*}}, %[[N]])
  // CHECK: linalg.generic {{.*}} ins(%[[M]], %[[L]] :
  // CHECK: math.log2
  %l = attn.reduce lse queries %s : (!attn.scores<?x8x?x?xf64>) -> tensor<?x8x?xf64>
  return %l : tensor<?x8x?xf64>
}

// CHECK-LABEL: func @entropy
func.func @entropy(%t: tensor<1x8x4x?xf32>) -> tensor<1x8x4xf32> {
  %s = attn.bias %t : tensor<1x8x4x?xf32> -> !attn.scores<1x8x4x?xf32>
  // CHECK: %[[F:.*]] = attn.map
  // CHECK: %[[M:.*]] = attn.reduce max keys %[[F]]
  // CHECK: %[[E:.*]] = attn.map %[[F]]
  // CHECK: %[[L:.*]] = attn.reduce sum keys %[[E]]
  // CHECK: %[[TERM:.*]] = attn.map %[[E]], %[[F]] (%[[X:.*]]: f32, %[[Y:.*]]: f32)
  // CHECK: %[[NONE:.*]] = arith.cmpf oeq, %[[Y]]
  // CHECK: arith.select %[[NONE]]
  // CHECK: %[[SUM:.*]] = attn.reduce sum keys %[[TERM]]
  // CHECK: tensor.empty() : tensor<1x8x4xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[M]], %[[L]], %[[SUM]] :
  %l = attn.reduce entropy keys %s : (!attn.scores<1x8x4x?xf32>) -> tensor<1x8x4xf32>
  return %l : tensor<1x8x4xf32>
}

// The variance is of squares about the mean.
// CHECK-LABEL: func @moments
func.func @moments(%t: tensor<1x8x4x?xf32>) -> (tensor<1x8x4xf32>, tensor<1x8x4xf32>) {
  %s = attn.bias %t : tensor<1x8x4x?xf32> -> !attn.scores<1x8x4x?xf32>
  // CHECK: %[[MEAN:.*]] = attn.reduce mean keys
  // CHECK: %[[SQUARES:.*]] = attn.map
  // CHECK: tensor.extract %[[MEAN]]
  // CHECK: %[[SUM:.*]] = attn.reduce sum keys %[[SQUARES]]
  // CHECK: %[[COUNT:.*]] = attn.reduce count keys
  // CHECK: %[[VAR:.*]] = linalg.generic {{.*}} ins(%[[SUM]], %[[COUNT]] :
  // CHECK: return %[[MEAN]], %[[VAR]]
  %m:2 = attn.reduce moments keys %s : (!attn.scores<1x8x4x?xf32>) -> (tensor<1x8x4xf32>, tensor<1x8x4xf32>)
  return %m#0, %m#1 : tensor<1x8x4xf32>, tensor<1x8x4xf32>
}
