// Programs whose online forms are easy to get wrong: fused loops and fused
// kernels agree with the reference within its own error, also where a maximum
// arrives late, rows are empty, or values are not finite.
//
// RUN: attn-run %s --entry=own_softmax --size B=2,M=33,N=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=own_softmax --size B=2,M=33,N=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=own_softmax --size B=2,M=33,N=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=own_softmax --size B=2,M=33,N=70 --pattern q=large --check --loops=fused
// RUN: attn-run %s --entry=bias_after_max --size B=2,M=33,N=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=bias_after_max --size B=2,M=33,N=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=bias_after_max --size B=2,M=33,N=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=bias_after_max --size B=2,M=33,N=70 --pattern q=large --check --loops=fused
// RUN: attn-run %s --entry=squares_and_products --size B=2,L=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=squares_and_products --size B=2,L=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=squares_and_products --size B=2,L=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=squares_and_products --size B=2,L=70 --pattern q=large --check --loops=fused
// RUN: attn-run %s --entry=relu_of_weights --size B=2,L=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=relu_of_weights --size B=2,L=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=relu_of_weights --size B=2,L=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=relu_of_weights --size B=2,L=70 --pattern q=large --check --loops=fused
// RUN: attn-run %s --entry=softmax_of_softmax --size B=2,L=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=softmax_of_softmax --size B=2,L=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=softmax_of_softmax --size B=2,L=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=softmax_of_softmax --size B=2,L=70 --pattern q=large --check --loops=fused
// RUN: attn-run %s --entry=key_temperature --size B=2,M=33,N=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=key_temperature --size B=2,M=33,N=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=key_temperature --size B=2,M=33,N=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=key_temperature --size B=2,M=33,N=70 --pattern q=large --check --loops=fused
// RUN: attn-run %s --entry=statistics --size B=2,L=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=statistics --size B=2,L=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=statistics --size B=2,L=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=statistics --size B=2,L=70 --pattern q=large --check --loops=fused
// RUN: attn-run %s --entry=two_largest --size B=2,L=70 --pattern q=late-max --check
// RUN: attn-run %s --entry=two_largest --size B=2,L=70 --pattern q=nan-row --check
// RUN: attn-run %s --entry=two_largest --size B=2,L=70 --pattern q=neg-inf-row --check
// RUN: attn-run %s --entry=two_largest --size B=2,L=70 --pattern q=large --check --loops=fused

!scores = !attn.scores<?x2x?x?xf32>
!qkv = tensor<?x2x?x16xf32>
!row = tensor<?x2x?xf32>

// A softmax in the user's own words, base e, no guard, scaled after the maximum.
func.func @own_softmax(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "N", "16"]}) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %e = attn.map %s (%x: f32) at (%b, %h, %i) {
    %t = arith.constant 0.25 : f32
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %y = arith.mulf %d, %t : f32
    %z = math.exp %y : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %l = attn.reduce sum keys %e : (!scores) -> !row
  %p = attn.map %e (%x: f32) at (%b, %h, %i) {
    %r = tensor.extract %l[%b, %h, %i] : !row
    %y = arith.divf %x, %r : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// A bias in the exponent but not in the maximum: no prefix is bounded by the
// final value, so the maximum keeps a sweep of its own.
func.func @bias_after_max(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "N", "16"]},
    %bias: tensor<?xf32> {attn.name = "bias", attn.dims = ["N"], attn.init = "large"}) -> !qkv {
  %s = attn.score %q, %k : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %e = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %bias[%j] : tensor<?xf32>
    %hundredth = arith.constant 0.01 : f32
    %cs = arith.mulf %c, %hundredth : f32
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %y = arith.addf %d, %cs : f32
    %z = math.exp2 %y : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %l = attn.reduce sum keys %e : (!scores) -> !row
  %p = attn.map %e (%x: f32) at (%b, %h, %i) {
    %r = tensor.extract %l[%b, %h, %i] : !row
    %y = arith.divf %x, %r : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Squared weights, and the product of two softmaxes with different masks.
func.func @squares_and_products(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "L", "16"]}) -> (!qkv, !qkv) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %w = attn.mask %s window<left = 5, right = 2> : !scores
  %p = attn.softmax %c : !scores
  %r = attn.softmax %w : !scores
  %p2 = attn.map %p (%x: f32) {
    %y = arith.mulf %x, %x : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %pr = attn.map %p, %r (%x: f32, %y: f32) {
    %z = arith.mulf %x, %y : f32
    attn.yield %z : f32
  } : (!scores, !scores) -> !scores
  %o = attn.aggregate %p2, %v : !scores, !qkv -> !qkv
  %o2 = attn.aggregate %pr, %v : !scores, !qkv -> !qkv
  return %o, %o2 : !qkv, !qkv
}

// A function of normalised weights needs a second sweep.
func.func @relu_of_weights(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "L", "16"]}) -> !qkv {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %f = attn.map %p (%x: f32) {
    %t = arith.constant 0.05 : f32
    %z = arith.constant 0.0 : f32
    %d = arith.subf %x, %t : f32
    %y = arith.maximumf %d, %z : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %f, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Softmax of softmax, twice normalised.
func.func @softmax_of_softmax(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "L", "16"]}) -> !qkv {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %p = attn.softmax %s : !scores
  %r = attn.softmax %p : !scores
  %o = attn.aggregate %r, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// A temperature that depends on the key, on the shift too.
func.func @key_temperature(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "M", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "N", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "N", "16"]},
    %tau: tensor<?xf32> {attn.name = "tau", attn.dims = ["N"], attn.init = "positive"}) -> !qkv {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %m = attn.reduce max keys %s : (!scores) -> !row
  %e = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %c = tensor.extract %tau[%j] : tensor<?xf32>
    %r = tensor.extract %m[%b, %h, %i] : !row
    %d = arith.subf %x, %r : f32
    %y = arith.mulf %d, %c : f32
    %z = math.exp2 %y : f32
    attn.yield %z : f32
  } : (!scores) -> !scores
  %l = attn.reduce sum keys %e : (!scores) -> !row
  %p = attn.map %e (%x: f32) at (%b, %h, %i) {
    %r = tensor.extract %l[%b, %h, %i] : !row
    %y = arith.divf %x, %r : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// Every statistic of one row, with sinks and a temperature; column sums of the
// normalised weights from a second, swapped stream.
func.func @statistics(%q: !qkv {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "2", "L", "16"]},
    %sink: tensor<2xf32> {attn.name = "sink", attn.dims = ["2"]},
    %tau: tensor<1x2x?xf32> {attn.name = "tau", attn.dims = ["1", "2", "L"], attn.init = "positive"})
    -> (!qkv, !row, !row, !row, !row, !row, tensor<?x2x?xi64>, tensor<?x2x?xi64>, !row) {
  %s = attn.score %q, %k scale(0.25) : !qkv, !qkv -> !scores
  %c = attn.mask %s window<left = 7, right = 0> : !scores
  %p = attn.softmax %c temperature(%tau : tensor<1x2x?xf32>) sink(%sink : tensor<2xf32>) plus_one : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  %lse = attn.reduce lse keys %c : (!scores) -> !row
  %entropy = attn.reduce entropy keys %c : (!scores) -> !row
  %mean, %var = attn.reduce moments keys %c : (!scores) -> (!row, !row)
  %max = attn.reduce max keys %c : (!scores) -> !row
  %count = attn.reduce count keys %c : (!scores) -> tensor<?x2x?xi64>
  %arg = attn.reduce argmax keys %c : (!scores) -> tensor<?x2x?xi64>
  %received = attn.reduce sum queries %p : (!scores) -> !row
  return %o, %lse, %entropy, %mean, %var, %max, %count, %arg, %received
    : !qkv, !row, !row, !row, !row, !row, tensor<?x2x?xi64>, tensor<?x2x?xi64>, !row
}

// A monoid of the user's own: the sum of the two largest scores.
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
