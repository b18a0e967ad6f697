// Two waves of 64 add up their elements, and each then takes the other's sum.
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xi32> {attn.name = "x"}, %y: memref<?xi32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %threads = arith.constant 128 : index
    gpu.launch_func @kernels::@sum blocks in (%c1, %c1, %c1) threads in (%threads, %c1, %c1)
      args(%x : memref<?xi32>, %y : memref<?xi32>)
    return
  }
  gpu.module @kernels [#rocdl.target<chip = "gfx90a">] {
    llvm.mlir.global internal @sums() {addr_space = 3 : i32} : !llvm.array<2 x i32>
    llvm.func @sum(%xa: !llvm.ptr, %x: !llvm.ptr, %xo: i64, %xn: i64, %xs: i64,
                   %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, rocdl.kernel} {
      %all = arith.constant -1 : i32
      %c0 = arith.constant 0 : i32
      %c1 = arith.constant 1 : i32
      %c4 = arith.constant 4 : i32
      %c6 = arith.constant 6 : i32
      %c64 = arith.constant 64 : i32
      %thread = rocdl.workitem.id.x : i32
      %low = rocdl.mbcnt.lo %all, %c0 : (i32, i32) -> i32
      %lane = rocdl.mbcnt.hi %all, %low : (i32, i32) -> i32
      %wave = arith.divui %thread, %c64 : i32
      %from = llvm.getelementptr %x[%thread] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %value = llvm.load %from : !llvm.ptr -> i32
      %sum = scf.for %k = %c0 to %c6 step %c1 iter_args(%a = %value) -> i32 : i32 {
        %distance = arith.shli %c1, %k : i32
        %other = arith.xori %lane, %distance : i32
        %address = arith.muli %other, %c4 : i32
        %b = rocdl.ds_bpermute %address, %a : (i32, i32) -> i32
        %c = arith.addi %a, %b : i32
        scf.yield %c : i32
      }
      %first = rocdl.readfirstlane %sum : i32
      %sums = llvm.mlir.addressof @sums : !llvm.ptr<3>
      %isFirst = arith.cmpi eq, %lane, %c0 : i32
      scf.if %isFirst {
        %mine = llvm.getelementptr %sums[%wave] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
        llvm.store %first, %mine : i32, !llvm.ptr<3>
      }
      rocdl.barrier
      %next = arith.xori %wave, %c1 : i32
      %theirs = llvm.getelementptr %sums[%next] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %result = llvm.load %theirs : !llvm.ptr<3> -> i32
      %to = llvm.getelementptr %y[%thread] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %result, %to : i32, !llvm.ptr
      llvm.return
    }
  }
}
