// Masks that read captured tables: tiles are skipped or taken whole by what the
// tables hold, in loops and in kernels.

// RUN: attn-opt %s --attn-plan --attn-print-plan -o /dev/null | FileCheck %s
// RUN: attn-run %s --entry=blocks --check --loops=fused --size B=2
// RUN: attn-run %s --entry=blocks --check --size B=2
// RUN: attn-run %s --entry=bits --check --loops=fused --size B=1,L=150,NB=5
// RUN: attn-run %s --entry=bits --check --size B=1,L=150,NB=5
// RUN: attn-run %s --entry=kept_keys --check --loops=fused --size B=2,M=33,N=150
// RUN: attn-run %s --entry=kept_keys --check --size B=2,M=33,N=150

!scores = !attn.scores<?x2x?x?xf32>
!qkv = tensor<?x2x?x16xf32>
!fixed = tensor<?x2x192x16xf32>

// A layout of 3 x 3 blocks of 64 x 64 entries per head.

// CHECK-LABEL: plan of @blocks
// CHECK:         if layout[h, i div 64, j div 64] != 0
// CHECK:         tiles: empty ones are skipped, full ones unmasked
func.func @blocks(%q: !fixed {attn.name = "q", attn.dims = ["B", "2", "192", "16"]},
    %k: !fixed {attn.name = "k", attn.dims = ["B", "2", "192", "16"]},
    %v: !fixed {attn.name = "v", attn.dims = ["B", "2", "192", "16"]},
    %layout: tensor<2x3x3xi32> {attn.name = "layout", attn.dims = ["2", "3", "3"], attn.init = "range 0 2"}) -> !fixed {
  %s = attn.score %q, %k scale(0.25) : !fixed, !fixed -> !attn.scores<?x2x192x192xf32>
  %m = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %c64 = arith.constant 64 : index
    %zero = arith.constant 0 : i32
    %bi = arith.divui %i, %c64 : index
    %bj = arith.divui %j, %c64 : index
    %t = tensor.extract %layout[%h, %bi, %bj] : tensor<2x3x3xi32>
    %p = arith.cmpi ne, %t, %zero : i32
    attn.yield %p : i1
  } : !attn.scores<?x2x192x192xf32>
  %p = attn.softmax %m : !attn.scores<?x2x192x192xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x2x192x192xf32>, !fixed -> !fixed
  return %o : !fixed
}

// The same with a table whose size is known when the program runs.

// CHECK-LABEL: plan of @bits
// CHECK:         tiles: empty ones are skipped, full ones unmasked
func.func @bits(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "L", "16"]},
    %layout: tensor<?x?xi32> {attn.name = "layout", attn.dims = ["NB", "NB"], attn.init = "range 0 2"}) -> !qkv {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %m = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %c32 = arith.constant 32 : index
    %one = arith.constant 1 : i32
    %bi = arith.divui %i, %c32 : index
    %bj = arith.divui %j, %c32 : index
    %t = tensor.extract %layout[%bi, %bj] : tensor<?x?xi32>
    %p = arith.cmpi eq, %t, %one : i32
    %past = arith.cmpi ule, %j, %i : index
    %both = arith.andi %p, %past : i1
    attn.yield %both : i1
  } : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Padding: a flag per key.

// CHECK-LABEL: plan of @kept_keys
// CHECK:         if keep[b, j] > 0
// CHECK:         tiles: empty ones are skipped, full ones unmasked
func.func @kept_keys(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "N", "16"]},
    %keep: tensor<?x?xi32> {attn.name = "keep", attn.dims = ["B", "N"], attn.init = "range 0 2"}) -> !qkv {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %m = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %zero = arith.constant 0 : i32
    %t = tensor.extract %keep[%b, %j] : tensor<?x?xi32>
    %p = arith.cmpi sgt, %t, %zero : i32
    attn.yield %p : i1
  } : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}
