// RUN: attn-opt %s --split-input-file --attn-print-plan -o /dev/null | FileCheck %s

// Names come from the arguments, formulas from the conditions. An outer product
// with twice the features of the scores is twice the work.

// CHECK:      plan of @fused: 1 stream
// CHECK-NEXT:   stream 1: rows (b, h, i) in [B, 2, 16] over j in N
// CHECK-NEXT:     reads query: tensor<?x2x16x8xf32>, arg1: tensor<?x2x?x8xf32>, length: tensor<?xi32>, arg3: tensor<?x2x?x16xf32>
// CHECK-NEXT:     writes tensor<?x2x16x16xf32>
// CHECK-NEXT:     sweep 1: j from 0 to N: 1 dot, 1 outer
// CHECK-NEXT:       gauge 1: running max f32 if i - 3 <= j and j < length[b]
// CHECK-NEXT:       sum f32 if i - 3 <= j and j < length[b], act(gauge 1)
// CHECK-NEXT:       outer vector<16xf32> if i - 3 <= j and j < length[b], act(gauge 1)
// CHECK-NEXT:       tiles: empty ones are skipped, all others masked
// CHECK-NEXT:       work 3.00
// CHECK-NEXT:   work 3.00 in all, where one Q K^T is 1
// CHECK-NEXT:   memory: nothing of size M x N is stored, no tensors between streams
func.func @fused(%q: tensor<?x2x16x8xf32> {attn.name = "query", attn.dims = ["B", "2", "16", "8"]},
                 %k: tensor<?x2x?x8xf32> {attn.dims = ["B", "2", "N", "8"]},
                 %len: tensor<?xi32> {attn.name = "length"},
                 %v: tensor<?x2x?x16xf32>, %e0: tensor<?x2x16x16xf32>) -> tensor<?x2x16x16xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c16 = arith.constant 16 : index
  %B = tensor.dim %q, %c0 : tensor<?x2x16x8xf32>
  %N = tensor.dim %k, %c2 : tensor<?x2x?x8xf32>
  %o = attn.stream rows (%b, %h, %i) in [%B, %c2, %c16] over %n = %N ins(%Q = %q : tensor<?x2x16x8xf32>, %K = %k : tensor<?x2x?x8xf32>, %L = %len : tensor<?xi32>, %V = %v : tensor<?x2x?x16xf32>) outs(%e0 : tensor<?x2x16x16xf32>) {
    %z = arith.constant 0 : index
    %c3 = arith.constant 3 : index
    %minus1 = arith.constant -1.0 : f32
    %first = arith.subi %i, %c3 : index
    %l32 = attn.at %L[%b] : tensor<?xi32> -> i32
    %end = arith.index_cast %l32 : i32 to index
    %l, %acc = attn.sweep %j = %z to %n {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : tensor<?x2x16x8xf32>, tensor<?x2x?x8xf32> -> f32
      %p0 = arith.cmpi sle, %first, %j : index
      %p1 = arith.cmpi slt, %j, %end : index
      %p = arith.andi %p0, %p1 : i1
      %g = attn.running max %s if %p : (f32, i1) -> f32
      %gg = attn.guard %g : f32
      %d = arith.subf %s, %gg : f32
      %e = math.exp2 %d : f32
      %vr = attn.at %V[%b, %h, %j] : tensor<?x2x?x16xf32> -> vector<16xf32>
      %cl = attn.carry sum %e if %p act(%g by %minus1) : (f32, i1, f32, f32) -> f32
      %co = attn.carry outer %e, %vr if %p act(%g by %minus1) : (f32, vector<16xf32>, i1, f32, f32) -> vector<16xf32>
      attn.yield %cl, %co : f32, vector<16xf32>
    } tiles (%i0, %i1, %j0, %j1) {
      %yes = arith.constant true
      %no = arith.constant false
      attn.yield %yes, %no : i1, i1
    } : f32, vector<16xf32>
    %inv = vector.broadcast %l : f32 to vector<16xf32>
    %r = arith.divf %acc, %inv : vector<16xf32>
    attn.store_row %r : vector<16xf32>
  }
  return %o : tensor<?x2x16x16xf32>
}

// -----

// Row results that another stream reads are named, and so is a matrix that the
// program asks for. A cols stream keeps j.

// CHECK:      plan of @two: 2 streams
// CHECK:        stream 2: cols (b, h, j) in [2, 2, arg4] over i in arg4
// CHECK-NEXT:     reads arg0: tensor<2x2x?x8xf32>, stream1.0: tensor<2x2x?xf32>
// CHECK:          sweep 1: i from 0 to M: 1 dot, 0 outers
// CHECK-NEXT:       sum f32 if i mod 2 == 0 or not (j - 1) * 3 > i
// CHECK-NOT:        tiles
// CHECK:        memory: stores M x N, as asked: tensor<2x2x?x?xf32>, between streams stream1.0: tensor<2x2x?xf32>
func.func @two(%q: tensor<2x2x?x8xf32>, %e0: tensor<2x2x?xf32>, %e1: tensor<2x2x?xf32>, %s: !attn.scores<2x2x?x?xf32>, %M: index) -> (tensor<2x2x?xf32>, tensor<2x2x?x?xf32>) {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%Q = %q : tensor<2x2x?x8xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<2x2x?x8xf32>, tensor<2x2x?x8xf32> -> f32
      %a = attn.carry max %x : (f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  %t = attn.stream cols (%b, %h, %j) in [%c2, %c2, %M] over %n = %M ins(%Q = %q : tensor<2x2x?x8xf32>, %R = %m : tensor<2x2x?xf32>) outs(%e1 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %minus = arith.constant -1 : index
    %two = arith.constant 2 : index
    %three = arith.constant 3 : index
    %true = arith.constant true
    %c = attn.sweep %i = %z to %n {
      %x = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<2x2x?x8xf32>, tensor<2x2x?x8xf32> -> f32
      %r = attn.at %R[%b, %h, %i] : tensor<2x2x?xf32> -> f32
      %y = arith.subf %x, %r : f32
      %mod = arith.remsi %i, %two : index
      %even = arith.cmpi eq, %mod, %z : index
      %jj = arith.addi %j, %minus : index
      %j3 = arith.muli %jj, %three : index
      %late = arith.cmpi sgt, %j3, %i : index
      %soon = arith.xori %late, %true : i1
      %p = arith.ori %even, %soon : i1
      %a = attn.carry sum %y if %p : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  %full = attn.materialize %s : !attn.scores<2x2x?x?xf32> -> tensor<2x2x?x?xf32>
  return %t, %full : tensor<2x2x?xf32>, tensor<2x2x?x?xf32>
}

// -----

// Sweeps over neighbouring ranges are one pass over the keys; the visits of a
// product count where their number is known.

// CHECK:      plan of @cut: 1 stream
// CHECK:        sweep 1: j from 0 to N1: 1 dot, 0 outers
// CHECK:          work 1.00
// CHECK:        sweep 2: j from N1 to N: 0 dots, 0 outers
// CHECK-NEXT:     product: 1 dot and a multiplication for each of 6 visits per entry
// CHECK:          work 1.50 per key of its range
// CHECK:        work 1.50 in all, where one Q K^T is 1
func.func @cut(%q: tensor<1x2x?x4xf32> {attn.dims = ["1", "2", "M", "4"]}, %k: tensor<1x2x?x4xf32>,
               %x: tensor<1x2x6x?xf32>, %e0: tensor<1x2x?xf32>,
               %N1: index {attn.name = "N1"}, %N: index {attn.name = "N"}, %M: index) -> tensor<1x2x?xf32> {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c2, %M] over %n = %N ins(%Q = %q : tensor<1x2x?x4xf32>, %K = %k : tensor<1x2x?x4xf32>, %X = %x : tensor<1x2x6x?xf32>, %n1 = %N1 : index) outs(%e0 : tensor<1x2x?xf32>) {
    %z = arith.constant 0 : index
    %six = arith.constant 6 : index
    %s = attn.sweep %j = %z to %n1 {
      %d = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32> -> f32
      %c = attn.carry sum %d : (f32) -> f32
      attn.yield %c : f32
    } : f32
    %t = attn.sweep %j = %n1 to %n {
      %p = attn.sweep %l = %z to %six {
        %d = attn.dot %Q[%b, %h, %i], %K[%b, %h, %l] : tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32> -> f32
        %y = attn.at %X[%b, %h, %l, %j] : tensor<1x2x6x?xf32> -> f32
        %m = arith.mulf %d, %y : f32
        %c = attn.carry sum %m : (f32) -> f32
        attn.yield %c : f32
      } : f32
      %c = attn.carry sum %p : (f32) -> f32
      attn.yield %c : f32
    } : f32
    %u = arith.addf %s, %t : f32
    attn.store_row %u : f32
  }
  return %r : tensor<1x2x?xf32>
}

// -----

// Values joined over the rows: nothing is swept, or stored, for them.
// CHECK:      plan of @joined: 1 stream
// CHECK:        sweep 1: j from 0 to N: 1 dot, 0 outers
// CHECK-NEXT:     sum f32 if max of rows une -Inf
// CHECK-NEXT:     max of all 7 rows at a key if j <= i
// CHECK-NEXT:     work 1.00
func.func @joined(%q: tensor<1x1x7x8xf32>, %k: tensor<1x1x?x8xf32> {attn.dims = ["1", "1", "N", "8"]}, %e0: tensor<1x1x7xf32>) -> tensor<1x1x7xf32> {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c7 = arith.constant 7 : index
  %N = tensor.dim %k, %c2 : tensor<1x1x?x8xf32>
  %o = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c7] over %n = %N ins(%Q = %q : tensor<1x1x7x8xf32>, %K = %k : tensor<1x1x?x8xf32>) outs(%e0 : tensor<1x1x7xf32>) {
    %z = arith.constant 0 : index
    %none = arith.constant 0xFF800000 : f32
    %l = attn.sweep %j = %z to %n {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : tensor<1x1x7x8xf32>, tensor<1x1x?x8xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      %m = attn.across max %s if %p over 7 : f32
      %d = arith.subf %s, %m : f32
      %some = arith.cmpf une, %m, %none : f32
      %c = attn.carry sum %d if %some : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %l : f32
  }
  return %o : tensor<1x1x7xf32>
}
