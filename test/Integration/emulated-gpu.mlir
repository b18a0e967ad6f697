// Narrow floats on the tensor cores of the emulated GPU, against the reference:
// no size is a multiple of a tile.
// DEFINE: %{run} = attn-run %s --target=cuda:sm_80,emulate --check
// RUN: %{run} --entry=bf16 --size B=2,L=77 | FileCheck %s
// RUN: %{run} --entry=f16 --size B=1,M=9,N=130 | FileCheck %s
// RUN: %{run} --entry=rounded --size B=1,M=65,N=64 | FileCheck %s
// Weights that a half float cannot hold, and nothing rounds.
// RUN: %{run} --entry=large_weights --size B=1,M=9,N=20 | FileCheck %s
// RUN: %{run} --entry=wide --size B=1,L=33 | FileCheck %s
// Infinities and NaN in values stay with the queries that see them.
// RUN: %{run} --entry=bf16 --size B=1,L=33 --pattern v=nan-row | FileCheck %s
// RUN: %{run} --entry=wide --size B=1,L=33 --pattern v=inf-row | FileCheck %s
// Operands in any layout, and no keys at all.
// RUN: %{run} --entry=bf16 --size B=1,L=33 --strided q --strided k --strided v | FileCheck %s
// RUN: %{run} --entry=f16 --size B=1,M=3,N=0 | FileCheck %s
// CHECK: check (emulated GPU): ok

!scores = !attn.scores<?x4x?x?xf32>

func.func @bf16(%q: tensor<?x4x?x80xbf16> {attn.name = "q", attn.dims = ["B", "4", "L", "80"]},
    %k: tensor<?x2x?x80xbf16> {attn.name = "k", attn.dims = ["B", "2", "L", "80"]},
    %v: tensor<?x2x?x40xbf16> {attn.name = "v", attn.dims = ["B", "2", "L", "40"]}) -> tensor<?x4x?x40xbf16> {
  %s = attn.score %q, %k scale(0.125) : tensor<?x4x?x80xbf16>, tensor<?x2x?x80xbf16> -> !scores
  %c = attn.mask %s causal : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x2x?x40xbf16> -> tensor<?x4x?x40xbf16>
  return %o : tensor<?x4x?x40xbf16>
}

func.func @f16(%q: tensor<?x4x?x24xf16> {attn.name = "q", attn.dims = ["B", "4", "M", "24"]},
    %k: tensor<?x1x?x24xf16> {attn.name = "k", attn.dims = ["B", "1", "N", "24"]},
    %v: tensor<?x1x?x64xf16> {attn.name = "v", attn.dims = ["B", "1", "N", "64"]}) -> tensor<?x4x?x64xf16> {
  %s = attn.score %q, %k scale(0.25) : tensor<?x4x?x24xf16>, tensor<?x1x?x24xf16> -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x1x?x64xf16> -> tensor<?x4x?x64xf16>
  return %o : tensor<?x4x?x64xf16>
}

// Weights that the program rounds are one operand, not two.
func.func @rounded(%q: tensor<?x4x?x32xbf16> {attn.name = "q", attn.dims = ["B", "4", "M", "32"]},
    %k: tensor<?x4x?x32xbf16> {attn.name = "k", attn.dims = ["B", "4", "N", "32"]},
    %v: tensor<?x4x?x32xbf16> {attn.name = "v", attn.dims = ["B", "4", "N", "32"]}) -> tensor<?x4x?x32xbf16> {
  %s = attn.score %q, %k scale(0.25) : tensor<?x4x?x32xbf16>, tensor<?x4x?x32xbf16> -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v operand_type(bf16) : !scores, tensor<?x4x?x32xbf16> -> tensor<?x4x?x32xbf16>
  return %o : tensor<?x4x?x32xbf16>
}

func.func @large_weights(%q: tensor<?x4x?x24xf16> {attn.name = "q", attn.dims = ["B", "4", "M", "24"]},
    %k: tensor<?x4x?x24xf16> {attn.name = "k", attn.dims = ["B", "4", "N", "24"]},
    %v: tensor<?x4x?x16xf16> {attn.name = "v", attn.dims = ["B", "4", "N", "16"]}) -> tensor<?x4x?x16xf32> {
  %s = attn.score %q, %k scale(50000.0) : tensor<?x4x?x24xf16>, tensor<?x4x?x24xf16> -> !scores
  %o = attn.aggregate %s, %v : !scores, tensor<?x4x?x16xf16> -> tensor<?x4x?x16xf32>
  return %o : tensor<?x4x?x16xf32>
}

func.func @wide(%q: tensor<?x4x?x20xf32> {attn.name = "q", attn.dims = ["B", "4", "L", "20"]},
    %k: tensor<?x4x?x20xf32> {attn.name = "k", attn.dims = ["B", "4", "L", "20"]},
    %v: tensor<?x4x?x6xf32> {attn.name = "v", attn.dims = ["B", "4", "L", "6"]}) -> tensor<?x4x?x6xf32> {
  %s = attn.score %q, %k scale(0.25) : tensor<?x4x?x20xf32>, tensor<?x4x?x20xf32> -> !scores
  %c = attn.mask %s window<left = 7, right = 2> : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<?x4x?x6xf32> -> tensor<?x4x?x6xf32>
  return %o : tensor<?x4x?x6xf32>
}
