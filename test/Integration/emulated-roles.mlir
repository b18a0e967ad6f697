// A warp of its own brings tiles: attention on the emulated GPU, against the
// reference, with copies that arrive one by one (sm_80) and in bulk (sm_90).
// Sizes are no multiples of a tile, and stages are used again.
// DEFINE: %{chip} = sm_80
// DEFINE: %{run} = attn-run %s --warp-roles --target=cuda:%{chip},emulate
// RUN: %{run} --check --entry=causal --size B=1,L=200 2>&1 | FileCheck %s
// RUN: %{run} --check --entry=causal --size B=1,L=40 --pattern v=nan-row --strided k | FileCheck %s
// RUN: %{run} --check --entry=cross --size M=3,N=0 | FileCheck %s
// RUN: %{run} --check=exact --entry=cross --size M=9,N=330 | FileCheck %s
// REDEFINE: %{chip} = sm_90
// RUN: %{run} --check --entry=causal --size B=1,L=200 --schedule=3 | FileCheck %s
// RUN: %{run} --check --entry=causal --size B=1,L=40 --pattern v=nan-row --strided k | FileCheck %s
// RUN: %{run} --check --entry=cross --size M=3,N=0 | FileCheck %s
// RUN: %{run} --check=exact --entry=cross --size M=9,N=330 | FileCheck %s
// CHECK-NOT: warps have no roles
// CHECK: check (emulated GPU): ok

func.func @causal(%q: tensor<?x2x?x16xbf16> {attn.name = "q", attn.dims = ["B", "2", "L", "16"]},
    %k: tensor<?x1x?x16xbf16> {attn.name = "k", attn.dims = ["B", "1", "L", "16"]},
    %v: tensor<?x1x?x16xbf16> {attn.name = "v", attn.dims = ["B", "1", "L", "16"]}) -> tensor<?x2x?x16xbf16> {
  %s = attn.score %q, %k scale(0.25) : tensor<?x2x?x16xbf16>, tensor<?x1x?x16xbf16> -> !attn.scores<?x2x?x?xf32>
  %c = attn.mask %s causal : !attn.scores<?x2x?x?xf32>
  %p = attn.softmax %c : !attn.scores<?x2x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x2x?x?xf32>, tensor<?x1x?x16xbf16> -> tensor<?x2x?x16xbf16>
  return %o : tensor<?x2x?x16xbf16>
}

// Rows of six numbers are no whole vectors, those of eight are.
func.func @cross(%q: tensor<1x1x?x6xf32> {attn.name = "q", attn.dims = ["1", "1", "M", "6"]},
    %k: tensor<1x1x?x6xf32> {attn.name = "k", attn.dims = ["1", "1", "N", "6"]},
    %v: tensor<1x1x?x8xf32> {attn.name = "v", attn.dims = ["1", "1", "N", "8"]}) -> tensor<1x1x?x8xf32> {
  %s = attn.score %q, %k scale(0.5) : tensor<1x1x?x6xf32>, tensor<1x1x?x6xf32> -> !attn.scores<1x1x?x?xf32>
  %p = attn.softmax %s : !attn.scores<1x1x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<1x1x?x?xf32>, tensor<1x1x?x8xf32> -> tensor<1x1x?x8xf32>
  return %o : tensor<1x1x?x8xf32>
}
