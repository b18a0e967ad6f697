// Each warp of a block transposes 4 x 8 elements in its part of shared memory,
// and then exchanges sums with the other warp.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xf32> {attn.name = "x"}, %y: memref<?xf32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c64 = arith.constant 64 : index
    gpu.launch_func @kernels::@transpose blocks in (%c2, %c1, %c1) threads in (%c64, %c1, %c1)
      args(%x : memref<?xf32>, %y : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global internal @elements() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<64 x f32>
    llvm.mlir.global internal @sums() {addr_space = 3 : i32} : !llvm.array<2 x f32>
    llvm.func @transpose(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                         %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %all = arith.constant -1 : i32
      %clamp = arith.constant 31 : i32
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i3 = arith.constant 3 : i32
      %i4 = arith.constant 4 : i32
      %i5 = arith.constant 5 : i32
      %i8 = arith.constant 8 : i32
      %i32 = arith.constant 32 : i32
      %i64 = arith.constant 64 : i32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %lane = nvvm.read.ptx.sreg.laneid : i32
      %warp = nvvm.read.ptx.sreg.warpid : i32
      %block = nvvm.read.ptx.sreg.ctaid.x : i32
      %first = arith.muli %block, %i64 : i32
      %i = arith.addi %first, %tid : i32
      %from = llvm.getelementptr %x[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %value = llvm.load %from : !llvm.ptr -> f32

      %elements = llvm.mlir.addressof @elements : !llvm.ptr<3>
      %start = arith.muli %warp, %i32 : i32
      %mine = llvm.getelementptr %elements[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
      llvm.store %value, %mine : f32, !llvm.ptr<3>
      nvvm.bar.warp.sync %all : i32 // elements are there
      %row = arith.andi %lane, %i3 : i32
      %column = arith.divui %lane, %i4 : i32
      %rowAt = arith.muli %row, %i8 : i32
      %place = arith.addi %rowAt, %column : i32
      %at = arith.addi %place, %start : i32
      %theirs = llvm.getelementptr %elements[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
      %turned = llvm.load %theirs : !llvm.ptr<3> -> f32

      %sum = scf.for %k = %i0 to %i5 step %i1 iter_args(%a = %value) -> f32 : i32 {
        %distance = arith.shli %i1, %k : i32
        %b = nvvm.shfl.sync bfly %all, %a, %distance, %clamp : f32 -> f32
        %c = arith.addf %a, %b : f32
        scf.yield %c : f32
      }
      %sums = llvm.mlir.addressof @sums : !llvm.ptr<3>
      %isFirst = arith.cmpi eq, %lane, %i0 : i32
      scf.if %isFirst {
        %to = llvm.getelementptr %sums[%warp] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
        llvm.store %sum, %to : f32, !llvm.ptr<3> // for the other warp
      }
      nvvm.barrier0 // sums are there
      %other = arith.xori %warp, %i1 : i32
      %fromOther = llvm.getelementptr %sums[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
      %otherSum = llvm.load %fromOther : !llvm.ptr<3> -> f32
      %result = arith.addf %turned, %otherSum : f32
      %to = llvm.getelementptr %y[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      llvm.store %result, %to : f32, !llvm.ptr
      llvm.return
    }
  }
}
