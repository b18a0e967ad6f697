// Reductions over several axes, over heads alone, and bins beyond one row.

// RUN: attn-opt %s --attn-plan --attn-print-plan -o /dev/null | FileCheck %s
// RUN: attn-run %s --entry=both --check --loops --size B=2,M=19,N=75
// RUN: attn-run %s --entry=both --check --loops=fused --size B=2,M=19,N=75
// RUN: attn-run %s --entry=both --check --size B=2,M=19,N=75
// RUN: attn-run %s --entry=both --check --size B=1,M=261,N=130
// RUN: attn-run %s --entry=both --check --size B=1,M=1,N=1
// RUN: attn-run %s --entry=both --check --size B=2,M=19,N=75 --pattern q=nan-row
// RUN: attn-run %s --entry=both --check --size B=2,M=19,N=75 --pattern q=inf-row
// RUN: attn-run %s --entry=heads --check --loops --size B=2,M=19,N=75
// RUN: attn-run %s --entry=heads --check --loops=fused --size B=2,M=19,N=75
// RUN: attn-run %s --entry=heads --check --size B=2,M=19,N=75
// RUN: attn-run %s --entry=heads --check --size B=1,M=201,N=300
// RUN: attn-run %s --entry=heads --check --size B=2,M=19,N=75 --pattern q=nan-row
// RUN: attn-run %s --entry=axes --check --loops=fused --size B=3,M=19,N=75
// RUN: attn-run %s --entry=axes --check --size B=3,M=19,N=75
// RUN: attn-run %s --entry=axes --check --size B=3,M=131,N=7
// RUN: attn-run %s --entry=tallies --check --loops --size B=2,M=33,N=130
// RUN: attn-run %s --entry=tallies --check --loops=fused --size B=2,M=33,N=130
// RUN: attn-run %s --entry=tallies --check --size B=2,M=33,N=130
// RUN: attn-run %s --entry=tallies --check --size B=1,M=301,N=97
// RUN: attn-run %s --entry=tallies --check --size B=1,M=2100,N=33
// RUN: attn-run %s --entry=shared_bins --check --size M=128,N=300
// RUN: attn-run %s --entry=shared_bins --check --size M=301,N=97
// RUN: attn-run %s --entry=shared_bins --check --size M=40,N=75 --pattern q=nan-row
// RUN: attn-run %s --entry=blocks --check --loops=fused --size B=2,M=67,N=130
// RUN: attn-run %s --entry=blocks --check --size B=2,M=67,N=130
// RUN: attn-run %s --entry=blocks --check --size B=1,M=300,N=70

// Sums in bins do not depend on the threads.
// RUN: attn-run %s --entry=tallies --size B=1,M=2100,N=33 --threads=1 --output %t.one.npz
// RUN: attn-run %s --entry=tallies --size B=1,M=2100,N=33 --threads=3 --output %t.three.npz
// RUN: cmp %t.one.npz %t.three.npz

!scores = !attn.scores<?x4x?x?xf32>
!qkv = tensor<?x4x?x16xf32>
!bh = tensor<?x4xf32>

func.func @both(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "16"]})
    -> (!bh, !bh, !bh, !bh, tensor<?x4xi64>, !bh, !bh, !bh, !bh, tensor<?x4xi1>, tensor<?x4xi64>, tensor<?x4xi64>) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %c = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %c3 = arith.constant 3 : index
    %t = arith.addi %j, %i : index
    %u = arith.remui %t, %c3 : index
    %p = arith.cmpi ult, %u, %h : index
    attn.yield %p : i1
  } : !scores
  %sum = attn.reduce sum both %c : (!scores) -> !bh
  %max = attn.reduce max both %c : (!scores) -> !bh
  %min = attn.reduce min [keys, queries] %c : (!scores) -> !bh
  %mean = attn.reduce mean both %c : (!scores) -> !bh
  %count = attn.reduce count both %c : (!scores) -> tensor<?x4xi64>
  %lse = attn.reduce lse both %c : (!scores) -> !bh
  %entropy = attn.reduce entropy both %c : (!scores) -> !bh
  %m:2 = attn.reduce moments both %c : (!scores) -> (!bh, !bh)
  %any = attn.reduce any both %c : (!scores) -> tensor<?x4xi1>
  %at:2 = attn.reduce argmax both %c : (!scores) -> (tensor<?x4xi64>, tensor<?x4xi64>)
  return %sum, %max, %min, %mean, %count, %lse, %entropy, %m#0, %m#1, %any, %at#0, %at#1
    : !bh, !bh, !bh, !bh, tensor<?x4xi64>, !bh, !bh, !bh, !bh, tensor<?x4xi1>, tensor<?x4xi64>, tensor<?x4xi64>
}

// Heads that see different keys; a group per value of h div 2, and all heads.

// CHECK-LABEL: plan of @heads
// CHECK-DAG:     max 4 heads into 2
func.func @heads(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "16"]})
    -> (tensor<?x2x?xf32>, tensor<?x2x?xf32>, tensor<?x1x?xf32>, tensor<?x2x?xi64>, tensor<?x2x?xf32>, tensor<?x4x?xf32>) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %c = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %c3 = arith.constant 3 : index
    %t = arith.addi %j, %i : index
    %u = arith.remui %t, %c3 : index
    %p = arith.cmpi ult, %u, %h : index
    attn.yield %p : i1
  } : !scores
  %max = attn.reduce_heads max %c : !scores -> !attn.scores<?x2x?x?xf32>
  %l = attn.reduce lse keys %max : (!attn.scores<?x2x?x?xf32>) -> tensor<?x2x?xf32>
  %min = attn.reduce_heads min %c : !scores -> !attn.scores<?x2x?x?xf32>
  %n = attn.reduce sum queries %min : (!attn.scores<?x2x?x?xf32>) -> tensor<?x2x?xf32>
  %p = attn.softmax %c : !scores
  %all = attn.reduce_heads sum %p : !scores -> !attn.scores<?x1x?x?xf32>
  %received = attn.reduce sum queries %all : (!attn.scores<?x1x?x?xf32>) -> tensor<?x1x?xf32>
  %mean = attn.reduce_heads mean %c : !scores -> !attn.scores<?x2x?x?xf32>
  %where = attn.reduce count keys %mean : (!attn.scores<?x2x?x?xf32>) -> tensor<?x2x?xi64>
  %total = attn.reduce max keys %mean : (!attn.scores<?x2x?x?xf32>) -> tensor<?x2x?xf32>
  %one = attn.reduce_heads count %c : !scores -> !scores
  %ones = attn.reduce sum keys %one : (!scores) -> tensor<?x4x?xf32>
  return %l, %n, %received, %where, %total, %ones : tensor<?x2x?xf32>, tensor<?x2x?xf32>, tensor<?x1x?xf32>, tensor<?x2x?xi64>, tensor<?x2x?xf32>, tensor<?x4x?xf32>
}

// Lists of axes; a user's monoid of sum and maximum.

func.func @axes(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "16"]})
    -> (tensor<?x?xf32>, tensor<?x2x?xf32>, tensor<4xf32>, tensor<2xf32>, tensor<?x2x?xi64>, tensor<?x2x?xi64>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<4x?x5xf32>) {
  %c0 = arith.constant 0 : index
  %s = attn.score %q, %k scale(0.25) query_offset(%c0 : index) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %h2o = attn.reduce sum [queries, heads] %p : (!scores) -> tensor<?x?xf32>
  %grouped = attn.reduce sum [heads, queries] %p groups(2) : (!scores) -> tensor<?x2x?xf32>
  %batch = attn.reduce lse [both, batch] %c : (!scores) -> tensor<4xf32>
  %mean = attn.reduce mean [both, batch, heads] %c groups(2) : (!scores) -> tensor<2xf32>
  %at:2 = attn.reduce argmin [keys, heads] %c groups(2) : (!scores) -> (tensor<?x2x?xi64>, tensor<?x2x?xi64>)
  %pair:2 = attn.reduce custom [both, heads] %c groups(2) identity [0.0, -1.0e30] lift (%x: f32) {
    attn.yield %x, %x : f32, f32
  } combine {
  ^bb0(%a: f32, %b: f32, %d: f32, %e: f32):
    %u = arith.addf %a, %d : f32
    %v = arith.maximumf %b, %e : f32
    attn.yield %u, %v : f32, f32
  } : (!scores) -> (tensor<?x2xf32>, tensor<?x2xf32>)
  %bins = attn.reduce sum [keys, batch] %p bins(5) by (%x: f32) at (%b, %h, %i, %j) {
    %c32 = arith.constant 32 : index
    %t = arith.divui %j, %c32 : index
    attn.yield %t : index
  } : (!scores) -> tensor<4x?x5xf32>
  return %h2o, %grouped, %batch, %mean, %at#0, %at#1, %pair#0, %pair#1, %bins
    : tensor<?x?xf32>, tensor<?x2x?xf32>, tensor<4xf32>, tensor<2xf32>, tensor<?x2x?xi64>, tensor<?x2x?xi64>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<4x?x5xf32>
}

// Per diagonal, of weights and scores, per head and over all of them.

// CHECK-LABEL: plan of @tallies
// CHECK:         sum in bins in memory, shared by blocks of rows if j <= i
func.func @tallies(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "16"]})
    -> (tensor<?x4x?xf32>, tensor<4x?xf32>, tensor<?x?xi64>, tensor<?x4x7xf32>, tensor<?x4x?x?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %m = tensor.dim %q, %c2 : !qkv
  %n = tensor.dim %k, %c2 : !qkv
  %last = arith.subi %n, %c1 : index
  %diagonals = arith.addi %m, %last : index
  %s = attn.score %q, %k scale(0.25) query_offset(%c0 : index) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %sums = attn.reduce sum both %p bins(%diagonals) by (%x: f32) at (%b, %h, %i, %j) {
    %t = arith.subi %i, %j : index
    %u = arith.addi %t, %last : index
    attn.yield %u : index
  } : (!scores) -> tensor<?x4x?xf32>
  %largest = attn.reduce max [both, batch] %s bins(%diagonals) by (%x: f32) at (%b, %h, %i, %j) {
    %t = arith.subi %i, %j : index
    %u = arith.addi %t, %last : index
    attn.yield %u : index
  } : (!scores) -> tensor<4x?xf32>
  %counts = attn.reduce count [both, heads] %c bins(%diagonals) by (%x: f32) at (%b, %h, %i, %j) {
    %t = arith.subi %i, %j : index
    %u = arith.addi %t, %last : index
    attn.yield %u : index
  } : (!scores) -> tensor<?x?xi64>
  %few = attn.reduce min both %c bins(7) by (%x: f32) at (%b, %h, %i, %j) {
    %c7 = arith.constant 7 : index
    %t = arith.subi %i, %c7 : index
    attn.yield %t : index
  } : (!scores) -> tensor<?x4x7xf32>
  %rows = attn.reduce sum keys %s bins(%m) by (%x: f32) at (%b, %h, %i, %j) {
    %c3 = arith.constant 3 : index
    %t = arith.divui %j, %c3 : index
    attn.yield %t : index
  } : (!scores) -> tensor<?x4x?x?xf32>
  return %sums, %largest, %counts, %few, %rows : tensor<?x4x?xf32>, tensor<4x?xf32>, tensor<?x?xi64>, tensor<?x4x7xf32>, tensor<?x4x?x?xf32>
}

// Thousands of entries have one bin: added to it one by one, the smaller ones
// would lose their last bits to the sum.
func.func @shared_bins(%q: tensor<1x4x?x16xf32> {attn.name = "q", attn.dims = ["1", "4", "M", "16"]},
    %k: tensor<1x4x?x16xf32> {attn.name = "k", attn.dims = ["1", "4", "N", "16"]})
    -> (tensor<1x4x3xf32>, tensor<1x4x3xf32>) {
  %c0 = arith.constant 0 : index
  %s = attn.score %q, %k scale(0.25) query_offset(%c0 : index) : tensor<1x4x?x16xf32>, tensor<1x4x?x16xf32> -> !attn.scores<1x4x?x?xf32>
  %same = attn.map %s (%x: f32) {
    %y = arith.constant 0.761594176 : f32
    attn.yield %y : f32
  } : (!attn.scores<1x4x?x?xf32>) -> !attn.scores<1x4x?x?xf32>
  %all = attn.reduce sum both %same bins(3) by (%x: f32) at (%b, %h, %i, %j) {
    %c3 = arith.constant 3 : index
    %bin = arith.remui %j, %c3 : index
    attn.yield %bin : index
  } : (!attn.scores<1x4x?x?xf32>) -> tensor<1x4x3xf32>
  %c = attn.mask %s causal : !attn.scores<1x4x?x?xf32>
  %some = attn.reduce sum both %c bins(3) by (%x: f32) at (%b, %h, %i, %j) {
    %c2 = arith.constant 2 : index
    %bin = arith.subi %c2, %b : index
    attn.yield %bin : index
  } : (!attn.scores<1x4x?x?xf32>) -> tensor<1x4x3xf32>
  return %all, %some : tensor<1x4x3xf32>, tensor<1x4x3xf32>
}

// Weights per block of queries and block of keys, and the other way round.

func.func @blocks(%q: !qkv {attn.name = "q", attn.dims = ["B", "4", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "4", "N", "16"]})
    -> (tensor<?x4x?x3xf32>, tensor<?x4x?x?xf32>, tensor<?x4x?x2xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c7 = arith.constant 7 : index
  %c100 = arith.constant 100 : index
  %n = tensor.dim %k, %c2 : !qkv
  %s = attn.score %q, %k scale(0.25) query_offset(%c0 : index) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %blocks = attn.reduce sum keys %p bins(3) by (%x: f32) at (%b, %h, %i, %j) {
    %c32 = arith.constant 32 : index
    %t = arith.divui %j, %c32 : index
    attn.yield %t : index
  } rows(%c7) : (!scores) -> tensor<?x4x?x3xf32>
  %t = attn.transpose %c : !scores -> !scores
  %columns = attn.reduce max queries %t bins(%n) by (%x: f32) at (%b, %h, %i, %j) {
    attn.yield %i : index
  } rows(%c100) : (!scores) -> tensor<?x4x?x?xf32>
  %halves = attn.reduce sum queries %p bins(2) by (%x: f32) at (%b, %h, %i, %j) {
    %g = arith.cmpi ugt, %i, %c7 : index
    %e = arith.index_castui %g : i1 to index
    attn.yield %e : index
  } rows(%c1) : (!scores) -> tensor<?x4x?x2xf32>
  return %blocks, %columns, %halves : tensor<?x4x?x3xf32>, tensor<?x4x?x?xf32>, tensor<?x4x?x2xf32>
}
