// Every warp adds up 32 elements; all lanes get the sum.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xf32> {attn.name = "x"}, %y: memref<?xf32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %c32 = arith.constant 32 : index
    gpu.launch_func @kernels::@shuffle blocks in (%c1, %c1, %c1) threads in (%c32, %c3, %c1)
      args(%x : memref<?xf32>, %y : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    llvm.func @shuffle(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                       %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %c1 = arith.constant 1 : i32
      %c5 = arith.constant 5 : i32
      %c0 = arith.constant 0 : i32
      %width = arith.constant 32 : i32
      %all = arith.constant -1 : i32
      %clamp = arith.constant 31 : i32
      %lane = nvvm.read.ptx.sreg.laneid : i32
      %warp = nvvm.read.ptx.sreg.warpid : i32
      %first = arith.muli %warp, %width : i32
      %i = arith.addi %first, %lane : i32
      %from = llvm.getelementptr %x[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %value = llvm.load %from : !llvm.ptr -> f32
      %sum = scf.for %k = %c0 to %c5 step %c1 iter_args(%a = %value) -> f32 : i32 {
        %distance = arith.shli %c1, %k : i32
        %b = nvvm.shfl.sync bfly %all, %a, %distance, %clamp : f32 -> f32
        %c = arith.addf %a, %b : f32
        scf.yield %c : f32
      }
      %to = llvm.getelementptr %y[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      llvm.store %sum, %to : f32, !llvm.ptr
      llvm.return
    }
  }
}
