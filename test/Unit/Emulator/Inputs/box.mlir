// One thread loads a box of x to shared memory, all see how it lies there, and
// the thread stores it to z, for 3 places of the box after each other.
module attributes {gpu.container_module} {
  func.func @main(%maps: memref<?xi64> {attn.name = "maps"}, %at: memref<?xi32> {attn.name = "at"},
                  %x: memref<?xi32> {attn.name = "x"}, %y: memref<?xi32> {attn.name = "y"}, %z: memref<?xi32> {attn.name = "z"})
      attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c32 = arith.constant 32 : index
    %bytes = arith.constant 4224 : i32
    gpu.launch_func @kernels::@box blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1)
      dynamic_shared_memory_size %bytes
      args(%maps : memref<?xi64>, %at : memref<?xi32>, %x : memref<?xi32>, %y : memref<?xi32>, %z : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
    llvm.func @box(%ma: !llvm.ptr, %maps: !llvm.ptr, %mo: i64, %mn: i64, %ms: i64,
                   %aa: !llvm.ptr, %at: !llvm.ptr, %ao: i64, %an: i64, %as: i64,
                   %xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                   %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64,
                   %za: !llvm.ptr, %z: !llvm.ptr, %zo: i64, %zn: i64, %zs: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i3 = arith.constant 3 : i32
      %i32 = arith.constant 32 : i32
      %ticks = arith.constant 1000 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %box = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %full = llvm.getelementptr %box[512] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i64
      %target = llvm.addrspacecast %box : !llvm.ptr<3> to !llvm.ptr<7>
      %from = llvm.getelementptr %maps[0] : (!llvm.ptr) -> !llvm.ptr, i64
      %to = llvm.getelementptr %maps[16] : (!llvm.ptr) -> !llvm.ptr, i64
      %bytes = llvm.load %at : !llvm.ptr -> i32
      %i4 = arith.constant 4 : i32
      %words = arith.divui %bytes, %i4 : i32
      %isFirst = arith.cmpi eq, %tid, %i0 : i32
      scf.if %isFirst {
        nvvm.mbarrier.init %full, %i1 : !llvm.ptr<3>, i32
        nvvm.fence.mbarrier.init
      }
      nvvm.barrier0
      scf.for %k = %i0 to %i3 step %i1 : i32 {
        %skip = arith.muli %k, %i3 : i32
        %row = llvm.getelementptr %at[%skip] : (!llvm.ptr, i32) -> !llvm.ptr, i32
        %at0 = llvm.getelementptr %row[1] : (!llvm.ptr) -> !llvm.ptr, i32
        %at1 = llvm.getelementptr %row[2] : (!llvm.ptr) -> !llvm.ptr, i32
        %at2 = llvm.getelementptr %row[3] : (!llvm.ptr) -> !llvm.ptr, i32
        %c0 = llvm.load %at0 : !llvm.ptr -> i32
        %c1 = llvm.load %at1 : !llvm.ptr -> i32
        %c2 = llvm.load %at2 : !llvm.ptr -> i32
        scf.if %isFirst {
          nvvm.mbarrier.arrive.expect_tx %full, %bytes : !llvm.ptr<3>, i32
          nvvm.cp.async.bulk.tensor.shared.cluster.global %target, %from, %full, box[%c0, %c1, %c2] : !llvm.ptr<7>, !llvm.ptr
        }
        %phase = arith.andi %k, %i1 : i32
        nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : !llvm.ptr<3>, i32, i32
        %shown = arith.muli %k, %words : i32
        scf.for %i = %tid to %words step %i32 : i32 {
          %word = llvm.getelementptr %box[%i] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %value = llvm.load %word : !llvm.ptr<3> -> i32
          %place = arith.addi %shown, %i : i32
          %out = llvm.getelementptr %y[%place] : (!llvm.ptr, i32) -> !llvm.ptr, i32
          llvm.store %value, %out : i32, !llvm.ptr
        }
        scf.if %isFirst {
          nvvm.cp.async.bulk.tensor.global.shared.cta %to, %box, box[%c0, %c1, %c2] : !llvm.ptr, !llvm.ptr<3>
          nvvm.cp.async.bulk.commit.group
          nvvm.cp.async.bulk.wait_group 0 {read}
        }
        nvvm.barrier0 // the box is free
      }
      llvm.return
    }
  }
}
