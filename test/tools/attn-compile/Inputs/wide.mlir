// Rows of 512 floats, 64 of them at a time.
func.func @wide(%q: tensor<1x1x?x512xf32> {attn.dims = ["1", "1", "L", "512"]},
    %v: tensor<1x1x?x16xf32> {attn.dims = ["1", "1", "L", "16"]}) -> tensor<1x1x?x16xf32> {
  %s = attn.score %q, %q : tensor<1x1x?x512xf32>, tensor<1x1x?x512xf32> -> !attn.scores<1x1x?x?xf32>
  %p = attn.softmax %s : !attn.scores<1x1x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<1x1x?x?xf32>, tensor<1x1x?x16xf32> -> tensor<1x1x?x16xf32>
  return %o : tensor<1x1x?x16xf32>
}
