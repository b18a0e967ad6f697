// A batch in which groups of sequences share a prefix each: the keys and values
// of C prefixes are stored once, and a map names the prefix that every sequence
// continues. Next to them every sequence has keys of its own.
//
// Paper: Hydragen: High-Throughput LLM Inference with Shared Prefixes,
// arXiv 2402.05099.
// Shapes: q [B, 8, M, 64], prefix keys and values [C, 2, P, 64], of which
// prefix_length [B, 1] belong to the prefix of a sequence, own keys and values
// [B, 2, N, 64] of which key_length [B, 1] are filled, prefix_of [B].
//
// RUN: attn-run %s --check --size B=7 C=3 M=1 P=130 N=33
// RUN: attn-run %s --check --loops=fused --size B=3 C=5 M=1 P=130 N=33
// RUN: attn-run %s --check --size B=4 C=2 M=9 P=67 N=0
// RUN: attn-run %s --check --size B=2 C=1 M=65 P=0 N=70
// RUN: attn-run %s --check --splits=3 --size B=3 C=2 M=1 P=300 N=40
// RUN: attn-run %s --check --size B=2 C=2 M=1 P=20 N=9 --pattern prefix_of="constant 1"

!scores = !attn.scores<?x8x?x?xf32>
!out = tensor<?x8x?x64xf32>
!row = tensor<?x8x?xf32>
!kv = tensor<?x2x?x64xf32>

func.func @attention(
    %q: !out {attn.name = "q", attn.dims = ["B", "8", "M", "64"]},
    %pk: !kv {attn.name = "prefix_k", attn.dims = ["C", "2", "P", "64"]},
    %pv: !kv {attn.name = "prefix_v", attn.dims = ["C", "2", "P", "64"]},
    %prefix_of: tensor<?xi32> {attn.name = "prefix_of", attn.dims = ["B"]},
    %prefix_length: tensor<?x1xi32>
        {attn.name = "prefix_length", attn.dims = ["B", "1"], attn.init = "lengths(P)"},
    %k: !kv {attn.name = "k", attn.dims = ["B", "2", "N", "64"]},
    %v: !kv {attn.name = "v", attn.dims = ["B", "2", "N", "64"]},
    %key_length: tensor<?x1xi32>
        {attn.name = "key_length", attn.dims = ["B", "1"], attn.init = "lengths(N)"}
  ) -> (!out {attn.name = "o"}, !row {attn.name = "lse"}) {
  %prefix = attn.score %q, %pk scale(0.125) batches(%prefix_of : tensor<?xi32>)
      key_length(%prefix_length : tensor<?x1xi32>) : !out, !kv -> !scores
  %own = attn.score %q, %k scale(0.125) key_length(%key_length : tensor<?x1xi32>)
     : !out, !kv -> !scores
  %s = attn.concat %prefix, %own : (!scores, !scores) -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, (%pv batches(%prefix_of : tensor<?xi32>), %v)
     : !scores, !kv, !kv -> !out
  %lse = attn.reduce lse keys %s : (!scores) -> !row
  return %o, %lse : !out, !row
}
