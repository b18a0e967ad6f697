// A few queries per head on the emulated GPU: heads of a group share blocks, ranges
// of keys are computed by several blocks and merged.
// RUN: attn-run %s --size B=2,N=200 --target=cuda:sm_80,emulate --check --entry=one_query | FileCheck %s
// RUN: attn-run %s --size B=2,N=3 --target=cuda:sm_80,emulate --check --entry=one_query | FileCheck %s
// RUN: attn-run %s --size B=1,N=65 --target=cuda:sm_80,emulate --check --entry=three_queries | FileCheck %s
// RUN: attn-run %s --size B=1,N=65 --target=cuda:sm_80,emulate --check --splits=1 --entry=three_queries | FileCheck %s
// RUN: attn-run %s --size B=1,M=23,N=40 --target=cuda:sm_80,emulate --check --entry=one_key_head | FileCheck %s
// CHECK: check (emulated GPU): ok

// RUN: attn-compile %s --target=cuda:sm_80 --emit=report | FileCheck %s --check-prefix=REPORT
// Ranges, and their merge; nothing where the number of rows is not known.
// REPORT:      kernels: 5
// REPORT-SAME: cubin
// REPORT-DAG:  one_key_head_stream0:
// REPORT-DAG:  one_query_stream0:
// REPORT-DAG:  one_query_stream1:
// REPORT-DAG:  three_queries_stream0:
// REPORT-DAG:  three_queries_stream1:

func.func @one_query(%q: tensor<?x12x1x64xbf16> {attn.name = "q", attn.dims = ["B", "12", "1", "64"]},
    %k: tensor<?x4x?x64xbf16> {attn.name = "k", attn.dims = ["B", "4", "N", "64"]},
    %v: tensor<?x4x?x64xbf16> {attn.name = "v", attn.dims = ["B", "4", "N", "64"]}) -> tensor<?x12x1x64xbf16> {
  %s = attn.score %q, %k scale(0.125) : tensor<?x12x1x64xbf16>, tensor<?x4x?x64xbf16> -> !attn.scores<?x12x1x?xf32>
  %p = attn.softmax %s : !attn.scores<?x12x1x?xf32>
  %o = attn.aggregate %p, %v operand_type(bf16) : !attn.scores<?x12x1x?xf32>, tensor<?x4x?x64xbf16> -> tensor<?x12x1x64xbf16>
  return %o : tensor<?x12x1x64xbf16>
}

func.func @three_queries(%q: tensor<?x6x3x40xf32> {attn.name = "q", attn.dims = ["B", "6", "3", "40"]},
    %k: tensor<?x2x?x40xf32> {attn.name = "k", attn.dims = ["B", "2", "N", "40"]},
    %v: tensor<?x2x?x24xf32> {attn.name = "v", attn.dims = ["B", "2", "N", "24"]}) -> (tensor<?x6x3x24xf32>, tensor<?x6x3xf32>) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %n = tensor.dim %k, %c2 : tensor<?x2x?x40xf32>
  %offset = arith.subi %n, %c3 : index
  %s = attn.score %q, %k scale(0.16) query_offset(%offset : index) : tensor<?x6x3x40xf32>, tensor<?x2x?x40xf32> -> !attn.scores<?x6x3x?xf32>
  %m = attn.mask %s causal : !attn.scores<?x6x3x?xf32>
  %p = attn.softmax %m : !attn.scores<?x6x3x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x6x3x?xf32>, tensor<?x2x?x24xf32> -> tensor<?x6x3x24xf32>
  %lse = attn.reduce lse keys %m : (!attn.scores<?x6x3x?xf32>) -> (tensor<?x6x3xf32>)
  return %o, %lse : tensor<?x6x3x24xf32>, tensor<?x6x3xf32>
}

func.func @one_key_head(%q: tensor<?x10x?x16xf32> {attn.name = "q", attn.dims = ["B", "10", "M", "16"]},
    %k: tensor<?x1x?x16xf32> {attn.name = "k", attn.dims = ["B", "1", "N", "16"]},
    %slopes: tensor<10xf32> {attn.name = "slopes"}) -> tensor<?x10x?x16xf32> {
  %s = attn.score %q, %k : tensor<?x10x?x16xf32>, tensor<?x1x?x16xf32> -> !attn.scores<?x10x?x?xf32>
  %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %slope = tensor.extract %slopes[%h] : tensor<10xf32>
    %y = arith.mulf %x, %slope : f32
    attn.yield %y : f32
  } : (!attn.scores<?x10x?x?xf32>) -> !attn.scores<?x10x?x?xf32>
  %p = attn.softmax %a : !attn.scores<?x10x?x?xf32>
  %o = attn.aggregate %p, %k : !attn.scores<?x10x?x?xf32>, tensor<?x1x?x16xf32> -> tensor<?x10x?x16xf32>
  return %o : tensor<?x10x?x16xf32>
}
