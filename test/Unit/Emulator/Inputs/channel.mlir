// One warp writes 8 rows of 32 numbers through one place in shared memory, the
// other adds them up. Barrier 1 says that a row is there, barrier 2 that its
// place is free.
module attributes {gpu.container_module} {
  func.func @main(%y: memref<?xi32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %bytes = arith.constant 128 : i32
    gpu.launch_func @kernels::@channel blocks in (%c1, %c1, %c1) threads in (%c64, %c1, %c1)
      dynamic_shared_memory_size %bytes args(%y : memref<?xi32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
    llvm.func @channel(%ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %full = arith.constant 1 : i32
      %empty = arith.constant 2 : i32
      %rows = arith.constant 8 : i32
      %i32 = arith.constant 32 : i32
      %threads = arith.constant 64 : i32
      %lane = nvvm.read.ptx.sreg.laneid : i32
      %warp = nvvm.read.ptx.sreg.warpid : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %place = llvm.getelementptr %shared[%lane] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %isWriter = arith.cmpi eq, %warp, %i0 : i32
      scf.if %isWriter {
        scf.for %row = %i0 to %rows step %i1 : i32 {
          nvvm.barrier id = %empty number_of_threads = %threads // wait for empty
          %start = arith.muli %row, %i32 : i32
          %value = arith.addi %start, %lane : i32
          llvm.store %value, %place : i32, !llvm.ptr<3>
          nvvm.barrier.arrive id = %full number_of_threads = %threads
        }
      } else {
        %last = arith.subi %rows, %i1 : i32
        nvvm.barrier.arrive id = %empty number_of_threads = %threads // at first
        %sum = scf.for %row = %i0 to %rows step %i1 iter_args(%s = %i0) -> i32 : i32 {
          nvvm.barrier id = %full number_of_threads = %threads // wait for full
          %i31 = arith.constant 31 : i32
          %turned = arith.subi %i31, %lane : i32
          %theirs = llvm.getelementptr %shared[%turned] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
          %value = llvm.load %theirs : !llvm.ptr<3> -> i32
          %t = arith.addi %s, %value : i32
          %isMore = arith.cmpi ult, %row, %last : i32
          scf.if %isMore {
            nvvm.barrier.arrive id = %empty number_of_threads = %threads // again
          }
          scf.yield %t : i32
        }
        %to = llvm.getelementptr %y[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, i32
        llvm.store %sum, %to : i32, !llvm.ptr
      }
      llvm.return
    }
  }
}
