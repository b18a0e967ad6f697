// RUN: attn-opt %s --split-input-file --attn-form-streams | FileCheck %s

// A key of a concatenation is a choice between segments, whose own index is 0
// where the key is in another one; the value row is chosen likewise. Boundaries
// are those of the keys.

// CHECK-LABEL: func @concat
// CHECK:         attn.sweep %[[J:.*]] =
// CHECK:           %[[FIRST:.*]] = attn.before %[[J]], %[[N1:.*]]
// CHECK:           %[[J1:.*]] = arith.select %[[FIRST]], %[[J]], %{{.*}} : index
// CHECK:           %[[S:.*]] = attn.dot %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %[[J1]]]
// CHECK:           %[[K:.*]] = arith.subi %[[J]], %[[N1]]
// CHECK:           %[[J2:.*]] = arith.select %{{.*}}, %[[K]], %{{.*}} : index
// CHECK:           %[[T:.*]] = attn.dot %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %[[J2]]]
// CHECK:           %[[X:.*]] = arith.select %{{.*}}, %[[S]], %[[T]] : f32
// CHECK:           %[[V:.*]] = arith.select %{{.*}} : vector<4xf32>
// CHECK:           attn.carry outer %[[X]], %[[V]]
func.func @concat(%q: tensor<1x2x?x4xf32>, %k: tensor<1x2x?x4xf32>, %l: tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32> {
  %s = attn.score %q, %k : tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32> -> !attn.scores<1x2x?x?xf32>
  %t = attn.score %q, %l : tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32> -> !attn.scores<1x2x?x?xf32>
  %c = attn.concat %s, %t : (!attn.scores<1x2x?x?xf32>, !attn.scores<1x2x?x?xf32>) -> !attn.scores<1x2x?x?xf32>
  %o = attn.aggregate %c, (%k, %l) : !attn.scores<1x2x?x?xf32>, tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32> -> tensor<1x2x?x4xf32>
  return %o : tensor<1x2x?x4xf32>
}

// -----

// A segment without any key is not read at all.

// CHECK-LABEL: func @empty
// CHECK-NOT:     attn.before
// CHECK-COUNT-1: attn.at
// CHECK-NOT:     attn.at
func.func @empty(%a: tensor<1x2x5x0xf32>, %b: tensor<1x2x5x3xf32>) -> tensor<1x2x5xf32> {
  %s = attn.bias %a : tensor<1x2x5x0xf32> -> !attn.scores<1x2x5x0xf32>
  %t = attn.bias %b : tensor<1x2x5x3xf32> -> !attn.scores<1x2x5x3xf32>
  %c = attn.concat %s, %t : (!attn.scores<1x2x5x0xf32>, !attn.scores<1x2x5x3xf32>) -> !attn.scores<1x2x5x3xf32>
  %r = attn.reduce sum keys %c : (!attn.scores<1x2x5x3xf32>) -> tensor<1x2x5xf32>
  return %r : tensor<1x2x5xf32>
}

// -----

// An entry of a product is a sweep of its own. The statistics of its factors
// come from streams before it.

// CHECK-LABEL: func @matmul
// CHECK:         %[[STAT:.*]] = attn.stream rows
// CHECK:         attn.stream rows {{.*}}ins({{.*}} = %[[STAT]] :
// CHECK:           attn.sweep %[[J:.*]] =
// CHECK:             %[[C:.*]] = attn.sweep %[[K:.*]] =
// CHECK:               attn.at %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %[[K]]]
// CHECK:               attn.at %{{.*}}[%{{.*}}, %{{.*}}, %[[K]], %[[J]]]
// CHECK:               %[[P:.*]] = arith.mulf
// CHECK:               attn.carry sum %[[P]]
// CHECK:             attn.carry sum %[[C]]
func.func @matmul(%a: tensor<1x2x?x5xf32>, %b: tensor<1x2x5x?xf32>) -> tensor<1x2x?xf32> {
  %s = attn.bias %a : tensor<1x2x?x5xf32> -> !attn.scores<1x2x?x5xf32>
  %t = attn.bias %b : tensor<1x2x5x?xf32> -> !attn.scores<1x2x5x?xf32>
  %m = attn.reduce sum keys %s : (!attn.scores<1x2x?x5xf32>) -> tensor<1x2x?xf32>
  %n = attn.map %s (%x: f32) at (%b0, %h, %i) {
    %l = tensor.extract %m[%b0, %h, %i] : tensor<1x2x?xf32>
    %y = arith.divf %x, %l : f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x?x5xf32>) -> !attn.scores<1x2x?x5xf32>
  %c = attn.matmul %n, %t : !attn.scores<1x2x?x5xf32>, !attn.scores<1x2x5x?xf32> -> !attn.scores<1x2x?x?xf32>
  %r = attn.reduce sum keys %c : (!attn.scores<1x2x?x?xf32>) -> tensor<1x2x?xf32>
  return %r : tensor<1x2x?xf32>
}
