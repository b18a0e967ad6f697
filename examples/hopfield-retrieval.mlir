// Modern Hopfield network: the state pattern is replaced by its retrieval, a softmax
// attention over the stored patterns, for a number of steps given at run time. The
// loop carries the states as a tensor; no step stores its scores.
//
// Paper: Hopfield Networks is All You Need, arXiv 2008.02217.
// Shapes: state [B, 4, M, 64], patterns [B, 4, N, 64], steps a count.
//
// RUN: attn-run %s --check --size B=2 M=50 N=37
// RUN: attn-run %s --check --loops=fused --size B=2 M=50 N=37

!scores = !attn.scores<?x4x?x?xf32>
!states = tensor<?x4x?x64xf32>

func.func @attention(
    %state: !states
        {attn.name = "state", attn.dims = ["B", "4", "M", "64"]},
    %patterns: !states
        {attn.name = "patterns", attn.dims = ["B", "4", "N", "64"]},
    %steps: index {attn.name = "steps", attn.init = "constant(3)"}
  ) -> (!states {attn.name = "o"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o = scf.for %t = %c0 to %steps step %c1 iter_args(%x = %state) -> !states {
    %s = attn.score %x, %patterns scale(0.125) : !states, !states -> !scores
    %p = attn.softmax %s : !scores
    %y = attn.aggregate %p, %patterns : !scores, !states -> !states
    scf.yield %y : !states
  }
  return %o : !states
}
