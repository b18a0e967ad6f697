// RUN: attn-opt %s
func.func @attention(%q: tensor<?x8x?x64xf32> {attn.name = "q", attn.dims = ["B", "H", "L", "D"]}, %k: tensor<?x2x?x64xf32> {attn.dims = ["B", "G", "L", "D"]}, %v: tensor<?x2x?x64xf32>, %slopes : tensor<8xf32>) -> tensor<?x8x?x64xf32> {
  %s = attn.score %q, %k scale(0.125) : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !attn.scores<?x8x?x?xf32>
  %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
      %m = tensor.extract %slopes[%h] : tensor<8xf32>
      %d = arith.subi %j, %i : index
      %di = arith.index_cast %d : index to i64
      %df = arith.sitofp %di : i64 to f32
      %t = arith.mulf %m, %df : f32
      %y = arith.addf %x, %t : f32
      attn.yield %y : f32
    } : (!attn.scores<?x8x?x?xf32>) -> !attn.scores<?x8x?x?xf32>
  %c = attn.mask %a causal : !attn.scores<?x8x?x?xf32>
  %p = attn.softmax %c : !attn.scores<?x8x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x8x?x?xf32>, tensor<?x2x?x64xf32> -> tensor<?x8x?x64xf32>
  return %o : tensor<?x8x?x64xf32>
}
