// 96 threads, three of them for each of 32 counters in shared memory.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xi32> {attn.name = "x"}, %y: memref<?xi32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c96 = arith.constant 96 : index
    gpu.launch_func @kernels::@histogram blocks in (%c1, %c1, %c1) threads in (%c96, %c1, %c1)
      args(%x : memref<?xi32>, %y : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global internal @counters() {addr_space = 3 : i32} : !llvm.array<32 x i32>
    llvm.func @histogram(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                         %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i31 = arith.constant 31 : i32
      %i32 = arith.constant 32 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %counters = llvm.mlir.addressof @counters : !llvm.ptr<3>
      %mine = llvm.getelementptr %counters[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %owns = arith.cmpi ult, %tid, %i32 : i32
      scf.if %owns {
        llvm.store %i0, %mine : i32, !llvm.ptr<3>
      }
      nvvm.barrier0 // zeros are there
      %from = llvm.getelementptr %x[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %value = llvm.load %from : !llvm.ptr -> i32
      %bin = arith.andi %value, %i31 : i32
      %counter = llvm.getelementptr %counters[%bin] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %old = llvm.atomicrmw add %counter, %i1 monotonic : !llvm.ptr<3>, i32
      nvvm.barrier0 // counts are there
      scf.if %owns {
        %count = llvm.load %mine : !llvm.ptr<3> -> i32
        %to = llvm.getelementptr %y[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, i32
        llvm.store %count, %to : i32, !llvm.ptr
      }
      llvm.return
    }
  }
}
