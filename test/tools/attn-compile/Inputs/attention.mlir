// Causal attention with a window, to be called from C.

!scores = !attn.scores<?x2x?x?xf32>

func.func @attention(
    %q: tensor<?x2x?x8xf32> {attn.name = "q", attn.dims = ["B", "H", "M", "D"]},
    %k: tensor<?x2x?x8xf32> {attn.name = "k", attn.dims = ["B", "H", "N", "D"]},
    %v: tensor<?x2x?x8xf32> {attn.name = "v", attn.dims = ["B", "H", "N", "D"]},
    %past: index {attn.name = "past"}
  ) -> (tensor<?x2x?x8xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.5)
     : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32> -> !scores
  %t = attn.with_axes %s query_offset(%past : index) : !scores
  %c = attn.mask %t causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x8xf32> -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// The extent of a result that is computed.
func.func @pairs(%x: tensor<?xf32> {attn.name = "x", attn.dims = ["N"]})
    -> (tensor<?xf32> {attn.name = "y"}) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %m = arith.floordivsi %n, %c2 : index
  %y = tensor.generate %m {
  ^bb0(%i: index):
    %j = arith.muli %i, %c2 : index
    %e = tensor.extract %x[%j] : tensor<?xf32>
    tensor.yield %e : f32
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A name that is a number in one argument and open in the other.
func.func @fixed(%x: tensor<?xf32> {attn.name = "x", attn.dims = ["N"]},
                 %y: tensor<4xf32> {attn.name = "y", attn.dims = ["N"]})
    -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
