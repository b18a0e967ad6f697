// Several sources take memory in proportion to their length as well: a stored
// matrix over both of them would be 4096 MiB here, that of the
// products 1024.

// RUN: attn-run %s --peak-memory --size M=16384 N=32768 P=32768 --entry=joined --max-recompute-factor=9 | FileCheck %s
// RUN: attn-run %s --peak-memory --size M=16384 N=32768 P=32768 --entry=received --max-recompute-factor=9 | FileCheck %s
// RUN: attn-run %s --peak-memory --size M=16384 N=16384 --entry=product --max-recompute-factor=9 | FileCheck %s
// CHECK: peak memory beyond operands and results: {{[0-9]\.[0-9]+}} MiB resident, {{[0-9]\.[0-9]+}} MiB

!scores = !attn.scores<1x1x?x?xf32>
!rows = tensor<1x1x?x8xf32>

func.func @joined(
    %q: !rows {attn.name = "q", attn.dims = ["1", "1", "M", "8"]},
    %k: !rows {attn.name = "k", attn.dims = ["1", "1", "N", "8"]},
    %p: !rows {attn.name = "p", attn.dims = ["1", "1", "P", "8"]}
  ) -> !rows {
  %c0 = arith.constant 0 : index
  %s = attn.score %q, %k query_offset(%c0 : index) : !rows, !rows -> !scores
  %t = attn.score %q, %p query_offset(%c0 : index) : !rows, !rows -> !scores
  %u = attn.mask %s window<left = 1023, right = 0> : !scores
  %v = attn.mask %t window<left = 1023, right = 0> : !scores
  %c = attn.concat %u, %v : (!scores, !scores) -> !scores
  %w = attn.softmax %c : !scores
  %o = attn.aggregate %w, (%k, %p) : !scores, !rows, !rows -> !rows
  return %o : !rows
}

func.func @received(
    %q: !rows {attn.name = "q", attn.dims = ["1", "1", "M", "8"]},
    %k: !rows {attn.name = "k", attn.dims = ["1", "1", "N", "8"]},
    %p: !rows {attn.name = "p", attn.dims = ["1", "1", "P", "8"]}
  ) -> tensor<1x1x?xf32> {
  %c0 = arith.constant 0 : index
  %s = attn.score %q, %k query_offset(%c0 : index) : !rows, !rows -> !scores
  %t = attn.score %q, %p query_offset(%c0 : index) : !rows, !rows -> !scores
  %u = attn.mask %s window<left = 1023, right = 0> : !scores
  %v = attn.mask %t window<left = 1023, right = 0> : !scores
  %c = attn.concat %u, %v : (!scores, !scores) -> !scores
  %w = attn.softmax %c : !scores
  %r = attn.reduce sum queries %w : (!scores) -> tensor<1x1x?xf32>
  return %r : tensor<1x1x?xf32>
}

func.func @product(
    %q: !rows {attn.name = "q", attn.dims = ["1", "1", "M", "8"]},
    %k: !rows {attn.name = "k", attn.dims = ["1", "1", "N", "8"]},
    %l: tensor<1x1x8x8xf32> {attn.name = "l", attn.dims = ["1", "1", "8", "8"]}
  ) -> !rows {
  %s = attn.score %q, %l : !rows, tensor<1x1x8x8xf32> -> !attn.scores<1x1x?x8xf32>
  %t = attn.score %l, %k : tensor<1x1x8x8xf32>, !rows -> !attn.scores<1x1x8x?xf32>
  %a = attn.softmax %s : !attn.scores<1x1x?x8xf32>
  %b = attn.softmax %t : !attn.scores<1x1x8x?xf32>
  %c = attn.matmul %a, %b : !attn.scores<1x1x?x8xf32>, !attn.scores<1x1x8x?xf32> -> !scores
  %o = attn.aggregate %c, %k : !scores, !rows -> !rows
  return %o : !rows
}
