// Clusters of two blocks. The first warp of each brings 5 tiles of its own A, 8
// rows of 32 numbers, and half of the rows of B, which both blocks get, to two
// stages; 64 consumers add up A times B and free the stage in both blocks. The
// first block of a cluster adds what the second has summed up, and what that has
// put into the first.
module attributes {gpu.container_module} {
  func.func @main(%maps: memref<?xi64> {attn.name = "maps"}, %a: memref<?xi32> {attn.name = "a"},
                  %b: memref<?xi32> {attn.name = "b"}, %c: memref<?xi32> {attn.name = "c"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %c96 = arith.constant 96 : index
    %bytes = arith.constant 4640 : i32
    %at = memref.extract_aligned_pointer_as_index %maps : memref<?xi64> -> index
    %at0 = arith.index_cast %at : index to i64
    %mapA = llvm.inttoptr %at0 : i64 to !llvm.ptr
    %mapB = llvm.getelementptr %mapA[16] : (!llvm.ptr) -> !llvm.ptr, i64
    gpu.launch_func @kernels::@cluster blocks in (%c4, %c1, %c1) threads in (%c96, %c1, %c1)
      dynamic_shared_memory_size %bytes
      args(%mapA : !llvm.ptr, %mapB : !llvm.ptr, %a : memref<?xi32>, %b : memref<?xi32>, %c : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
    llvm.func @cluster(%mapA: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant, llvm.align = 64 : i64},
                       %mapB: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant, llvm.align = 64 : i64},
                       %aa: !llvm.ptr, %a: !llvm.ptr, %ao: i64, %an: i64, %as: i64,
                       %ba: !llvm.ptr, %b: !llvm.ptr, %bo: i64, %bn: i64, %bs: i64,
                       %ca: !llvm.ptr, %c: !llvm.ptr, %co: i64, %cn: i64, %cs: i64)
        attributes {gpu.kernel, nvvm.kernel, nvvm.reqntid = array<i32: 96>, nvvm.cluster_dim = array<i32: 2, 1, 1>} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i4 = arith.constant 4 : i32
      %i8 = arith.constant 8 : i32
      %i32 = arith.constant 32 : i32
      %i64 = arith.constant 64 : i32
      %tiles = arith.constant 5 : i32
      %stageWords = arith.constant 512 : i32
      %halfWords = arith.constant 128 : i32
      %expected = arith.constant 2048 : i32
      %producers = arith.constant 1 : i32
      %consumers = arith.constant 128 : i32
      %both = arith.constant 3 : i16
      %ticks = arith.constant 1000 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %rank = nvvm.read.ptx.sreg.cluster.ctarank : i32
      %block = nvvm.read.ptx.sreg.ctaid.x : i32
      %cluster = nvvm.read.ptx.sreg.clusterid.x : i32
      %other = arith.subi %i1, %rank : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %sums = llvm.getelementptr %shared[1024] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
      %fulls = llvm.getelementptr %shared[544] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %empties = llvm.getelementptr %shared[546] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %note = llvm.getelementptr %shared[1096] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
      %theirs = nvvm.mapa %shared, %other : !llvm.ptr<3> -> !llvm.ptr<7>
      %theirSums = llvm.getelementptr %theirs[1024] : (!llvm.ptr<7>) -> !llvm.ptr<7>, i32
      %theirEmpties = llvm.getelementptr %theirs[546] : (!llvm.ptr<7>) -> !llvm.ptr<7>, i64
      %theirNote = llvm.getelementptr %theirs[1096] : (!llvm.ptr<7>) -> !llvm.ptr<7>, i32
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
      nvvm.cluster.arrive.relaxed // mbarriers
      nvvm.cluster.wait // mbarriers
      %isProducer = arith.cmpi ult, %tid, %i32 : i32
      scf.if %isProducer {
        scf.if %isFirst {
          %end:2 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i1) -> (i32, i32) : i32 {
            %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
            %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
            nvvm.mbarrier.try_wait.parity %empty, %phase, %ticks : !llvm.ptr<3>, i32, i32 // producer
            nvvm.mbarrier.arrive.expect_tx %full, %expected : !llvm.ptr<3>, i32
            // Rows of A begin at that of the block's first tile; those of B are
            // the same for all.
            %firstTile = arith.muli %block, %tiles : i32
            %tileOfA = arith.addi %firstTile, %tile : i32
            %rowOfA = arith.muli %tileOfA, %i8 : i32
            %rowOfB0 = arith.muli %tile, %i8 : i32
            %half = arith.muli %rank, %i4 : i32
            %rowOfB = arith.addi %rowOfB0, %half : i32
            %skip = arith.muli %stage, %stageWords : i32 // producer
            %skipHalf = arith.muli %rank, %halfWords : i32
            %toA = llvm.getelementptr %shared[%skip] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
            %toB0 = llvm.getelementptr %toA[256] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
            %toB1 = llvm.getelementptr %toB0[%skipHalf] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
            %toB = llvm.addrspacecast %toB1 : !llvm.ptr<3> to !llvm.ptr<7>
            nvvm.cp.async.bulk.tensor.shared.cluster.global %toA, %mapA, %full, box[%i0, %rowOfA] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr
            nvvm.cp.async.bulk.tensor.shared.cluster.global %toB, %mapB, %full, box[%i0, %rowOfB] multicast_mask = %both : !llvm.ptr<7>, !llvm.ptr
            %next = arith.addi %stage, %i1 : i32
            %wraps = arith.cmpi eq, %next, %i2 : i32 // producer
            %turned = arith.xori %phase, %i1 : i32 // producer
            %nextStage = arith.select %wraps, %i0, %next : i32 // producer
            %nextPhase = arith.select %wraps, %turned, %phase : i32 // producer
            scf.yield %nextStage, %nextPhase : i32, i32
          }
        }
      } else {
        %mine = arith.subi %tid, %i32 : i32
        %word = arith.muli %mine, %i4 : i32
        %sum:3 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i0, %s = %i0) -> (i32, i32, i32) : i32 {
          %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          %theirEmpty = llvm.getelementptr %theirEmpties[%stage] : (!llvm.ptr<7>, i32) -> !llvm.ptr<7>, i64
          nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : !llvm.ptr<3>, i32, i32 // consumer
          %skip = arith.muli %stage, %stageWords : i32 // consumer
          %tileAt = llvm.getelementptr %shared[%skip] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %fromA = llvm.getelementptr %tileAt[%word] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %fromB = llvm.getelementptr %fromA[256] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
          %valueA = llvm.load %fromA : !llvm.ptr<3> -> vector<4xi32>
          %valueB = llvm.load %fromB : !llvm.ptr<3> -> vector<4xi32>
          nvvm.mbarrier.arrive %empty : !llvm.ptr<3> // own
          nvvm.mbarrier.arrive %theirEmpty : !llvm.ptr<7> // theirs
          %products = arith.muli %valueA, %valueB : vector<4xi32>
          %total = "llvm.intr.vector.reduce.add"(%products) : (vector<4xi32>) -> i32
          %t = arith.addi %s, %total : i32
          %next = arith.addi %stage, %i1 : i32
          %wraps = arith.cmpi eq, %next, %i2 : i32 // consumer
          %turned = arith.xori %phase, %i1 : i32 // consumer
          %nextStage = arith.select %wraps, %i0, %next : i32 // consumer
          %nextPhase = arith.select %wraps, %turned, %phase : i32 // consumer
          scf.yield %nextStage, %nextPhase, %t : i32, i32, i32
        }
        %place = llvm.getelementptr %sums[%mine] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
        llvm.store %sum#2, %place : i32, !llvm.ptr<3>
      }
      %isSecond = arith.cmpi eq, %rank, %i1 : i32
      %notes = arith.andi %isSecond, %isFirst : i1
      scf.if %notes {
        llvm.store %block, %theirNote : i32, !llvm.ptr<7>
      }
      nvvm.cluster.arrive {aligned} // sums
      nvvm.cluster.wait {aligned} // sums
      %isConsumer = arith.cmpi uge, %tid, %i32 : i32
      %isLead = arith.cmpi eq, %rank, %i0 : i32
      %adds = arith.andi %isLead, %isConsumer : i1
      scf.if %adds {
        %mine = arith.subi %tid, %i32 : i32
        %from = llvm.getelementptr %sums[%mine] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
        %fromOther = llvm.getelementptr %theirSums[%mine] : (!llvm.ptr<7>, i32) -> !llvm.ptr<7>, i32
        %x = llvm.load %from : !llvm.ptr<3> -> i32
        %y = llvm.load %fromOther : !llvm.ptr<7> -> i32
        %z = llvm.load %note : !llvm.ptr<3> -> i32
        %xy = arith.addi %x, %y : i32
        %xyz = arith.addi %xy, %z : i32
        %first = arith.muli %cluster, %i64 : i32
        %index = arith.addi %first, %mine : i32
        %to = llvm.getelementptr %c[%index] : (!llvm.ptr, i32) -> !llvm.ptr, i32
        llvm.store %xyz, %to : i32, !llvm.ptr
      }
      nvvm.cluster.arrive {aligned} // end
      nvvm.cluster.wait {aligned} // end
      llvm.return
    }
  }
}
