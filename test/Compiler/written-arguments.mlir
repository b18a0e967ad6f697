// Arguments that appends have written are no results: the caller has them.
// RUN: attn-opt %s --pass-pipeline='builtin.module(func.func(attn-bufferize-streams,attn-prepare-entries))' --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK-SAME: (%[[C:.*]]: tensor<1x2x9x4xf32> {bufferization.writable = true}, %[[X:.*]]: tensor<1x2x1x4xf32> {bufferization.writable = false}, %{{.*}}: index)
// CHECK-SAME: -> tensor<1x2x1x4xf32>
// CHECK:      %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[X]])
// CHECK:      return %[[COPY]] : tensor<1x2x1x4xf32>
func.func @step(%c: tensor<1x2x9x4xf32> {bufferization.writable = true}, %x: tensor<1x2x1x4xf32>, %at: index)
    -> (tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>) {
  %r = attn.append %c, %x at(%at : index) : tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>
  return %r, %x : tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>
}

// -----

// expected-error @+1 {{a function that returns a cache it has written cannot be called by another one}}
func.func @called(%c: tensor<1x2x9x4xf32> {bufferization.writable = true}, %x: tensor<1x2x1x4xf32>, %at: index)
    -> tensor<1x2x9x4xf32> {
  %r = attn.append %c, %x at(%at : index) : tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>
  return %r : tensor<1x2x9x4xf32>
}
func.func private @caller(%c: tensor<1x2x9x4xf32>, %x: tensor<1x2x1x4xf32>, %at: index) -> tensor<1x2x9x4xf32> {
  %r = call @called(%c, %x, %at) : (tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>, index) -> tensor<1x2x9x4xf32>
  return %r : tensor<1x2x9x4xf32>
}
