// RUN: attn-opt %s --attn-split-keys="splits=3 most-rows=4" | FileCheck %s

// Only streams that are known to have few rows are split.

// CHECK-LABEL: func @one_row
// CHECK-COUNT-2: attn.stream
func.func @one_row(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x1xf32>, %n: index) -> tensor<2x2x1xf32> {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %c1] over %e = %n ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x1xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %e {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %t = attn.carry sum %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %c : f32
  }
  return %a : tensor<2x2x1xf32>
}

// CHECK-LABEL: func @any_rows
// CHECK-COUNT-1: attn.stream
// CHECK-NOT:     attn.stream
func.func @any_rows(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %m: index, %n: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %m] over %e = %n ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %e {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %t = attn.carry sum %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %c : f32
  }
  return %a : tensor<2x2x?xf32>
}
