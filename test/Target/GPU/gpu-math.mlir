// 2^x is an instruction up to f32; sines and functions of f64 are series.
// RUN: attn-opt %s --pass-pipeline="builtin.module(gpu.module(attn-gpu-math))" | FileCheck %s
// RUN: attn-opt %s --pass-pipeline="builtin.module(gpu.module(attn-gpu-math{chip=gfx942}))" | FileCheck %s --check-prefix=AMD
// RUN: not attn-opt %s --pass-pipeline="builtin.module(gpu.module(attn-gpu-math{chip=gfx0}))" 2>&1 | FileCheck %s --check-prefix=CHIP
// AMD-LABEL: gpu.func @powers(
// AMD:   rocdl.exp2 %arg0 f32 -> f32
// AMD:   arith.extf %arg1 : bf16 to f32
// AMD-COUNT-2: rocdl.exp2
// AMD-NOT: nvvm
// CHIP: error: 'gfx0' is none of the GPUs

gpu.module @kernels {
  // CHECK-LABEL: gpu.func @powers(
  // CHECK:   llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"(%arg0) : (f32) -> f32
  // CHECK:   arith.extf %arg1 : bf16 to f32
  // CHECK:   llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"
  // CHECK:   arith.truncf
  // What may be flushed to 0.
  // CHECK:   llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"
  // A series of what is left after the whole part, times two powers of two.
  // CHECK:   math.roundeven
  // CHECK-COUNT-13: math.fma
  // CHECK-COUNT-2: arith.bitcast %{{.*}} : i64 to f64
  gpu.func @powers(%x: f32, %y: bf16, %z: f64, %o: memref<f32>, %p: memref<bf16>, %q: memref<f64>) kernel {
    %0 = math.exp2 %x : f32
    %1 = math.exp2 %y : bf16
    %3 = math.exp2 %x fastmath<afn> : f32
    %2 = math.exp2 %z : f64
    memref.store %0, %o[] : memref<f32>
    memref.store %3, %o[] : memref<f32>
    memref.store %1, %p[] : memref<bf16>
    memref.store %2, %q[] : memref<f64>
    gpu.return
  }
  // CHECK-LABEL: gpu.func @sine(
  // CHECK:   arith.extf %arg0 : f32 to f64
  // CHECK:   math.roundeven
  // CHECK-COUNT-3: math.fma
  // CHECK:   arith.fptosi
  // CHECK:   arith.truncf %{{.*}} : f64 to f32
  gpu.func @sine(%x: f32, %o: memref<f32>) kernel {
    %0 = math.sin %x : f32
    memref.store %0, %o[] : memref<f32>
    gpu.return
  }
  // Quotients of at most 48 bits: numbers of f32 are below 2^277 of each other.
  // CHECK-LABEL: gpu.func @rest(
  // CHECK-COUNT-6: arith.divf
  // CHECK:   math.copysign
  // CHECK:   arith.truncf
  // CHECK-LABEL: gpu.func @whole_power(
  // CHECK-COUNT-16: arith.mulf
  // CHECK-NOT: math.fpowi
  gpu.func @rest(%x: f32, %y: f32, %o: memref<f32>) kernel {
    %0 = arith.remf %x, %y : f32
    memref.store %0, %o[] : memref<f32>
    gpu.return
  }
  gpu.func @whole_power(%x: f32, %n: i8, %o: memref<f32>) kernel {
    %0 = math.fpowi %x, %n : f32, i8
    memref.store %0, %o[] : memref<f32>
    gpu.return
  }
}
