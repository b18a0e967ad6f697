// Heads of a group that have one list share a block of rows; those that have
// lists of their own do not. Counts of 0 leave rows without any key.

// RUN: attn-run %s --entry=per_group --check --size B=2,L=200,Q=4
// RUN: attn-run %s --entry=per_group --check --loops=fused --size B=1,L=129,Q=3
// RUN: attn-run %s --entry=per_group --check --size B=1,L=1,Q=1
// RUN: attn-run %s --entry=per_group --check=exact --size B=1,L=129,Q=3
// RUN: attn-run %s --entry=per_head --check --size B=2,L=200,Q=4
// RUN: attn-run %s --entry=per_row --check --size B=1,M=37,N=200
// RUN: attn-run %s --entry=tested --check --size B=1,L=150,Q=12
// RUN: attn-opt %s --attn-cpu-pipeline="triple=x86_64-unknown-linux-gnu cpu=znver4" --mlir-print-ir-after=attn-stream-to-cpu -o /dev/null 2>&1 | FileCheck %s

!q = tensor<?x6x?x24xf32>
!kv = tensor<?x2x?x24xf32>
!scores = !attn.scores<?x6x?x?xf32>

// Causal inside of the blocks, and a bias per head. Three heads by 64 rows.
// CHECK-LABEL: func.func private @per_group_stream0(
// CHECK:         memref.alloc() {{.*}} : memref<192x32xf32>
func.func @per_group(%q: !q {attn.name = "q", attn.dims = ["B", "6", "L", "24"]},
    %k: !kv {attn.name = "k", attn.dims = ["B", "2", "L", "24"]},
    %v: !kv {attn.name = "v", attn.dims = ["B", "2", "L", "24"], attn.init = "nan-row"},
    %slopes: tensor<6xf32> {attn.name = "slopes"},
    %list: tensor<?x2x?x3xi32> {attn.name = "list", attn.dims = ["B", "2", "Q", "3"], attn.init = "range(-1, 5)"},
    %counts: tensor<?x2x?xi32> {attn.name = "counts", attn.dims = ["B", "2", "Q"], attn.init = "range(0, 4)"})
    -> (!q, tensor<?x6x?xf32>) {
  %s = attn.score %q, %k scale(0.2) : !q, !kv -> !scores
  %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %slope = tensor.extract %slopes[%h] : tensor<6xf32>
    %y = arith.addf %x, %slope : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %r = attn.restrict %a, %list counts(%counts : tensor<?x2x?xi32>) block(64, 64) : !scores, tensor<?x2x?x3xi32>
  %m = attn.mask %r causal : !scores
  %sum = attn.reduce lse keys %m : (!scores) -> tensor<?x6x?xf32>
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !kv -> !q
  return %o, %sum : !q, tensor<?x6x?xf32>
}

// CHECK-LABEL: func.func private @per_head_stream0(
// CHECK:         memref.alloc() {{.*}} : memref<66x32xf32>
func.func @per_head(%q: !q {attn.name = "q", attn.dims = ["B", "6", "L", "24"]},
    %k: !kv {attn.name = "k", attn.dims = ["B", "2", "L", "24"]},
    %v: !kv {attn.name = "v", attn.dims = ["B", "2", "L", "24"]},
    %list: tensor<?x6x?x3xi32> {attn.name = "list", attn.dims = ["B", "6", "Q", "3"], attn.init = "range(0, 4)"}) -> !q {
  %s = attn.score %q, %k scale(0.2) : !q, !kv -> !scores
  %r = attn.restrict %s, %list block(64, 64) : !scores, tensor<?x6x?x3xi32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, !kv -> !q
  return %o : !q
}

// A list per row: the microkernel works on the heads.
// CHECK-LABEL: func.func private @per_row_stream0(
// CHECK:         memref.alloc() {{.*}} : memref<3x32xf32>
func.func @per_row(%q: !q {attn.name = "q", attn.dims = ["B", "6", "M", "24"]},
    %k: !kv {attn.name = "k", attn.dims = ["B", "2", "N", "24"]},
    %v: !kv {attn.name = "v", attn.dims = ["B", "2", "N", "24"]},
    %list: tensor<1x1x?x19xi32> {attn.name = "list", attn.dims = ["1", "1", "M", "19"], attn.init = "range(0, N)"}) -> !q {
  %s = attn.score %q, %k scale(0.2) : !q, !kv -> !scores
  %r = attn.restrict %s, %list block(1, 1) : !scores, tensor<1x1x?x19xi32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, !kv -> !q
  return %o : !q
}

// Two lists: one is followed, the other one is asked.
func.func @tested(%q: !q {attn.name = "q", attn.dims = ["B", "6", "L", "24"]},
    %k: !kv {attn.name = "k", attn.dims = ["B", "2", "L", "24"]},
    %v: !kv {attn.name = "v", attn.dims = ["B", "2", "L", "24"]},
    %list: tensor<1x1x?x4xi32> {attn.name = "list", attn.dims = ["1", "1", "Q", "4"], attn.init = "range(0, 12)"},
    %other: tensor<1x1x?x6xi32> {attn.name = "other", attn.dims = ["1", "1", "Q", "6"], attn.init = "range(0, 12)"}) -> !q {
  %s = attn.score %q, %k scale(0.2) : !q, !kv -> !scores
  %r = attn.restrict %s, %list block(13, 13) : !scores, tensor<1x1x?x4xi32>
  %t = attn.restrict %r, %other block(13, 13) : !scores, tensor<1x1x?x6xi32>
  %p = attn.softmax %t : !scores
  %o = attn.aggregate %p, %v : !scores, !kv -> !q
  return %o : !q
}
