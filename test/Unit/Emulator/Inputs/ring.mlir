// One warp copies 8 tiles of 32 numbers through two stages in shared memory,
// the other adds them up. Each stage has an mbarrier that says that it is full,
// where the copies themselves arrive, and one that says that it is empty.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xi32> {attn.name = "x"}, %y: memref<?xi32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %bytes = arith.constant 304 : i32
    gpu.launch_func @kernels::@ring blocks in (%c1, %c1, %c1) threads in (%c64, %c1, %c1)
      dynamic_shared_memory_size %bytes args(%x : memref<?xi32>, %y : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
    llvm.func @ring(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                    %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i31 = arith.constant 31 : i32
      %i32 = arith.constant 32 : i32
      %tiles = arith.constant 8 : i32
      %producers = arith.constant 32 : i32
      %consumers = arith.constant 32 : i32
      %ticks = arith.constant 1000 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %lane = nvvm.read.ptx.sreg.laneid : i32
      %warp = nvvm.read.ptx.sreg.warpid : i32
      %gx = llvm.addrspacecast %x : !llvm.ptr to !llvm.ptr<1>
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      // Two mbarriers for full stages, two for empty ones, and the stages.
      %fulls = llvm.getelementptr %shared[0] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %empties = llvm.getelementptr %shared[2] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %stages = llvm.getelementptr %shared[6] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %isFirst = arith.cmpi eq, %tid, %i0 : i32
      scf.if %isFirst {
        %full1 = llvm.getelementptr %fulls[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
        %empty1 = llvm.getelementptr %empties[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
        nvvm.mbarrier.init %fulls, %producers : !llvm.ptr<3>, i32
        nvvm.mbarrier.init %full1, %producers : !llvm.ptr<3>, i32
        nvvm.mbarrier.init %empties, %consumers : !llvm.ptr<3>, i32
        nvvm.mbarrier.init %empty1, %consumers : !llvm.ptr<3>, i32
      }
      nvvm.barrier0 // mbarriers are there
      %isProducer = arith.cmpi eq, %warp, %i0 : i32
      scf.if %isProducer {
        %end:2 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i1) -> (i32, i32) : i32 {
          %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          nvvm.mbarrier.try_wait.parity %empty, %phase, %ticks : !llvm.ptr<3>, i32, i32 // producer
          %first = arith.muli %tile, %i32 : i32
          %at = arith.addi %first, %lane : i32
          %from = llvm.getelementptr %gx[%at] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
          %skip = arith.muli %stage, %i32 : i32
          %mine = arith.addi %skip, %lane : i32
          %to = llvm.getelementptr %stages[%mine] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          nvvm.cp.async.shared.global %to, %from, 4, cache = ca : !llvm.ptr<3>, !llvm.ptr<1>
          nvvm.cp.async.mbarrier.arrive %full {noinc = true} : !llvm.ptr<3> // full
          %next = arith.addi %stage, %i1 : i32
          %wraps = arith.cmpi eq, %next, %i2 : i32 // producer
          %turned = arith.xori %phase, %i1 : i32 // producer
          %nextStage = arith.select %wraps, %i0, %next : i32
          %nextPhase = arith.select %wraps, %turned, %phase : i32 // producer
          scf.yield %nextStage, %nextPhase : i32, i32
        }
      } else {
        %sums:3 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i0, %s = %i0) -> (i32, i32, i32) : i32 {
          %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : !llvm.ptr<3>, i32, i32 // consumer
          %skip = arith.muli %stage, %i32 : i32
          %other = arith.subi %i31, %lane : i32
          %theirs = arith.addi %skip, %other : i32
          %from = llvm.getelementptr %stages[%theirs] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %value = llvm.load %from : !llvm.ptr<3> -> i32
          %t = arith.addi %s, %value : i32
          nvvm.mbarrier.arrive %empty : !llvm.ptr<3> // empty
          %next = arith.addi %stage, %i1 : i32
          %wraps = arith.cmpi eq, %next, %i2 : i32 // consumer
          %turned = arith.xori %phase, %i1 : i32 // consumer
          %nextStage = arith.select %wraps, %i0, %next : i32
          %nextPhase = arith.select %wraps, %turned, %phase : i32 // consumer
          scf.yield %nextStage, %nextPhase, %t : i32, i32, i32
        }
        %to = llvm.getelementptr %y[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, i32
        llvm.store %sums#2, %to : i32, !llvm.ptr
      }
      // END OF WORK
      llvm.return
    }
  }
}
