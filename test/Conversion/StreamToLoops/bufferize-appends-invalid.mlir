// A copy of a cache is an error.
// RUN: attn-opt %s --attn-bufferize-streams --split-input-file --verify-diagnostics

func.func @undeclared(%c: tensor<1x2x9x4xf32>, %x: tensor<1x2x1x4xf32>, %at: index) -> tensor<1x2x9x4xf32> {
  // expected-error @+1 {{'attn.append' writes argument 0 in place; declare it with bufferization.writable = true}}
  %r = attn.append %c, %x at(%at : index) : tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>
  return %r : tensor<1x2x9x4xf32>
}

// -----

func.func @temporary(%x: tensor<1x2x1x4xf32>, %at: index) -> tensor<1x2x9x4xf32> {
  // expected-note @+1 {{the cache must be an argument of the function, or the result of another append of the same block}}
  %c = tensor.empty() : tensor<1x2x9x4xf32>
  // expected-error @+1 {{'attn.append' writes its cache in place, and here it would be a copy}}
  %r = attn.append %c, %x at(%at : index) : tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>
  return %r : tensor<1x2x9x4xf32>
}

// -----

func.func @read_later(%c: tensor<1x2x9x4xf32> {bufferization.writable = true}, %x: tensor<1x2x1x4xf32>, %at: index) -> (tensor<1x2x9x4xf32>, f32) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{'attn.append' writes its cache in place, but the cache as it was before is read later; read the result of the append instead}}
  %r = attn.append %c, %x at(%at : index) : tensor<1x2x9x4xf32>, tensor<1x2x1x4xf32>
  // expected-note @+1 {{read here}}
  %e = tensor.extract %c[%c0, %c0, %c0, %c0] : tensor<1x2x9x4xf32>
  return %r, %e : tensor<1x2x9x4xf32>, f32
}
