// RUN: attn-opt %s -attn-bufferize-streams -split-input-file -verify-diagnostics
// RUN: not attn-opt %s -attn-stream-to-loops -split-input-file 2>&1 \
// RUN:   | FileCheck %s

// CHECK: 'attn.stream' op works on tensors; attn-bufferize-streams gives it memrefs
func.func @whole_tensor(%x: tensor<1x1x4xf32>) -> tensor<1x1x4xf32> {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %init = tensor.empty() : tensor<1x1x4xf32>
  %y = attn.stream rows (%b, %h, %i) in [%c1, %c1, %c4] over %n = %c4
      ins(%X = %x : tensor<1x1x4xf32>) outs(%init : tensor<1x1x4xf32>) {
    // expected-error @below {{reads a whole tensor inside of a stream; streams read elements and rows (attn.at)}}
    %r = tensor.extract_slice %X[0, 0, 0] [1, 1, 1] [1, 1, 1] : tensor<1x1x4xf32> to tensor<f32>
    %e = tensor.extract %r[] : tensor<f32>
    attn.store_row %e : f32
  }
  return %y : tensor<1x1x4xf32>
}
