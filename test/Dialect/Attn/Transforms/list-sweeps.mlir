// RUN: attn-opt %s --pass-pipeline="builtin.module(func.func(attn-desugar,attn-form-streams,canonicalize,cse,attn-fuse-sweeps,canonicalize,cse,attn-share-streams,attn-analyze-masks))" 2>/dev/null | FileCheck %s

// A restricted score asks the list of its query block; where every condition of
// a sweep does, the list drives it, and of its tiles only the rest is decided.

!scores = !attn.scores<1x4x?x?xf32>

// CHECK-LABEL: func.func @driven
// CHECK:       attn.sweep %[[J:.*]] = %{{.*}} to %{{.*}} {
// CHECK:         %[[P:.*]] = attn.listed %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] count(%{{.*}}) block(64, 32) contains %[[J]] drives
// CHECK:         %[[C:.*]] = arith.cmpi sle, %[[J]]
// CHECK:         arith.andi %[[P]], %[[C]]
// CHECK:       } tiles
// CHECK:       bounds
func.func @driven(%q: tensor<1x4x?x8xf32>, %k: tensor<1x4x?x8xf32>, %l: tensor<1x2x?x3xi32>, %n: tensor<1x2x?xi32>, %past: index) -> tensor<1x4x?xf32> {
  %s = attn.score %q, %k query_offset(%past : index) : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !scores
  %r = attn.restrict %s, %l counts(%n : tensor<1x2x?xi32>) block(64, 32) : !scores, tensor<1x2x?x3xi32>
  %c = attn.mask %r causal : !scores
  %z = attn.reduce lse keys %c : (!scores) -> tensor<1x4x?xf32>
  return %z : tensor<1x4x?xf32>
}

// Of two sweeps over one pair of tensors, only the restricted one follows the
// list: they are not joined.

// CHECK-LABEL: func.func @not_joined
// CHECK:       attn.sweep
// CHECK:         attn.listed {{.*}} drives
// CHECK:       attn.sweep
// CHECK-NOT:     attn.listed
// CHECK:       return
func.func @not_joined(%q: tensor<1x4x?x8xf32>, %k: tensor<1x4x?x8xf32>, %l: tensor<1x2x?x3xi32>) -> (tensor<1x4x?xf32>, tensor<1x4x?xf32>) {
  %s = attn.score %q, %k : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !scores
  %r = attn.restrict %s, %l block(64, 32) : !scores, tensor<1x2x?x3xi32>
  %a = attn.reduce max keys %r : (!scores) -> tensor<1x4x?xf32>
  %b = attn.reduce sum keys %s : (!scores) -> tensor<1x4x?xf32>
  return %a, %b : tensor<1x4x?xf32>, tensor<1x4x?xf32>
}

// Over queries the key follows its own list, made once.

// CHECK-LABEL: func.func @by_key
// CHECK:       %[[E:.*]], %[[O:.*]] = attn.list_index
// CHECK:       attn.stream cols
// CHECK:         attn.sweep %[[I:.*]] = %{{.*}} to %{{.*}} {
// CHECK:           attn.listed %{{.*}}[%{{.*}}, %{{.*}}] first(%{{.*}}) count(%{{.*}}) block(32, 64) contains %[[I]] drives
func.func @by_key(%q: tensor<1x4x?x8xf32>, %k: tensor<1x4x?x8xf32>, %l: tensor<1x2x?x3xi32>) -> tensor<1x4x?xf32> {
  %s = attn.score %q, %k : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !scores
  %r = attn.restrict %s, %l block(64, 32) : !scores, tensor<1x2x?x3xi32>
  %a = attn.reduce max queries %r : (!scores) -> tensor<1x4x?xf32>
  return %a : tensor<1x4x?xf32>
}
