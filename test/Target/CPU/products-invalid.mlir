// A factor of a product is computed in tiles of its own, which have no halo.
// RUN: attn-opt %s --attn-cpu-pipeline=max-recompute-factor=0 --verify-diagnostics -o /dev/null

!in = tensor<1x2x64x16xf32>
!scores = !attn.scores<1x2x64x64xf32>

func.func @convolved_factor(%q: !in, %k: !in, %v: !in, %taps: tensor<2x1x3xf32>) -> !in {
  %s = attn.score %q, %k : !in, !in -> !scores
  %n = attn.convolve %s, %taps origin [0, 1] : !scores, tensor<2x1x3xf32>
  %c = attn.matmul %n, %s : !scores, !scores -> !scores
  // expected-error @below {{the CPU target has no form for a convolution or a mixture of heads in a factor of attn.matmul; materialize the factor (attn.materialize)}}
  %o = attn.aggregate %c, %v : !scores, !in -> !in
  return %o : !in
}
