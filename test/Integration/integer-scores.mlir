// Integer scores among the other families: pages of codes, products of virtual
// matrices, convolutions, mixed heads and lists; batch maps of pages.
//
// RUN: split-file %s %t
// RUN: attn-run %t/pages.mlir --check --size B=2 pages=9 maxpages=5 M=3
// RUN: attn-run %t/pages.mlir --check --size B=2 pages=9 maxpages=5 M=70
// RUN: attn-run %t/pages.mlir --check --loops=fused --size B=2 pages=9 maxpages=5 M=3
// RUN: attn-run %t/product.mlir --check --max-recompute-factor=0 --size M=37 N=70
// RUN: attn-run %t/product.mlir --check --max-recompute-factor=0 --loops=fused --size M=9 N=20
// RUN: attn-run %t/neighbours.mlir --check --size N=133
// RUN: attn-run %t/neighbours.mlir --check --loops=fused --size N=33
// RUN: attn-run %t/listed.mlir --check --size M=131 N=200
// RUN: attn-run %t/listed.mlir --check --loops=fused --size M=33 N=70
// RUN: attn-run %t/named.mlir --check --size B=5 C=2 pages=9 maxpages=3 M=7
// RUN: attn-run %t/named.mlir --check --loops=fused --size B=5 C=2 pages=9 maxpages=3 M=7

//--- pages.mlir
func.func @pages(
    %q: tensor<?x4x?x24xi8> {attn.name = "q", attn.dims = ["B", "4", "M", "24"]},
    %pool: tensor<?x2x16x24xi8> {attn.name = "pool", attn.dims = ["pages", "2", "16", "24"]},
    %table: tensor<?x?xi32>
        {attn.name = "table", attn.dims = ["B", "maxpages"], attn.init = "table(pages)"},
    %length: tensor<?x1xi32>
        {attn.name = "length", attn.dims = ["B", "1"], attn.init = "range(0, 60)"})
    -> (tensor<?x4x?xf32>, tensor<?x4x?xi64>) {
  %k = attn.paged %pool, %table : tensor<?x2x16x24xi8>, tensor<?x?xi32> -> tensor<?x2x?x24xi8>
  %s = attn.score %q, %k key_length(%length : tensor<?x1xi32>)
     : tensor<?x4x?x24xi8>, tensor<?x2x?x24xi8> -> !attn.scores<?x4x?x?xi32>
  %f = attn.map %s (%x: i32) {
    %scale = arith.constant 0.0002 : f32
    %n = arith.sitofp %x : i32 to f32
    %y = arith.mulf %n, %scale : f32
    attn.yield %y : f32
  } : (!attn.scores<?x4x?x?xi32>) -> !attn.scores<?x4x?x?xf32>
  %l = attn.reduce lse keys %f : (!attn.scores<?x4x?x?xf32>) -> tensor<?x4x?xf32>
  %c = attn.reduce count keys %s : (!attn.scores<?x4x?x?xi32>) -> tensor<?x4x?xi64>
  return %l, %c : tensor<?x4x?xf32>, tensor<?x4x?xi64>
}

//--- product.mlir
func.func @product(
    %q: tensor<1x2x?x16xi8> {attn.name = "q", attn.dims = ["1", "2", "M", "16"]},
    %k: tensor<1x2x9x16xi8> {attn.name = "k"},
    %l: tensor<1x2x?x16xi8> {attn.name = "l", attn.dims = ["1", "2", "N", "16"]})
    -> tensor<1x2x?xf32> {
  %a = attn.score %q, %k : tensor<1x2x?x16xi8>, tensor<1x2x9x16xi8> -> !attn.scores<1x2x?x9xi32>
  %b = attn.score %k, %l : tensor<1x2x9x16xi8>, tensor<1x2x?x16xi8> -> !attn.scores<1x2x9x?xi32>
  %x = attn.map %a (%s: i32) {
    %scale = arith.constant 0.001 : f32
    %n = arith.sitofp %s : i32 to f32
    %y = arith.mulf %n, %scale : f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x?x9xi32>) -> !attn.scores<1x2x?x9xf32>
  %z = attn.map %b (%s: i32) {
    %scale = arith.constant 0.001 : f32
    %n = arith.sitofp %s : i32 to f32
    %y = arith.mulf %n, %scale : f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x9x?xi32>) -> !attn.scores<1x2x9x?xf32>
  %c = attn.matmul %x, %z : !attn.scores<1x2x?x9xf32>, !attn.scores<1x2x9x?xf32> -> !attn.scores<1x2x?x?xf32>
  %m = attn.reduce max keys %c : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  return %m : tensor<1x2x?xf32>
}

//--- neighbours.mlir
func.func @neighbours(
    %q: tensor<1x2x?x33xi8> {attn.name = "q", attn.dims = ["1", "2", "N", "33"]},
    %taps: tensor<2x3x3xf32> {attn.name = "taps"}, %w: tensor<2x2xf32> {attn.name = "w"})
    -> (tensor<1x2x?xf32>, tensor<1x2x?xf32>) {
  %s = attn.score %q, %q : tensor<1x2x?x33xi8>, tensor<1x2x?x33xi8> -> !attn.scores<1x2x?x?xi32>
  %m = attn.mask %s causal : !attn.scores<1x2x?x?xi32>
  %f = attn.map %m (%x: i32) {
    %scale = arith.constant 0.0001 : f32
    %n = arith.sitofp %x : i32 to f32
    %y = arith.mulf %n, %scale : f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x?x?xi32>) -> !attn.scores<1x2x?x?xf32>
  %c = attn.convolve %f, %taps origin [1, 1] : !attn.scores<1x2x?x?xf32>, tensor<2x3x3xf32>
  %l = attn.reduce lse keys %c : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  %h = attn.mix_heads %f, %w : !attn.scores<1x2x?x?xf32>, tensor<2x2xf32> -> !attn.scores<1x2x?x?xf32>
  %t = attn.reduce max keys %h : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  return %l, %t : tensor<1x2x?xf32>, tensor<1x2x?xf32>
}

//--- listed.mlir
func.func @listed(
    %q: tensor<1x2x?x40xi8> {attn.name = "q", attn.dims = ["1", "2", "M", "40"]},
    %k: tensor<1x2x?x40xi8> {attn.name = "k", attn.dims = ["1", "2", "N", "40"]},
    %v: tensor<1x2x?x40xf32> {attn.name = "v", attn.dims = ["1", "2", "N", "40"]},
    %list: tensor<1x1x3x3xi32> {attn.name = "list", attn.init = "range(0, 3)"})
    -> tensor<1x2x?x40xf32> {
  %s = attn.score %q, %k : tensor<1x2x?x40xi8>, tensor<1x2x?x40xi8> -> !attn.scores<1x2x?x?xi32>
  %r = attn.restrict %s, %list block(64, 16) : !attn.scores<1x2x?x?xi32>, tensor<1x1x3x3xi32>
  %f = attn.map %r (%x: i32) {
    %scale = arith.constant 0.0002 : f32
    %n = arith.sitofp %x : i32 to f32
    %y = arith.mulf %n, %scale : f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x?x?xi32>) -> !attn.scores<1x2x?x?xf32>
  %p = attn.softmax %f : !attn.scores<1x2x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x40xf32> -> tensor<1x2x?x40xf32>
  return %o : tensor<1x2x?x40xf32>
}

//--- named.mlir
func.func @named(
    %q: tensor<?x4x?x24xf32> {attn.name = "q", attn.dims = ["B", "4", "M", "24"]},
    %pool: tensor<?x2x16x24xf32> {attn.name = "pool", attn.dims = ["pages", "2", "16", "24"]},
    %table: tensor<?x?xi32>
        {attn.name = "table", attn.dims = ["C", "maxpages"], attn.init = "table(pages)"},
    %map: tensor<?xi32> {attn.name = "map", attn.dims = ["B"], attn.init = "table(C)"})
    -> tensor<?x4x?x24xf32> {
  %k = attn.paged %pool, %table : tensor<?x2x16x24xf32>, tensor<?x?xi32> -> tensor<?x2x?x24xf32>
  %s = attn.score %q, %k batches(%map : tensor<?xi32>)
     : tensor<?x4x?x24xf32>, tensor<?x2x?x24xf32> -> !attn.scores<?x4x?x?xf32>
  %p = attn.softmax %s : !attn.scores<?x4x?x?xf32>
  %o = attn.aggregate %p, %k batches(%map : tensor<?xi32>)
     : !attn.scores<?x4x?x?xf32>, tensor<?x2x?x24xf32> -> tensor<?x4x?x24xf32>
  return %o : tensor<?x4x?x24xf32>
}
