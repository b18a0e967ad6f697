// Decoding from a paged cache of 8-bit codes: one query per head, four heads per
// group, keys and values in pages of 16 slots that any sequence may use, with a
// scale per token and head. Codes are read where they are; no key is stored as
// f32.
//
// Papers: Efficient Memory Management for Large Language Model Serving with
// PagedAttention, arXiv 2309.06180; KIVI, arXiv 2402.02750, for caches of codes.
// Shapes: q [B, 32, 1, 128]; a pool per tensor [pages, 8, 16, D].
//
// RUN: attn-run %s --check --size B=2 pages=9 maxpages=4
// RUN: attn-run %s --check --splits=3 --size B=1 pages=5 maxpages=21
// RUN: attn-run %s --check --loops=fused --size B=1 pages=3 maxpages=4
// RUN: attn-run %s --check --size B=2 pages=9 maxpages=7 --pattern table="constant 3"
// RUN: attn-run %s --check --size B=2 pages=9 maxpages=20 --pattern ks=nan-row --pattern vs=inf-row

!codes = tensor<?x8x?x128xi8>
!scales = tensor<?x8x?x1xf32>
!numbers = tensor<?x8x?x128xf32>
!scores = !attn.scores<?x32x1x?xf32>

func.func @decode(
    %q: tensor<?x32x1x128xf32>
        {attn.name = "q", attn.dims = ["B", "32", "1", "128"]},
    %kc: tensor<?x8x16x128xi8>
        {attn.name = "k", attn.dims = ["pages", "8", "16", "128"]},
    %ks: tensor<?x8x16x1xf32>
        {attn.name = "ks", attn.dims = ["pages", "8", "16", "1"], attn.init = "positive 0.02"},
    %vc: tensor<?x8x16x128xi8>
        {attn.name = "v", attn.dims = ["pages", "8", "16", "128"]},
    %vs: tensor<?x8x16x1xf32>
        {attn.name = "vs", attn.dims = ["pages", "8", "16", "1"], attn.init = "positive 0.02"},
    %table: tensor<?x?xi32>
        {attn.name = "table", attn.dims = ["B", "maxpages"], attn.init = "table(pages)"},
    %lengths: tensor<?x1xi32>
        {attn.name = "lengths", attn.dims = ["B", "1"], attn.init = "range(1, 60)"}
  ) -> (tensor<?x32x1x128xf32> {attn.name = "o"}) {
  %kq = attn.paged %kc, %table : tensor<?x8x16x128xi8>, tensor<?x?xi32> -> !codes
  %kt = attn.paged %ks, %table : tensor<?x8x16x1xf32>, tensor<?x?xi32> -> !scales
  %vq = attn.paged %vc, %table : tensor<?x8x16x128xi8>, tensor<?x?xi32> -> !codes
  %vt = attn.paged %vs, %table : tensor<?x8x16x1xf32>, tensor<?x?xi32> -> !scales
  %k = attn.dequantize %kq, %kt scheme(<type = i8, axis = token>) : !codes, !scales -> !numbers
  %v = attn.dequantize %vq, %vt scheme(<type = i8, axis = token>) : !codes, !scales -> !numbers
  %s = attn.score %q, %k scale(0.08838834764831845) key_length(%lengths : tensor<?x1xi32>)
     : tensor<?x32x1x128xf32>, !numbers -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, !numbers -> tensor<?x32x1x128xf32>
  return %o : tensor<?x32x1x128xf32>
}
