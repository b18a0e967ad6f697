// A fused causal stream as a kernel over tiles, f32 and bf16.
// RUN: attn-opt %s --attn-stream-to-tiles --canonicalize --cse | FileCheck %s

// CHECK-LABEL: func.func @sums(
// CHECK: gpu.launch_func @attn_kernels::@sums_stream0 blocks in (%{{.*}}, %c1, %c1) threads in (%c128, %c1, %c1)
func.func @sums(%q: memref<1x2x?x64xf32>, %k: memref<1x2x?x64xf32>, %v: memref<1x2x?x64xf32>,
    %o: memref<1x2x?x64xf32>, %m: index, %n: index) {
  %b1 = arith.constant 1 : index
  %b2 = arith.constant 2 : index
  attn.stream rows (%b, %h, %i) in [%b1, %b2, %m] over %e = %n
      ins(%Q = %q : memref<1x2x?x64xf32>, %K = %k : memref<1x2x?x64xf32>, %V = %v : memref<1x2x?x64xf32>)
      outs(%o : memref<1x2x?x64xf32>) {
    %z = arith.constant 0 : index
    %r = attn.sweep %j = %z to %e {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : memref<1x2x?x64xf32>, memref<1x2x?x64xf32> -> f32
      %seen = arith.cmpi sle, %j, %i : index
      %row = attn.at %V[%b, %h, %j] : memref<1x2x?x64xf32> -> vector<64xf32>
      %a = attn.carry outer %s, %row if %seen : (f32, vector<64xf32>, i1) -> vector<64xf32>
      attn.yield %a : vector<64xf32>
    } tiles (%i0, %i1, %j0, %j1) {
      %some = arith.cmpi sle, %j0, %i1 : index
      %all = arith.cmpi sle, %j1, %i0 : index
      attn.yield %some, %all : i1, i1
    } : vector<64xf32>
    attn.store_row %r : vector<64xf32>
  }
  return
}

// Without narrow operands each thread multiplies and adds; weights go through
// shared memory.
// CHECK-LABEL: gpu.func @sums_stream0(
// CHECK:       %[[Q:.*]] = tile.shared : memref<64x68xf32
// CHECK:       tile.copy %{{.*}} rows(%{{.*}} to %{{.*}}) columns(64 of 64)
// CHECK:       %[[O:.*]] = tile.visit from %{{.*}} to %{{.*}} step 64 rings(%{{.*}}, %{{.*}} : {{.*}}) init(%{{.*}} : {{.*}}) needed
// CHECK:         arith.cmpi sle
// CHECK:       } bring {
// CHECK-COUNT-2: tile.copy
// CHECK:       } body {
// A full tile has no conditions,
// CHECK:           scf.if
// CHECK:             tile.contract {{.*}} depth(64) transposed
// CHECK-NOT:         arith.cmpi sle, {{.*}} : tensor
// CHECK:             tile.contract {{.*}} depth(64) :
// a partial one has, and looks whether weights of 0 may meet infinities.
// CHECK:           else
// CHECK:             arith.cmpi sle, {{.*}} : tensor<64x64xindex, #tile.layout<grid, warps = [4, 1]>>
// CHECK:             %[[FINITE:.*]] = tile.finite
// CHECK-NOT:         scf.if
// CHECK:             tile.contract {{.*}} if %{{.*}} : memref<64x80xi8, {{.*}}> unless %[[FINITE]] depth(64) :
// CHECK:       tile.store %[[O]]

// bf16 runs on tensor cores: weights in three parts, as nothing rounds them.
// CHECK-LABEL: gpu.func @narrow_stream0(
// CHECK:       tile.fetch {{.*}} -> tensor<64x64xbf16, #tile.layout<mma_a, warps = [4, 1]>>
// CHECK:       tile.contract {{.*}} transposed : tensor<64x64xbf16, #tile.layout<mma_a, {{.*}} -> tensor<64x64xf32, #tile.layout<mma_acc, warps = [4, 1]>>
// CHECK:       arith.truncf
// CHECK:       tile.convert
// CHECK:       tile.contract
// CHECK:       arith.subf
// CHECK:       tile.convert
// CHECK:       tile.contract
// CHECK:       arith.subf
// CHECK:       tile.convert
// CHECK:       tile.contract
func.func @narrow(%q: memref<1x2x?x64xbf16>, %k: memref<1x2x?x64xbf16>, %v: memref<1x2x?x64xbf16>,
    %o: memref<1x2x?x64xf32>, %m: index, %n: index) {
  %b1 = arith.constant 1 : index
  %b2 = arith.constant 2 : index
  attn.stream rows (%b, %h, %i) in [%b1, %b2, %m] over %e = %n
      ins(%Q = %q : memref<1x2x?x64xbf16>, %K = %k : memref<1x2x?x64xbf16>, %V = %v : memref<1x2x?x64xbf16>)
      outs(%o : memref<1x2x?x64xf32>) {
    %z = arith.constant 0 : index
    %r = attn.sweep %j = %z to %e {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %h, %j] : memref<1x2x?x64xbf16>, memref<1x2x?x64xbf16> -> f32
      %row = attn.at %V[%b, %h, %j] : memref<1x2x?x64xbf16> -> vector<64xbf16>
      %a = attn.carry outer %s, %row : (f32, vector<64xbf16>) -> vector<64xf32>
      attn.yield %a : vector<64xf32>
    } : vector<64xf32>
    attn.store_row %r : vector<64xf32>
  }
  return
}
