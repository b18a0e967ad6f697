// RUN: attn-opt %s -attn-exact-arithmetic -cse -split-input-file | FileCheck %s --implicit-check-not=attn.opaque

// CHECK: module attributes {attn.exact_bits = 64 : i64}
// CHECK-LABEL: func.func @sums
// CHECK-SAME: (%[[A:.*]]: vector<4xf32>, %[[B:.*]]: vector<4xf32>, %[[C:.*]]: f32)
func.func @sums(%a: vector<4xf32>, %b: vector<4xf32>, %c: f32) -> f32 {
  // CHECK-DAG: %[[I:.*]] = arith.bitcast %[[A]] : vector<4xf32> to vector<4xi32>
  // CHECK-DAG: %[[J:.*]] = arith.bitcast %[[B]] : vector<4xf32> to vector<4xi32>
  // CHECK: %[[P:.*]] = arith.muli %[[I]], %[[J]] : vector<4xi32>
  // CHECK: %[[S:.*]] = arith.addi %[[P]], %[[I]] : vector<4xi32>
  %f = vector.fma %a, %b, %a : vector<4xf32>
  // CHECK: %[[K:.*]] = arith.bitcast %[[C]] : f32 to i32
  // CHECK: %[[R:.*]] = vector.reduction <maxsi>, %[[S]], %[[K]] : vector<4xi32> into i32
  %r = vector.reduction <maxnumf>, %f, %c : vector<4xf32> into f32
  // CHECK: %[[O:.*]] = arith.bitcast %[[R]] : i32 to f32
  // CHECK: return %[[O]]
  return %r : f32
}

// -----

// Integers and infinities stand for themselves, other numbers for odd hashes.

// CHECK-LABEL: func.func @constants
func.func @constants() -> (f32, f32, f32, vector<2xf32>, f32, f32) {
  // CHECK: arith.constant -1 : i32
  %a = arith.constant -1.0 : f32
  // CHECK: arith.constant -2147483648 : i32
  %b = arith.constant 0xFF800000 : f32
  // CHECK: arith.constant {{-?[0-9]*[13579]}} : i32
  %c = attn.opaque 0.125 : f32
  // CHECK: arith.constant dense<[3, 0]> : vector<2xi32>
  %d = arith.constant dense<[3.0, 0.0]> : vector<2xf32>
  // CHECK: arith.constant 1284865837 : i32
  %e = arith.constant 1.44269502 : f32
  // CHECK: arith.constant {{-?[0-9]*[13579]}} : i32
  %f = arith.constant 0.693147182 : f32
  return %a, %b, %c, %d, %e, %f : f32, f32, f32, vector<2xf32>, f32, f32
}

// -----

// Long operations are functions, one per type.

// CHECK-LABEL: func.func @functions
func.func @functions(%x: f32, %v: vector<8xf32>) -> (f32, vector<8xf32>) {
  // CHECK: call @attn_exact_exp2_i32
  %a = math.exp2 %x : f32
  // CHECK: call @attn_exact_exp2_i32
  %b = math.exp2 %a : f32
  // CHECK: call @attn_exact_log2_i32
  %c = math.log2 %b : f32
  // CHECK: call @attn_exact_inverse_i32
  // CHECK: arith.muli
  %d = arith.divf %x, %c : f32
  // CHECK: call @attn_exact_sqrt_i32
  %e = math.sqrt %d : f32
  // CHECK: call @attn_exact_pow_i32
  %f = math.powf %e, %x : f32
  // CHECK: call @attn_exact_abs_i32
  %g = math.absf %f : f32
  // CHECK: call @attn_exact_exp2_8xi32
  %h = math.exp2 %v : vector<8xf32>
  // CHECK: call @attn_exact_hash_8xi32
  %i = math.tanh %h : vector<8xf32>
  return %g, %i : f32, vector<8xf32>
}

// CHECK-DAG: func.func private @attn_exact_exp2_i32(%{{.*}}: i32) -> i32
// CHECK-DAG: func.func private @attn_exact_exp2_8xi32(%{{.*}}: vector<8xi32>) -> vector<8xi32>

// -----

// Types of other widths: truncation, sign extension; results have as many bits
// as the narrowest type that values were rounded to.

// CHECK: module attributes {attn.exact_bits = 16 : i64}
// CHECK-LABEL: func.func @conversions
func.func @conversions(%x: bf16, %n: i64, %i: i8) -> (bf16, f32, f32, i8) {
  // CHECK: arith.extsi %{{.*}} : i16 to i32
  %w = arith.extf %x : bf16 to f32
  // CHECK: arith.trunci %{{.*}} : i64 to i32
  %f = arith.sitofp %n : i64 to f32
  // CHECK: arith.extui %{{.*}} : i8 to i32
  %u = arith.uitofp %i : i8 to f32
  // CHECK: arith.trunci %{{.*}} : i32 to i16
  %t = arith.truncf %w : f32 to bf16
  // CHECK: arith.trunci %{{.*}} : i32 to i8
  %k = arith.fptosi %f : f32 to i8
  return %t, %f, %u, %k : bf16, f32, f32, i8
}

// -----

// Pairs of bf16: the lanes of an i32 from below and from above.

// CHECK-LABEL: func.func @pairs
func.func @pairs(%c: vector<4xf32>, %a: vector<8xbf16>, %b: vector<8xbf16>) -> vector<4xf32> {
  // CHECK: arith.shli %{{.*}}, %{{.*}} : vector<4xi32>
  // CHECK: arith.shrsi
  // CHECK: arith.shrsi
  // CHECK: arith.muli
  // CHECK: arith.addi
  // CHECK: arith.muli
  // CHECK: arith.addi
  %r = x86vector.avx512.dot %c, %a, %b : vector<8xbf16> -> vector<4xf32>
  return %r : vector<4xf32>
}

// -----

// Comparisons are of signed integers; with 0, of a sign that powers of 5 keep.

// CHECK-LABEL: func.func @comparisons
func.func @comparisons(%x: f32, %y: f32) -> (i1, i1, i1) {
  // CHECK: arith.cmpi slt, %{{.*}}, %{{.*}} : i32
  %a = arith.cmpf olt, %x, %y : f32
  // CHECK: math.cttz
  %zero = arith.constant 0.0 : f32
  %b = arith.cmpf olt, %x, %zero : f32
  // CHECK: arith.cmpi ne, %[[X:.*]], %[[X]] : i32
  %c = arith.cmpf uno, %x, %y : f32
  return %a, %b, %c : i1, i1, i1
}

// -----

// Tables in memory.

// CHECK: memref.global "private" constant @table : memref<2xf32> = dense<[1.401300e-45, 0.000000e+00]>
memref.global "private" constant @table : memref<2xf32> = dense<[1.0, 0.0]>
