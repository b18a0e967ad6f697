// Every block adds up 128 elements, in a tree in shared memory.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xf32> {attn.name = "x"}, %y: memref<?xf32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %c128 = arith.constant 128 : index
    %bytes = arith.constant 512 : i32
    gpu.launch_func @kernels::@sum blocks in (%c3, %c1, %c1) threads in (%c128, %c1, %c1)
      dynamic_shared_memory_size %bytes args(%x : memref<?xf32>, %y : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
    llvm.func @sum(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                   %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %c0 = arith.constant 0 : i32
      %c1 = arith.constant 1 : i32
      %steps = arith.constant 7 : i32
      %width = arith.constant 128 : i32
      %half = arith.constant 64 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %block = nvvm.read.ptx.sreg.ctaid.x : i32
      %first = arith.muli %block, %width : i32
      %i = arith.addi %first, %tid : i32
      %from = llvm.getelementptr %x[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %value = llvm.load %from : !llvm.ptr -> f32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %mine = llvm.getelementptr %shared[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
      llvm.store %value, %mine : f32, !llvm.ptr<3>
      scf.for %k = %c0 to %steps step %c1 : i32 {
        nvvm.barrier0
        %distance = arith.shrui %half, %k : i32
        %isActive = arith.cmpi ult, %tid, %distance : i32
        scf.if %isActive {
          %j = arith.addi %tid, %distance : i32
          %theirs = llvm.getelementptr %shared[%j] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
          %a = llvm.load %mine : !llvm.ptr<3> -> f32
          %b = llvm.load %theirs : !llvm.ptr<3> -> f32
          %c = arith.addf %a, %b : f32
          llvm.store %c, %mine : f32, !llvm.ptr<3>
        }
      }
      %isFirst = arith.cmpi eq, %tid, %c0 : i32
      scf.if %isFirst {
        %sum = llvm.load %mine : !llvm.ptr<3> -> f32
        %to = llvm.getelementptr %y[%block] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        llvm.store %sum, %to : f32, !llvm.ptr
      }
      llvm.return
    }
  }
}
