// RUN: attn-opt %s | attn-opt | FileCheck %s
// RUN: attn-opt %s --mlir-print-op-generic | attn-opt | FileCheck %s

// CHECK-LABEL: func @concat
func.func @concat(%a: tensor<1x8x5x7xf32>, %b: tensor<2x1x5x?xf32>) {
  %s = attn.bias %a : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  %t = attn.bias %b : tensor<2x1x5x?xf32> -> !attn.scores<2x1x5x?xf32>
  // CHECK: attn.concat %{{.*}}, %{{.*}} : (!attn.scores<1x8x5x7xf32>, !attn.scores<2x1x5x?xf32>) -> !attn.scores<2x8x5x?xf32>
  %c = attn.concat %s, %t : (!attn.scores<1x8x5x7xf32>, !attn.scores<2x1x5x?xf32>) -> !attn.scores<2x8x5x?xf32>
  // CHECK: attn.concat %{{.*}}, %{{.*}} : (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x14xf32>
  %d = attn.concat %s, %s : (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x14xf32>
  return
}

// CHECK-LABEL: func @lane
func.func @lane(%q: tensor<2x8x?x16xbf16>, %k: tensor<1x2x?x3x16xbf16>, %map: tensor<8xi32>) {
  // CHECK: attn.lane %{{.*}}, %{{.*}} scale(2.500000e-01) heads(%{{.*}} : tensor<8xi32>) : tensor<2x8x?x16xbf16>, tensor<1x2x?x3x16xbf16> -> !attn.scores<2x8x?x3xf32>
  %s = attn.lane %q, %k scale(0.25) heads(%map : tensor<8xi32>) : tensor<2x8x?x16xbf16>, tensor<1x2x?x3x16xbf16> -> !attn.scores<2x8x?x3xf32>
  return
}

// CHECK-LABEL: func @matmul
func.func @matmul(%a: !attn.scores<2x1x5x7xf32>, %b: !attn.scores<1x8x7x?xf32>) {
  // CHECK: attn.matmul %{{.*}}, %{{.*}} : !attn.scores<2x1x5x7xf32>, !attn.scores<1x8x7x?xf32> -> !attn.scores<2x8x5x?xf32>
  %c = attn.matmul %a, %b : !attn.scores<2x1x5x7xf32>, !attn.scores<1x8x7x?xf32> -> !attn.scores<2x8x5x?xf32>
  return
}

// CHECK-LABEL: func @aggregate
func.func @aggregate(%p: !attn.scores<2x8x5x?xf32>, %v: tensor<1x2x?x16xbf16>, %w: tensor<2x8x5x3x16xf32>, %map: tensor<8xi32>) {
  // CHECK: attn.aggregate %{{.*}}, (%{{.*}}, %{{.*}} heads(%{{.*}} : tensor<8xi32>), %{{.*}}) operand_type(bf16) : !attn.scores<2x8x5x?xf32>, tensor<2x8x5x3x16xf32>, tensor<1x2x?x16xbf16>, tensor<1x2x?x16xbf16> -> tensor<2x8x5x16xf32>
  %o = attn.aggregate %p, (%w, %v heads(%map : tensor<8xi32>), %v) operand_type(bf16)
     : !attn.scores<2x8x5x?xf32>, tensor<2x8x5x3x16xf32>, tensor<1x2x?x16xbf16>, tensor<1x2x?x16xbf16> -> tensor<2x8x5x16xf32>
  // One value needs no parentheses.
  // CHECK: attn.aggregate %{{.*}}, %{{.*}} heads(%{{.*}} : tensor<8xi32>) : !attn.scores<2x8x5x?xf32>, tensor<1x2x?x16xbf16> -> tensor<2x8x5x16xf32>
  %n = attn.aggregate %p, (%v heads(%map : tensor<8xi32>)) : !attn.scores<2x8x5x?xf32>, tensor<1x2x?x16xbf16> -> tensor<2x8x5x16xf32>
  return
}

// CHECK-LABEL: func @states
func.func @states(%s: !attn.scores<1x8x5x?xf32>, %v: tensor<1x8x?x16xf32>, %o: tensor<1x8x5x16xf32>, %l: tensor<1x8x5xf32>) {
  // CHECK: attn.partial(%{{.*}}, %{{.*}})
  // CHECK: attn.yield
  // CHECK: } : (!attn.scores<1x8x5x?xf32>, tensor<1x8x?x16xf32>) -> !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  %a = attn.partial(%s, %v) {
  ^bb0(%x: !attn.scores<1x8x5x?xf32>, %y: tensor<1x8x?x16xf32>):
    %p = attn.softmax %x : !attn.scores<1x8x5x?xf32>
    %q = attn.aggregate %p, %y : !attn.scores<1x8x5x?xf32>, tensor<1x8x?x16xf32> -> tensor<1x8x5x16xf32>
    %r = attn.reduce lse keys %x : (!attn.scores<1x8x5x?xf32>) -> tensor<1x8x5xf32>
    attn.yield %q, %r : tensor<1x8x5x16xf32>, tensor<1x8x5xf32>
  } : (!attn.scores<1x8x5x?xf32>, tensor<1x8x?x16xf32>) -> !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  // CHECK: attn.state_from %{{.*}}, %{{.*}} : tensor<1x8x5x16xf32>, tensor<1x8x5xf32> -> !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  %b = attn.state_from %o, %l : tensor<1x8x5x16xf32>, tensor<1x8x5xf32> -> !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  // CHECK: attn.merge %{{.*}}, %{{.*}} : !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  %m = attn.merge %a, %b : !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  // CHECK: %{{.*}}:2 = attn.finish %{{.*}} : !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  %f:2 = attn.finish %m : !attn.state<tensor<1x8x5x16xf32>, tensor<1x8x5xf32>>
  return
}

// CHECK-LABEL: func @before
func.func @before(%i: index, %n: index) -> i1 {
  // CHECK: attn.before %{{.*}}, %{{.*}}
  %c = attn.before %i, %n
  return %c : i1
}

// Concatenations of concatenations are one list.
// RUN: attn-opt %s --canonicalize --split-input-file | FileCheck %s --check-prefix=FOLD
// FOLD-LABEL: func @flat
func.func @flat(%a: tensor<1x8x5x7xf32>) -> tensor<1x8x5xf32> {
  // FOLD: %[[S:.*]] = attn.bias
  %s = attn.bias %a : tensor<1x8x5x7xf32> -> !attn.scores<1x8x5x7xf32>
  // FOLD-NEXT: attn.concat %[[S]], %[[S]], %[[S]] :
  %c = attn.concat %s, %s : (!attn.scores<1x8x5x7xf32>, !attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x14xf32>
  %d = attn.concat %c, %s : (!attn.scores<1x8x5x14xf32>, !attn.scores<1x8x5x7xf32>) -> !attn.scores<1x8x5x21xf32>
  %r = attn.reduce sum keys %d : (!attn.scores<1x8x5x21xf32>) -> tensor<1x8x5xf32>
  return %r : tensor<1x8x5xf32>
}
