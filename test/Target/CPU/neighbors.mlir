// Collectives on tiles.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=haswell" --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,AVX2

// Queries and keys of the halo are packed, held to the matrix; the widest tile
// ends where a panel does.
// CHECK-LABEL: func.func private @stencil_stream0(
// AVX512:      %[[TILE:.*]] = memref.alloc() {{.*}} : memref<114x256xf32>
// AVX512:      scf.for %[[J:.*]] = %{{.*}} to %{{.*}} step %c240
// AVX512:        %[[KEY:.*]] = arith.subi %[[J]], %c2
// AVX512:        %[[ROWS:.*]] = arith.addi %{{.*}}, %c2
// AVX512:        scf.for %[[R:.*]] = %c0 to %[[ROWS]] step %c1
// AVX512:          arith.minsi
// AVX512:          arith.maxsi
// The contraction fills the tile, and its absent entries become 0 there.
// CHECK:       %{{[0-9]+}}:{{24|12}} = scf.for
// CHECK:         vector.fma
// CHECK:       arith.select %{{.*}}, %{{.*}}, %{{.*}} : vector<{{16|8}}xi1>, vector<{{16|8}}xf32>
// Eight (four) rows of sums at once: each entry is loaded once for the three rows
// of taps that it meets.
// AVX512:      %[[SUMS:.*]]:8 = scf.for %[[T:.*]] = %c0 to %c5
// AVX512-COUNT-3: vector.broadcast
// AVX512-COUNT-24: vector.fma
// AVX512-NOT:    vector.fma
// AVX512:        scf.yield
// AVX2:        %[[SUMS:.*]]:4 = scf.for %[[T:.*]] = %c0 to %c5
// AVX2-COUNT-12: vector.fma
// AVX2:          scf.yield
// Nothing is computed entry by entry.
// CHECK-NOT:   memref.store {{.*}} : memref<{{[0-9]+}}x{{256|240}}xf32>
// CHECK-LABEL: func.func @stencil(
func.func @stencil(%q: memref<1x2x?x64xf32>, %k: memref<1x2x?x64xf32>, %w: memref<2x3x5xf32>, %out: memref<1x2x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c2, %m] over %e = %n ins(%Q = %q : memref<1x2x?x64xf32>, %K = %k : memref<1x2x?x64xf32>, %W = %w : memref<2x3x5xf32>, %M = %m : index) outs(%out : memref<1x2x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %r = attn.stencil [%i, %j] in [%M, %e] taps %W[%h] origin [2, 2] {
      ^bb0(%i2: index, %j2: index):
        %x = attn.dot %Q[%b, %h, %i2], %K[%b, %h, %j2] : memref<1x2x?x64xf32>, memref<1x2x?x64xf32> -> f32
        %p = arith.cmpi sle, %j2, %i2 : index
        attn.yield %x, %p : f32, i1
      } : memref<2x3x5xf32> -> f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// The mixture of a mixture: both are filled before the loop over heads of the
// sweep, in one set of tiles, and every head is contracted once.
// CHECK-LABEL: func.func private @mix_stream0(
// One set of eight tiles (128 rows and more each) is all there is.
// AVX512:      memref.alloc() {{.*}} : memref<912x128xf32>
// AVX512-NOT:  memref.alloc() {{.*}} : memref<912x128xf32>
// AVX512:      scf.for %{{.*}} = %c0 to %c8 step %c1
// AVX512:        %{{[0-9]+}}:24 = scf.for
// AVX512-NOT:  %{{[0-9]+}}:24 = scf.for
// All heads of an entry are loaded, then all results are stored.
// AVX512-COUNT-8: vector.load %{{.*}} : memref<912x128xf32>, vector<16xf32>
// AVX512:        scf.for %{{.*}} = %c0 to %c8 step %c1
// AVX512:          arith.mulf %{{.*}} : vector<16xf32>
// AVX512-COUNT-7:  vector.fma
// AVX512:          vector.store %{{.*}} : memref<912x128xf32>, vector<16xf32>
// The second: exponentials of the first, in their place; where a row has all
// entries, without a look at which.
// AVX512:      scf.for %{{.*}} = %c0 to %c8 step %c1
// AVX512:        scf.if
// AVX512-NOT:      arith.cmpi
// AVX512-COUNT-4:  math.exp2 {{.*}} : vector<16xf32>
// AVX512:        } else {
// AVX512:          math.exp2 {{.*}} : vector<16xf32>
// AVX512:          arith.cmpi slt, {{.*}} : vector<16xi32>
// AVX512-COUNT-8: vector.load %{{.*}} : memref<912x128xf32>, vector<16xf32>
// CHECK-LABEL: func.func @mix(
func.func @mix(%q: memref<1x8x?x64xf32>, %k: memref<1x8x?x64xf32>, %w: memref<8x8xf32>, %u: memref<8x8xf32>, %out: memref<1x8x?xf32>, %m: index, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %m] over %e = %n ins(%Q = %q : memref<1x8x?x64xf32>, %K = %k : memref<1x8x?x64xf32>, %W = %w : memref<8x8xf32>, %U = %u : memref<8x8xf32>) outs(%out : memref<1x8x?xf32>) {
    %z = arith.constant 0 : index
    %yes = arith.constant true
    %s = attn.sweep %j = %z to %e {
      %r, %any = attn.mix weights %W[%h] {
      ^bb0(%h2: index):
        %x, %any2 = attn.mix weights %U[%h2] {
        ^bb0(%h3: index):
          %d = attn.dot %Q[%b, %h3, %i], %K[%b, %h3, %j] : memref<1x8x?x64xf32>, memref<1x8x?x64xf32> -> f32
          attn.yield %d, %yes : f32, i1
        } : memref<8x8xf32> -> f32
        %y = math.exp2 %x : f32
        attn.yield %y, %yes : f32, i1
      } : memref<8x8xf32> -> f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
