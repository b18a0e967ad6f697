// A tree of attentions: inside of every chunk of a long past, learned queries
// summarise its keys and values (the inner attention, one per chunk); then each
// local query attends to all summaries and to its own window at once. Summaries
// and tokens are two sources of one softmax.
//
// After: Landmark Attention, arXiv 2305.16300, and Hierarchical Transformers,
// arXiv 1905.13164: summaries of blocks as keys next to local tokens.
// Shapes: past keys and values [C, 4, L, 32] (C chunks), summary queries
// [1, 4, R, 32], q, k, v [1, 4, M, 32].
//
// RUN: attn-run %s --check --size C=5 L=70 M=33
// RUN: attn-run %s --check --loops=fused --size C=5 L=70 M=33

!past = tensor<?x4x?x32xf32>
!local = tensor<1x4x?x32xf32>
!inner = !attn.scores<?x4x3x?xf32>
!outer = !attn.scores<1x4x?x?xf32>

func.func @attention(
    %past_k: !past {attn.name = "past_k", attn.dims = ["C", "4", "L", "32"]},
    %past_v: !past {attn.name = "past_v", attn.dims = ["C", "4", "L", "32"]},
    %summary: tensor<1x4x3x32xf32>
        {attn.name = "summary", attn.dims = ["1", "4", "3", "32"]},
    %q: !local {attn.name = "q", attn.dims = ["1", "4", "M", "32"]},
    %k: !local {attn.name = "k", attn.dims = ["1", "4", "M", "32"]},
    %v: !local {attn.name = "v", attn.dims = ["1", "4", "M", "32"]}
  ) -> (!local {attn.name = "o"}) {
  // Leaves: three summaries per chunk, of its values and of its keys.
  %s = attn.score %summary, %past_k scale(0.1767766952966369)
     : tensor<1x4x3x32xf32>, !past -> !inner
  %p = attn.softmax %s : !inner
  %values = attn.aggregate %p, %past_v : !inner, !past -> tensor<?x4x3x32xf32>
  %keys = attn.aggregate %p, %past_k : !inner, !past -> tensor<?x4x3x32xf32>
  // The summaries of all chunks, side by side: [C, 4, 3, 32] as [1, 4, 3 C, 32].
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %C = tensor.dim %past_k, %c0 : !past
  %n = arith.muli %C, %c3 : index
  %empty = tensor.empty(%C) : tensor<4x?x3x32xf32>
  %kt = linalg.transpose ins(%keys : tensor<?x4x3x32xf32>)
        outs(%empty : tensor<4x?x3x32xf32>) permutation = [1, 0, 2, 3]
  %vt = linalg.transpose ins(%values : tensor<?x4x3x32xf32>)
        outs(%empty : tensor<4x?x3x32xf32>) permutation = [1, 0, 2, 3]
  %kf = tensor.collapse_shape %kt [[0], [1, 2], [3]] : tensor<4x?x3x32xf32> into tensor<4x?x32xf32>
  %vf = tensor.collapse_shape %vt [[0], [1, 2], [3]] : tensor<4x?x3x32xf32> into tensor<4x?x32xf32>
  %sk = tensor.expand_shape %kf [[0, 1], [2], [3]] output_shape [1, 4, %n, 32] : tensor<4x?x32xf32> into !local
  %sv = tensor.expand_shape %vf [[0, 1], [2], [3]] output_shape [1, 4, %n, 32] : tensor<4x?x32xf32> into !local
  // The root: every query over the summaries and, causally, over its window.
  %far = attn.score %q, %sk scale(0.1767766952966369) : !local, !local -> !outer
  %near = attn.score %q, %k scale(0.1767766952966369) query_offset(%c0 : index)
     : !local, !local -> !outer
  %window = attn.mask %near window<left = 15, right = 0> : !outer
  %both = attn.concat %far, %window : (!outer, !outer) -> !outer
  %w = attn.softmax %both : !outer
  %o = attn.aggregate %w, (%sv, %v) : !outer, !local, !local -> !local
  return %o : !local
}
