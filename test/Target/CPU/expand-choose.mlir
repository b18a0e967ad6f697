// RUN: attn-opt %s -attn-cpu-expand-math='triple=x86_64-linux-gnu cpu=znver4' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,PERMUTE
// RUN: attn-opt %s -attn-cpu-expand-math=isa=generic | FileCheck %s --check-prefixes=CHECK,LANES

// CHECK-LABEL: func @choose(
// CHECK-SAME:    %[[X:.*]]: vector<16xi32>, %[[L:.*]]: vector<16xi32>
// PERMUTE:       llvm.call_intrinsic "llvm.x86.avx512.permvar.si.512"(%[[X]], %[[L]])
// LANES:         %[[F:.*]] = vector.extract %[[L]][0]
// LANES:         %[[R:.*]] = arith.remui %[[F]], %c16
// LANES:         %[[I:.*]] = arith.index_castui %[[R]]
// LANES:         %[[Y:.*]] = vector.extract %[[X]][%[[I]]]
// LANES:         vector.insert %[[Y]], %[[X]] [0]
func.func @choose(%x: vector<16xi32>, %lanes: vector<16xi32>) -> vector<16xi32> {
  %r = attn.choose %x[%lanes] : vector<16xi32>
  return %r : vector<16xi32>
}

// Other lengths have no instruction.
// CHECK-LABEL: func @odd(
// CHECK-COUNT-3: arith.remui
func.func @odd(%x: vector<3xi32>, %lanes: vector<3xi32>) -> vector<3xi32> {
  %r = attn.choose %x[%lanes] : vector<3xi32>
  return %r : vector<3xi32>
}
