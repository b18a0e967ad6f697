// Large kernel attention on an image of 11 x 14 tokens in row-major order: the
// gate is a 5 x 5 convolution, then a 7 x 7 one with dilation 3, together 23
// tokens wide, and multiplies what it was made of. A convolution of values is an
// aggregate whose weights are a table of displacements: no queries, no keys, no
// softmax, and a mask that leaves most tiles out. Channels of a head share taps;
// the 1 x 1 convolution that follows is a matrix product outside of attention.
//
// Papers: Visual Attention Network, arXiv 2202.09741; LKCA: Large Kernel
// Convolutional Attention, arXiv 2401.05738.
// Shapes: x [B, 4, 154, 16].
//
// RUN: attn-run %s --check --size B=2
// RUN: attn-run %s --check --loops=fused --size B=1

!weights = !attn.scores<?x4x154x154xf32>
!tokens = tensor<?x4x154x16xf32>

func.func @attention(
    %x: !tokens {attn.name = "x", attn.dims = ["B", "4", "154", "16"]},
    %near: tensor<4x5x5xf32> {attn.name = "near", attn.init = "normal(0.3)"},
    %far: tensor<4x7x7xf32> {attn.name = "far", attn.init = "normal(0.3)"}
  ) -> (!tokens {attn.name = "o"}) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c9 = arith.constant 9 : index
  %c14 = arith.constant 14 : index
  %zero = arith.constant 0 : index
  %batch = tensor.dim %x, %zero : !tokens

  // Taps [h, y + 2, x + 2] where both displacements are within 2.
  %a0 = attn.map sizes(%batch) () at (%b, %h, %i, %j) {
    %yi = arith.divui %i, %c14 : index
    %xi = arith.remui %i, %c14 : index
    %yj = arith.divui %j, %c14 : index
    %xj = arith.remui %j, %c14 : index
    %dy = arith.subi %yj, %yi : index
    %dx = arith.subi %xj, %xi : index
    %u = arith.addi %dy, %c2 : index
    %v = arith.addi %dx, %c2 : index
    %w = tensor.extract %near[%h, %u, %v] : tensor<4x5x5xf32>
    attn.yield %w : f32
  } : () -> !weights
  %a = attn.mask %a0 (%w: f32) at (%b, %h, %i, %j) {
    %yi = arith.divui %i, %c14 : index
    %xi = arith.remui %i, %c14 : index
    %yj = arith.divui %j, %c14 : index
    %xj = arith.remui %j, %c14 : index
    %dy = arith.subi %yj, %yi : index
    %dx = arith.subi %xj, %xi : index
    %ay = math.absi %dy : index
    %ax = math.absi %dx : index
    %iny = arith.cmpi sle, %ay, %c2 : index
    %inx = arith.cmpi sle, %ax, %c2 : index
    %keep = arith.andi %iny, %inx : i1
    attn.yield %keep : i1
  } : !weights
  %y = attn.aggregate %a, %x : !weights, !tokens -> !tokens

  // Taps [h, (y + 9) div 3, (x + 9) div 3] at multiples of 3, up to 9.
  %d0 = attn.map sizes(%batch) () at (%b, %h, %i, %j) {
    %yi = arith.divui %i, %c14 : index
    %xi = arith.remui %i, %c14 : index
    %yj = arith.divui %j, %c14 : index
    %xj = arith.remui %j, %c14 : index
    %dy = arith.subi %yj, %yi : index
    %dx = arith.subi %xj, %xi : index
    %py = arith.addi %dy, %c9 : index
    %px = arith.addi %dx, %c9 : index
    %u = arith.divsi %py, %c3 : index
    %v = arith.divsi %px, %c3 : index
    %w = tensor.extract %far[%h, %u, %v] : tensor<4x7x7xf32>
    attn.yield %w : f32
  } : () -> !weights
  %d = attn.mask %d0 (%w: f32) at (%b, %h, %i, %j) {
    %yi = arith.divui %i, %c14 : index
    %xi = arith.remui %i, %c14 : index
    %yj = arith.divui %j, %c14 : index
    %xj = arith.remui %j, %c14 : index
    %dy = arith.subi %yj, %yi : index
    %dx = arith.subi %xj, %xi : index
    %ay = math.absi %dy : index
    %ax = math.absi %dx : index
    %iny = arith.cmpi sle, %ay, %c9 : index
    %inx = arith.cmpi sle, %ax, %c9 : index
    %in = arith.andi %iny, %inx : i1
    %ry = arith.remsi %ay, %c3 : index
    %rx = arith.remsi %ax, %c3 : index
    %ony = arith.cmpi eq, %ry, %zero : index
    %onx = arith.cmpi eq, %rx, %zero : index
    %on = arith.andi %ony, %onx : i1
    %keep = arith.andi %in, %on : i1
    attn.yield %keep : i1
  } : !weights
  %gate = attn.aggregate %d, %y : !weights, !tokens -> !tokens

  %init = tensor.empty(%batch) : !tokens
  %o = linalg.mul ins(%gate, %x : !tokens, !tokens) outs(%init : !tokens) -> !tokens
  return %o : !tokens
}
