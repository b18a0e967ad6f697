// Few queries under masks that leave part of a tile: values are read where they
// lie, for all keys of the tile.
//
// RUN: attn-run %s --entry=window --check --size N=70
// RUN: attn-run %s --entry=window --check --size N=700 --pattern v=nan-row
// RUN: attn-run %s --entry=window --check=exact --size N=70
// RUN: attn-run %s --entry=narrow --check --size N=333

!few = !attn.scores<2x4x1x?xf32>
!three = !attn.scores<1x2x3x?xf32>

func.func @window(%q: tensor<2x4x1x16xf32> {attn.name = "q"},
                  %k: tensor<2x2x?x16xf32> {attn.name = "k", attn.dims = ["2", "2", "N", "16"]},
                  %v: tensor<2x2x?x16xf32> {attn.name = "v", attn.dims = ["2", "2", "N", "16"]})
    -> (tensor<2x4x1x16xf32> {attn.name = "o"}) {
  %c2 = arith.constant 2 : index
  %c1 = arith.constant 1 : index
  %n = tensor.dim %k, %c2 : tensor<2x2x?x16xf32>
  %last = arith.subi %n, %c1 : index
  %s = attn.score %q, %k query_offset(%last : index) : tensor<2x4x1x16xf32>, tensor<2x2x?x16xf32> -> !few
  %m = attn.mask %s window<left = 19, right = 0> : !few
  %p = attn.softmax %m : !few
  %o = attn.aggregate %p, %v : !few, tensor<2x2x?x16xf32> -> tensor<2x4x1x16xf32>
  return %o : tensor<2x4x1x16xf32>
}

// Values of fewer features than lanes, each row with a window of its own.
func.func @narrow(%q: tensor<1x2x3x8xf32> {attn.name = "q"},
                  %k: tensor<1x1x?x8xf32> {attn.name = "k", attn.dims = ["1", "1", "N", "8"]},
                  %v: tensor<1x1x?x3xf32> {attn.name = "v", attn.dims = ["1", "1", "N", "3"]})
    -> (tensor<1x2x3x3xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k : tensor<1x2x3x8xf32>, tensor<1x1x?x8xf32> -> !three
  %m = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %c100 = arith.constant 100 : index
    %c20 = arith.constant 20 : index
    %first = arith.muli %i, %c100 : index
    %end = arith.addi %first, %c20 : index
    %above = arith.cmpi sge, %j, %first : index
    %below = arith.cmpi slt, %j, %end : index
    %both = arith.andi %above, %below : i1
    attn.yield %both : i1
  } : !three
  %p = attn.softmax %m : !three
  %o = attn.aggregate %p, %v : !three, tensor<1x1x?x3xf32> -> tensor<1x2x3x3xf32>
  return %o : tensor<1x2x3x3xf32>
}
