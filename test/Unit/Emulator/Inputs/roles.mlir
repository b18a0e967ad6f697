// Two warpgroups with roles. A thread of the first brings 6 tiles of A and of B,
// 8 rows of 32 numbers each, to two stages in shared memory, by boxes of
// tensors; the second adds up A times B, B read from behind in each row, and
// stores the sums by a box. The first gives registers to the second.
module attributes {gpu.container_module} {
  func.func @main(%maps: memref<?xi64> {attn.name = "maps"}, %a: memref<?xi32> {attn.name = "a"},
                  %b: memref<?xi32> {attn.name = "b"}, %c: memref<?xi32> {attn.name = "c"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c256 = arith.constant 256 : index
    %bytes = arith.constant 5152 : i32
    gpu.launch_func @kernels::@roles blocks in (%c1, %c1, %c1) threads in (%c256, %c1, %c1)
      dynamic_shared_memory_size %bytes
      args(%maps : memref<?xi64>, %a : memref<?xi32>, %b : memref<?xi32>, %c : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
    llvm.func @roles(%ma: !llvm.ptr, %maps: !llvm.ptr, %mo: i64, %mn: i64, %ms: i64,
                     %aa: !llvm.ptr, %a: !llvm.ptr, %ao: i64, %an: i64, %as: i64,
                     %ba: !llvm.ptr, %b: !llvm.ptr, %bo: i64, %bn: i64, %bs: i64,
                     %ca: !llvm.ptr, %c: !llvm.ptr, %co: i64, %cn: i64, %cs: i64)
        attributes {gpu.kernel, nvvm.kernel, nvvm.maxnreg = 128 : i32} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i3 = arith.constant 3 : i32
      %i4 = arith.constant 4 : i32
      %i8 = arith.constant 8 : i32
      %i15 = arith.constant 15 : i32
      %i16 = arith.constant 16 : i32
      %i31 = arith.constant 31 : i32
      %i32 = arith.constant 32 : i32
      %i128 = arith.constant 128 : i32
      %i256 = arith.constant 256 : i32
      %tiles = arith.constant 6 : i32
      %stageWords = arith.constant 512 : i32
      %expected = arith.constant 2048 : i32
      %producers = arith.constant 1 : i32
      %consumers = arith.constant 128 : i32
      %ticks = arith.constant 1000 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %result = llvm.getelementptr %shared[512] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %fulls = llvm.getelementptr %shared[640] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %empties = llvm.getelementptr %shared[642] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %mapB = llvm.getelementptr %maps[16] : (!llvm.ptr) -> !llvm.ptr, i64
      %mapC = llvm.getelementptr %maps[32] : (!llvm.ptr) -> !llvm.ptr, i64
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
            %row = arith.muli %tile, %i8 : i32
            %skip = arith.muli %stage, %stageWords : i32 // producer
            %toA = llvm.getelementptr %shared[%skip] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
            %toB = llvm.getelementptr %toA[256] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
            nvvm.cp.async.bulk.tensor.shared.cluster.global %toA, %maps, %full, box[%i0, %row] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr
            nvvm.cp.async.bulk.tensor.shared.cluster.global %toB, %mapB, %full, box[%i0, %row] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr
            %next = arith.addi %stage, %i1 : i32
            %wraps = arith.cmpi eq, %next, %i2 : i32 // producer
            %turned = arith.xori %phase, %i1 : i32 // producer
            %nextStage = arith.select %wraps, %i0, %next : i32 // producer
            %nextPhase = arith.select %wraps, %turned, %phase : i32 // producer
            scf.yield %nextStage, %nextPhase : i32, i32
          }
        }
      } else {
        nvvm.setmaxregister increase 216
        %mine = arith.subi %tid, %i128 : i32
        %row = arith.divui %mine, %i16 : i32
        %word = arith.andi %mine, %i15 : i32
        %rowAt = arith.muli %row, %i32 : i32
        // Where word w of the row is: chunk w / 4 changes places with the row.
        %chunk = arith.divui %word, %i4 : i32
        %inChunk = arith.andi %word, %i3 : i32
        %swizzled = arith.xori %chunk, %row : i32
        %chunkAt = arith.muli %swizzled, %i4 : i32
        %at0 = arith.addi %rowAt, %chunkAt : i32
        %atA = arith.addi %at0, %inChunk : i32
        %wordB = arith.subi %i31, %word : i32
        %chunkB = arith.divui %wordB, %i4 : i32
        %inChunkB = arith.andi %wordB, %i3 : i32
        %swizzledB = arith.xori %chunkB, %row : i32
        %chunkBAt = arith.muli %swizzledB, %i4 : i32
        %at1 = arith.addi %rowAt, %chunkBAt : i32
        %at2 = arith.addi %at1, %inChunkB : i32
        %atB = arith.addi %at2, %i256 : i32
        %sums:3 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = %i0, %phase = %i0, %s = %i0) -> (i32, i32, i32) : i32 {
          %full = llvm.getelementptr %fulls[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          %empty = llvm.getelementptr %empties[%stage] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
          nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : !llvm.ptr<3>, i32, i32 // consumer
          %skip = arith.muli %stage, %stageWords : i32 // consumer
          %tileAt = llvm.getelementptr %shared[%skip] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %fromA = llvm.getelementptr %tileAt[%atA] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %fromB = llvm.getelementptr %tileAt[%atB] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %valueA = llvm.load %fromA : !llvm.ptr<3> -> i32
          %valueB = llvm.load %fromB : !llvm.ptr<3> -> i32
          nvvm.mbarrier.arrive %empty : !llvm.ptr<3> // empty
          %product = arith.muli %valueA, %valueB : i32
          %t = arith.addi %s, %product : i32
          %next = arith.addi %stage, %i1 : i32
          %wraps = arith.cmpi eq, %next, %i2 : i32 // consumer
          %turned = arith.xori %phase, %i1 : i32 // consumer
          %nextStage = arith.select %wraps, %i0, %next : i32 // consumer
          %nextPhase = arith.select %wraps, %turned, %phase : i32 // consumer
          scf.yield %nextStage, %nextPhase, %t : i32, i32, i32
        }
        %place = llvm.getelementptr %result[%mine] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
        llvm.store %sums#2, %place : i32, !llvm.ptr<3>
        nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
        nvvm.barrier id = %i1 number_of_threads = %i128 // sums are there
        %isLeader = arith.cmpi eq, %mine, %i0 : i32
        scf.if %isLeader {
          nvvm.cp.async.bulk.tensor.global.shared.cta %mapC, %result, box[%i0, %i0] : !llvm.ptr, !llvm.ptr<3>
          nvvm.cp.async.bulk.commit.group
          nvvm.cp.async.bulk.wait_group 0
        }
      }
      llvm.return
    }
  }
}
