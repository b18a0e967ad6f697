// The best entries of rows, and reductions by bin.

// RUN: attn-opt %s --attn-plan --attn-print-plan -o /dev/null | FileCheck %s
// RUN: attn-run %s --entry=largest --check --loops --size B=2,M=19,N=75
// RUN: attn-run %s --entry=largest --check --loops=fused --size B=2,M=19,N=75
// RUN: attn-run %s --entry=largest --check --size B=2,M=19,N=75
// RUN: attn-run %s --entry=largest --check --size B=1,M=201,N=300
// RUN: attn-run %s --entry=largest --check --size B=1,M=3,N=2
// RUN: attn-run %s --entry=ties --check --loops=fused --size B=1,M=70,N=150
// RUN: attn-run %s --entry=ties --check --size B=1,M=70,N=150
// RUN: attn-run %s --entry=ties --check --size B=1,M=70,N=150 --pattern x=nan-row
// RUN: attn-run %s --entry=ties --check --size B=1,M=70,N=150 --pattern x=neg-inf-row
// RUN: attn-run %s --entry=forced --check --loops=fused --size B=2,M=31,N=140
// RUN: attn-run %s --entry=forced --check --size B=2,M=31,N=140
// RUN: attn-run %s --entry=listed --check --size B=1,M=64,N=222
// RUN: attn-run %s --entry=bins --check --loops=fused --size B=2,M=33,N=130
// RUN: attn-run %s --entry=bins --check --size B=2,M=33,N=130
// RUN: attn-run %s --entry=columns --check --loops=fused --size B=2,M=33,N=130
// RUN: attn-run %s --entry=columns --check --size B=2,M=33,N=130
// RUN: attn-run %s --entry=beside_a_mixture --check --size B=2,M=65,N=64

!scores = !attn.scores<?x2x?x?xf32>
!qkv = tensor<?x2x?x16xf32>

// CHECK-LABEL: plan of @largest
// CHECK:         largest 5 if j <= i + 7
func.func @largest(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]})
    -> (tensor<?x2x?x5xf32>, tensor<?x2x?x5xi64>, tensor<?x2x?xi64>, tensor<?x2x?xf32>) {
  %c7 = arith.constant 7 : index
  %s = attn.score %q, %k scale(0.25) query_offset(%c7 : index) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %v, %i, %n = attn.topk %c : (!scores) -> (tensor<?x2x?x5xf32>, tensor<?x2x?x5xi64>, tensor<?x2x?xi64>)
  %l = attn.reduce lse keys %c : (!scores) -> tensor<?x2x?xf32>
  return %v, %i, %n, %l : tensor<?x2x?x5xf32>, tensor<?x2x?x5xi64>, tensor<?x2x?xi64>, tensor<?x2x?xf32>
}

// Few distinct values: the lower index wins. A number of entries per row.

// CHECK-LABEL: plan of @ties
// CHECK:         smallest 20
func.func @ties(%x: tensor<?x2x?x?xf32> {attn.name = "x", attn.dims = ["B", "2", "M", "N"], attn.init = "normal(2)"},
    %limit: tensor<1x1x?xi32> {attn.name = "limit", attn.dims = ["1", "1", "M"], attn.init = "range(-1, 25)"})
    -> (tensor<?x2x?x20xf32>, tensor<?x2x?x20xi64>, tensor<?x2x?xi64>, tensor<?x2x?x7xf32>, tensor<?x2x?x7xi64>, tensor<?x2x?xi64>) {
  %s = attn.bias %x : tensor<?x2x?x?xf32> -> !scores
  %r = attn.map %s (%e: f32) {
    %f = math.floor %e : f32
    attn.yield %f : f32
  } : (!scores) -> !scores
  %v, %i, %n = attn.topk %r limit(%limit : tensor<1x1x?xi32>) smallest : (!scores) -> (tensor<?x2x?x20xf32>, tensor<?x2x?x20xi64>, tensor<?x2x?xi64>)
  %w, %j, %m = attn.topk %r limit(%limit : tensor<1x1x?xi32>) by_position : (!scores) -> (tensor<?x2x?x7xf32>, tensor<?x2x?x7xi64>, tensor<?x2x?xi64>)
  return %v, %i, %n, %w, %j, %m : tensor<?x2x?x20xf32>, tensor<?x2x?x20xi64>, tensor<?x2x?xi64>, tensor<?x2x?x7xf32>, tensor<?x2x?x7xi64>, tensor<?x2x?xi64>
}

// The first two keys and the diagonal come before all others.

func.func @forced(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]})
    -> (tensor<?x2x?x2xf32>, tensor<?x2x?x2xi64>, tensor<?x2x?xi64>, tensor<?x2x?x9xf32>, tensor<?x2x?x9xi64>, tensor<?x2x?xi64>) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %v, %i, %n = attn.topk %s forced (%x: f32) at (%b, %h, %r, %j) {
    %c2 = arith.constant 2 : index
    %first = arith.cmpi ult, %j, %c2 : index
    %diagonal = arith.cmpi eq, %r, %j : index
    %p = arith.ori %first, %diagonal : i1
    attn.yield %p : i1
  } : (!scores) -> (tensor<?x2x?x2xf32>, tensor<?x2x?x2xi64>, tensor<?x2x?xi64>)
  %w, %j, %m = attn.topk %s smallest by_position forced (%x: f32) at (%b, %h, %r, %j) {
    %c2 = arith.constant 2 : index
    %first = arith.cmpi ult, %j, %c2 : index
    %diagonal = arith.cmpi eq, %r, %j : index
    %p = arith.ori %first, %diagonal : i1
    attn.yield %p : i1
  } : (!scores) -> (tensor<?x2x?x9xf32>, tensor<?x2x?x9xi64>, tensor<?x2x?xi64>)
  return %v, %i, %n, %w, %j, %m : tensor<?x2x?x2xf32>, tensor<?x2x?x2xi64>, tensor<?x2x?xi64>, tensor<?x2x?x9xf32>, tensor<?x2x?x9xi64>, tensor<?x2x?xi64>
}

// Selected pages restrict what is selected next: the keys of the best pages.

// CHECK-LABEL: plan of @listed
// CHECK:         largest 3
// CHECK:         visits listed keys only: stream1.0, 10 keys per element, one list per 1 row
func.func @listed(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %pages: tensor<?x2x23x16xf32> {attn.name = "pages", attn.dims = ["B", "2", "23", "16"]})
    -> (tensor<?x2x?x4xf32>, tensor<?x2x?x4xi64>, tensor<?x2x?xi64>) {
  %p = attn.score %q, %pages : !qkv, tensor<?x2x23x16xf32> -> !attn.scores<?x2x?x23xf32>
  %pv, %pi, %pn = attn.topk %p : (!attn.scores<?x2x?x23xf32>) -> (tensor<?x2x?x3xf32>, tensor<?x2x?x3xi64>, tensor<?x2x?xi64>)
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %pi counts(%pn : tensor<?x2x?xi64>) block(1, 10) : !scores, tensor<?x2x?x3xi64>
  %v, %i, %n = attn.topk %r : (!scores) -> (tensor<?x2x?x4xf32>, tensor<?x2x?x4xi64>, tensor<?x2x?xi64>)
  return %v, %i, %n : tensor<?x2x?x4xf32>, tensor<?x2x?x4xi64>, tensor<?x2x?xi64>
}

// Per key block, per distance, per entry of a table; weights and scores.

// CHECK-LABEL: plan of @bins
// CHECK:         sum in 6 bins
func.func @bins(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %table: tensor<?xi32> {attn.name = "table", attn.dims = ["N"], attn.init = "range(-2, 6)"})
    -> (tensor<?x2x?x6xf32>, tensor<?x2x?x40xf32>, tensor<?x2x?x4xi64>, tensor<?x2x?x3xf32>) {
  %c90 = arith.constant 90 : index
  %s = attn.score %q, %k scale(0.25) query_offset(%c90 : index) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %blocks = attn.reduce sum keys %p bins(6) by (%x: f32) at (%b, %h, %i, %j) {
    %c32 = arith.constant 32 : index
    %t = arith.divui %j, %c32 : index
    attn.yield %t : index
  } : (!scores) -> (tensor<?x2x?x6xf32>)
  %distances = attn.reduce max keys %c bins(40) by (%x: f32) at (%b, %h, %i, %j, %pi, %pj) {
    %t = arith.subi %pi, %pj : index
    attn.yield %t : index
  } : (!scores) -> (tensor<?x2x?x40xf32>)
  %entries = attn.reduce count keys %c bins(4) by (%x: f32) at (%b, %h, %i, %j) {
    %e = tensor.extract %table[%j] : tensor<?xi32>
    %t = arith.index_cast %e : i32 to index
    attn.yield %t : index
  } : (!scores) -> (tensor<?x2x?x4xi64>)
  %signs = attn.reduce min keys %s bins(3) by (%x: f32) {
    %zero = arith.constant 0.0 : f32
    %above = arith.cmpf ogt, %x, %zero : f32
    %t = arith.index_castui %above : i1 to index
    attn.yield %t : index
  } : (!scores) -> (tensor<?x2x?x3xf32>)
  return %blocks, %distances, %entries, %signs : tensor<?x2x?x6xf32>, tensor<?x2x?x40xf32>, tensor<?x2x?x4xi64>, tensor<?x2x?x3xf32>
}

// Over queries, and through a transpose.

func.func @columns(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]})
    -> (tensor<?x2x?x3xf32>, tensor<?x2x?x3xf32>, tensor<?x2x?x6xi64>) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %a = attn.reduce sum queries %s bins(3) by (%x: f32) at (%b, %h, %i, %j) {
    %c16 = arith.constant 16 : index
    %t = arith.divui %i, %c16 : index
    attn.yield %t : index
  } : (!scores) -> (tensor<?x2x?x3xf32>)
  %u = attn.transpose %s : !scores -> !scores
  %c = attn.reduce sum keys %u bins(3) by (%x: f32) at (%b, %h, %i, %j) {
    %c16 = arith.constant 16 : index
    %t = arith.divui %j, %c16 : index
    attn.yield %t : index
  } : (!scores) -> (tensor<?x2x?x3xf32>)
  %v, %i, %n = attn.topk %u : (!scores) -> (tensor<?x2x?x6xf32>, tensor<?x2x?x6xi64>, tensor<?x2x?xi64>)
  return %a, %c, %i : tensor<?x2x?x3xf32>, tensor<?x2x?x3xf32>, tensor<?x2x?x6xi64>
}

// Lists per head where a block has all heads, as they are mixed.

func.func @beside_a_mixture(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %list: tensor<1x2x8x4xi32> {attn.name = "list", attn.dims = ["1", "2", "8", "4"], attn.init = "range(-1, 8)"},
    %w: tensor<2x2xf32> {attn.name = "w", attn.dims = ["2", "2"]})
    -> (tensor<?x2x?xi64>, tensor<?x2x?x16xf32>) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %r = attn.restrict %s, %list block(20, 64) : !scores, tensor<1x2x8x4xi32>
  %m = attn.mix_heads %r, %w : !scores, tensor<2x2xf32> -> !scores
  %n = attn.reduce count keys %r : (!scores) -> tensor<?x2x?xi64>
  %o = attn.aggregate %m, %k : !scores, !qkv -> !qkv
  return %n, %o : tensor<?x2x?xi64>, !qkv
}
