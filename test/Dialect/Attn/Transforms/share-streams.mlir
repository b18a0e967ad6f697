// RUN: attn-opt %s --split-input-file --attn-share-streams | FileCheck %s

// Two streams of one score, neither using the other: one stream, one sweep,
// one contraction. The tensor.dim ops name the same extents.

// CHECK-LABEL: func @one_sweep
// CHECK-SAME:    (%[[Q:.*]]: tensor<?x2x?x8xf32>, %[[K:.*]]: tensor<?x2x?x8xf32>
// CHECK:       %[[R:.*]]:2 = attn.stream rows
// CHECK-SAME:    = %[[Q]] :
// CHECK-SAME:    = %[[K]] :
// CHECK-NOT:     = %[[Q]] :
// CHECK:         %[[C:.*]]:2 = attn.sweep
// CHECK:           %[[S:.*]] = attn.dot
// CHECK-NOT:       attn.dot
// CHECK:           %[[MAX:.*]] = attn.carry max %[[S]]
// CHECK:           %[[SQUARE:.*]] = arith.mulf %[[S]], %[[S]]
// CHECK:           %[[SUM:.*]] = attn.carry sum %[[SQUARE]]
// CHECK:           attn.yield %[[MAX]], %[[SUM]]
// CHECK-NOT:     attn.sweep
// CHECK:         attn.store_row %[[C]]#0, %[[C]]#1
// CHECK:       return %[[R]]#0, %[[R]]#1
func.func @one_sweep(%q: tensor<?x2x?x8xf32>, %k: tensor<?x2x?x8xf32>) -> (tensor<?x2x?xf32>, tensor<?x2x?xf32>) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %B = tensor.dim %q, %c0 : tensor<?x2x?x8xf32>
  %M = tensor.dim %q, %c2 : tensor<?x2x?x8xf32>
  %N = tensor.dim %k, %c2 : tensor<?x2x?x8xf32>
  %e0 = tensor.empty(%B, %M) : tensor<?x2x?xf32>
  %m = attn.stream rows (%b, %h, %i) in [%B, %c2, %M] over %n = %N ins(%Q = %q : tensor<?x2x?x8xf32>, %K = %k : tensor<?x2x?x8xf32>) outs(%e0 : tensor<?x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32> -> f32
      %a = attn.carry max %s : (f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  %B1 = tensor.dim %q, %c0 : tensor<?x2x?x8xf32>
  %M1 = tensor.dim %q, %c2 : tensor<?x2x?x8xf32>
  %N1 = tensor.dim %k, %c2 : tensor<?x2x?x8xf32>
  %e1 = tensor.empty(%B1, %M1) : tensor<?x2x?xf32>
  %t = attn.stream rows (%b, %h, %i) in [%B1, %c2, %M1] over %n = %N1 ins(%K = %k : tensor<?x2x?x8xf32>, %Q = %q : tensor<?x2x?x8xf32>) outs(%e1 : tensor<?x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32> -> f32
      %ss = arith.mulf %s, %s : f32
      %a = attn.carry sum %ss : (f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %m, %t : tensor<?x2x?xf32>, tensor<?x2x?xf32>
}

// -----

// The second stream reads a result of the first: two kernels.

// CHECK-LABEL: func @dependent
// CHECK:       %[[M:.*]] = attn.stream
// CHECK:       attn.stream
// CHECK-SAME:    = %[[M]] :
func.func @dependent(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %a = attn.carry max %s : (f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  %t = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>, %Y = %m : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %y = attn.at %Y[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.mulf %s, %y : f32
      %a = attn.carry sum %p : (f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %t : tensor<2x2x?xf32>
}

// -----

// Different masks and no common contraction: one stream, but two sweeps, as a
// joint one would visit tiles that the window alone leaves out. What uses the
// first result moves behind the merged stream.

// CHECK-LABEL: func @two_sweeps
// CHECK:       %[[R:.*]]:2 = attn.stream
// CHECK:         %[[A:.*]] = attn.sweep
// CHECK:         %[[B:.*]] = attn.sweep
// CHECK:         attn.store_row %[[A]], %[[B]]
// CHECK:       %[[D:.*]] = tensor.cast %[[R]]#0
// CHECK:       return %[[D]], %[[R]]#1
func.func @two_sweeps(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> (tensor<?x2x?xf32>, tensor<2x2x?xf32>) {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      %a = attn.carry max %s if %p : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  %cast = tensor.cast %m : tensor<2x2x?xf32> to tensor<?x2x?xf32>
  %t = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.cmpi eq, %j, %i : index
      %a = attn.carry sum %s if %p : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %cast, %t : tensor<?x2x?xf32>, tensor<2x2x?xf32>
}

// -----

// Rows and columns stay apart, and so do different numbers of rows.

// CHECK-LABEL: func @different_spaces
// CHECK-COUNT-3: attn.stream
func.func @different_spaces(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index, %N: index) -> (tensor<2x2x?xf32>, tensor<2x2x?xf32>, tensor<2x2x?xf32>) {
  %c2 = arith.constant 2 : index
  %r = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %s = attn.at %X[%b, %h, %i] : tensor<2x2x?xf32> -> f32
    attn.store_row %s : f32
  }
  %t = attn.stream cols (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %s = attn.at %X[%b, %h, %i] : tensor<2x2x?xf32> -> f32
    attn.store_row %s : f32
  }
  %u = attn.stream rows (%b, %h, %i) in [%c2, %c2, %N] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %s = attn.at %X[%b, %h, %i] : tensor<2x2x?xf32> -> f32
    attn.store_row %s : f32
  }
  return %r, %t, %u : tensor<2x2x?xf32>, tensor<2x2x?xf32>, tensor<2x2x?xf32>
}

// -----

// Equal gauges and carries are kept once, with all that hangs on them.

// CHECK-LABEL: func @common_gauge
// CHECK:         attn.sweep
// CHECK:           attn.dot
// CHECK:           %[[G:.*]] = attn.running max
// CHECK:           math.exp2
// CHECK-NOT:       math.exp2
// CHECK-NOT:       attn.running
// CHECK:           %[[L:.*]] = attn.carry sum
// CHECK-NOT:       attn.carry
// CHECK:           attn.yield %[[L]], %[[G]], %[[L]]
func.func @common_gauge(%q: tensor<2x2x?x8xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> (tensor<2x2x?xf32>, tensor<2x2x?xf32>) {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%Q = %q : tensor<2x2x?x8xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %minus1 = arith.constant -1.0 : f32
    %c = attn.sweep %j = %z to %n {
      %s = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<2x2x?x8xf32>, tensor<2x2x?x8xf32> -> f32
      %g = attn.running max %s : (f32) -> f32
      %gg = attn.guard %g : f32
      %d = arith.subf %s, %gg : f32
      %e = math.exp2 %d : f32
      %l = attn.carry sum %e act(%g by %minus1) : (f32, f32, f32) -> f32
      attn.yield %l : f32
    } : f32
    attn.store_row %c : f32
  }
  %t = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%Q = %q : tensor<2x2x?x8xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %minus1 = arith.constant -1.0 : f32
    %c:2 = attn.sweep %j = %z to %n {
      %s = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<2x2x?x8xf32>, tensor<2x2x?x8xf32> -> f32
      %g = attn.running max %s : (f32) -> f32
      %gg = attn.guard %g : f32
      %d = arith.subf %s, %gg : f32
      %e = math.exp2 %d : f32
      %l = attn.carry sum %e act(%g by %minus1) : (f32, f32, f32) -> f32
      attn.yield %g, %l : f32, f32
    } : f32, f32
    %lg = math.log2 %c#1 : f32
    %lse = arith.addf %lg, %c#0 : f32
    attn.store_row %lse : f32
  }
  return %a, %t : tensor<2x2x?xf32>, tensor<2x2x?xf32>
}
