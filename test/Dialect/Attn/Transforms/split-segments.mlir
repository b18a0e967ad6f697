// RUN: attn-opt %s --split-input-file --attn-split-segments | FileCheck %s
// RUN: attn-opt %s --split-input-file --attn-split-segments --attn-split-segments | FileCheck %s

// One sweep per segment, each reading its own keys at its own indices; the
// carries are merged.

// CHECK-LABEL: func @sweep
// CHECK-NOT:     attn.before
// CHECK:         %[[MID:.*]] = arith.minsi %{{.*}}, %{{.*}} : index
// CHECK:         %[[A:.*]]:2 = attn.sweep %[[J:.*]] = %{{.*}} to %[[MID]]
// CHECK-NEXT:      attn.at %{{.*}}[%{{.*}}, %{{.*}}, %[[J]]] :
// CHECK-NEXT:      attn.running max
// CHECK-NOT:       attn.at
// CHECK:         %[[B:.*]]:2 = attn.sweep %[[K:.*]] = %[[MID]] to
// CHECK-NEXT:      %[[L:.*]] = arith.subi %[[K]], %{{.*}}
// CHECK-NEXT:      attn.at %{{.*}}[%{{.*}}, %{{.*}}, %[[L]]] :
// CHECK-NEXT:      attn.running max
// CHECK:         arith.maximumf %[[A]]#1, %[[B]]#1
// CHECK-NOT:     attn.before
func.func @sweep(%x: tensor<2x2x?xf32>, %y: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index, %N1: index, %N: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %N ins(%X = %x : tensor<2x2x?xf32>, %Y = %y : tensor<2x2x?xf32>, %n1 = %N1 : index) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %true = arith.constant true
    %minus1 = arith.constant -1.0 : f32
    %l = attn.sweep %j = %z to %n {
      %first = attn.before %j, %n1
      %j1 = arith.select %first, %j, %z : index
      %second = arith.xori %first, %true : i1
      %k = arith.subi %j, %n1 : index
      %j2 = arith.select %second, %k, %z : index
      %u = attn.at %X[%b, %h, %j1] : tensor<2x2x?xf32> -> f32
      %v = attn.at %Y[%b, %h, %j2] : tensor<2x2x?xf32> -> f32
      %s = arith.select %first, %u, %v : f32
      %m = attn.running max %s : (f32) -> f32
      %g = attn.guard %m : f32
      %d = arith.subf %s, %g : f32
      %e = math.exp2 %d : f32
      %t = attn.carry sum %e act(%m by %minus1) : (f32, f32, f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %l : f32
  }
  return %a : tensor<2x2x?xf32>
}

// -----

// What is always present in a segment has no condition there.

// CHECK-LABEL: func @conditions
// CHECK:         attn.carry sum %{{.*}} : (f32)
// CHECK:         attn.carry sum %{{.*}} if %{{.*}} : (f32, i1)
func.func @conditions(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index, %N1: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>, %n1 = %N1 : index) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %l = attn.sweep %j = %z to %n {
      %first = attn.before %j, %n1
      %causal = arith.cmpi sle, %j, %i : index
      %p = arith.ori %first, %causal : i1
      %u = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %t = attn.carry sum %u if %p : (f32, i1) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %l : f32
  }
  return %a : tensor<2x2x?xf32>
}

// -----

// A choice by row cuts the stream.

// CHECK-LABEL: func @rows
// CHECK:         %[[FIRST:.*]] = attn.stream cols {{.*}} in [%{{.*}}, %{{.*}}, %c5{{.*}}]
// CHECK-SAME:      outs(%{{.*}} : tensor<2x2x5xf32>)
// CHECK-NOT:     attn.before
// CHECK:         %[[SECOND:.*]] = attn.stream cols {{.*}} in [%{{.*}}, %{{.*}}, %c4{{.*}}]
// CHECK-SAME:      outs(%{{.*}} : tensor<2x2x4xf32>)
// CHECK-NOT:     attn.before
// CHECK:         tensor.insert_slice %[[FIRST]] into %{{.*}}[0, 0, 0] [2, 2, 5]
// CHECK:         tensor.insert_slice %[[SECOND]] into %{{.*}}[0, 0, 5] [2, 2, 4]
func.func @rows(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x9xf32>, %M: index) -> tensor<2x2x9xf32> {
  %c2 = arith.constant 2 : index
  %c9 = arith.constant 9 : index
  %a = attn.stream cols (%b, %h, %j) in [%c2, %c2, %c9] over %m = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x9xf32>) {
    %z = arith.constant 0 : index
    %n1 = arith.constant 5 : index
    %zero = arith.constant 0.0 : f32
    %l = attn.sweep %i = %z to %m {
      %first = attn.before %j, %n1
      %u = attn.at %X[%b, %h, %i] : tensor<2x2x?xf32> -> f32
      %s = arith.select %first, %u, %zero : f32
      %t = attn.carry sum %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %l : f32
  }
  return %a : tensor<2x2x9xf32>
}

// -----

// An index that nothing decides is compared.

// CHECK-LABEL: func @undecided
// CHECK:         %[[K:.*]] = arith.muli
// CHECK:         arith.cmpi slt, %[[K]], %{{.*}} : index
func.func @undecided(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index, %N1: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>, %n1 = %N1 : index) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %l = attn.sweep %j = %z to %n {
      %k = arith.muli %j, %j : index
      %first = attn.before %k, %n1
      %u = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %t = attn.carry sum %u if %first : (f32, i1) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %l : f32
  }
  return %a : tensor<2x2x?xf32>
}
