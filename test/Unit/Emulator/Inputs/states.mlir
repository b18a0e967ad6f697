// Each warp adds up what the other one has written before it, 4 times, between
// mbarriers that are waited for by the states of arrivals. Bytes are announced
// and completed by hand; the second warp leaves early.
module attributes {gpu.container_module} {
  func.func @main(%y: memref<?xi32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %bytes = arith.constant 272 : i32
    gpu.launch_func @kernels::@states blocks in (%c1, %c1, %c1) threads in (%c64, %c1, %c1)
      dynamic_shared_memory_size %bytes args(%y : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
    llvm.func @states(%ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i4 = arith.constant 4 : i32
      %i32 = arith.constant 32 : i32
      %i63 = arith.constant 63 : i32
      %bytes = arith.constant 64 : i32
      %true = arith.constant true
      %parity0 = arith.constant 0 : i32
      %threads = arith.constant 64 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %warp = nvvm.read.ptx.sreg.warpid : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %bar = llvm.getelementptr %shared[0] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %bar1 = llvm.getelementptr %shared[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %data = llvm.getelementptr %shared[2] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %isFirst = arith.cmpi eq, %tid, %i0 : i32
      scf.if %isFirst {
        nvvm.mbarrier.init %bar, %threads : !llvm.ptr<3>, i32
        nvvm.mbarrier.init %bar1, %threads : !llvm.ptr<3>, i32
      }
      nvvm.barrier0
      %mine = llvm.getelementptr %data[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %other = arith.subi %i63, %tid : i32
      %theirs = llvm.getelementptr %data[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %sum = scf.for %k = %i0 to %i4 step %i1 iter_args(%s = %tid) -> i32 : i32 {
        llvm.store %s, %mine : i32, !llvm.ptr<3>
        %state = nvvm.mbarrier.arrive %bar : !llvm.ptr<3> -> i64 // written
        scf.while : () -> () {
          %done = nvvm.mbarrier.test.wait %bar, %state : !llvm.ptr<3>, i64 -> i1
          %goesOn = arith.xori %done, %true : i1
          scf.condition(%goesOn)
        } do {
          scf.yield
        }
        %value = llvm.load %theirs : !llvm.ptr<3> -> i32
        %t = arith.addi %s, %value : i32
        %state1 = nvvm.mbarrier.arrive %bar1 : !llvm.ptr<3> -> i64 // read
        scf.while : () -> () {
          %done = nvvm.mbarrier.try_wait %bar1, %state1 : !llvm.ptr<3>, i64 -> i1
          %goesOn = arith.xori %done, %true : i1
          scf.condition(%goesOn)
        } do {
          scf.yield
        }
        scf.yield %t : i32
      }
      // The first warp goes on alone; thread 0 expects bytes that it completes.
      %isSecond = arith.cmpi eq, %warp, %i1 : i32
      scf.if %isSecond {
        %drop = nvvm.mbarrier.arrive_drop %bar : !llvm.ptr<3> -> i64
      } else {
        scf.if %isFirst {
          nvvm.mbarrier.arrive.expect_tx %bar, %bytes : !llvm.ptr<3>, i32
          nvvm.mbarrier.complete_tx %bar, %bytes : !llvm.ptr<3>, i32
        } else {
          nvvm.mbarrier.arrive %bar : !llvm.ptr<3> // alone
        }
        scf.while : () -> () {
          %done = nvvm.mbarrier.test.wait %bar, %parity0 : !llvm.ptr<3>, i32 -> i1
          %goesOn = arith.xori %done, %true : i1
          scf.condition(%goesOn)
        } do {
          scf.yield
        }
        %full = nvvm.mbarrier.arrive %bar : !llvm.ptr<3> -> i64 // without the second
        scf.while : () -> () {
          %done = nvvm.mbarrier.try_wait %bar, %full : !llvm.ptr<3>, i64 -> i1
          %goesOn = arith.xori %done, %true : i1
          scf.condition(%goesOn)
        } do {
          scf.yield
        }
      }
      nvvm.barrier0 // all have waited
      scf.if %isFirst {
        nvvm.mbarrier.inval %bar : !llvm.ptr<3>
        nvvm.mbarrier.inval %bar1 : !llvm.ptr<3>
        nvvm.mbarrier.init %bar, %i2 : !llvm.ptr<3>, i32
        nvvm.mbarrier.expect_tx %bar, %bytes : !llvm.ptr<3>, i32
        %early = nvvm.mbarrier.arrive.nocomplete %bar, %i1 : !llvm.ptr<3>, i32 -> i64
        nvvm.mbarrier.complete_tx %bar, %bytes : !llvm.ptr<3>, i32
        %last = nvvm.mbarrier.arrive_drop.expect_tx %bar, %i0 : !llvm.ptr<3>, i32 -> i64
        %over = nvvm.mbarrier.test.wait %bar, %last : !llvm.ptr<3>, i64 -> i1
        nvvm.mbarrier.inval %bar : !llvm.ptr<3>
      }
      %to = llvm.getelementptr %y[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %sum, %to : i32, !llvm.ptr
      llvm.return
    }
  }
}
