// RUN: attn-opt %s -attn-cpu-expand-math='triple=x86_64-linux-gnu cpu=znver4' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,VNNI
// RUN: attn-opt %s -attn-cpu-expand-math='triple=x86_64-linux-gnu cpu=skylake-avx512' \
// RUN:   | FileCheck %s --check-prefixes=CHECK,SHIFTS
// RUN: attn-opt %s -attn-cpu-expand-math=isa=generic | FileCheck %s --check-prefixes=CHECK,SHIFTS

// The unsigned side is the first operand of the instruction.

// CHECK-LABEL: func @quads(
// CHECK-SAME:    %[[X:.*]]: vector<16xi32>, %[[Y:.*]]: vector<16xi32>, %[[S:.*]]: vector<16xi32>
// VNNI-DAG:      %[[A:.*]] = vector.bitcast %[[X]] : vector<16xi32> to vector<64xi8>
// VNNI-DAG:      %[[B:.*]] = vector.bitcast %[[Y]] : vector<16xi32> to vector<64xi8>
// VNNI:          llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[S]], %[[B]], %[[A]])
// SHIFTS:        arith.shrsi
// SHIFTS:        arith.shrui
// SHIFTS:        %[[P:.*]] = arith.muli
// SHIFTS:        arith.addi %[[S]], %[[P]]
// SHIFTS-COUNT-3: arith.muli
func.func @quads(%x: vector<16xi32>, %y: vector<16xi32>, %s: vector<16xi32>) -> vector<16xi32> {
  %r = attn.quad_dot %x, %y, %s : vector<16xi32>
  return %r : vector<16xi32>
}

// Other lengths have no instruction.
// CHECK-LABEL: func @odd(
// CHECK-COUNT-4: arith.muli
func.func @odd(%x: vector<3xi32>) -> vector<3xi32> {
  %r = attn.quad_dot %x, %x, %x : vector<3xi32>
  return %r : vector<3xi32>
}
