// RUN: attn-opt %s -attn-emulate-gpu -split-input-file | FileCheck %s

// A kernel becomes a function of the host that takes its arguments by pointer;
// a launch passes what the kernel is, its sizes, arguments and buffers.

// CHECK-LABEL: func.func @launch(
// CHECK-SAME:    %[[X:.*]]: memref<?x8xf32, strided<[?, 1], offset: ?>> {attn.name = "keys"}, %[[N:.*]]: index
// CHECK:         %[[DESCRIPTOR:.*]] = builtin.unrealized_conversion_cast %[[X]]
// CHECK:         llvm.extractvalue %[[DESCRIPTOR]][1]
// CHECK:         %[[KERNEL:.*]] = llvm.mlir.addressof @kernels_k_kernel
// CHECK:         %[[BUFFERS:.*]] = llvm.mlir.addressof @kernels_k_buffers
// CHECK:         %[[ONE:.*]] = llvm.mlir.constant(1 : i64)
// CHECK:         llvm.call @attn_emulator_launch(%[[KERNEL]], %{{.*}}, %{{.*}}, %[[BUFFERS]], %[[ONE]])

// CHECK:       llvm.func internal @kernels_k(%[[ARGUMENTS:.*]]: !llvm.ptr) {
// CHECK:         %[[SLOT:.*]] = llvm.getelementptr %[[ARGUMENTS]][7]
// CHECK:         %[[PLACE:.*]] = llvm.load %[[SLOT]] : !llvm.ptr -> !llvm.ptr
// CHECK:         %[[COUNT:.*]] = llvm.load %[[PLACE]] : !llvm.ptr -> i64
// CHECK:         llvm.return

// CHECK-DAG:   llvm.mlir.global internal constant @kernels_k_name("k\00")
// CHECK-DAG:   llvm.mlir.global internal constant @kernels_k_sites("\0A{{.*}}emulate-gpu.mlir:{{[0-9]+}}:{{[0-9]+}}\0A
// CHECK-DAG:   llvm.mlir.global internal constant @kernels_k_buffer("argument 0 ('keys')\00")
// CHECK:       llvm.mlir.global internal constant @kernels_k_buffers() {{.*}} : !llvm.array<1 x struct<(ptr, i64, i64, i64)>>
// CHECK-NOT:   gpu.
module attributes {gpu.container_module} {
  func.func @launch(%x: memref<?x8xf32, strided<[?, 1], offset: ?>> {attn.name = "keys"}, %n: index) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    %bytes = arith.constant 128 : i32
    gpu.launch_func @kernels::@k blocks in (%n, %c1, %c1) threads in (%c32, %c1, %c1) dynamic_shared_memory_size %bytes
      args(%x : memref<?x8xf32, strided<[?, 1], offset: ?>>, %n : index)
    return
  }
  gpu.module @kernels {
    llvm.func @k(%a: !llvm.ptr, %x: !llvm.ptr, %o: i64, %m: i64, %d: i64, %s: i64, %t: i64, %n: i64) attributes {gpu.kernel, nvvm.kernel, nvvm.reqntid = array<i32: 32, 1, 1>} {
      %p = llvm.getelementptr %x[%n] : (!llvm.ptr, i64) -> !llvm.ptr, f32
      %v = llvm.load %p : !llvm.ptr -> f32
      llvm.return
    }
  }
}

// -----

// Loads and stores stay, at the address that the emulator gives. Memory of the
// thread's own needs no check.

// CHECK-LABEL: llvm.func internal @m_accesses(
// CHECK-DAG:     %[[SIXTEEN:.*]] = llvm.mlir.constant(16 : i64)
// CHECK:         %[[HOST:.*]] = llvm.call @attn_emulator_access(
// CHECK:         llvm.load %[[HOST]] {alignment = 4 : i64} : !llvm.ptr -> vector<4xf32>
// CHECK:         %[[BASE:.*]] = llvm.mlir.constant(1024 : i64)
// CHECK:         %[[TILE:.*]] = llvm.inttoptr %[[BASE]] : i64 to !llvm.ptr
// CHECK:         %[[SHARED:.*]] = llvm.call @attn_emulator_access_shared(%[[TILE]],
// CHECK:         llvm.store %{{.*}}, %[[SHARED]]
// The launch's bytes lie behind what the module has.
// CHECK:         llvm.mlir.constant(1280 : i64)
// CHECK:         %[[MINE:.*]] = llvm.alloca
// CHECK:         %[[PART:.*]] = llvm.getelementptr %[[MINE]][2]
// CHECK-NEXT:    llvm.load %[[PART]] : !llvm.ptr -> i32
gpu.module @m {
  llvm.mlir.global internal @tile() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<61 x f32>
  llvm.mlir.global external @rest() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
  llvm.func @accesses(%x: !llvm.ptr) attributes {gpu.kernel} {
    %v = llvm.load %x {alignment = 4 : i64} : !llvm.ptr -> vector<4xf32>
    %tile = llvm.mlir.addressof @tile : !llvm.ptr<3>
    llvm.store %v, %tile : vector<4xf32>, !llvm.ptr<3>
    %rest = llvm.mlir.addressof @rest : !llvm.ptr<3>
    %b = llvm.load %rest : !llvm.ptr<3> -> i8
    %three = llvm.mlir.constant(3 : i32) : i32
    %mine = llvm.alloca %three x i32 : (i32) -> !llvm.ptr<5>
    %part = llvm.getelementptr %mine[2] : (!llvm.ptr<5>) -> !llvm.ptr<5>, i32
    %own = llvm.load %part : !llvm.ptr<5> -> i32
    llvm.return
  }
}

// -----

// Registers, barriers, and ops of a warp.

// CHECK-LABEL: llvm.func internal @m_threads(
// CHECK:         llvm.call @attn_emulator_register(
// CHECK:         llvm.mlir.constant(-1 : i32)
// CHECK-NEXT:    %[[ID:.*]] = llvm.mlir.constant(0 : i32)
// CHECK-NEXT:    %[[ALL:.*]] = llvm.mlir.constant(-1 : i32)
// CHECK:         llvm.call @attn_emulator_barrier(%[[ID]], %[[ALL]],
// CHECK:         llvm.call @attn_emulator_barrier(
// CHECK:         llvm.call @attn_emulator_barrier_arrive(
// CHECK:         llvm.call @attn_emulator_warp_barrier(
// CHECK:         %[[BITS:.*]] = llvm.bitcast %{{.*}} : f32 to i32
// CHECK:         %[[PAIR:.*]] = llvm.call @attn_emulator_shuffle(%{{.*}}, %{{.*}}, %[[BITS]],
// CHECK:         %[[LOW:.*]] = llvm.trunc %[[PAIR]] : i64 to i32
// CHECK:         llvm.bitcast %[[LOW]] : i32 to f32
// CHECK:         llvm.lshr %[[PAIR]]
// CHECK:         %[[VOTE:.*]] = llvm.call @attn_emulator_vote(
// CHECK:         llvm.trunc %[[VOTE]] : i32 to i1
// CHECK:         llvm.call @attn_emulator_redux(
// CHECK:         llvm.call @attn_emulator_elect(
// CHECK:         llvm.call @attn_emulator_exit()
// CHECK-NOT:     nvvm
gpu.module @m {
  llvm.func @threads(%x: f32) attributes {gpu.kernel} {
    %tid = nvvm.read.ptx.sreg.tid.x : i32
    %id = llvm.mlir.constant(1 : i32) : i32
    %count = llvm.mlir.constant(64 : i32) : i32
    %mask = llvm.mlir.constant(-1 : i32) : i32
    nvvm.barrier0
    %ors = nvvm.barrier #nvvm.reduction<or> %tid -> i32
    nvvm.barrier.arrive id = %id number_of_threads = %count
    nvvm.bar.warp.sync %mask : i32
    %pair = nvvm.shfl.sync up %mask, %x, %id, %id {return_value_and_is_valid} : f32 -> !llvm.struct<(f32, i1)>
    %valid = llvm.extractvalue %pair[1] : !llvm.struct<(f32, i1)>
    %any = nvvm.vote.sync any %mask, %valid -> i1
    %sum = nvvm.redux.sync add %tid, %mask : i32 -> i32
    %one = nvvm.elect.sync -> i1
    nvvm.memory.barrier #nvvm.mem_scope<cta>
    nvvm.exit
    llvm.return
  }
}

// -----

// Fragments travel in registers of the thread.

// CHECK-LABEL: llvm.func internal @m_products(
// CHECK:         %[[RESULTS:.*]] = llvm.alloca %{{.*}} x !llvm.array<4 x i32>
// CHECK:         llvm.call @attn_emulator_ldmatrix(%{{.*}}, %{{.*}}, %{{.*}}, %[[RESULTS]],
// CHECK:         llvm.call @attn_emulator_mma(%{{.*}}, %{{.*}}, %[[RESULTS]],
// CHECK-COUNT-4: llvm.load %{{.*}} : !llvm.ptr -> f32
// CHECK:         llvm.call @attn_emulator_stmatrix(
// CHECK:         llvm.fptrunc %{{.*}} : f32 to bf16
// CHECK:         llvm.call @attn_emulator_round_tf32(
// CHECK:         llvm.call @attn_emulator_permute(
// CHECK:         llvm.fdiv
// CHECK:         llvm.intr.exp2
// CHECK:         llvm.intr.exp2
// CHECK:         llvm.fcmp "olt"
// CHECK:         llvm.select
// CHECK:         llvm.call @attn_emulator_copy_async(
// CHECK:         llvm.call @attn_emulator_copy_commit()
// CHECK:         llvm.call @attn_emulator_copy_wait(
gpu.module @m {
  llvm.func @products(%p: !llvm.ptr<3>, %g: !llvm.ptr<1>, %x: f32) attributes {gpu.kernel} {
    %a = nvvm.ldmatrix %p {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
    %a0 = llvm.extractvalue %a[0] : !llvm.struct<(i32, i32, i32, i32)>
    %d = nvvm.mma.sync A[%a0, %a0, %a0, %a0] B[%a0, %a0] C[%x, %x, %x, %x]
      {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>}
      : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    nvvm.stmatrix %p, %a0 {layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : !llvm.ptr<3>, i32
    %h = nvvm.convert.f32x2.to.bf16x2 %x, %x {rnd = #nvvm.fp_rnd_mode<rn>} : vector<2xbf16>
    %t = nvvm.convert.float.to.tf32 %x {rnd = #nvvm.fp_rnd_mode<rna>}
    %b = nvvm.prmt #nvvm.permute_mode<default> %t, %t, %t : i32
    %r = nvvm.rcp.approx.ftz.f %x : f32
    %e = llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"(%x) : (f32) -> f32
    %u = llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"(%x) : (f32) -> f32
    nvvm.cp.async.shared.global %p, %g, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
    nvvm.cp.async.commit.group
    nvvm.cp.async.wait.group 0
    llvm.return
  }
}

// -----

// A kernel for AMD's GPUs says how many lanes a wave has, and how much memory a
// block. Vectors cross in words of 4 bytes.

// CHECK-LABEL: func.func @launch_waves(
// CHECK:       llvm.func internal @waves_product
// CHECK-DAG:     llvm.store {{.*}} {alignment = 4 : i64} : vector<16xi16>, !llvm.ptr
// CHECK-DAG:     llvm.call @attn_emulator_wave_mma(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (i32, i32, !llvm.ptr, !llvm.ptr, i32) -> ()
// CHECK:         llvm.call @attn_emulator_bpermute
// The control, rows, banks, and whether lanes that are not there have 0.
// CHECK-DAG:     %[[CONTROL:.*]] = llvm.mlir.constant(353 : i32)
// CHECK-DAG:     %[[ROWS:.*]] = llvm.mlir.constant(3 : i32)
// CHECK-DAG:     %[[BANKS:.*]] = llvm.mlir.constant(5 : i32)
// CHECK-DAG:     %[[BOUND:.*]] = llvm.mlir.constant(1 : i32)
// CHECK:         llvm.call @attn_emulator_dpp(%{{.*}}, %{{.*}}, %[[CONTROL]], %[[ROWS]], %[[BANKS]], %[[BOUND]], %{{.*}})
// CHECK:         llvm.call @attn_emulator_permlanex16(
// CHECK:         llvm.call @attn_emulator_swizzle(
// Powers below the normal numbers are 0.
// CHECK:         %[[LEAST:.*]] = llvm.mlir.constant(-1.260000e+02 : f32)
// CHECK:         llvm.fcmp "olt" %{{.*}}, %[[LEAST]]
// CHECK:       llvm.mlir.global internal constant @waves_product_kernel() {{.*}} : !llvm.struct<(ptr, ptr, ptr, i64, i64, i64, i64, i64, i64)>
// CHECK-DAG:     llvm.mlir.constant(32 : i64)
// CHECK-DAG:     llvm.mlir.constant(65536 : i64)
module attributes {gpu.container_module} {
  func.func @launch_waves(%x: memref<?xf32>) {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @waves::@product blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%x : memref<?xf32>)
    return
  }
  gpu.module @waves [#rocdl.target<chip = "gfx1100">] {
    llvm.func @product(%a: !llvm.ptr<1>, %x: !llvm.ptr<1>, %o: i64, %n: i64, %s: i64) attributes {gpu.kernel, rocdl.kernel} {
      %c4 = llvm.mlir.constant(4 : i32) : i32
      %operand = llvm.mlir.constant(dense<0> : vector<16xi16>) : vector<16xi16>
      %sums = llvm.mlir.constant(dense<0.0> : vector<8xf32>) : vector<8xf32>
      %product = rocdl.wmma.f32.16x16x16.bf16 %operand, %operand, %sums : (vector<16xi16>, vector<16xi16>, vector<8xf32>) -> vector<8xf32>
      llvm.store %product, %x {alignment = 4 : i64} : vector<8xf32>, !llvm.ptr<1>
      %lane = rocdl.workitem.id.x : i32
      %other = rocdl.ds_bpermute %c4, %lane : (i32, i32) -> i32
      %near = rocdl.update.dpp %other, %lane with 353, 3, 5, true : i32
      %far = rocdl.permlanex16 %near, %near, %c4, %c4, false, true : i32, i32
      %pattern = llvm.mlir.constant(16415 : i32) : i32
      %swapped = rocdl.ds_swizzle %far, %pattern : (i32, i32) -> i32
      %float = llvm.bitcast %swapped : i32 to f32
      %power = rocdl.exp2 %float f32 -> f32
      llvm.store %power, %x : f32, !llvm.ptr<1>
      llvm.return
    }
  }
}
