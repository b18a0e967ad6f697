// Lists of keys on the emulated GPU: with ids twice, in any order, out of range, in
// blocks that tiles do not divide, single keys, runs, and a second list as a mask.
// RUN: attn-run %s --size B=2,M=130,N=333,Q=4 --target=cuda:sm_80,emulate --check --entry=grouped | FileCheck %s
// RUN: attn-run %s --size B=1,M=1,N=90,Q=1 --target=cuda:sm_80,emulate --check --entry=grouped | FileCheck %s
// RUN: attn-run %s --size B=1,M=75,N=90,Q=5 --target=cuda:sm_80,emulate --check --entry=odd_blocks_and_a_mask | FileCheck %s
// RUN: attn-run %s --size B=1,M=5,N=200 --target=cuda:sm_80,emulate --check --entry=tokens | FileCheck %s
// RUN: attn-run %s --size B=1,M=5,N=0 --target=cuda:sm_80,emulate --check --entry=tokens | FileCheck %s
// RUN: attn-run %s --size B=1,N=200 --target=cuda:sm_80,emulate --check --entry=one_query | FileCheck %s
// RUN: attn-run %s --size B=1,M=40,N=100,Q=2 --target=cuda:sm_80,emulate --check --entry=runs | FileCheck %s
// RUN: attn-run %s --size B=1,M=70,N=180,Q=2 --target=cuda:sm_80,emulate --check --entry=short_blocks | FileCheck %s
// CHECK: check (emulated GPU): ok
// RUN: attn-run %s --size B=1,M=75,N=90,Q=5 --target=hip:gfx942,emulate --check=exact --entry=odd_blocks_and_a_mask
// RUN: attn-run %s --size B=1,M=5,N=200 --target=hip:gfx942,emulate --check --entry=tokens | FileCheck %s
// RUN: attn-run %s --size B=1,M=75,N=90,Q=5 --target=hip:gfx1100,emulate --check --entry=odd_blocks_and_a_mask | FileCheck %s

// Four heads share a list and a block, on tensor cores.
func.func @grouped(%q: tensor<?x8x?x32xbf16> {attn.name = "q", attn.dims = ["B", "8", "M", "32"]},
    %k: tensor<?x2x?x32xbf16> {attn.name = "k", attn.dims = ["B", "2", "N", "32"]},
    %v: tensor<?x2x?x32xbf16> {attn.name = "v", attn.dims = ["B", "2", "N", "32"]},
    %list: tensor<?x2x?x5xi32> {attn.name = "list", attn.dims = ["B", "2", "Q", "5"], attn.init = "range(-1, 6)"},
    %counts: tensor<?x2x?xi32> {attn.name = "counts", attn.dims = ["B", "2", "Q"], attn.init = "range(-1, 7)"}) -> tensor<?x8x?x32xf32> {
  %s = attn.score %q, %k scale(0.2) : tensor<?x8x?x32xbf16>, tensor<?x2x?x32xbf16> -> !attn.scores<?x8x?x?xf32>
  %r = attn.restrict %s, %list counts(%counts : tensor<?x2x?xi32>) block(40, 64) : !attn.scores<?x8x?x?xf32>, tensor<?x2x?x5xi32>
  %p = attn.softmax %r : !attn.scores<?x8x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x8x?x?xf32>, tensor<?x2x?x32xbf16> -> tensor<?x8x?x32xf32>
  return %o : tensor<?x8x?x32xf32>
}

func.func @odd_blocks_and_a_mask(%q: tensor<?x2x?x16xf32> {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: tensor<?x2x?x16xf32> {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: tensor<?x2x?x16xf32> {attn.name = "v", attn.dims = ["B", "2", "N", "16"]},
    %list: tensor<?x2x?x7xi64> {attn.name = "list", attn.dims = ["B", "2", "Q", "7"], attn.init = "range(0, 6)"},
    %other: tensor<1x1x3x4xi32> {attn.name = "other", attn.dims = ["1", "1", "3", "4"], attn.init = "range(-1, 9)"}) -> tensor<?x2x?x16xf32> {
  %past = arith.constant 20 : index
  %s = attn.score %q, %k scale(0.2) query_offset(%past : index) : tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x2x?x?xf32>
  %r = attn.restrict %s, %list block(15, 20) : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x7xi64>
  %t = attn.restrict %r, %other block(25, 10) : !attn.scores<?x2x?x?xf32>, tensor<1x1x3x4xi32>
  %m = attn.mask %t causal : !attn.scores<?x2x?x?xf32>
  %p = attn.softmax %m : !attn.scores<?x2x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x16xf32> -> tensor<?x2x?x16xf32>
  return %o : tensor<?x2x?x16xf32>
}

// Keys per query, of which the best one is asked for: the first of several.
func.func @tokens(%q: tensor<?x2x?x16xf32> {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: tensor<?x2x?x16xf32> {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: tensor<?x2x?x16xf32> {attn.name = "v", attn.dims = ["B", "2", "N", "16"]},
    %list: tensor<?x2x?x99xi32> {attn.name = "list", attn.dims = ["B", "2", "M", "99"], attn.init = "range(-9, 220)"}) -> (tensor<?x2x?x16xf32>, tensor<?x2x?xi64>) {
  %s = attn.score %q, %k scale(0.2) : tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x2x?x?xf32>
  %r = attn.restrict %s, %list block(1, 1) : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x99xi32>
  %p = attn.softmax %r : !attn.scores<?x2x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x16xf32> -> tensor<?x2x?x16xf32>
  %rounded = attn.map %r (%x: f32) {
    %y = math.roundeven %x : f32
    attn.yield %y : f32
  } : (!attn.scores<?x2x?x?xf32>) -> !attn.scores<?x2x?x?xf32>
  %best = attn.reduce argmax keys %rounded : (!attn.scores<?x2x?x?xf32>) -> tensor<?x2x?xi64>
  return %o, %best : tensor<?x2x?x16xf32>, tensor<?x2x?xi64>
}

// Ranges of a list are computed by several blocks.
func.func @one_query(%q: tensor<?x8x1x32xbf16> {attn.name = "q", attn.dims = ["B", "8", "1", "32"]},
    %k: tensor<?x2x?x32xbf16> {attn.name = "k", attn.dims = ["B", "2", "N", "32"]},
    %v: tensor<?x2x?x32xbf16> {attn.name = "v", attn.dims = ["B", "2", "N", "32"]},
    %list: tensor<?x2x1x20xi32> {attn.name = "list", attn.dims = ["B", "2", "1", "20"], attn.init = "range(0, 13)"}) -> tensor<?x8x1x32xf32> {
  %s = attn.score %q, %k scale(0.2) : tensor<?x8x1x32xbf16>, tensor<?x2x?x32xbf16> -> !attn.scores<?x8x1x?xf32>
  %r = attn.restrict %s, %list block(1, 16) : !attn.scores<?x8x1x?xf32>, tensor<?x2x1x20xi32>
  %p = attn.softmax %r : !attn.scores<?x8x1x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x8x1x?xf32>, tensor<?x2x?x32xbf16> -> tensor<?x8x1x32xf32>
  return %o : tensor<?x8x1x32xf32>
}

func.func @runs(%q: tensor<?x2x?x16xf32> {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: tensor<?x2x?x16xf32> {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: tensor<?x2x?x16xf32> {attn.name = "v", attn.dims = ["B", "2", "N", "16"]},
    %starts: tensor<1x1x?x4xi32> {attn.name = "starts", attn.dims = ["1", "1", "Q", "4"], attn.init = "range(-5, 105)"},
    %lengths: tensor<1x1x?x4xi32> {attn.name = "lengths", attn.dims = ["1", "1", "Q", "4"], attn.init = "range(-2, 40)"}) -> tensor<?x2x?x16xf32> {
  %s = attn.score %q, %k scale(0.2) : tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x2x?x?xf32>
  %r = attn.restrict %s, %starts lengths(%lengths : tensor<1x1x?x4xi32>) block(30, 1) : !attn.scores<?x2x?x?xf32>, tensor<1x1x?x4xi32>
  %p = attn.softmax %r : !attn.scores<?x2x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x16xf32> -> tensor<?x2x?x16xf32>
  return %o : tensor<?x2x?x16xf32>
}

// Tiles of 32 short keys, for whose copies there are more threads than rows.
func.func @short_blocks(%q: tensor<?x2x?x16xbf16> {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: tensor<?x2x?x16xbf16> {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: tensor<?x2x?x16xbf16> {attn.name = "v", attn.dims = ["B", "2", "N", "16"]},
    %list: tensor<?x2x?x5xi32> {attn.name = "list", attn.dims = ["B", "2", "Q", "5"], attn.init = "range(-1, 6)"}) -> tensor<?x2x?x16xf32> {
  %s = attn.score %q, %k scale(0.2) : tensor<?x2x?x16xbf16>, tensor<?x2x?x16xbf16> -> !attn.scores<?x2x?x?xf32>
  %r = attn.restrict %s, %list block(64, 32) : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x5xi32>
  %p = attn.softmax %r : !attn.scores<?x2x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x16xbf16> -> tensor<?x2x?x16xf32>
  return %o : tensor<?x2x?x16xf32>
}
