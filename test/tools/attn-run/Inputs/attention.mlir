// Causal attention with names for everything.
func.func @attention(
    %q: tensor<?x4x?x16xf32> {attn.name = "q", attn.dims = ["B", "4", "L", "16"]},
    %k: tensor<?x2x?x16xf32> {attn.name = "k", attn.dims = ["B", "2", "L", "16"]},
    %v: tensor<?x2x?x16xf32> {attn.name = "v", attn.dims = ["B", "2", "L", "16"]})
    -> (tensor<?x4x?x16xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k scale(0.25) : tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x4x?x?xf32>
  %c = attn.mask %s causal : !attn.scores<?x4x?x?xf32>
  %p = attn.softmax %c : !attn.scores<?x4x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x4x?x?xf32>, tensor<?x2x?x16xf32> -> tensor<?x4x?x16xf32>
  return %o : tensor<?x4x?x16xf32>
}
