// Restricted scores: sweeps that follow a list visit its keys only, whatever
// the list holds: ids twice, in any order, out of range, runs that overlap,
// counts of 0 and above the list's extent.

// RUN: attn-opt %s --attn-plan --attn-print-plan -o /dev/null | FileCheck %s
// RUN: attn-run %s --entry=blocks --check --loops --size B=2,L=200,Q=4
// RUN: attn-run %s --entry=blocks --check --loops=fused --size B=2,L=200,Q=4
// RUN: attn-run %s --entry=blocks --check --size B=2,L=200,Q=4
// RUN: attn-run %s --entry=blocks --check --size B=1,L=64,Q=1
// RUN: attn-run %s --entry=blocks --check --splits=3 --size B=1,L=200,Q=4
// RUN: attn-run %s --entry=odd_blocks --check --splits=3 --size B=1,M=40,N=333,Q=2
// RUN: attn-run %s --entry=long_blocks --check --size B=1,M=300,N=777,Q=2
// RUN: attn-run %s --entry=small_blocks --check --size B=1,M=300,N=333,Q=10
// RUN: attn-run %s --entry=odd_blocks --check --size B=2,M=100,N=333,Q=3
// RUN: attn-run %s --entry=tokens --check --loops=fused --size B=2,M=70,N=99
// RUN: attn-run %s --entry=tokens --check --size B=2,M=70,N=99
// RUN: attn-run %s --entry=tokens_per_row --check --size B=1,M=17,N=400
// RUN: attn-run %s --entry=runs --check --loops=fused --size B=1,M=130,N=200,Q=5
// RUN: attn-run %s --entry=runs --check --size B=1,M=130,N=200,Q=5
// RUN: attn-run %s --entry=two_lists --check --loops=fused --size B=1,L=200,Q=7
// RUN: attn-run %s --entry=two_lists --check --size B=1,L=200,Q=7
// RUN: attn-run %s --entry=statistics --check --loops=fused --size B=1,M=100,N=90,Q=4
// RUN: attn-run %s --entry=statistics --check --size B=1,M=100,N=90,Q=4
// RUN: attn-run %s --entry=columns --check --loops=fused --size B=1,M=100,N=90,Q=4
// RUN: attn-run %s --entry=columns --check --size B=1,M=100,N=90,Q=4
// RUN: attn-run %s --entry=columns_of_runs --check --loops=fused --size B=1,M=100,N=90,Q=4
// RUN: attn-run %s --entry=columns_of_runs --check --size B=1,M=100,N=90,Q=4

!scores = !attn.scores<?x4x?x?xf32>
!qkv = tensor<?x4x?x32xf32>

// One list per head, causal inside of the listed blocks.

// CHECK-LABEL: plan of @blocks
// CHECK:         visits listed keys only: list, 64 keys per element, one list per 64 rows
// CHECK:         tiles: empty ones are skipped, full ones unmasked; the range is bounded
func.func @blocks(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "L", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "L", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "L", "32"]},
    %list: tensor<?x4x?x5xi32> {attn.name = "list", attn.dims = ["B", "4", "Q", "5"], attn.init = "range(-1, 6)"},
    %counts: tensor<?x4x?xi32> {attn.name = "counts", attn.dims = ["B", "4", "Q"], attn.init = "range(-1, 7)"}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list counts(%counts : tensor<?x4x?xi32>) block(64, 64) : !scores, tensor<?x4x?x5xi32>
  %m = attn.mask %r causal : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Blocks of more than a tile of keys and of rows; one list for all.

// CHECK-LABEL: plan of @long_blocks
// CHECK:         visits listed keys only: list, 200 keys per element, one list per 250 rows
func.func @long_blocks(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "N", "32"]},
    %list: tensor<1x1x?x2xi64> {attn.name = "list", attn.dims = ["1", "1", "Q", "2"], attn.init = "range(0, 4)"}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(250, 200) : !scores, tensor<1x1x?x2xi64>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Several blocks fill a tile; a list per group of two heads; sigmoid weights.

// CHECK-LABEL: plan of @small_blocks
// CHECK:         visits listed keys only: list, 16 keys per element, one list per 32 rows
func.func @small_blocks(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "N", "32"]},
    %bias: tensor<4x?xf32> {attn.name = "bias", attn.dims = ["4", "N"]},
    %list: tensor<?x2x?x9xi32> {attn.name = "list", attn.dims = ["B", "2", "Q", "9"], attn.init = "range(0, 22)"}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(32, 16) : !scores, tensor<?x2x?x9xi32>
  %w = attn.map %r (%x: f32) at (%b, %h, %i, %j) {
    %one = arith.constant 1.0 : f32
    %a = tensor.extract %bias[%h, %j] : tensor<4x?xf32>
    %y = arith.addf %x, %a : f32
    %n = arith.negf %y : f32
    %e = math.exp %n : f32
    %d = arith.addf %one, %e : f32
    %z = arith.divf %one, %d : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %w, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Blocks that no vector divides.

func.func @odd_blocks(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "N", "32"]},
    %list: tensor<?x4x?x7xi32> {attn.name = "list", attn.dims = ["B", "4", "Q", "7"], attn.init = "range(0, 17)"}) -> !qkv {
  %c = arith.constant 200 : index
  %s = attn.score %q, %k scale(0.2) query_offset(%c : index) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(37, 20) : !scores, tensor<?x4x?x7xi32>
  %m = attn.mask %r causal : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Single keys, with a bias by distance, shared by 16 rows.

// CHECK-LABEL: plan of @tokens
// CHECK:         visits listed keys only: list, 1 key per element, one list per 16 rows
func.func @tokens(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "N", "32"]},
    %list: tensor<?x1x5x40xi32> {attn.name = "list", attn.dims = ["B", "1", "5", "40"], attn.init = "range(-3, 110)"}) -> (!qkv, tensor<?x4x?xi64>) {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(16, 1) : !scores, tensor<?x1x5x40xi32>
  %f = attn.map %r (%x: f32) at (%b, %h, %i, %j) {
    %ii = arith.index_cast %i : index to i32
    %jj = arith.index_cast %j : index to i32
    %d = arith.subi %ii, %jj : i32
    %df = arith.sitofp %d : i32 to f32
    %c = arith.constant 0.01 : f32
    %t = arith.mulf %df, %c : f32
    %y = arith.addf %x, %t : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %p = attn.softmax %f : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  %a = attn.reduce argmax keys %f : (!scores) -> tensor<?x4x?xi64>
  return %o, %a : !qkv, tensor<?x4x?xi64>
}

// A list of keys per query.

func.func @tokens_per_row(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "N", "32"]},
    %list: tensor<?x4x?x?xi32> {attn.name = "list", attn.dims = ["B", "4", "M", "M"], attn.init = "range(0, 400)"}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(1, 1) : !scores, tensor<?x4x?x?xi32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// CHECK-LABEL: plan of @runs
// CHECK:         visits listed keys only: starts, 1 key per block of a run, one list per 30 rows
func.func @runs(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "N", "32"]},
    %starts: tensor<1x1x?x4xi32> {attn.name = "starts", attn.dims = ["1", "1", "Q", "4"], attn.init = "range(-5, 205)"},
    %lengths: tensor<1x1x?x4xi32> {attn.name = "lengths", attn.dims = ["1", "1", "Q", "4"], attn.init = "range(-2, 40)"}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %starts lengths(%lengths : tensor<1x1x?x4xi32>) block(30, 1) : !scores, tensor<1x1x?x4xi32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Two lists at once: one is followed, the other is a mask.

// CHECK-LABEL: plan of @two_lists
// CHECK:         visits listed keys only
func.func @two_lists(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "L", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "L", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "L", "32"]},
    %list: tensor<1x4x?x9xi32> {attn.name = "list", attn.dims = ["1", "4", "Q", "9"], attn.init = "range(0, 13)"},
    %other: tensor<1x1x5x3xi32> {attn.name = "other", attn.dims = ["1", "1", "5", "3"], attn.init = "range(0, 5)"}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(32, 16) : !scores, tensor<1x4x?x9xi32>
  %t = attn.restrict %r, %other block(40, 40) : !scores, tensor<1x1x5x3xi32>
  %p = attn.softmax %t : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// What is restricted and what is not, in one program.

// CHECK-LABEL: plan of @statistics
// CHECK:         visits listed keys only
func.func @statistics(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %list: tensor<1x2x?x3xi32> {attn.name = "list", attn.dims = ["1", "2", "Q", "3"], attn.init = "range(0, 12)"})
    -> (tensor<?x4x?xf32>, tensor<?x4x?xf32>, tensor<?x4x?xi64>, tensor<?x4x?xf32>) {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(32, 8) : !scores, tensor<1x2x?x3xi32>
  %mean, %var = attn.reduce moments keys %r : (!scores) -> (tensor<?x4x?xf32>, tensor<?x4x?xf32>)
  %n = attn.reduce count keys %r : (!scores) -> tensor<?x4x?xi64>
  %l = attn.reduce lse keys %s : (!scores) -> tensor<?x4x?xf32>
  return %mean, %var, %n, %l : tensor<?x4x?xf32>, tensor<?x4x?xf32>, tensor<?x4x?xi64>, tensor<?x4x?xf32>
}

// Over queries, a key follows its own list of query blocks.

// CHECK-LABEL: plan of @columns
// CHECK:         visits listed keys only: list_index, 32 keys per element, one list per 8 rows

func.func @columns(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %list: tensor<1x2x?x3xi32> {attn.name = "list", attn.dims = ["1", "2", "Q", "3"], attn.init = "range(0, 12)"})
    -> (tensor<?x4x?xf32>, tensor<?x4x?xi64>) {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(32, 8) : !scores, tensor<1x2x?x3xi32>
  %l = attn.reduce lse queries %r : (!scores) -> tensor<?x4x?xf32>
  %n = attn.reduce count queries %r : (!scores) -> tensor<?x4x?xi64>
  return %l, %n : tensor<?x4x?xf32>, tensor<?x4x?xi64>
}

// Lists of keys, and runs, by key.

func.func @columns_of_runs(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "4", "M", "32"]},
    %starts: tensor<1x1x?x4xi32> {attn.name = "starts", attn.dims = ["1", "1", "Q", "4"], attn.init = "range(-5, 105)"},
    %lengths: tensor<1x1x?x4xi32> {attn.name = "lengths", attn.dims = ["1", "1", "Q", "4"], attn.init = "range(-2, 40)"}) -> (!qkv, tensor<?x4x?xf32>) {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %starts lengths(%lengths : tensor<1x1x?x4xi32>) block(30, 1) : !scores, tensor<1x1x?x4xi32>
  %p = attn.softmax %r : !scores
  %t = attn.transpose %p : !scores -> !scores
  %o = attn.aggregate %t, %v : !scores, !qkv -> !qkv
  %c = attn.reduce sum queries %p : (!scores) -> tensor<?x4x?xf32>
  return %o, %c : !qkv, tensor<?x4x?xf32>
}
