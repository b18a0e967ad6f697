// RUN: attn-opt %s -attn-cpu-expand-math=isa=avx512 | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: attn-opt %s -attn-cpu-expand-math=isa=generic | FileCheck %s --check-prefixes=CHECK,GENERIC
// RUN: attn-opt %s -attn-cpu-expand-math='triple=x86_64-linux-gnu cpu=x86-64-v4' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: attn-opt %s -attn-cpu-expand-math='triple=aarch64-linux-gnu cpu=neoverse-n1' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,GENERIC

// Nine instructions on AVX-512; elsewhere a clamp, a rounding by addition, and a
// scale of two factors.

// CHECK-LABEL: @exp2(
// CHECK-SAME:    %[[X:.*]]: vector<16xf32>
// AVX512:        %[[R:.*]] = llvm.call_intrinsic "llvm.x86.avx512.mask.reduce.ps.512"(%[[X]],
// AVX512-NEXT:   %[[N:.*]] = arith.subf %[[X]], %[[R]]
// AVX512-COUNT-6: llvm.intr.fmuladd(%{{.*}}, %[[R]], %{{.*}})
// AVX512:        %[[Y:.*]] = llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"(%{{.*}}, %[[N]],
// GENERIC:       arith.cmpf ogt, %[[X]]
// GENERIC:       %[[C:.*]] = arith.select
// GENERIC:       %[[C:.*]] = arith.select
// GENERIC:       %[[MAGIC:.*]] = arith.constant dense<0x4B400000> : vector<16xf32>
// GENERIC:       %[[SUM:.*]] = arith.addf %[[C]], %[[MAGIC]]
// GENERIC:       %[[N:.*]] = arith.subf %[[SUM]], %[[MAGIC]]
// GENERIC:       %[[R:.*]] = arith.subf %[[C]], %[[N]]
// GENERIC-COUNT-6: llvm.intr.fmuladd(%{{.*}}, %[[R]], %{{.*}})
// GENERIC-COUNT-2: arith.shli
// GENERIC:       %[[Y:.*]] = arith.mulf
// CHECK:         return %[[Y]]
func.func @exp2(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.exp2 %x : vector<16xf32>
  return %y : vector<16xf32>
}

// Narrower registers have intrinsics of their own.

// CHECK-LABEL: @half_register(
// AVX512:        "llvm.x86.avx512.mask.scalef.ps.256"
// GENERIC-NOT:   llvm.call_intrinsic
func.func @half_register(%x: vector<8xf32>) -> vector<8xf32> {
  %y = math.exp %x : vector<8xf32>
  return %y : vector<8xf32>
}

// A row is cut into registers.

// CHECK-LABEL: @row(
// AVX512:        vector.extract_strided_slice %{{.*}} {offsets = [0], sizes = [16]
// AVX512:        "llvm.x86.avx512.mask.scalef.ps.512"
// AVX512:        vector.insert_strided_slice
// AVX512:        vector.extract_strided_slice %{{.*}} {offsets = [16], sizes = [16]
// AVX512:        "llvm.x86.avx512.mask.scalef.ps.512"
// AVX512:        vector.insert_strided_slice
// GENERIC-NOT:   vector.
// CHECK:         return
func.func @row(%x: vector<32xf32>) -> vector<32xf32> {
  %y = math.exp2 %x : vector<32xf32>
  return %y : vector<32xf32>
}

// Vectors that fill no register, and scalars, take the generic way.

// CHECK-LABEL: @odd(
// CHECK-NOT:     math.
// CHECK-NOT:     llvm.call_intrinsic
// CHECK-COUNT-2: return
func.func @odd(%x: vector<24xf32>) -> vector<24xf32> {
  %y = math.exp2 %x : vector<24xf32>
  return %y : vector<24xf32>
}
func.func @scalar(%x: f32) -> f32 {
  %y = math.tanh %x : f32
  return %y : f32
}

// A logarithm takes the exponent off the bits and patches the special values.

// CHECK-LABEL: @log2(
// CHECK-SAME:    %[[X:.*]]: vector<16xf32>
// CHECK:         arith.bitcast
// CHECK:         arith.shrsi
// CHECK:         arith.cmpf oeq, %[[X]],
// CHECK:         arith.cmpf oeq, %[[X]],
// CHECK:         arith.cmpf ogt, %[[X]],
// CHECK-NEXT:    %[[Y:.*]] = arith.select
// CHECK-NEXT:    return %[[Y]]
func.func @log2(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.log2 %x : vector<16xf32>
  return %y : vector<16xf32>
}

// CHECK-LABEL: @log(
// CHECK-NOT:     math.log
// CHECK:         return
func.func @log(%x: vector<4xf32>) -> vector<4xf32> {
  %y = math.log %x : vector<4xf32>
  return %y : vector<4xf32>
}

// CHECK-LABEL: @narrow(
// CHECK:         %[[W:.*]] = arith.extf %{{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK:         llvm.intr.fmuladd
// CHECK:         arith.truncf %{{.*}} : vector<16xf32> to vector<16xbf16>
func.func @narrow(%x: vector<16xbf16>) -> vector<16xbf16> {
  %y = math.exp2 %x : vector<16xbf16>
  return %y : vector<16xbf16>
}

// CHECK-LABEL: @two_dimensions(
// CHECK:         vector.shape_cast %{{.*}} : vector<2x8xf32> to vector<16xf32>
// CHECK:         vector.shape_cast %{{.*}} : vector<16xf32> to vector<2x8xf32>
func.func @two_dimensions(%x: vector<2x8xf32>) -> vector<2x8xf32> {
  %y = math.exp2 %x : vector<2x8xf32>
  return %y : vector<2x8xf32>
}

// A quotient by an estimate of the inverse.

// AVX512-LABEL: @tanh(
// AVX512:         llvm.call_intrinsic "llvm.x86.avx512.rcp14.ps.512"
// AVX512-NOT:     arith.divf
// AVX512:         return
func.func @tanh(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.tanh %x : vector<16xf32>
  return %y : vector<16xf32>
}

// Other types and functions are left to the library.

// CHECK-LABEL: @left(
// CHECK:         math.exp2 %{{.*}} : vector<8xf64>
// CHECK:         math.sin %{{.*}} : vector<16xf32>
func.func @left(%x: vector<8xf64>, %y: vector<16xf32>) -> (vector<8xf64>, vector<16xf32>) {
  %u = math.exp2 %x : vector<8xf64>
  %w = math.sin %y : vector<16xf32>
  return %u, %w : vector<8xf64>, vector<16xf32>
}
