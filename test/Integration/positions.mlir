// Masks and tables that divide positions, of either sign and by what is no power
// of two, and tables that are read backwards.

// RUN: attn-run %s --entry=divided --check --size B=2,M=47,N=83
// RUN: attn-run %s --entry=divided --check --size B=1,M=130,N=300
// RUN: attn-run %s --entry=divided --check --loops=fused --size B=1,M=17,N=40
// RUN: attn-run %s --entry=divided --check=exact --size B=1,M=47,N=83
// RUN: attn-run %s --entry=hashed --check --size B=2,M=33,N=70
// RUN: attn-run %s --entry=backwards --check --size B=2,L=50,T=70
// RUN: attn-run %s --entry=backwards --check --size B=1,L=200,T=31
// RUN: attn-run %s --entry=banded --check --size B=1,L=700
// RUN: attn-run %s --entry=banded --check --size B=2,L=131

!q = tensor<?x2x?x24xf32>
!scores = !attn.scores<?x2x?x?xf32>

// Signed and unsigned quotients and remainders decide presence and add up.
func.func @divided(%q: !q {attn.name = "q", attn.dims = ["B", "2", "M", "24"]},
    %k: !q {attn.name = "k", attn.dims = ["B", "2", "N", "24"]},
    %v: !q {attn.name = "v", attn.dims = ["B", "2", "N", "24"]}) -> !q {
  %c3 = arith.constant 3 : index
  %c7 = arith.constant 7 : index
  %c13 = arith.constant 13 : index
  %cm2 = arith.constant -2 : index
  %s = attn.score %q, %k scale(0.2) : !q, !q -> !scores
  %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %j, %i : index
    %quotient = arith.divsi %d, %c7 : index
    %column = arith.remui %j, %c13 : index
    %sum = arith.addi %quotient, %column : index
    %integer = arith.index_cast %sum : index to i64
    %float = arith.sitofp %integer : i64 to f32
    %tenth = arith.constant 0.125 : f32
    %bias = arith.mulf %float, %tenth : f32
    %y = arith.addf %x, %bias : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %m = attn.mask %a (%x: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %j, %i : index
    %r = arith.remsi %d, %c3 : index
    %keep = arith.cmpi ne, %r, %cm2 : index
    %row = arith.divui %j, %c13 : index
    %even = arith.remui %row, %c3 : index
    %other = arith.cmpi ult, %even, %c7 : index
    %both = arith.andi %keep, %other : i1
    attn.yield %both : i1
  } : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !q -> !q
  return %o : !q
}

// A hash has all 64 bits: no way through f64.
func.func @hashed(%q: !q {attn.name = "q", attn.dims = ["B", "2", "M", "24"]},
    %k: !q {attn.name = "k", attn.dims = ["B", "2", "N", "24"]},
    %v: !q {attn.name = "v", attn.dims = ["B", "2", "N", "24"]}) -> !q {
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %prime = arith.constant -7046029254386353131 : index
  %s = attn.score %q, %k scale(0.2) : !q, !q -> !scores
  %m = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %both = arith.addi %i, %j : index
    %hash = arith.muli %both, %prime : index
    %r = arith.remui %hash, %c3 : index
    %keep = arith.cmpi ne, %r, %c0 : index
    attn.yield %keep : i1
  } : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !q -> !q
  return %o : !q
}

// A table by distance, which ends where the distances go on.
func.func @backwards(%q: !q {attn.name = "q", attn.dims = ["B", "2", "L", "24"]},
    %k: !q {attn.name = "k", attn.dims = ["B", "2", "L", "24"]},
    %v: !q {attn.name = "v", attn.dims = ["B", "2", "L", "24"]},
    %table: tensor<2x?xf32> {attn.name = "table", attn.dims = ["2", "T"]}) -> !q {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = tensor.dim %table, %c1 : tensor<2x?xf32>
  %last = arith.subi %t, %c1 : index
  %s = attn.score %q, %k scale(0.2) : !q, !q -> !scores
  %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %i, %j : index
    %high = arith.minsi %d, %last : index
    %at = arith.maxsi %high, %c0 : index
    %bias = tensor.extract %table[%h, %at] : tensor<2x?xf32>
    %y = arith.addf %x, %bias : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %m = attn.mask %a causal : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !q -> !q
  return %o : !q
}

// Tiles of which the first and the last panels are empty.
func.func @banded(%q: !q {attn.name = "q", attn.dims = ["B", "2", "L", "24"]},
    %k: !q {attn.name = "k", attn.dims = ["B", "2", "L", "24"]},
    %v: !q {attn.name = "v", attn.dims = ["B", "2", "L", "24"]},
    %segments: tensor<?x?xi32> {attn.name = "segments", attn.dims = ["B", "L"], attn.init = "segments(5)"}) -> !q {
  %s = attn.score %q, %k scale(0.2) query_segments(%segments : tensor<?x?xi32>)
       key_segments(%segments : tensor<?x?xi32>) : !q, !q -> !scores
  %d = attn.mask %s document : !scores
  %p = attn.softmax %d : !scores
  %o = attn.aggregate %p, %v : !scores, !q -> !q
  return %o : !q
}
