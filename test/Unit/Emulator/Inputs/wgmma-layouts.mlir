// One warpgroup. Images of A and of B come to shared memory as they are, the
// descriptors that say how they lie there come from global memory, and the
// product of 64 x 16 numbers goes back register by register.
module attributes {gpu.container_module} {
  func.func @main(%image: memref<?xi32> {attn.name = "image"}, %descriptors: memref<?xi64> {attn.name = "descriptors"},
                  %y: memref<?xf32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c128 = arith.constant 128 : index
    %bytes = arith.constant 20480 : i32
    gpu.launch_func @kernels::@product blocks in (%c1, %c1, %c1) threads in (%c128, %c1, %c1)
      dynamic_shared_memory_size %bytes
      args(%image : memref<?xi32>, %descriptors : memref<?xi64>, %y : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
    llvm.func @product(%ia: !llvm.ptr, %image: !llvm.ptr, %io: i64, %in: i64, %is: i64,
                       %da: !llvm.ptr, %descriptors: !llvm.ptr, %do: i64, %dn: i64, %ds: i64,
                       %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel, nvvm.reqntid = array<i32: 128>} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i8 = arith.constant 8 : i32
      %size = arith.constant 16384 : i32
      %ticks = arith.constant 1000 : i32
      %zero = arith.constant 0.0 : f32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %full = llvm.getelementptr %shared[4096] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
      %isFirst = arith.cmpi eq, %tid, %i0 : i32
      scf.if %isFirst {
        nvvm.mbarrier.init %full, %i1 : !llvm.ptr<3>, i32
        nvvm.fence.mbarrier.init
        nvvm.mbarrier.arrive.expect_tx %full, %size : !llvm.ptr<3>, i32
        %from = llvm.addrspacecast %image : !llvm.ptr to !llvm.ptr<1>
        nvvm.cp.async.bulk.shared.cluster.global %shared, %from, %full, %size : !llvm.ptr<3>, !llvm.ptr<1>
      }
      nvvm.barrier0 // the mbarrier is there
      nvvm.mbarrier.try_wait.parity %full, %i0, %ticks : !llvm.ptr<3>, i32, i32
      // Where shared memory begins, for both.
      %base = llvm.ptrtoint %shared : !llvm.ptr<3> to i64
      %four = arith.constant 4 : i64
      %first = arith.shrui %base, %four : i64
      %toB = llvm.getelementptr %descriptors[1] : (!llvm.ptr) -> !llvm.ptr, i64
      %fromA = llvm.load %descriptors : !llvm.ptr -> i64
      %fromB = llvm.load %toB : !llvm.ptr -> i64
      %a = arith.addi %fromA, %first : i64
      %b = arith.addi %fromB, %first : i64
      %none = llvm.mlir.poison : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      nvvm.wgmma.fence.aligned
      %p = nvvm.wgmma.mma_async %a, %b, %none, #nvvm.shape<m = 64, n = 16, k = 16>, D[<f32>, <zero>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)> -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %q = nvvm.wgmma.mma_async %a, %b, %p, #nvvm.shape<m = 64, n = 16, k = 16>, D[<f32>, <one>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)> -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      nvvm.wgmma.commit.group.sync.aligned
      nvvm.wgmma.wait.group.sync.aligned 0
      %at = arith.muli %tid, %i8 : i32
      %to = llvm.getelementptr %y[%at] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %y0 = llvm.extractvalue %q[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to0 = llvm.getelementptr %to[0] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y0, %to0 : f32, !llvm.ptr
      %y1 = llvm.extractvalue %q[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to1 = llvm.getelementptr %to[1] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y1, %to1 : f32, !llvm.ptr
      %y2 = llvm.extractvalue %q[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to2 = llvm.getelementptr %to[2] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y2, %to2 : f32, !llvm.ptr
      %y3 = llvm.extractvalue %q[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to3 = llvm.getelementptr %to[3] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y3, %to3 : f32, !llvm.ptr
      %y4 = llvm.extractvalue %q[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to4 = llvm.getelementptr %to[4] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y4, %to4 : f32, !llvm.ptr
      %y5 = llvm.extractvalue %q[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to5 = llvm.getelementptr %to[5] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y5, %to5 : f32, !llvm.ptr
      %y6 = llvm.extractvalue %q[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to6 = llvm.getelementptr %to[6] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y6, %to6 : f32, !llvm.ptr
      %y7 = llvm.extractvalue %q[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
      %to7 = llvm.getelementptr %to[7] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %y7, %to7 : f32, !llvm.ptr
      llvm.return
    }
  }
}
