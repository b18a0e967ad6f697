// Ranges of keys merged by a second stream agree with the reference within its
// own error, in loops and in kernels: every kind of carry, ranges without keys
// (more ranges than keys, lengths of zero), values that are not finite.

// RUN: attn-opt %s --attn-plan=splits=3 -o /dev/null 2>&1 | FileCheck %s --check-prefix=PLAN --allow-empty
// PLAN-NOT: keys are not split

// RUN: attn-run %s --entry=reductions --check --loops=fused --splits=3 --size B=3,L=37
// RUN: attn-run %s --entry=reductions --check --splits=3 --size B=3,L=37
// RUN: attn-run %s --entry=reductions --check --splits=7 --size B=2,L=5
// RUN: attn-run %s --entry=reductions --check --splits=4 --size B=2,L=300 --pattern q=nan-row
// RUN: attn-run %s --entry=reductions --check --splits=4 --size B=2,L=30 --pattern q=inf-row

// RUN: attn-run %s --entry=softmax --check --loops=fused --splits=3 --size B=2,M=5,N=101
// RUN: attn-run %s --entry=softmax --check --splits=3 --size B=2,M=5,N=101
// RUN: attn-run %s --entry=softmax --check --splits=8 --size B=1,M=1,N=3
// RUN: attn-run %s --entry=softmax --check --splits=4 --size B=1,M=70,N=515 --pattern k=late-max
// RUN: attn-run %s --entry=softmax --check --splits=4 --size B=1,M=9,N=64 --pattern q=large

// RUN: attn-run %s --entry=two_largest --check --loops=fused --splits=3 --size B=2,L=41
// RUN: attn-run %s --entry=two_largest --check --splits=3 --size B=2,L=41

!scores = !attn.scores<?x2x?x?xf32>
!qkv = tensor<?x2x?x16xf32>
!row = tensor<?x2x?xf32>

func.func @reductions(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "L", "16"]},
    %length: tensor<?x1xi32> {attn.name = "length", attn.dims = ["B", "1"], attn.init = "range 0 L"})
    -> (!row, !row, !row, !row, tensor<?x2x?xi64>, tensor<?x2x?xi64>, tensor<?x2x?xi64>, !qkv) {
  %s = attn.score %q, %k scale(0.25) key_length(%length : tensor<?x1xi32>) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %sum = attn.reduce sum keys %c : (!scores) -> !row
  %max = attn.reduce max keys %c : (!scores) -> !row
  %min = attn.reduce min keys %c : (!scores) -> !row
  %mean = attn.reduce mean keys %c : (!scores) -> !row
  %count = attn.reduce count keys %c : (!scores) -> tensor<?x2x?xi64>
  %first = attn.reduce argmax keys %c : (!scores) -> tensor<?x2x?xi64>
  %last = attn.reduce argmin keys %c : (!scores) -> tensor<?x2x?xi64>
  %o = attn.aggregate %c, %v : !scores, !qkv -> !qkv
  return %sum, %max, %min, %mean, %count, %first, %last, %o
    : !row, !row, !row, !row, tensor<?x2x?xi64>, tensor<?x2x?xi64>, tensor<?x2x?xi64>, !qkv
}

func.func @softmax(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "N", "16"]}) -> (!qkv, !row) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  %lse = attn.reduce lse keys %s : (!scores) -> !row
  return %o, %lse : !qkv, !row
}

func.func @two_largest(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]}) -> (!row, !row) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %a, %b = attn.reduce custom keys %c identity [-1000.0, -1000.0] lift (%x: f32) {
    %low = arith.constant -1000.0 : f32
    attn.yield %x, %low : f32, f32
  } combine {
  ^bb0(%a0: f32, %a1: f32, %b0: f32, %b1: f32):
    %hi = arith.maximumf %a0, %b0 : f32
    %lo = arith.minimumf %a0, %b0 : f32
    %rest = arith.maximumf %a1, %b1 : f32
    %second = arith.maximumf %lo, %rest : f32
    attn.yield %hi, %second : f32, f32
  } : (!scores) -> (!row, !row)
  return %a, %b : !row, !row
}
