// A prompt that all sequences of a batch share: its keys and values are stored
// once, and every sequence adds those of its own suffix. The two parts are states
// of one program, merged before anything is divided; the plan is one kernel with
// a sweep over the prefix and one over the suffix.
//
// Paper: Hydragen: High-Throughput LLM Inference with Shared Prefixes,
// arXiv 2402.05099.
// Shapes: q [B, 8, M, 64], prefix keys and values [1, 2, P, 64], suffix keys and
// values [B, 2, N, 64] of which key_length [B, 1] are filled.
//
// RUN: attn-run %s --check --size B=3 M=1 P=130 N=33
// RUN: attn-run %s --check --loops=fused --size B=3 M=1 P=130 N=33
// RUN: attn-run %s --check --size B=2 M=9 P=0 N=70
// RUN: attn-run %s --check --loops=fused --size B=2 M=9 P=0 N=70

!scores = !attn.scores<?x8x?x?xf32>
!out = tensor<?x8x?x64xf32>
!row = tensor<?x8x?xf32>
!state = !attn.state<tensor<?x8x?x64xf32>, tensor<?x8x?xf32>>

func.func @attention(
    %q: tensor<?x8x?x64xf32>
        {attn.name = "q", attn.dims = ["B", "8", "M", "64"]},
    %pk: tensor<1x2x?x64xf32>
        {attn.name = "prefix_k", attn.dims = ["1", "2", "P", "64"]},
    %pv: tensor<1x2x?x64xf32>
        {attn.name = "prefix_v", attn.dims = ["1", "2", "P", "64"]},
    %k: tensor<?x2x?x64xf32>
        {attn.name = "k", attn.dims = ["B", "2", "N", "64"]},
    %v: tensor<?x2x?x64xf32>
        {attn.name = "v", attn.dims = ["B", "2", "N", "64"]},
    %key_length: tensor<?x1xi32>
        {attn.name = "key_length", attn.dims = ["B", "1"], attn.init = "lengths(N)"}
  ) -> (!out {attn.name = "o"}, !row {attn.name = "lse"}) {
  %s0 = attn.score %q, %pk scale(0.125)
     : tensor<?x8x?x64xf32>, tensor<1x2x?x64xf32> -> !scores
  %s1 = attn.score %q, %k scale(0.125) key_length(%key_length : tensor<?x1xi32>)
     : tensor<?x8x?x64xf32>, tensor<?x2x?x64xf32> -> !scores
  %prefix = attn.partial(%s0, %pv) {
  ^bb0(%s: !scores, %w: tensor<1x2x?x64xf32>):
    %p = attn.softmax %s : !scores
    %o = attn.aggregate %p, %w : !scores, tensor<1x2x?x64xf32> -> !out
    %l = attn.reduce lse keys %s : (!scores) -> !row
    attn.yield %o, %l : !out, !row
  } : (!scores, tensor<1x2x?x64xf32>) -> !state
  %suffix = attn.partial(%s1, %v) {
  ^bb0(%s: !scores, %w: tensor<?x2x?x64xf32>):
    %p = attn.softmax %s : !scores
    %o = attn.aggregate %p, %w : !scores, tensor<?x2x?x64xf32> -> !out
    %l = attn.reduce lse keys %s : (!scores) -> !row
    attn.yield %o, %l : !out, !row
  } : (!scores, tensor<?x2x?x64xf32>) -> !state
  %both = attn.merge %prefix, %suffix : !state
  %o, %lse = attn.finish %both : !state
  return %o, %lse : !out, !row
}
