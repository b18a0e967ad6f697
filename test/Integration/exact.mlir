// Exact mode on types and ways to run that the examples do not have.

// RUN: attn-run %s --entry=bf16 --check=exact --size L=331 | FileCheck %s --check-prefix=BF16
// RUN: attn-run %s --entry=bf16 --check=exact --loops=fused --size L=33 | FileCheck %s --check-prefix=BF16
// RUN: attn-run %s --entry=f64 --check=exact --size L=131 | FileCheck %s --check-prefix=F64
// RUN: attn-run %s --entry=f64 --check=exact --splits=3 --size L=131 | FileCheck %s --check-prefix=F64
// RUN: attn-run %s --entry=twice --check=exact --size L=131 | FileCheck %s --check-prefix=TWICE
// RUN: attn-run %s --entry=twice --check --check=exact --loops --size L=21 | FileCheck %s --check-prefixes=BOTH,TWICE
// RUN: attn-run %s --entry=f64 --check=exact --strided q --size L=17 | FileCheck %s --check-prefix=F64
// RUN: attn-run %s --entry=own_keys --check=exact --size M=5,C=3 | FileCheck %s --check-prefix=OWN
// RUN: attn-run %s --entry=written --check=exact --size L=40 | FileCheck %s --check-prefix=WRITTEN
// RUN: attn-run %s --entry=empty_columns --check=exact --size L=40 | FileCheck %s --check-prefix=EMPTY
// RUN: not attn-run %s --entry=f64 --check=precise 2>&1 | FileCheck %s --check-prefix=USAGE
// RUN: not attn-run %s --entry=f64 --check=exact --plant-fault=bound --size L=17 2>&1 | FileCheck %s --check-prefix=PLACE
// RUN: not attn-run %s --entry=f64 --check=exact --plant-fault=tail --loops --size L=17 2>&1 | FileCheck %s --check-prefix=NOPLAN

// Weights are rounded to bf16 before they meet the values, relative to
// whatever maximum there is at that time: results agree modulo 2^16.
// BF16: o (bf16): {{.*}} elements equal modulo 2^16
// BF16: exact check ({{.*}}): ok

// F64: o (f64): {{.*}} elements equal modulo 2^64
// F64: exact check ({{.*}}): ok

// BOTH: check (loops): ok
// TWICE: lse (f32): {{.*}} elements equal modulo 2^32
// TWICE: received (f32): {{.*}} elements equal modulo 2^32
// TWICE: exact check ({{.*}}): ok

// Where there is nothing, the maximum stays what it was.
// EMPTY: entropy (f32): {{.*}} elements equal modulo 2^32

// Absent entries are marked by the bits of a NaN.
// OWN: exact check ({{.*}}): ok
// The copy of an argument that is written has every bit of it.
// WRITTEN: exact check ({{.*}}): ok

// USAGE: --check takes no value, or exact, not 'precise'
// NOPLAN: --plant-fault damages a plan, and --reference and --loops run without one
// PLACE: the plan has no place for a fault of kind 'bound'

func.func @bf16(
    %q: tensor<1x4x?x64xbf16> {attn.name = "q", attn.dims = ["1", "4", "L", "64"]},
    %k: tensor<1x2x?x64xbf16> {attn.name = "k", attn.dims = ["1", "2", "L", "64"]},
    %v: tensor<1x2x?x64xbf16> {attn.name = "v", attn.dims = ["1", "2", "L", "64"]}
  ) -> (tensor<1x4x?x64xbf16> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.125) : tensor<1x4x?x64xbf16>, tensor<1x2x?x64xbf16> -> !attn.scores<1x4x?x?xf32>
  %c = attn.mask %s causal : !attn.scores<1x4x?x?xf32>
  %p = attn.softmax %c : !attn.scores<1x4x?x?xf32>
  %o = attn.aggregate %p, %v operand_type(bf16) : !attn.scores<1x4x?x?xf32>, tensor<1x2x?x64xbf16> -> tensor<1x4x?x64xbf16>
  return %o : tensor<1x4x?x64xbf16>
}

func.func @f64(
    %q: tensor<1x2x?x16xf64> {attn.name = "q", attn.dims = ["1", "2", "L", "16"]},
    %k: tensor<1x2x?x16xf64> {attn.name = "k", attn.dims = ["1", "2", "L", "16"]},
    %v: tensor<1x2x?x16xf64> {attn.name = "v", attn.dims = ["1", "2", "L", "16"]}
  ) -> (tensor<1x2x?x16xf64> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.25) : tensor<1x2x?x16xf64>, tensor<1x2x?x16xf64> -> !attn.scores<1x2x?x?xf64>
  %p = attn.softmax %s : !attn.scores<1x2x?x?xf64>
  %o = attn.aggregate %p, %v : !attn.scores<1x2x?x?xf64>, tensor<1x2x?x16xf64> -> tensor<1x2x?x16xf64>
  return %o : tensor<1x2x?x16xf64>
}

// Rows in one stream, columns in a second one that visits the scores again.
func.func @twice(
    %q: tensor<1x2x?x16xf32> {attn.name = "q", attn.dims = ["1", "2", "L", "16"]},
    %k: tensor<1x2x?x16xf32> {attn.name = "k", attn.dims = ["1", "2", "L", "16"]}
  ) -> (tensor<1x2x?xf32> {attn.name = "lse"}, tensor<1x2x?xf32> {attn.name = "received"}) {
  %s = attn.score %q, %k scale(0.25) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x?x?xf32>
  %c = attn.mask %s causal : !attn.scores<1x2x?x?xf32>
  %lse = attn.reduce lse keys %c : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  %p = attn.softmax %c : !attn.scores<1x2x?x?xf32>
  %r = attn.reduce sum queries %p : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  return %lse, %r : tensor<1x2x?xf32>, tensor<1x2x?xf32>
}

func.func @own_keys(
    %q: tensor<2x2x?x4xf32> {attn.name = "q", attn.dims = ["2", "2", "M", "4"]},
    %k: tensor<2x1x?x?x4xf32> {attn.name = "k", attn.dims = ["2", "1", "M", "C", "4"]}
  ) -> (tensor<2x2x?x4xf32> {attn.name = "o"}) {
  %s = attn.lane %q, %k : tensor<2x2x?x4xf32>, tensor<2x1x?x?x4xf32> -> !attn.scores<2x2x?x?xf32>
  %m = attn.mask %s (%v: f32) at (%b, %h, %i) {
    %c1 = arith.constant 1 : index
    %p = arith.cmpi slt, %i, %c1 : index
    attn.yield %p : i1
  } : !attn.scores<2x2x?x?xf32>
  %o = attn.aggregate %m, %k : !attn.scores<2x2x?x?xf32>, tensor<2x1x?x?x4xf32> -> tensor<2x2x?x4xf32>
  return %o : tensor<2x2x?x4xf32>
}

func.func @written(
    %q: tensor<1x2x?x16xf32> {attn.name = "q", attn.dims = ["1", "2", "L", "16"]},
    %k: tensor<1x2x?x16xf32> {attn.name = "k", attn.dims = ["1", "2", "L", "16"], bufferization.writable = true},
    %new: tensor<1x2x1x16xf32> {attn.name = "new", attn.dims = ["1", "2", "1", "16"]}
  ) -> (tensor<1x2x?x16xf32> {attn.name = "o"}) {
  %c3 = arith.constant 3 : index
  %c = attn.append %k, %new at(%c3 : index) : tensor<1x2x?x16xf32>, tensor<1x2x1x16xf32>
  %s = attn.score %q, %c : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x?x?xf32>
  %o = attn.aggregate %s, %c : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x16xf32> -> tensor<1x2x?x16xf32>
  return %o : tensor<1x2x?x16xf32>
}

func.func @empty_columns(
    %q: tensor<1x2x?x16xf32> {attn.name = "q", attn.dims = ["1", "2", "L", "16"]},
    %length: tensor<1x1xi32> {attn.name = "length", attn.init = "constant(13)"})
    -> (tensor<1x2x?xf32> {attn.name = "entropy"}) {
  %s = attn.score %q, %q key_length(%length : tensor<1x1xi32>) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x?x?xf32>
  %e = attn.reduce entropy queries %s : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  return %e : tensor<1x2x?xf32>
}
