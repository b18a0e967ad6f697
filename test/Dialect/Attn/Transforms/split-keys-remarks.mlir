// RUN: attn-opt %s --split-input-file --attn-split-keys=splits=3 --verify-diagnostics | FileCheck %s

// What does not merge stays as it is, and a remark says why.

// CHECK-LABEL: func @two_sweeps
// CHECK-COUNT-1: attn.stream
// CHECK-NOT:     attn.stream
func.func @two_sweeps(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  // expected-remark @below {{keys are not split: it has 2 sweeps}}
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %m = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %t = attn.carry max %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %d = arith.subf %s, %m : f32
      %t = attn.carry sum %d : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %c : f32
  }
  return %a : tensor<2x2x?xf32>
}

// -----

// CHECK-LABEL: func @buffers
func.func @buffers(%x: memref<2x2x?xf32>, %out: memref<2x2x?xf32>, %M: index) {
  %c2 = arith.constant 2 : index
  // expected-remark @below {{keys are not split: it writes to buffers}}
  attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : memref<2x2x?xf32>) outs(%out : memref<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : memref<2x2x?xf32> -> f32
      %t = attn.carry sum %s : (f32) -> f32
      attn.yield %t : f32
    } : f32
    attn.store_row %c : f32
  }
  return
}

// -----

// CHECK-LABEL: func @best
func.func @best(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?x3xi64>, %M: index) -> tensor<2x2x?x3xi64> {
  %c2 = arith.constant 2 : index
  // expected-remark @below {{keys are not split: selections and bins are kept whole}}
  %a = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?x3xi64>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %v, %k, %t = attn.top %s : (f32) -> (vector<3xf32>, vector<3xi64>, i64)
      attn.yield %k : vector<3xi64>
    } : vector<3xi64>
    attn.store_row %c : vector<3xi64>
  }
  return %a : tensor<2x2x?x3xi64>
}
