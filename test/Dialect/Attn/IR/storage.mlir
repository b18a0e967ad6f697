// RUN: attn-opt %s | attn-opt | FileCheck %s
// RUN: attn-opt %s --mlir-print-op-generic | attn-opt | FileCheck %s

// CHECK-LABEL: func @view
func.func @view(%x: tensor<2x2x?x64xf16>, %n: index) -> (tensor<2x2x?x64xf32>, tensor<5xf32>) {
  // CHECK: attn.view (%[[B:.*]], %[[G:.*]], %[[J:.*]]) sizes(%{{.*}}) {
  // CHECK:   attn.at %{{.*}}[%[[B]], %[[G]], %[[J]]] : tensor<2x2x?x64xf16> -> vector<64xf16>
  // CHECK:   attn.yield %{{.*}} : vector<64xf32>
  // CHECK: } : tensor<2x2x?x64xf32>
  %rows = attn.view (%b, %g, %j) sizes(%n) {
    %row = attn.at %x[%b, %g, %j] : tensor<2x2x?x64xf16> -> vector<64xf16>
    %wide = arith.extf %row : vector<64xf16> to vector<64xf32>
    attn.yield %wide : vector<64xf32>
  } : tensor<2x2x?x64xf32>
  // CHECK: attn.view (%{{.*}}) {
  %elements = attn.view (%i) {
    %t = arith.index_cast %i : index to i32
    %f = arith.sitofp %t : i32 to f32
    attn.yield %f : f32
  } : tensor<5xf32>
  return %rows, %elements : tensor<2x2x?x64xf32>, tensor<5xf32>
}

// CHECK-LABEL: func @paged
func.func @paged(%pool: tensor<?x2x16x64xi8>, %other: tensor<9x16x2x64xf32>,
                 %table: tensor<3x4xi32>, %n: index) {
  // CHECK: attn.paged %{{.*}}, %{{.*}} extent(%{{.*}}) : tensor<?x2x16x64xi8>, tensor<3x4xi32> -> tensor<3x2x?x64xi8>
  %a = attn.paged %pool, %table extent(%n) : tensor<?x2x16x64xi8>, tensor<3x4xi32> -> tensor<3x2x?x64xi8>
  // CHECK: attn.paged %{{.*}}, %{{.*}} layout slots_first : {{.*}} -> tensor<3x2x64x64xf32>
  %b = attn.paged %other, %table layout slots_first : tensor<9x16x2x64xf32>, tensor<3x4xi32> -> tensor<3x2x64x64xf32>
  return
}

// CHECK-LABEL: func @schemes
func.func @schemes(%x: tensor<1x2x?x64xf32>) {
  // CHECK: attn.quantize %{{.*}} scheme(<type = i8, axis = token>)
  %q, %s = attn.quantize %x scheme(<type = i8, axis = token>)
    : tensor<1x2x?x64xf32> -> tensor<1x2x?x64xi8>, tensor<1x2x?x1xf32>
  // CHECK: attn.dequantize %{{.*}}, %{{.*}} scheme(<type = i8, axis = token>)
  %y = attn.dequantize %q, %s scheme(<type = i8, axis = token>)
    : tensor<1x2x?x64xi8>, tensor<1x2x?x1xf32> -> tensor<1x2x?x64xf32>
  // CHECK: attn.quantize %{{.*}} scheme(<type = i2, axis = channel, group = 32, zero = offset, rounding = half_away, clamp = 0>)
  %c, %t, %z = attn.quantize %x scheme(<type = i2, axis = channel, group = 32, zero = offset, rounding = half_away, clamp = 0>)
    : tensor<1x2x?x64xf32> -> tensor<1x2x?x16xi8>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>
  // CHECK: attn.dequantize %{{.*}}, %{{.*}}, %{{.*}} scheme(
  %w = attn.dequantize %c, %t, %z scheme(<type = i2, axis = channel, group = 32, zero = offset>)
    : tensor<1x2x?x16xi8>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x2x?x64xf32>
  // CHECK: scheme(<type = f8E4M3FN, axis = tensor>)
  %f, %u = attn.quantize %x scheme(<type = f8E4M3FN, axis = tensor>)
    : tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf8E4M3FN>, tensor<1x1x1x1xf32>
  return
}

// CHECK-LABEL: func @rotations
func.func @rotations(%x: tensor<2x8x?x80xf32>, %y: tensor<2x8x?x64xf32>, %p: tensor<1x?xi32>, %c: tensor<2x?x16xf32>) {
  // CHECK: attn.rope %{{.*}} positions(%{{.*}} : tensor<1x?xi32>) half base(5.000000e+05) : tensor<2x8x?x80xf32>
  %a = attn.rope %x positions(%p : tensor<1x?xi32>) half base(500000.0) : tensor<2x8x?x80xf32>
  // CHECK: attn.rope %{{.*}} cos(%{{.*}} : tensor<2x?x16xf32>) sin(%{{.*}} : tensor<2x?x16xf32>) interleaved rotary_dim(32)
  %b = attn.rope %x cos(%c : tensor<2x?x16xf32>) sin(%c : tensor<2x?x16xf32>) interleaved rotary_dim(32) : tensor<2x8x?x80xf32>
  // CHECK: attn.hadamard %{{.*}} : tensor<2x8x?x64xf32>
  %h = attn.hadamard %y : tensor<2x8x?x64xf32>
  return
}

// CHECK-LABEL: func @append
func.func @append(%cache: tensor<2x2x?x64xf32>, %pool: tensor<?x16x2x64xf32>, %new: tensor<2x2x1x64xf32>,
                  %at: index, %lengths: tensor<2xi32>, %table: tensor<2x?xi32>) {
  // CHECK: attn.append %{{.*}}, %{{.*}} at(%{{.*}} : index) : tensor<2x2x?x64xf32>, tensor<2x2x1x64xf32>
  %a = attn.append %cache, %new at(%at : index) : tensor<2x2x?x64xf32>, tensor<2x2x1x64xf32>
  // CHECK: attn.append %{{.*}}, %{{.*}} at(%{{.*}} : tensor<2xi32>) table(%{{.*}} : tensor<2x?xi32>) layout slots_first
  %b = attn.append %pool, %new at(%lengths : tensor<2xi32>) table(%table : tensor<2x?xi32>) layout slots_first
    : tensor<?x16x2x64xf32>, tensor<2x2x1x64xf32>
  return
}

// CHECK-LABEL: func @inner
func.func @inner(%x: vector<64xbf16>, %y: vector<64xf32>) -> f32 {
  // CHECK: attn.inner %{{.*}}, %{{.*}} : vector<64xbf16>, vector<64xf32> -> f32
  %s = attn.inner %x, %y : vector<64xbf16>, vector<64xf32> -> f32
  return %s : f32
}

// CHECK-LABEL: func @expand
func.func @expand(%x: vector<16xf32>, %w: tensor<8x16x64xbf16>, %h: index) -> vector<64xf32> {
  // CHECK: attn.expand %{{.*}}, %{{.*}}[%{{.*}}] : vector<16xf32>, tensor<8x16x64xbf16> -> vector<64xf32>
  %y = attn.expand %x, %w[%h] : vector<16xf32>, tensor<8x16x64xbf16> -> vector<64xf32>
  return %y : vector<64xf32>
}
