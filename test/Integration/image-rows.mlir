// Keys of an image that is 21 wide: some vectors of keys lie in one row of it,
// others do not. A bias from a table of displacements, a window, a softmax, and
// what two kernels and several stages make of them.
//
// RUN: attn-run %s --check --size B=2
// RUN: attn-run %s --check --size B=1 --threads=1 --seed=3
// RUN: attn-run %s --check=exact --size B=1
// RUN: attn-run %s --check --loops=fused --size B=1

!scores = !attn.scores<?x2x189x189xf32>
!tokens = tensor<?x2x189x24xf32>

func.func @attention(
    %q: !tokens {attn.name = "q", attn.dims = ["B", "2", "189", "24"]},
    %k: !tokens {attn.name = "k", attn.dims = ["B", "2", "189", "24"]},
    %v: !tokens {attn.name = "v", attn.dims = ["B", "2", "189", "24"], attn.init = "inf-row"},
    %bias: tensor<2x7x5xf32> {attn.name = "bias", attn.init = "normal(0.3)"},
    %steps: tensor<16xf32> {attn.name = "steps", attn.init = "normal(0.3)"}
  ) -> (!tokens {attn.name = "o"}, tensor<?x2x189xf32> {attn.name = "sums"}) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c10 = arith.constant 10 : index
  %c21 = arith.constant 21 : index
  %zero = arith.constant 0 : index
  %s = attn.score %q, %k scale(0.2) : !tokens, !tokens -> !scores
  %near = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %yi = arith.divui %i, %c21 : index
    %xi = arith.remui %i, %c21 : index
    %yj = arith.divui %j, %c21 : index
    %xj = arith.remui %j, %c21 : index
    %dy = arith.subi %yj, %yi : index
    %dx = arith.subi %xj, %xi : index
    %u = arith.addi %dy, %c3 : index
    %w = arith.addi %dx, %c2 : index
    %t = tensor.extract %bias[%h, %u, %w] : tensor<2x7x5xf32>
    %y = arith.addf %x, %t : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %masked = attn.mask %near (%x: f32) at (%b, %h, %i, %j) {
    %yi = arith.divui %i, %c21 : index
    %xi = arith.remui %i, %c21 : index
    %yj = arith.divui %j, %c21 : index
    %xj = arith.remui %j, %c21 : index
    %dy = arith.subi %yj, %yi : index
    %dx = arith.subi %xj, %xi : index
    %ay = math.absi %dy : index
    %ax = math.absi %dx : index
    %iny = arith.cmpi sle, %ay, %c3 : index
    %inx = arith.cmpi sle, %ax, %c2 : index
    %keep = arith.andi %iny, %inx : i1
    attn.yield %keep : i1
  } : !scores
  %p = attn.softmax %masked : !scores
  %o = attn.aggregate %p, %v : !scores, !tokens -> !tokens

  // Dilated displacements along the row, and keys that count from behind.
  %far = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %shifted = arith.addi %j, %c10 : index
    %xi = arith.remui %i, %c21 : index
    %xj = arith.remsi %shifted, %c21 : index
    %dx = arith.subi %xj, %xi : index
    %ax = math.absi %dx : index
    %u = arith.divsi %ax, %c2 : index
    %t = tensor.extract %steps[%u] : tensor<16xf32>
    %y = arith.mulf %x, %t : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %sums = attn.reduce sum keys %far : (!scores) -> tensor<?x2x189xf32>
  return %o, %sums : !tokens, tensor<?x2x189xf32>
}
