// Two warps multiply 32 rows of A with 8 rows of B, bf16, over 6 tiles of 16
// features that come through two stages in shared memory.
module attributes {gpu.container_module} {
  func.func @main(%a: memref<?xbf16> {attn.name = "a"}, %b: memref<?xbf16> {attn.name = "b"}, %c: memref<?xf32> {attn.name = "c"})
      attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %bytes = arith.constant 2560 : i32
    gpu.launch_func @kernels::@stages blocks in (%c1, %c1, %c1) threads in (%c64, %c1, %c1)
      dynamic_shared_memory_size %bytes args(%a : memref<?xbf16>, %b : memref<?xbf16>, %c : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
    // Every thread copies a piece of 16 bytes of A, and a quarter of them one of B.
    llvm.func @fetch(%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %k: i32, %tid: i32, %stage: !llvm.ptr<3>) {
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i8 = arith.constant 8 : i32
      %i16 = arith.constant 16 : i32
      %row = arith.divui %tid, %i2 : i32
      %half = arith.andi %tid, %i1 : i32
      %depth = arith.constant 96 : i32
      %rowAt = arith.muli %row, %depth : i32
      %skip = arith.muli %half, %i8 : i32
      %tile = arith.muli %k, %i16 : i32
      %at0 = arith.addi %rowAt, %skip : i32
      %at = arith.addi %at0, %tile : i32
      %piece = arith.muli %tid, %i8 : i32
      %fromA = llvm.getelementptr %a[%at] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
      %toA = llvm.getelementptr %stage[%piece] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, bf16
      nvvm.cp.async.shared.global %toA, %fromA, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
      %copies = arith.cmpi ult, %tid, %i16 : i32
      scf.if %copies {
        %i512 = arith.constant 512 : i32
        %behind = arith.addi %piece, %i512 : i32
        %fromB = llvm.getelementptr %b[%at] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
        %toB = llvm.getelementptr %stage[%behind] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, bf16
        nvvm.cp.async.shared.global %toB, %fromB, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
      }
      llvm.return
    }
    llvm.func @stages(%aa: !llvm.ptr, %a: !llvm.ptr, %ao: i64, %an: i64, %as: i64,
                      %ba: !llvm.ptr, %b: !llvm.ptr, %bo: i64, %bn: i64, %bs: i64,
                      %ca: !llvm.ptr, %c: !llvm.ptr, %co: i64, %cn: i64, %cs: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %all = arith.constant -1 : i32
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i3 = arith.constant 3 : i32
      %i4 = arith.constant 4 : i32
      %i7 = arith.constant 7 : i32
      %i8 = arith.constant 8 : i32
      %i15 = arith.constant 15 : i32
      %i16 = arith.constant 16 : i32
      %i32 = arith.constant 32 : i32
      %i64 = arith.constant 64 : i32
      %tiles = arith.constant 6 : i32
      %bytes = arith.constant 1280 : i32
      %zero = arith.constant 0.0 : f32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %lane = nvvm.read.ptx.sreg.laneid : i32
      %warp = nvvm.read.ptx.sreg.warpid : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %ga = llvm.addrspacecast %a : !llvm.ptr to !llvm.ptr<1>
      %gb = llvm.addrspacecast %b : !llvm.ptr to !llvm.ptr<1>
      %rowLow = arith.andi %lane, %i15 : i32
      %rowHigh = arith.muli %warp, %i16 : i32
      %rowA = arith.addi %rowLow, %rowHigh : i32
      %halfA = arith.divui %lane, %i16 : i32
      %placeA = arith.muli %rowA, %i2 : i32
      %pieceA = arith.addi %placeA, %halfA : i32
      %atA = arith.muli %pieceA, %i16 : i32
      %rowB = arith.andi %lane, %i7 : i32
      %matrixB = arith.divui %lane, %i8 : i32
      %halfB = arith.andi %matrixB, %i1 : i32
      %placeB = arith.muli %rowB, %i2 : i32
      %pieceB0 = arith.addi %placeB, %halfB : i32
      %pieceB = arith.addi %pieceB0, %i64 : i32
      %atB = arith.muli %pieceB, %i16 : i32

      llvm.call @fetch(%ga, %gb, %i0, %tid, %shared) : (!llvm.ptr<1>, !llvm.ptr<1>, i32, i32, !llvm.ptr<3>) -> ()
      nvvm.cp.async.commit.group
      %sums:4 = scf.for %k = %i0 to %tiles step %i1
          iter_args(%s0 = %zero, %s1 = %zero, %s2 = %zero, %s3 = %zero) -> (f32, f32, f32, f32) : i32 {
        %next = arith.addi %k, %i1 : i32
        %isNext = arith.cmpi ult, %next, %tiles : i32
        scf.if %isNext {
          %nextStage = arith.andi %next, %i1 : i32
          %nextAt = arith.muli %nextStage, %bytes : i32
          %nextTile = llvm.getelementptr %shared[%nextAt] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
          llvm.call @fetch(%ga, %gb, %next, %tid, %nextTile) : (!llvm.ptr<1>, !llvm.ptr<1>, i32, i32, !llvm.ptr<3>) -> ()
        }
        nvvm.cp.async.commit.group // of the next tile
        nvvm.cp.async.wait.group 1
        nvvm.barrier0 // the tile is there
        %stage = arith.andi %k, %i1 : i32
        %stageAt = arith.muli %stage, %bytes : i32
        %tile = llvm.getelementptr %shared[%stageAt] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
        %addressA = llvm.getelementptr %tile[%atA] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
        %as4 = nvvm.ldmatrix %addressA {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
        %a0 = llvm.extractvalue %as4[0] : !llvm.struct<(i32, i32, i32, i32)>
        %a1 = llvm.extractvalue %as4[1] : !llvm.struct<(i32, i32, i32, i32)>
        %a2 = llvm.extractvalue %as4[2] : !llvm.struct<(i32, i32, i32, i32)>
        %a3 = llvm.extractvalue %as4[3] : !llvm.struct<(i32, i32, i32, i32)>
        %addressB = llvm.getelementptr %tile[%atB] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
        %bs2 = nvvm.ldmatrix %addressB {num = 2 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
        %b0 = llvm.extractvalue %bs2[0] : !llvm.struct<(i32, i32)>
        %b1 = llvm.extractvalue %bs2[1] : !llvm.struct<(i32, i32)>
        %d = nvvm.mma.sync A[%a0, %a1, %a2, %a3] B[%b0, %b1] C[%s0, %s1, %s2, %s3]
          {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>}
          : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
        nvvm.barrier0 // the tile is free
        %d0 = llvm.extractvalue %d[0] : !llvm.struct<(f32, f32, f32, f32)>
        %d1 = llvm.extractvalue %d[1] : !llvm.struct<(f32, f32, f32, f32)>
        %d2 = llvm.extractvalue %d[2] : !llvm.struct<(f32, f32, f32, f32)>
        %d3 = llvm.extractvalue %d[3] : !llvm.struct<(f32, f32, f32, f32)>
        scf.yield %d0, %d1, %d2, %d3 : f32, f32, f32, f32
      }
      // END OF LOOP
      %rowInWarp = arith.divui %lane, %i4 : i32
      %row = arith.addi %rowInWarp, %rowHigh : i32
      %pair = arith.andi %lane, %i3 : i32
      %column = arith.muli %pair, %i2 : i32
      %rowAt = arith.muli %row, %i8 : i32
      %at0 = arith.addi %rowAt, %column : i32
      %at2 = arith.addi %at0, %i64 : i32
      %to0 = llvm.getelementptr %c[%at0] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %to1 = llvm.getelementptr %to0[1] : (!llvm.ptr) -> !llvm.ptr, f32
      %to2 = llvm.getelementptr %c[%at2] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %to3 = llvm.getelementptr %to2[1] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %sums#0, %to0 : f32, !llvm.ptr
      llvm.store %sums#1, %to1 : f32, !llvm.ptr
      llvm.store %sums#2, %to2 : f32, !llvm.ptr
      llvm.store %sums#3, %to3 : f32, !llvm.ptr
      llvm.return
    }
  }
}
