// RUN: not attn-opt %s -attn-cpu-expand-math=isa=sse9 2>&1 | FileCheck %s
// RUN: not attn-opt %s -attn-cpu-expand-math=cpu=abacus 2>&1 | FileCheck %s --check-prefix=CPU

// CHECK: isa is auto, generic or avx512, got 'sse9'
// CPU: cpu 'abacus' is unknown for triple
module {
}
