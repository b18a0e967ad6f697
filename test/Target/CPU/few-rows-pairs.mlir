// Decoding in bf16: two rows of a group of keys, by dot products of pairs.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4" | FileCheck %s
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=skylake-avx512" | FileCheck %s --check-prefix=F32

// Queries are spread once: pair p of each four, four times.
// CHECK-LABEL: func.func private @decode_stream0(
// CHECK:       vector.shuffle {{.*}} [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12] : vector<16xi32>
// CHECK:       vector.store {{.*}} : memref<2x128xi32>
// CHECK:       vector.shuffle {{.*}} [3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15] : vector<16xi32>

// Scores of eight keys: two blocks of four for each row, whose pairs change
// places within four lanes. A query is loaded once for both.
// CHECK:       %[[SUMS:.*]]:4 = scf.for
// CHECK-COUNT-8: vector.load {{.*}}, vector<32xbf16>
// CHECK:         vector.shuffle {{.*}} : vector<16xi32>, vector<16xi32>
// CHECK:         memref.prefetch
// CHECK:         vector.load {{.*}} : memref<2x128xi32>, vector<16xi32>
// CHECK-COUNT-2: x86vector.avx512.dot
// CHECK-NOT:     vector.fma
// CHECK:       arith.addf {{.*}} : vector<16xf32>
// CHECK:       vector.extract_strided_slice {{.*}} : vector<16xf32> to vector<8xf32>

// Values: two keys at a time, and two weights in 32 bits.
// CHECK:       scf.for {{.*}} step %c2
// CHECK-COUNT-2: vector.load {{.*}}, vector<32xbf16>
// CHECK:         vector.shuffle {{.*}} [0, 32, 1, 33, {{.*}}] : vector<32xbf16>
// CHECK:         vector.shuffle {{.*}} [16, 48, 17, 49, {{.*}}] : vector<32xbf16>
// CHECK:         %[[WEIGHTS:.*]] = memref.load {{.*}} : memref<12x128xi32>
// CHECK:         %[[BOTH:.*]] = vector.broadcast %[[WEIGHTS]] : i32 to vector<16xi32>
// CHECK:         vector.bitcast %[[BOTH]]
// CHECK:         x86vector.avx512.dot

// F32-LABEL: func.func private @decode_stream0(
// F32-NOT:     x86vector.avx512.dot
// F32:         vector.fma
func.func @decode(%q: memref<1x8x1x64xbf16>, %k: memref<1x4x?x64xbf16>, %v: memref<1x4x?x64xbf16>, %o: memref<1x8x1x64xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %c1] over %N = %n
      ins(%Q = %q : memref<1x8x1x64xbf16>, %K = %k : memref<1x4x?x64xbf16>, %V = %v : memref<1x4x?x64xbf16>) outs(%o : memref<1x8x1x64xf32>) {
    %zero = arith.constant 0 : index
    %two = arith.constant 2 : index
    %g = arith.divui %h, %two : index
    %acc = attn.sweep %j = %zero to %N {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : memref<1x8x1x64xbf16>, memref<1x4x?x64xbf16> -> f32
      %row = attn.at %V[%b, %g, %j] : memref<1x4x?x64xbf16> -> vector<64xbf16>
      %y = arith.extf %row : vector<64xbf16> to vector<64xf32>
      %c = attn.carry outer %s, %y operand_type(bf16) : (f32, vector<64xf32>) -> vector<64xf32>
      attn.yield %c : vector<64xf32>
    } : vector<64xf32>
    attn.store_row %acc : vector<64xf32>
  }
  return
}
