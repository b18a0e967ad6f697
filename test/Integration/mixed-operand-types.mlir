// Two aggregates of one kernel read the same values, one with weights rounded
// to bf16, one without: their rows are packed in two forms.
// RUN: attn-run %s --check --size M=130,N=300
// RUN: attn-run %s --check --size M=1,N=65 --pattern v=inf-row

!scores = !attn.scores<1x2x?x?xf32>
!rows = tensor<1x2x?x64xbf16>

func.func @means(%q: !rows {attn.name = "q", attn.dims = ["1", "2", "M", "64"]},
                 %k: !rows {attn.name = "k", attn.dims = ["1", "2", "N", "64"]},
                 %v: !rows {attn.name = "v", attn.dims = ["1", "2", "N", "64"]}) -> (!rows, tensor<1x2x?x64xf32>) {
  %s = attn.score %q, %k scale(0.125) : !rows, !rows -> !scores
  %p = attn.softmax %s : !scores
  %square = attn.map %p (%x: f32) {
    %y = arith.mulf %x, %x : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %p, %v operand_type(bf16) : !scores, !rows -> !rows
  %u = attn.aggregate %square, %v : !scores, !rows -> tensor<1x2x?x64xf32>
  return %o, %u : !rows, tensor<1x2x?x64xf32>
}
