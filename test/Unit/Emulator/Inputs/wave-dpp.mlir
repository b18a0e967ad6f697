// Each lane of a wave reads another one, or keeps its old value.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xi32> {attn.name = "x"}, %y: memref<?xi32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %threads = arith.constant 64 : index
    gpu.launch_func @kernels::@read blocks in (%c1, %c1, %c1) threads in (%threads, %c1, %c1)
      args(%x : memref<?xi32>, %y : memref<?xi32>)
    return
  }
  gpu.module @kernels [#rocdl.target<chip = "gfx942">] {
    llvm.func @read(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                    %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, rocdl.kernel} {
      %old = llvm.mlir.constant(-7 : i32) : i32
      %low = llvm.mlir.constant(1985229328 : i32) : i32
      %high = llvm.mlir.constant(-19088744 : i32) : i32
      %pattern = llvm.mlir.constant(0 : i32) : i32
      %thread = rocdl.workitem.id.x : i32
      %from = llvm.getelementptr %x[%thread] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %value = llvm.load %from : !llvm.ptr -> i32
      %read = rocdl.update.dpp %old, %value with 177, 15, 15, true : i32
      %to = llvm.getelementptr %y[%thread] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %read, %to : i32, !llvm.ptr
      llvm.return
    }
  }
}
