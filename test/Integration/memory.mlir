// Long sequences take memory in proportion to their length: a stored matrix of
// one head would be 4096 MiB here.

// RUN: attn-run %s --peak-memory --size L=32768 --entry=attention | FileCheck %s
// RUN: attn-run %s --peak-memory --size L=32768 --entry=statistics | FileCheck %s
// RUN: attn-run %s --peak-memory --size L=32768 --entry=neighbors | FileCheck %s
// RUN: attn-run %s --peak-memory --size L=32768 --entry=lists | FileCheck %s
// RUN: attn-run %s --peak-memory --size L=32768 --entry=diagonals | FileCheck %s
// CHECK: peak memory beyond operands and results: {{[0-9]\.[0-9]+}} MiB resident, {{[0-9]\.[0-9]+}} MiB

// The reference does store it, and this is how that looks at a quarter of the
// length.
// RUN: attn-run %s --reference --peak-memory --size L=8192 --entry=attention \
// RUN:   | FileCheck %s --check-prefix=STORED
// STORED: peak memory beyond operands and results: {{[0-9][0-9][0-9]\.[0-9]+}} MiB resident

!scores = !attn.scores<1x1x?x?xf32>

func.func @attention(
    %q: tensor<1x1x?x16xf32> {attn.name = "q", attn.dims = ["1", "1", "L", "16"]},
    %k: tensor<1x1x?x16xf32> {attn.name = "k", attn.dims = ["1", "1", "L", "16"]},
    %v: tensor<1x1x?x16xf32> {attn.name = "v", attn.dims = ["1", "1", "L", "16"]}
  ) -> (tensor<1x1x?x16xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.25)
     : tensor<1x1x?x16xf32>, tensor<1x1x?x16xf32> -> !scores
  %c = attn.mask %s window<left = 2047, right = 0> : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<1x1x?x16xf32> -> tensor<1x1x?x16xf32>
  return %o : tensor<1x1x?x16xf32>
}

// Sums over both axes: two kernels, and one vector between them.
func.func @statistics(
    %q: tensor<1x1x?x16xf32> {attn.name = "q", attn.dims = ["1", "1", "L", "16"]},
    %k: tensor<1x1x?x16xf32> {attn.name = "k", attn.dims = ["1", "1", "L", "16"]}
  ) -> (tensor<1x1x?xf32> {attn.name = "received"}) {
  %s = attn.score %q, %k scale(0.25)
     : tensor<1x1x?x16xf32>, tensor<1x1x?x16xf32> -> !scores
  %c = attn.mask %s window<left = 2047, right = 0> : !scores
  %p = attn.softmax %c : !scores
  %r = attn.reduce sum queries %p : (!scores) -> tensor<1x1x?xf32>
  return %r : tensor<1x1x?xf32>
}

// Convolved weights of mixed heads: the statistics of all rows, and tiles.
func.func @neighbors(
    %q: tensor<1x2x?x16xf32> {attn.name = "q", attn.dims = ["1", "2", "L", "16"]},
    %k: tensor<1x2x?x16xf32> {attn.name = "k", attn.dims = ["1", "2", "L", "16"]},
    %v: tensor<1x2x?x16xf32> {attn.name = "v", attn.dims = ["1", "2", "L", "16"]},
    %taps: tensor<2x3x5xf32> {attn.name = "taps"},
    %mix: tensor<2x2xf32> {attn.name = "mix"}
  ) -> (tensor<1x2x?x16xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.25)
     : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x?x?xf32>
  %c = attn.mask %s window<left = 2047, right = 0> : !attn.scores<1x2x?x?xf32>
  %m = attn.mix_heads %c, %mix : !attn.scores<1x2x?x?xf32>, tensor<2x2xf32> -> !attn.scores<1x2x?x?xf32>
  %p = attn.softmax %m : !attn.scores<1x2x?x?xf32>
  %n = attn.convolve %p, %taps origin [2, 2] : !attn.scores<1x2x?x?xf32>, tensor<2x3x5xf32>
  %o = attn.aggregate %n, %v : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x16xf32> -> tensor<1x2x?x16xf32>
  return %o : tensor<1x2x?x16xf32>
}

// Lists: of blocks, and of keys by key.
func.func @lists(
    %q: tensor<1x1x?x16xf32> {attn.name = "q", attn.dims = ["1", "1", "L", "16"]},
    %k: tensor<1x1x?x16xf32> {attn.name = "k", attn.dims = ["1", "1", "L", "16"]},
    %v: tensor<1x1x?x16xf32> {attn.name = "v", attn.dims = ["1", "1", "L", "16"]},
    %blocks: tensor<1x1x512x8xi32> {attn.name = "blocks", attn.dims = ["1", "1", "512", "8"], attn.init = "range(0, 512)"},
    %keys: tensor<1x1x512x64xi32> {attn.name = "keys", attn.dims = ["1", "1", "512", "64"], attn.init = "range(0, 32768)"}
  ) -> (tensor<1x1x?x16xf32>, tensor<1x1x?xf32>, tensor<1x1x?x8xi64>) {
  %s = attn.score %q, %k scale(0.25)
     : tensor<1x1x?x16xf32>, tensor<1x1x?x16xf32> -> !scores
  %r = attn.restrict %s, %blocks block(64, 64) : !scores, tensor<1x1x512x8xi32>
  %p = attn.softmax %r : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<1x1x?x16xf32> -> tensor<1x1x?x16xf32>
  %t = attn.restrict %s, %keys block(64, 1) : !scores, tensor<1x1x512x64xi32>
  %c = attn.reduce sum queries %t : (!scores) -> tensor<1x1x?xf32>
  %tv, %ti, %tn = attn.topk %r : (!scores) -> (tensor<1x1x?x8xf32>, tensor<1x1x?x8xi64>, tensor<1x1x?xi64>)
  return %o, %c, %ti : tensor<1x1x?x16xf32>, tensor<1x1x?xf32>, tensor<1x1x?x8xi64>
}

// Weights summed along the diagonals of the window.

func.func @diagonals(
    %q: tensor<1x1x?x16xf32> {attn.name = "q", attn.dims = ["1", "1", "L", "16"]},
    %k: tensor<1x1x?x16xf32> {attn.name = "k", attn.dims = ["1", "1", "L", "16"]}
  ) -> (tensor<1x1x?xf32> {attn.name = "sums"}) {
  %c2 = arith.constant 2 : index
  %n = tensor.dim %k, %c2 : tensor<1x1x?x16xf32>
  %s = attn.score %q, %k scale(0.25)
     : tensor<1x1x?x16xf32>, tensor<1x1x?x16xf32> -> !scores
  %c = attn.mask %s window<left = 2047, right = 0> : !scores
  %p = attn.softmax %c : !scores
  %sums = attn.reduce sum both %p bins(%n) by (%x: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %i, %j : index
    attn.yield %d : index
  } : (!scores) -> tensor<1x1x?xf32>
  return %sums : tensor<1x1x?xf32>
}
