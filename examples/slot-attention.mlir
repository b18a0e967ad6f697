// Slot attention: the softmax runs over the slots, which compete for the inputs,
// and every slot takes the mean of the values weighted by what it won. Seven
// slots are few enough to be resident: one kernel reads the inputs once.
//
// Paper: Object-Centric Learning with Slot Attention, arXiv 2006.15055.
// Shapes: q [B, 4, 7, 64], k and v [B, 4, N, 64].
//
// RUN: attn-run %s --check --size B=2,N=101
// RUN: attn-run %s --check --loops=fused --size B=1,N=33

!scores = !attn.scores<?x4x7x?xf32>
!turned = !attn.scores<?x4x?x7xf32>

func.func @attention(
    %q: tensor<?x4x7x64xf32>
        {attn.name = "q", attn.dims = ["B", "4", "7", "64"]},
    %k: tensor<?x4x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "4", "N", "64"]},
    %v: tensor<?x4x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "4", "N", "64"]}
  ) -> (tensor<?x4x7x64xf32> {attn.name = "updates"}) {
  %eps = arith.constant 1.0e-8 : f32
  %s = attn.score %q, %k scale(0.125)
     : tensor<?x4x7x64xf32>, tensor<?x4x?x64xf32> -> !scores
  // Every input distributes itself among the slots.
  %t = attn.transpose %s : !scores -> !turned
  %a = attn.softmax %t : !turned
  %p = attn.transpose %a : !turned -> !scores
  // The mean of the values, weighted by p + eps.
  %w = attn.map %p (%x: f32) {
    %y = arith.addf %x, %eps : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %sum = attn.reduce sum keys %w : (!scores) -> tensor<?x4x7xf32>
  %mean = attn.map %w (%x: f32) at (%b, %h, %i) {
    %l = tensor.extract %sum[%b, %h, %i] : tensor<?x4x7xf32>
    %y = arith.divf %x, %l : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %mean, %v : !scores, tensor<?x4x?x64xf32> -> tensor<?x4x7x64xf32>
  return %o : tensor<?x4x7x64xf32>
}
