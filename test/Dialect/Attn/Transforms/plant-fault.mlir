// RUN: attn-opt %s --attn-plan --attn-plant-fault=kind=bound 2>/dev/null | FileCheck %s --check-prefix=BOUND
// RUN: attn-opt %s --attn-plan --attn-plant-fault=kind=tail 2>/dev/null | FileCheck %s --check-prefix=TAIL
// RUN: attn-opt %s --attn-plan --attn-plant-fault=kind=head 2>/dev/null | FileCheck %s --check-prefix=HEAD
// RUN: attn-opt %s --attn-plan --attn-plant-fault=kind=rescale --verify-each=false --mlir-print-assume-verified 2>/dev/null | FileCheck %s --check-prefix=RESCALE

!scores = !attn.scores<1x4x?x?xf32>

func.func @f(%x: tensor<1x4x?x?xf32>, %v: tensor<1x4x?x4xf32>) -> tensor<1x4x?x4xf32> {
  %s = attn.bias %x : tensor<1x4x?x?xf32> -> !scores
  %c = attn.mask %s (%e: f32) at (%b, %h, %i, %j) {
    %y = arith.cmpi sle, %j, %i : index
    attn.yield %y : i1
  } : !scores
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<1x4x?x4xf32> -> tensor<1x4x?x4xf32>
  return %o : tensor<1x4x?x4xf32>
}

// BOUND: } bounds
// BOUND: %[[LESS:.*]] = arith.subi %{{.*}}, %c1{{.*}} : index
// BOUND-NEXT: attn.yield %{{.*}}, %[[LESS]] : index, index

// TAIL: %[[REST:.*]] = arith.remui %[[N:.*]], %c16 : index
// TAIL: %[[END:.*]] = arith.subi %[[N]], %[[REST]] : index
// TAIL: attn.sweep %{{.*}} to %[[END]]

// HEAD: %[[H:.*]] = arith.subi %c4, %c1{{.*}} : index
// HEAD: attn.stream rows ({{.*}}) in [%{{.*}}, %[[H]], %{{.*}}]

// RESCALE: attn.carry sum %{{.*}} if %{{[^ ]*}} : (f32, i1) -> f32
// RESCALE: attn.carry outer {{.*}} act(
