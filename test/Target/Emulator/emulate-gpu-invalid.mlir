// RUN: attn-opt %s -attn-emulate-gpu -split-input-file -verify-diagnostics

gpu.module @m {
  llvm.func @k() attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.griddepcontrol' op is not one that the emulated GPU can do}}
    nvvm.griddepcontrol wait
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %r: !llvm.struct<(i32, i32, i32, i32)>) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for f32 results of f16, bf16, tf32, e4m3 and e5m2 alone}}
    %d = nvvm.wgmma.mma_async %a, %a, %r, #nvvm.shape<m = 64, n = 8, k = 32>, D[<s32>, <zero>, <wrapped>], A[<s8>, <one>, <row>], B[<s8>, <one>, <col>] : !llvm.struct<(i32, i32, i32, i32)> -> !llvm.struct<(i32, i32, i32, i32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %r: !llvm.struct<(f32, f32, f32, f32)>, %to: !llvm.ptr) attributes {gpu.kernel} {
    %d = nvvm.wgmma.mma_async %a, %a, %r, #nvvm.shape<m = 64, n = 8, k = 16>, D[<f32>, <zero>], A[<f16>, <one>, <row>], B[<f16>, <one>, <col>] : !llvm.struct<(f32, f32, f32, f32)> -> !llvm.struct<(f32, f32, f32, f32)>
    // expected-error@+1 {{uses accumulators of wgmma as a whole, which is not emulated}}
    llvm.store %d, %to : !llvm.struct<(f32, f32, f32, f32)>, !llvm.ptr
    llvm.return
  }
}

// -----

// Inline assembly that is nearly what is emulated.
gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0, $1, $2, $3}, $4, $5, 1, 1, 1, 0, 0;", "=f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0, $1, $2, $3}, $4, $5, 0, 1, 1, 0;", "=f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0, $1, $3, $2}, $4, $5, 0, 1, 1, 0, 0;", "=f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0, $1, $2, $3}, $4, $5, 0, 1, 2, 0, 0;", "=f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0, $1, $2, $3}, $4, $6, 0, 1, 1, 0, 0;", "=f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0, $1, $2, $3}, $4, $5, 0, 1, 1, 0, 0; membar.gl;", "=f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0, $1, $2, $3}, $4, $5, 0, 1, 1, 0, 0;", "=&f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: i64, %x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    %d = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {$0, $1, $2, $3}, $4, $5, 0, 1, 1, 0, 0;", "=f,=f,=f,=f,l,l" %a, %a : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%b: !llvm.ptr<3>, %n: i32, %p: i1) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.mbarrier.init' op is emulated without a predicate alone}}
    nvvm.mbarrier.init %b, %n, predicate = %p : !llvm.ptr<3>, i32, i1
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%d: !llvm.ptr<3>, %t: !llvm.ptr, %b: !llvm.ptr<3>, %x: i32, %p: i1) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for tiles alone, without a predicate or a group}}
    nvvm.cp.async.bulk.tensor.shared.cluster.global %d, %t, %b, box[%x] predicate = %p : !llvm.ptr<3>, !llvm.ptr
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%t: !llvm.ptr, %s: !llvm.ptr<3>, %x: i32) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.cp.async.bulk.tensor.reduce' op is emulated for tiles alone}}
    nvvm.cp.async.bulk.tensor.reduce %t, %s, box[%x, %x, %x] {mode = #nvvm.tma_store_mode<im2col>, redKind = #nvvm.tma_redux_kind<add>} : !llvm.ptr, !llvm.ptr<3>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%t: !llvm.ptr, %s: !llvm.ptr<3>, %x: i32, %p: i1) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.cp.async.bulk.tensor.global.shared.cta' op is emulated without a predicate alone}}
    nvvm.cp.async.bulk.tensor.global.shared.cta %t, %s, box[%x], predicate = %p : !llvm.ptr, !llvm.ptr<3>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k() attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.inline_asm' op is not one that the emulated GPU can do}}
    llvm.inline_asm has_side_effects "membar.gl;", "" : () -> ()
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k() attributes {gpu.kernel} {
    // expected-error@+1 {{'gpu.barrier' op is not one that the emulated GPU can do}}
    gpu.barrier
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%p: !llvm.ptr, %m: vector<4xi1>, %v: vector<4xf32>) attributes {gpu.kernel} {
    // expected-error@+1 {{'llvm.intr.masked.store' op is not one that the emulated GPU can do}}
    llvm.intr.masked.store %v, %p, %m {alignment = 4 : i32} : vector<4xf32>, vector<4xi1> into !llvm.ptr
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @__nv_erff(f32) -> f32
  llvm.func @k(%x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{calls '__nv_erff', which is no function of the GPU's module with a body}}
    %y = llvm.call @__nv_erff(%x) : (f32) -> f32
    llvm.return
  }
}

// -----

// What is no function and no variable.
gpu.module @m {
  // expected-error@+1 {{'func.func' op is not one that the emulated GPU can do}}
  func.func private @f()
}

// -----

module attributes {gpu.container_module} {
  func.func @main(%n: index) {
    // expected-error@+1 {{launches 'm::k', which is no kernel in the LLVM dialect}}
    gpu.launch_func @m::@k blocks in (%n, %n, %n) threads in (%n, %n, %n)
    return
  }
  gpu.module @m {
    llvm.func @k() attributes {gpu.kernel}
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @main(%n: index, %x: memref<4xf32>) {
    // expected-error@+1 {{passes 5 values to a kernel of 1 arguments}}
    gpu.launch_func @m::@k blocks in (%n, %n, %n) threads in (%n, %n, %n) args(%x : memref<4xf32>)
    return
  }
  gpu.module @m {
    llvm.func @k(%x: !llvm.ptr) attributes {gpu.kernel} {
      llvm.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @main(%n: index) {
    // expected-error@+1 {{passes a value of type 'i64' for argument 0 of type 'i32' of the kernel}}
    gpu.launch_func @m::@k blocks in (%n, %n, %n) threads in (%n, %n, %n) args(%n : index)
    return
  }
  gpu.module @m {
    llvm.func @k(%x: i32) attributes {gpu.kernel} {
      llvm.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @main(%n: index, %x: memref<*xf32>) {
    // expected-error@+1 {{passes argument 0 of type 'memref<*xf32>', which the emulated GPU cannot take}}
    gpu.launch_func @m::@k blocks in (%n, %n, %n) threads in (%n, %n, %n) args(%x : memref<*xf32>)
    return
  }
  gpu.module @m {
    llvm.func @k(%x: i32) attributes {gpu.kernel} {
      llvm.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @main(%n: index) {
    // expected-error@+1 {{is asynchronous, which launches on the emulated GPU are not}}
    %t = gpu.launch_func async @m::@k blocks in (%n, %n, %n) threads in (%n, %n, %n)
    return
  }
  gpu.module @m {
    llvm.func @k() attributes {gpu.kernel} {
      llvm.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @main(%n: index) {
    // expected-error@+1 {{has clusters, which launches on the emulated GPU do not have}}
    gpu.launch_func @m::@k clusters in (%n, %n, %n) blocks in (%n, %n, %n) threads in (%n, %n, %n)
    return
  }
  gpu.module @m {
    llvm.func @k() attributes {gpu.kernel} {
      llvm.return
    }
  }
}

// -----

gpu.module @m {
  llvm.func @k(%p: !llvm.ptr<3>) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.ldmatrix' op is emulated for matrices of 8 x 8 elements of 16 bits alone}}
    %a = nvvm.ldmatrix %p {num = 1 : i32, layout = #nvvm.mma_layout<col>, shape = #nvvm.ld_st_matrix_shape<m = 16, n = 16>, eltType = #nvvm.ld_st_matrix_elt_type<b8>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%p: !llvm.ptr<3>, %x: i32) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.stmatrix' op is emulated for matrices of 8 x 8 elements of 16 bits alone}}
    nvvm.stmatrix %p, %x {layout = #nvvm.mma_layout<col>, shape = #nvvm.ld_st_matrix_shape<m = 16, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b8>} : !llvm.ptr<3>, i32
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%a: f64) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.mma.sync' op is emulated for 16 x 8 results of f16, bf16, tf32 and 8-bit integers alone}}
    %d = nvvm.mma.sync A[%a] B[%a] C[%a, %a]
      {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = #nvvm.shape<m = 8, n = 8, k = 4>}
      : (f64, f64, f64) -> !llvm.struct<(f64, f64)>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.convert.float.to.tf32' op is emulated for rounding to nearest alone}}
    %t = nvvm.convert.float.to.tf32 %x {rnd = #nvvm.fp_rnd_mode<rz>}
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: f32) attributes {gpu.kernel} {
    // expected-error@+1 {{'nvvm.convert.f32x2.to.f16x2' op is emulated for rounding to nearest alone}}
    %t = nvvm.convert.f32x2.to.f16x2 %x, %x {rnd = #nvvm.fp_rnd_mode<rz>} : vector<2xf16>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: vector<4xf16>, %s: vector<4xf32>) attributes {gpu.kernel} {
    %zero = llvm.mlir.constant(0 : i32) : i32
    %one = llvm.mlir.constant(1 : i32) : i32
    // expected-error@+1 {{is emulated without broadcasts of its operands}}
    %y = rocdl.mfma.f32.16x16x16f16 %x, %x, %s, %one, %zero, %zero : (vector<4xf16>, vector<4xf16>, vector<4xf32>, i32, i32, i32) -> vector<4xf32>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: vector<16xf16>, %s: vector<4xf32>) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for waves of 32 lanes alone}}
    %y = rocdl.wmma.f32.16x16x16.f16 %x, %x, %s : (vector<16xf16>, vector<16xf16>, vector<4xf32>) -> vector<4xf32>
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: i64) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for 32 bits alone}}
    %y = rocdl.readfirstlane %x : i64
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: i64) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for 32 bits alone}}
    %y = rocdl.update.dpp %x, %x with 177, 15, 15, true : i64
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: i16, %s: i32) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for 32 bits alone}}
    %y = rocdl.permlanex16 %x, %x, %s, %s, false, true : i16, i32
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: i32) attributes {gpu.kernel} {
    %rotation = llvm.mlir.constant(49152 : i32) : i32
    // expected-error@+1 {{is emulated for patterns of masks, or of four lanes, alone}}
    %y = rocdl.ds_swizzle %x, %rotation : (i32, i32) -> i32
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: i32) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for patterns of masks, or of four lanes, alone}}
    %y = rocdl.ds_swizzle %x, %x : (i32, i32) -> i32
    llvm.return
  }
}

// -----

gpu.module @m {
  llvm.func @k(%x: f16) attributes {gpu.kernel} {
    // expected-error@+1 {{is emulated for f32 alone}}
    %y = rocdl.exp2 %x f16 -> f16
    llvm.return
  }
}

// -----

// expected-error@+1 {{'gfx803' is none of the GPUs sm_80, sm_86, sm_89, sm_90, sm_90a, gfx90a}}
gpu.module @m [#rocdl.target<chip = "gfx803">] {
  llvm.func @k() attributes {gpu.kernel} {
    llvm.return
  }
}
