// A product of 128 x 16 numbers of bf16 by three warpgroups. A thread of the first
// brings 3 tiles of 64 numbers along K, 128 rows of A and 16 of B, to two stages
// in shared memory by boxes with a swizzle of 128 bytes; each of the others has
// 64 rows of A. A stage is free again when the products that follow it by one
// are in flight.
module attributes {gpu.container_module} {
  func.func @main(%maps: memref<?xi64> {attn.name = "maps"}, %a: memref<?xi32> {attn.name = "a"},
                  %b: memref<?xi32> {attn.name = "b"}, %c: memref<?xf32> {attn.name = "c"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c384 = arith.constant 384 : index
    %bytes = arith.constant 36896 : i32
    %at = memref.extract_aligned_pointer_as_index %maps : memref<?xi64> -> index
    %at0 = arith.index_cast %at : index to i64
    %mapA = llvm.inttoptr %at0 : i64 to !llvm.ptr
    %mapB = llvm.getelementptr %mapA[16] : (!llvm.ptr) -> !llvm.ptr, i64
    gpu.launch_func @kernels::@gemm blocks in (%c1, %c1, %c1) threads in (%c384, %c1, %c1)
      dynamic_shared_memory_size %bytes
      args(%mapA : !llvm.ptr, %mapB : !llvm.ptr, %a : memref<?xi32>, %b : memref<?xi32>, %c : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
    llvm.func @gemm(%mapA: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant, llvm.align = 64 : i64},
                    %mapB: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant, llvm.align = 64 : i64},
                    %aa: !llvm.ptr, %a: !llvm.ptr, %ao: i64, %an: i64, %as: i64,
                    %ba: !llvm.ptr, %b: !llvm.ptr, %bo: i64, %bn: i64, %bs: i64,
                    %ca: !llvm.ptr, %c: !llvm.ptr, %co: i64, %cn: i64, %cs: i64)
        attributes {gpu.kernel, nvvm.kernel, nvvm.reqntid = array<i32: 384>, nvvm.minctasm = 1 : i32, nvvm.maxnreg = 128 : i32} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i8 = arith.constant 8 : i32
      %i64 = arith.constant 64 : i32
      %i128 = arith.constant 128 : i32
      %tiles = arith.constant 3 : i32
      %stageBytes = arith.constant 18432 : i32
      %expected = arith.constant 18432 : i32
      %producers = arith.constant 1 : i32
      %consumers = arith.constant 2 : i32
      %ticks = arith.constant 1000 : i32
      %zero = arith.constant 0.0 : f32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %fulls = llvm.getelementptr %shared[4608] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %empties = llvm.getelementptr %shared[4610] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %isFirst = arith.cmpi eq, %tid, %i0 : i32
      scf.if %isFirst {
        %full1 = llvm.getelementptr %fulls[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
        %empty1 = llvm.getelementptr %empties[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
        nvvm.mbarrier.init %fulls, %producers : !llvm.ptr<3>, i32
        nvvm.mbarrier.init %full1, %producers : !llvm.ptr<3>, i32
        nvvm.mbarrier.init %empties, %consumers : !llvm.ptr<3>, i32
        nvvm.mbarrier.init %empty1, %consumers : !llvm.ptr<3>, i32
        nvvm.fence.mbarrier.init
      }
      nvvm.barrier0 // mbarriers are there
      %isProducer = arith.cmpi ult, %tid, %i128 : i32
      scf.if %isProducer {
        nvvm.setmaxregister decrease 40
        scf.if %isFirst {
          %end:2 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i1) -> (i32, i32) : i32 {
            %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
            %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
            nvvm.mbarrier.try_wait.parity %empty, %phase, %ticks : !llvm.ptr<3>, i32, i32 // producer
            nvvm.mbarrier.arrive.expect_tx %full, %expected : !llvm.ptr<3>, i32
            %column = arith.muli %tile, %i64 : i32
            %skip = arith.muli %stage, %stageBytes : i32 // producer
            %toA = llvm.getelementptr %shared[%skip] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
            %toB = llvm.getelementptr %toA[16384] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
            nvvm.cp.async.bulk.tensor.shared.cluster.global %toA, %mapA, %full, box[%column, %i0] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr
            nvvm.cp.async.bulk.tensor.shared.cluster.global %toB, %mapB, %full, box[%column, %i0] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr
            %next = arith.addi %stage, %i1 : i32
            %wraps = arith.cmpi eq, %next, %i2 : i32 // producer
            %turned = arith.xori %phase, %i1 : i32 // producer
            %nextStage = arith.select %wraps, %i0, %next : i32 // producer
            %nextPhase = arith.select %wraps, %turned, %phase : i32 // producer
            scf.yield %nextStage, %nextPhase : i32, i32
          }
        }
      } else {
        nvvm.setmaxregister increase 168
        %mine = arith.subi %tid, %i128 : i32
        %inGroup = arith.remui %mine, %i128 : i32
        %group = arith.divui %mine, %i128 : i32
        %isLeader = arith.cmpi eq, %inGroup, %i0 : i32
        // 8 rows of 128 bytes from core to core, a swizzle of 128 bytes; 64 rows
        // of A for each group, 1152 times 16 bytes for each stage.
        %four = arith.constant 4 : i64
        %begin = llvm.ptrtoint %shared : !llvm.ptr<3> to i64
        %at = arith.shrui %begin, %four : i64
        %strides = llvm.mlir.constant(0x4000004000010000 : i64) : i64
        %rowsOfGroup = llvm.mlir.constant(512 : i64) : i64
        %rowsOfA = llvm.mlir.constant(1024 : i64) : i64
        %stageAt = llvm.mlir.constant(1152 : i64) : i64
        %groupWide = arith.extui %group : i32 to i64
        %skipRows = arith.muli %groupWide, %rowsOfGroup : i64
        %described = arith.addi %at, %strides : i64
        %matrixA0 = arith.addi %described, %skipRows : i64
        %matrixB0 = arith.addi %described, %rowsOfA : i64
        %k1 = llvm.mlir.constant(2 : i64) : i64
        %k2 = llvm.mlir.constant(4 : i64) : i64
        %k3 = llvm.mlir.constant(6 : i64) : i64
        %end:11 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i0, %before = %fulls, %c0 = %zero, %c1 = %zero, %c2 = %zero, %c3 = %zero, %c4 = %zero, %c5 = %zero, %c6 = %zero, %c7 = %zero) -> (i32, i32, !llvm.ptr<3>, f32, f32, f32, f32, f32, f32, f32, f32) : i32 {
          %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : !llvm.ptr<3>, i32, i32 // consumer
          %stageWide = arith.extui %stage : i32 to i64
          %skip = arith.muli %stageWide, %stageAt : i64 // consumer
          %a0 = arith.addi %matrixA0, %skip : i64
          %b0 = arith.addi %matrixB0, %skip : i64
          nvvm.wgmma.fence.aligned // registers
          %p0 = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$0, $1, $2, $3, $4, $5, $6, $7}, $16, $17, 1, 1, 1, 0, 0;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7,l,l" %c0, %c1, %c2, %c3, %c4, %c5, %c6, %c7, %a0, %b0 : (f32, f32, f32, f32, f32, f32, f32, f32, i64, i64) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_0 = llvm.extractvalue %p0[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_1 = llvm.extractvalue %p0[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_2 = llvm.extractvalue %p0[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_3 = llvm.extractvalue %p0[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_4 = llvm.extractvalue %p0[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_5 = llvm.extractvalue %p0[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_6 = llvm.extractvalue %p0[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p0_7 = llvm.extractvalue %p0[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %a1 = arith.addi %a0, %k1 : i64
          %b1 = arith.addi %b0, %k1 : i64
          %p1 = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$0, $1, $2, $3, $4, $5, $6, $7}, $16, $17, 1, 1, 1, 0, 0;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7,l,l" %p0_0, %p0_1, %p0_2, %p0_3, %p0_4, %p0_5, %p0_6, %p0_7, %a1, %b1 : (f32, f32, f32, f32, f32, f32, f32, f32, i64, i64) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_0 = llvm.extractvalue %p1[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_1 = llvm.extractvalue %p1[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_2 = llvm.extractvalue %p1[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_3 = llvm.extractvalue %p1[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_4 = llvm.extractvalue %p1[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_5 = llvm.extractvalue %p1[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_6 = llvm.extractvalue %p1[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p1_7 = llvm.extractvalue %p1[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %a2 = arith.addi %a0, %k2 : i64
          %b2 = arith.addi %b0, %k2 : i64
          %p2 = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$0, $1, $2, $3, $4, $5, $6, $7}, $16, $17, 1, 1, 1, 0, 0;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7,l,l" %p1_0, %p1_1, %p1_2, %p1_3, %p1_4, %p1_5, %p1_6, %p1_7, %a2, %b2 : (f32, f32, f32, f32, f32, f32, f32, f32, i64, i64) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_0 = llvm.extractvalue %p2[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_1 = llvm.extractvalue %p2[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_2 = llvm.extractvalue %p2[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_3 = llvm.extractvalue %p2[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_4 = llvm.extractvalue %p2[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_5 = llvm.extractvalue %p2[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_6 = llvm.extractvalue %p2[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p2_7 = llvm.extractvalue %p2[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %a3 = arith.addi %a0, %k3 : i64
          %b3 = arith.addi %b0, %k3 : i64
          %p3 = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$0, $1, $2, $3, $4, $5, $6, $7}, $16, $17, 1, 1, 1, 0, 0;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7,l,l" %p2_0, %p2_1, %p2_2, %p2_3, %p2_4, %p2_5, %p2_6, %p2_7, %a3, %b3 : (f32, f32, f32, f32, f32, f32, f32, f32, i64, i64) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_0 = llvm.extractvalue %p3[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_1 = llvm.extractvalue %p3[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_2 = llvm.extractvalue %p3[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_3 = llvm.extractvalue %p3[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_4 = llvm.extractvalue %p3[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_5 = llvm.extractvalue %p3[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_6 = llvm.extractvalue %p3[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %p3_7 = llvm.extractvalue %p3[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          nvvm.wgmma.commit.group.sync.aligned
          %w = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.wait_group.sync.aligned 1;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7" %p3_0, %p3_1, %p3_2, %p3_3, %p3_4, %p3_5, %p3_6, %p3_7 : (f32, f32, f32, f32, f32, f32, f32, f32) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)> // the tile before
          %w0 = llvm.extractvalue %w[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %w1 = llvm.extractvalue %w[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %w2 = llvm.extractvalue %w[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %w3 = llvm.extractvalue %w[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %w4 = llvm.extractvalue %w[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %w5 = llvm.extractvalue %w[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %w6 = llvm.extractvalue %w[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %w7 = llvm.extractvalue %w[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
          %hasBefore = arith.cmpi ne, %tile, %i0 : i32
          %frees = arith.andi %hasBefore, %isLeader : i1
          scf.if %frees {
            nvvm.mbarrier.arrive %before : !llvm.ptr<3>
          }
          %next = arith.addi %stage, %i1 : i32
          %wraps = arith.cmpi eq, %next, %i2 : i32 // consumer
          %turned = arith.xori %phase, %i1 : i32 // consumer
          %nextStage = arith.select %wraps, %i0, %next : i32 // consumer
          %nextPhase = arith.select %wraps, %turned, %phase : i32 // consumer
          scf.yield %nextStage, %nextPhase, %empty, %w0, %w1, %w2, %w3, %w4, %w5, %w6, %w7 : i32, i32, !llvm.ptr<3>, f32, f32, f32, f32, f32, f32, f32, f32
        }
        %r = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.wait_group.sync.aligned 0;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7" %end#3, %end#4, %end#5, %end#6, %end#7, %end#8, %end#9, %end#10 : (f32, f32, f32, f32, f32, f32, f32, f32) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)> // the last tile
        %to0 = arith.muli %mine, %i8 : i32
        %to = llvm.getelementptr %c[%to0] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        %r0 = llvm.extractvalue %r[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y0 = llvm.getelementptr %to[0] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r0, %y0 : f32, !llvm.ptr
        %r1 = llvm.extractvalue %r[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y1 = llvm.getelementptr %to[1] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r1, %y1 : f32, !llvm.ptr
        %r2 = llvm.extractvalue %r[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y2 = llvm.getelementptr %to[2] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r2, %y2 : f32, !llvm.ptr
        %r3 = llvm.extractvalue %r[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y3 = llvm.getelementptr %to[3] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r3, %y3 : f32, !llvm.ptr
        %r4 = llvm.extractvalue %r[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y4 = llvm.getelementptr %to[4] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r4, %y4 : f32, !llvm.ptr
        %r5 = llvm.extractvalue %r[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y5 = llvm.getelementptr %to[5] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r5, %y5 : f32, !llvm.ptr
        %r6 = llvm.extractvalue %r[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y6 = llvm.getelementptr %to[6] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r6, %y6 : f32, !llvm.ptr
        %r7 = llvm.extractvalue %r[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %y7 = llvm.getelementptr %to[7] : (!llvm.ptr) -> !llvm.ptr, f32
        llvm.store %r7, %y7 : f32, !llvm.ptr
      }
      llvm.return
    }
  }
}
