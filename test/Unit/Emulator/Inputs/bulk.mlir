// One thread brings 8 tiles of 32 numbers to two stages in shared memory by
// copies of bulk. The second warp adds 1 to the numbers, turned round, and
// stores each tile by another copy of bulk.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xi32> {attn.name = "x"}, %y: memref<?xi32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %bytes = arith.constant 432 : i32
    gpu.launch_func @kernels::@bulk blocks in (%c1, %c1, %c1) threads in (%c64, %c1, %c1)
      dynamic_shared_memory_size %bytes args(%x : memref<?xi32>, %y : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
    llvm.func @bulk(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                    %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %all = arith.constant -1 : i32
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i31 = arith.constant 31 : i32
      %i32 = arith.constant 32 : i32
      %tiles = arith.constant 8 : i32
      %size = arith.constant 128 : i32
      %expected = arith.constant 128 : i32
      %producers = arith.constant 1 : i32
      %consumers = arith.constant 32 : i32
      %ticks = arith.constant 1000 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %lane = nvvm.read.ptx.sreg.laneid : i32
      %warp = nvvm.read.ptx.sreg.warpid : i32
      %gx = llvm.addrspacecast %x : !llvm.ptr to !llvm.ptr<1>
      %gy = llvm.addrspacecast %y : !llvm.ptr to !llvm.ptr<1>
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      // Two mbarriers for full stages, two for empty ones, the stages, and what
      // is stored.
      %fulls = llvm.getelementptr %shared[0] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %empties = llvm.getelementptr %shared[2] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %stages = llvm.getelementptr %shared[6] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %result = llvm.getelementptr %shared[38] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
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
      %isProducer = arith.cmpi eq, %warp, %i0 : i32
      scf.if %isProducer {
        scf.if %isFirst {
          %end:2 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i1) -> (i32, i32) : i32 {
            %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
            %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
            nvvm.mbarrier.try_wait.parity %empty, %phase, %ticks : !llvm.ptr<3>, i32, i32 // producer
            nvvm.mbarrier.arrive.expect_tx %full, %expected : !llvm.ptr<3>, i32
            %first = arith.muli %tile, %i32 : i32
            %from = llvm.getelementptr %gx[%first] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
            %skip = arith.muli %stage, %i32 : i32
            %to = llvm.getelementptr %stages[%skip] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
            nvvm.cp.async.bulk.shared.cluster.global %to, %from, %full, %size : !llvm.ptr<3>, !llvm.ptr<1>
            %next = arith.addi %stage, %i1 : i32
            %wraps = arith.cmpi eq, %next, %i2 : i32 // producer
            %turned = arith.xori %phase, %i1 : i32 // producer
            %nextStage = arith.select %wraps, %i0, %next : i32
            %nextPhase = arith.select %wraps, %turned, %phase : i32 // producer
            scf.yield %nextStage, %nextPhase : i32, i32
          }
        }
      } else {
        %isLeader = arith.cmpi eq, %lane, %i0 : i32
        %end:2 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i0) -> (i32, i32) : i32 {
          %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : !llvm.ptr<3>, i32, i32 // consumer
          %skip = arith.muli %stage, %i32 : i32
          %other = arith.subi %i31, %lane : i32
          %theirs = arith.addi %skip, %other : i32
          %from = llvm.getelementptr %stages[%theirs] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %value = llvm.load %from : !llvm.ptr<3> -> i32
          nvvm.mbarrier.arrive %empty : !llvm.ptr<3> // empty
          %more = arith.addi %value, %i1 : i32
          scf.if %isLeader {
            nvvm.cp.async.bulk.wait_group 0 {read} // before it is written again
          }
          nvvm.bar.warp.sync %all : i32 // free
          %mine = llvm.getelementptr %result[%lane] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          llvm.store %more, %mine : i32, !llvm.ptr<3>
          nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
          nvvm.bar.warp.sync %all : i32 // written
          scf.if %isLeader {
            %first = arith.muli %tile, %i32 : i32
            %to = llvm.getelementptr %gy[%first] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
            nvvm.cp.async.bulk.global.shared.cta %to, %result, %size : !llvm.ptr<1>, !llvm.ptr<3>
            nvvm.cp.async.bulk.commit.group
          }
          %next = arith.addi %stage, %i1 : i32
          %wraps = arith.cmpi eq, %next, %i2 : i32 // consumer
          %turned = arith.xori %phase, %i1 : i32 // consumer
          %nextStage = arith.select %wraps, %i0, %next : i32
          %nextPhase = arith.select %wraps, %turned, %phase : i32 // consumer
          scf.yield %nextStage, %nextPhase : i32, i32
        }
        scf.if %isLeader {
          nvvm.cp.async.bulk.wait_group 0 // at the end
        }
      }
      llvm.return
    }
  }
}
