// Programs inside of loops and branches: tensors are carried, scores are not. A
// score matrix made outside of a loop may be used inside of it.

// DEFINE: %{run} = attn-run %s --check --size M=33,N=50
// RUN: %{run} --entry=until_close && %{run} --entry=until_close --loops
// RUN: %{run} --entry=until_close --loops=fused
// RUN: %{run} --entry=until_close --pattern "flag=constant(0)"
// RUN: %{run} --entry=until_close --pattern "rounds=constant(0)"
// RUN: %{run} --entry=scores_from_outside
// RUN: %{run} --entry=scores_from_outside --loops=fused

// A buffer per step is freed again: fifty rounds need what one does.
// RUN: attn-run %s --entry=until_close --size M=2000,N=20 --peak-memory \
// RUN:   --pattern "rounds=constant(50)" | FileCheck %s
// CHECK: peak memory beyond operands and results: {{[01]\.[0-9]+}} MiB resident

// Attention iterated until it changes little, then a branch, in a loop.
func.func @until_close(
    %q: tensor<1x2x?x16xf32> {attn.name = "q", attn.dims = ["B", "H", "M", "D"]},
    %k: tensor<1x2x?x16xf32> {attn.name = "k", attn.dims = ["B", "H", "N", "D"]},
    %flag: i64 {attn.name = "flag", attn.init = "constant(1)"},
    %rounds: index {attn.name = "rounds", attn.init = "constant(2)"})
    -> (tensor<1x2x?x16xf32>, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c50 = arith.constant 50 : index
  %tol = arith.constant 1.0e-3 : f32
  %zero = arith.constant 0.0 : f32
  %big = arith.constant 1.0e30 : f32
  %zi = arith.constant 0 : i64
  %isset = arith.cmpi ne, %flag, %zi : i64
  %init = tensor.empty() : tensor<f32>
  %o, %last = scf.for %r = %c0 to %rounds step %c1 iter_args(%x0 = %q, %n0 = %c0) -> (tensor<1x2x?x16xf32>, index) {
    %res:3 = scf.while (%x = %x0, %d = %big, %t = %c0) : (tensor<1x2x?x16xf32>, f32, index) -> (tensor<1x2x?x16xf32>, f32, index) {
      %far = arith.cmpf ogt, %d, %tol : f32
      %few = arith.cmpi slt, %t, %c50 : index
      %more = arith.andi %far, %few : i1
      scf.condition(%more) %x, %d, %t : tensor<1x2x?x16xf32>, f32, index
    } do {
    ^bb0(%x: tensor<1x2x?x16xf32>, %d: f32, %t: index):
      %s = attn.score %x, %k scale(0.25) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x?x?xf32>
      %p = attn.softmax %s : !attn.scores<1x2x?x?xf32>
      %y = attn.aggregate %p, %k : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x16xf32> -> tensor<1x2x?x16xf32>
      %z = linalg.fill ins(%zero : f32) outs(%init : tensor<f32>) -> tensor<f32>
      %m = linalg.generic {indexing_maps = [affine_map<(a,b,c,d)->(a,b,c,d)>, affine_map<(a,b,c,d)->(a,b,c,d)>, affine_map<(a,b,c,d)->()>], iterator_types = ["reduction","reduction","reduction","reduction"]}
        ins(%x, %y : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32>) outs(%z : tensor<f32>) {
        ^bb0(%a: f32, %b: f32, %c: f32):
          %e = arith.subf %a, %b : f32
          %f = math.absf %e : f32
          %g = arith.maximumf %f, %c : f32
          linalg.yield %g : f32
        } -> tensor<f32>
      %dn = tensor.extract %m[] : tensor<f32>
      %tn = arith.addi %t, %c1 : index
      scf.yield %y, %dn, %tn : tensor<1x2x?x16xf32>, f32, index
    }
    %w = scf.if %isset -> tensor<1x2x?x16xf32> {
      %s = attn.score %res#0, %res#0 scale(0.25) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x?x?xf32>
      %c = attn.mask %s causal : !attn.scores<1x2x?x?xf32>
      %p = attn.softmax %c : !attn.scores<1x2x?x?xf32>
      %y = attn.aggregate %p, %res#0 : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x16xf32> -> tensor<1x2x?x16xf32>
      scf.yield %y : tensor<1x2x?x16xf32>
    } else {
      scf.yield %res#0 : tensor<1x2x?x16xf32>
    }
    %n = arith.addi %n0, %res#2 : index
    scf.yield %w, %n : tensor<1x2x?x16xf32>, index
  }
  %steps = arith.index_cast %last : index to i64
  return %o, %steps : tensor<1x2x?x16xf32>, i64
}

// Sinkhorn steps on scores of outside, the potentials carried by a while loop.
func.func @scores_from_outside(
    %q: tensor<1x2x?x16xf32> {attn.name = "q", attn.dims = ["B", "H", "M", "D"]},
    %k: tensor<1x2x?x16xf32> {attn.name = "k", attn.dims = ["B", "H", "N", "D"]},
    %v: tensor<1x2x?x16xf32> {attn.name = "v", attn.dims = ["B", "H", "N", "D"]},
    %u0: tensor<1x2x?xf32> {attn.name = "u0", attn.dims = ["B", "H", "M"]},
    %v0: tensor<1x2x?xf32> {attn.name = "v0", attn.dims = ["B", "H", "N"]})
    -> (tensor<1x2x?x16xf32>, i64) {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c5 = arith.constant 5 : i64
  %s = attn.score %q, %k scale(0.25) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32> -> !attn.scores<1x2x?x?xf32>
  %u, %w, %steps = scf.while (%a = %u0, %b = %v0, %t = %c0) : (tensor<1x2x?xf32>, tensor<1x2x?xf32>, i64) -> (tensor<1x2x?xf32>, tensor<1x2x?xf32>, i64) {
    %more = arith.cmpi slt, %t, %c5 : i64
    scf.condition(%more) %a, %b, %t : tensor<1x2x?xf32>, tensor<1x2x?xf32>, i64
  } do {
  ^bb0(%a: tensor<1x2x?xf32>, %b: tensor<1x2x?xf32>, %t: i64):
    %x = attn.map %s (%e: f32) at (%bb, %h, %i, %j) {
      %l = tensor.extract %b[%bb, %h, %j] : tensor<1x2x?xf32>
      %r = arith.subf %e, %l : f32
      attn.yield %r : f32
    } : (!attn.scores<1x2x?x?xf32>) -> !attn.scores<1x2x?x?xf32>
    %un = attn.reduce lse keys %x : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
    %y = attn.map %s (%e: f32) at (%bb, %h, %i, %j) {
      %l = tensor.extract %un[%bb, %h, %i] : tensor<1x2x?xf32>
      %r = arith.subf %e, %l : f32
      attn.yield %r : f32
    } : (!attn.scores<1x2x?x?xf32>) -> !attn.scores<1x2x?x?xf32>
    %vn = attn.reduce lse queries %y : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
    %t1 = arith.addi %t, %c1 : i64
    scf.yield %un, %vn, %t1 : tensor<1x2x?xf32>, tensor<1x2x?xf32>, i64
  }
  %p = attn.map %s (%e: f32) at (%bb, %h, %i, %j) {
    %l = tensor.extract %u[%bb, %h, %i] : tensor<1x2x?xf32>
    %r = tensor.extract %w[%bb, %h, %j] : tensor<1x2x?xf32>
    %d = arith.subf %e, %l : f32
    %f = arith.subf %d, %r : f32
    %g = math.exp %f : f32
    attn.yield %g : f32
  } : (!attn.scores<1x2x?x?xf32>) -> !attn.scores<1x2x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x16xf32> -> tensor<1x2x?x16xf32>
  return %o, %steps : tensor<1x2x?x16xf32>, i64
}
