// A fused causal stream as a kernel for three register files.
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=znver4 one-row-forms=false" | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=haswell one-row-forms=false" | FileCheck %s --check-prefixes=CHECK,AVX2
// RUN: attn-opt %s --attn-stream-to-cpu="triple=aarch64-unknown-linux-gnu one-row-forms=false" | FileCheck %s --check-prefixes=CHECK,NEON

// The kernel takes its operands in a struct and loops over row blocks.
// CHECK-LABEL: func.func private @attention_stream0(
// CHECK-SAME:    %[[ARGS:.*]]: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64)
// CHECK:       llvm.getelementptr %[[ARGS]]

// Keys are transposed in registers.
// AVX512:      vector.shuffle {{.*}} : vector<16xf32>, vector<16xf32>
// AVX2:        vector.shuffle {{.*}} : vector<8xf32>, vector<8xf32>
// NEON:        vector.shuffle {{.*}} : vector<4xf32>, vector<4xf32>

// Q K^T: all accumulators are carried by the loop over features, and no vector
// is wider than a register.
// CHECK:       arith.constant 64 : index
// AVX512:      %{{.*}}:24 = scf.for
// AVX512:        vector.load {{.*}}, vector<16xf32>
// AVX2:        %{{.*}}:12 = scf.for
// AVX2:          vector.load {{.*}}, vector<8xf32>
// NEON:        %{{.*}}:24 = scf.for
// NEON:          vector.load {{.*}}, vector<4xf32>
// CHECK:         vector.fma

// The first stage of a full tile has no conditions; carries move only where a
// maximum grew.
// CHECK:       arith.cmpf ogt, {{.*}} : vector<
// CHECK-NOT:   arith.cmpi slt, {{.*}} : vector<
// CHECK:       vector.reduction <maxnumf>
// CHECK:       %[[GREW:.*]] = arith.cmpf une
// CHECK:       scf.if %[[GREW]]
// CHECK:         math.exp2 {{.*}} : f32

// The second stage.
// CHECK:       math.exp2 {{.*}} : vector<
// CHECK:       vector.reduction <add>

// Partial tiles compare lane numbers with the row, in 32 bits.
// AVX512:      arith.cmpi sle, {{.*}} : vector<16xi32>
// AVX2:        arith.cmpi sle, {{.*}} : vector<8xi32>
// NEON:        arith.cmpi sle, {{.*}} : vector<4xi32>
// but for whole panels in which they find every entry present.
// CHECK:       scf.for
// CHECK-NOT:   arith.cmpi {{.*}} : vector<
// CHECK:       arith.constant dense<true> : vector<

// The call: operands with a run-time last stride are copied if it is not 1.
// CHECK-LABEL: func.func @attention(
// CHECK:       %[[STRUCT:.*]] = llvm.alloca
// CHECK:       memref.extract_strided_metadata
// CHECK:       scf.if
// CHECK:         memref.reinterpret_cast
// CHECK:       else
// CHECK:         memref.alloc
// CHECK:       %[[KERNEL:.*]] = constant @attention_stream0
// CHECK:       %[[POINTER:.*]] = builtin.unrealized_conversion_cast %[[KERNEL]]
// CHECK:       call @attn_parallel_for(%[[POINTER]], %[[STRUCT]]
// CHECK:       memref.dealloc
func.func @attention(%q: memref<?x8x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>, %k: memref<?x2x?x64xf32>, %v: memref<?x2x?x64xf32>, %out: memref<?x8x?x64xf32>) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %B = memref.dim %k, %c0 : memref<?x2x?x64xf32>
  %M = memref.dim %out, %c2 : memref<?x8x?x64xf32>
  %N = memref.dim %k, %c2 : memref<?x2x?x64xf32>
  attn.stream rows (%b, %h, %i) in [%B, %c8, %M] over %n = %N ins(%Q = %q : memref<?x8x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>, %K = %k : memref<?x2x?x64xf32>, %V = %v : memref<?x2x?x64xf32>) outs(%out : memref<?x8x?x64xf32>) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %minus = arith.constant -1.0 : f32
    %g = arith.divui %h, %c4 : index
    %m, %l, %acc = attn.sweep %j = %zero to %n {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : memref<?x8x?x64xf32, strided<[?, ?, ?, ?], offset: ?>>, memref<?x2x?x64xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      %max = attn.running max %s if %p : (f32, i1) -> f32
      %shift = attn.guard %max : f32
      %d = arith.subf %s, %shift : f32
      %e = math.exp2 %d : f32
      %row = attn.at %V[%b, %g, %j] : memref<?x2x?x64xf32> -> vector<64xf32>
      %sum = attn.carry sum %e if %p act(%max by %minus) : (f32, i1, f32, f32) -> f32
      %outer = attn.carry outer %e, %row if %p act(%max by %minus) : (f32, vector<64xf32>, i1, f32, f32) -> vector<64xf32>
      attn.yield %max, %sum, %outer : f32, f32, vector<64xf32>
    } tiles (%i0, %i1, %j0, %j1) {
      %may = arith.cmpi sle, %j0, %i1 : index
      %all = arith.cmpi sle, %j1, %i0 : index
      attn.yield %may, %all : i1, i1
    } bounds (%i0, %i1) {
      %end = arith.addi %i1, %one : index
      attn.yield %zero, %end : index, index
    } : f32, f32, vector<64xf32>
    %lv = vector.broadcast %l : f32 to vector<64xf32>
    %o = arith.divf %acc, %lv : vector<64xf32>
    attn.store_row %o : vector<64xf32>
  }
  return
}
