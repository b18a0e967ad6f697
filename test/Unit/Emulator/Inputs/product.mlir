// One warp multiplies 16 rows of A with 8 rows of B, 32 bytes each.
module attributes {gpu.container_module} {
  func.func @main(%a: memref<?xi32> {attn.name = "a"}, %b: memref<?xi32> {attn.name = "b"}, %c: memref<?xi32> {attn.name = "c"})
      attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@product blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1)
      args(%a : memref<?xi32>, %b : memref<?xi32>, %c : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global internal @tile_a() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<128 x i32>
    llvm.mlir.global internal @tile_b() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<64 x i32>
    llvm.func @product(%aa: !llvm.ptr, %a: !llvm.ptr, %ao: i64, %an: i64, %as: i64,
                       %ba: !llvm.ptr, %b: !llvm.ptr, %bo: i64, %bn: i64, %bs: i64,
                       %ca: !llvm.ptr, %c: !llvm.ptr, %co: i64, %cn: i64, %cs: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %all = arith.constant -1 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i3 = arith.constant 3 : i32
      %i4 = arith.constant 4 : i32
      %i7 = arith.constant 7 : i32
      %i8 = arith.constant 8 : i32
      %i15 = arith.constant 15 : i32
      %i16 = arith.constant 16 : i32
      %i32 = arith.constant 32 : i32
      %zero = arith.constant 0.0 : f32
      %nothing = arith.constant 0 : i32
      %lane = nvvm.read.ptx.sreg.laneid : i32
      %tileA = llvm.mlir.addressof @tile_a : !llvm.ptr<3>
      %tileB = llvm.mlir.addressof @tile_b : !llvm.ptr<3>
      %piece = arith.muli %lane, %i4 : i32
      %globalA = llvm.addrspacecast %a : !llvm.ptr to !llvm.ptr<1>
      %globalB = llvm.addrspacecast %b : !llvm.ptr to !llvm.ptr<1>
      %fromA = llvm.getelementptr %globalA[%piece] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
      %toA = llvm.getelementptr %tileA[%piece] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      nvvm.cp.async.shared.global %toA, %fromA, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
      %copies = arith.cmpi ult, %lane, %i16 : i32
      scf.if %copies {
        %fromB = llvm.getelementptr %globalB[%piece] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
        %toB = llvm.getelementptr %tileB[%piece] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
        nvvm.cp.async.shared.global %toB, %fromB, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
      }
      nvvm.cp.async.commit.group
      nvvm.cp.async.wait.group 0
      nvvm.bar.warp.sync %all : i32

      // Rows 0 to 15 of the left half, and again of the right half.
      %rowA = arith.andi %lane, %i15 : i32
      %halfA = arith.divui %lane, %i16 : i32
      %wordsA = arith.muli %rowA, %i8 : i32
      %skipA = arith.muli %halfA, %i4 : i32
      %atA = arith.addi %wordsA, %skipA : i32
      %addressA = llvm.getelementptr %tileA[%atA] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %as4 = nvvm.ldmatrix %addressA {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
      %a0 = llvm.extractvalue %as4[0] : !llvm.struct<(i32, i32, i32, i32)>
      %a1 = llvm.extractvalue %as4[1] : !llvm.struct<(i32, i32, i32, i32)>
      %a2 = llvm.extractvalue %as4[2] : !llvm.struct<(i32, i32, i32, i32)>
      %a3 = llvm.extractvalue %as4[3] : !llvm.struct<(i32, i32, i32, i32)>
      // LOAD B
      %rowB = arith.andi %lane, %i7 : i32
      %matrixB = arith.divui %lane, %i8 : i32
      %halfB = arith.andi %matrixB, %i1 : i32
      %wordsB = arith.muli %rowB, %i8 : i32
      %skipB = arith.muli %halfB, %i4 : i32
      %atB = arith.addi %wordsB, %skipB : i32
      %addressB = llvm.getelementptr %tileB[%atB] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %bs2 = nvvm.ldmatrix %addressB {num = 2 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
      // END
      %b0 = llvm.extractvalue %bs2[0] : !llvm.struct<(i32, i32)>
      %b1 = llvm.extractvalue %bs2[1] : !llvm.struct<(i32, i32)>
      // PRODUCT
      %d = nvvm.mma.sync A[%a0, %a1, %a2, %a3] B[%b0, %b1] C[%zero, %zero, %zero, %zero]
        {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>}
        : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
      %d0 = llvm.extractvalue %d[0] : !llvm.struct<(f32, f32, f32, f32)>
      %d1 = llvm.extractvalue %d[1] : !llvm.struct<(f32, f32, f32, f32)>
      %d2 = llvm.extractvalue %d[2] : !llvm.struct<(f32, f32, f32, f32)>
      %d3 = llvm.extractvalue %d[3] : !llvm.struct<(f32, f32, f32, f32)>
      // STORE
      %row = arith.divui %lane, %i4 : i32
      %pair = arith.andi %lane, %i3 : i32
      %column = arith.muli %pair, %i2 : i32
      %rowWords = arith.muli %row, %i8 : i32
      %at0 = arith.addi %rowWords, %column : i32
      %i64 = arith.constant 64 : i32
      %at1 = arith.addi %at0, %i1 : i32
      %at2 = arith.addi %at0, %i64 : i32
      %at3 = arith.addi %at2, %i1 : i32
      %to0 = llvm.getelementptr %c[%at0] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %to1 = llvm.getelementptr %c[%at1] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %to2 = llvm.getelementptr %c[%at2] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %to3 = llvm.getelementptr %c[%at3] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %d0, %to0 : f32, !llvm.ptr
      llvm.store %d1, %to1 : f32, !llvm.ptr
      llvm.store %d2, %to2 : f32, !llvm.ptr
      llvm.store %d3, %to3 : f32, !llvm.ptr
      llvm.return
    }
  }
}
