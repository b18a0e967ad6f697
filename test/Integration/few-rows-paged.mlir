// Decoding from a paged cache of bf16, by products of pairs: keys of a product
// may lie in several pages, and the last page is not full.
//
// RUN: attn-run %s --check --size B=2,pages=9,maxpages=4
// RUN: attn-run %s --check --size B=1,pages=5,maxpages=21 --splits=3
// RUN: attn-run %s --check --size B=2,pages=9,maxpages=20 --pattern k=nan-row --pattern v=inf-row
// RUN: attn-run %s --check=exact --size B=2,pages=9,maxpages=4

!cache = tensor<?x4x?x72xbf16>
!scores = !attn.scores<?x20x1x?xf32>

func.func @decode(
    %q: tensor<?x20x1x72xbf16> {attn.name = "q", attn.dims = ["B", "20", "1", "72"]},
    %keys: tensor<?x4x5x72xbf16> {attn.name = "k", attn.dims = ["pages", "4", "5", "72"]},
    %values: tensor<?x4x5x72xbf16> {attn.name = "v", attn.dims = ["pages", "4", "5", "72"]},
    %table: tensor<?x?xi32>
        {attn.name = "table", attn.dims = ["B", "maxpages"], attn.init = "table(pages)"},
    %lengths: tensor<?x1xi32>
        {attn.name = "lengths", attn.dims = ["B", "1"], attn.init = "range(1, 20)"}
  ) -> (tensor<?x20x1x72xbf16> {attn.name = "o"}) {
  %k = attn.paged %keys, %table : tensor<?x4x5x72xbf16>, tensor<?x?xi32> -> !cache
  %v = attn.paged %values, %table : tensor<?x4x5x72xbf16>, tensor<?x?xi32> -> !cache
  %s = attn.score %q, %k scale(0.125) key_length(%lengths : tensor<?x1xi32>)
     : tensor<?x20x1x72xbf16>, !cache -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v operand_type(bf16) : !scores, !cache -> tensor<?x20x1x72xbf16>
  return %o : tensor<?x20x1x72xbf16>
}
