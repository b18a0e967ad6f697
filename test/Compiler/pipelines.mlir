// Each pipeline takes a program all the way to the LLVM dialect, with a C
// interface for public functions, and frees what it does not return.
// RUN: attn-opt %s --attn-reference-pipeline | FileCheck %s --check-prefixes=CHECK,MATRIX --implicit-check-not=attn. --implicit-check-not=linalg. --implicit-check-not=memref. --implicit-check-not=unrealized
// RUN: attn-opt %s --attn-loops-pipeline | FileCheck %s --implicit-check-not=attn. --implicit-check-not=unrealized
// RUN: attn-opt %s --attn-loops-pipeline=fuse=true | FileCheck %s --implicit-check-not=attn. --implicit-check-not=unrealized
// RUN: attn-opt %s --attn-cpu-pipeline 2>&1 | FileCheck %s --check-prefix=CPU
// RUN: attn-opt %s --attn-plan | FileCheck %s --check-prefix=PLAN

// PLAN: attn.stream
// PLAN: attn.sweep
// PLAN-NOT: attn.sweep
// PLAN-NOT: attn.score

// CPU-DAG: llvm.func @attn_parallel_for
// CPU-DAG: llvm.func @_mlir_ciface_attention
// CPU-DAG: llvm.call @attn_parallel_for

// CHECK-LABEL: llvm.func @attention
// The reference stores matrices, and frees them.
// MATRIX: llvm.call @malloc
// MATRIX: llvm.call @free
// CHECK: llvm.func @_mlir_ciface_attention
func.func @attention(
    %q: tensor<?x4x?x16xf32> {attn.name = "q", attn.dims = ["B", "4", "L", "16"]},
    %k: tensor<?x2x?x16xf32>, %v: tensor<?x2x?x16xf32>) -> tensor<?x4x?x16xf32> {
  %s = attn.score %q, %k scale(0.25) : tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x4x?x?xf32>
  %p = attn.softmax %s : !attn.scores<?x4x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x4x?x?xf32>, tensor<?x2x?x16xf32> -> tensor<?x4x?x16xf32>
  return %o : tensor<?x4x?x16xf32>
}
