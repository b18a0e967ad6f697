// One wave multiplies 16 x 16 matrices; every lane has its registers in memory.
!operand = vector<4xf16>
!sums = vector<4xf32>
module attributes {gpu.container_module} {
  func.func @main(%a: memref<?xi32> {attn.name = "a"}, %b: memref<?xi32> {attn.name = "b"},
      %c: memref<?xf32> {attn.name = "c"}, %d: memref<?xf32> {attn.name = "d"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %lanes = arith.constant 64 : index
    gpu.launch_func @kernels::@product blocks in (%c1, %c1, %c1) threads in (%lanes, %c1, %c1)
      args(%a : memref<?xi32>, %b : memref<?xi32>, %c : memref<?xf32>, %d : memref<?xf32>)
    return
  }
  gpu.module @kernels [#rocdl.target<chip = "gfx942">] {
    llvm.func @product(%aa: !llvm.ptr, %a: !llvm.ptr, %ao: i64, %an: i64, %as: i64,
                       %ba: !llvm.ptr, %b: !llvm.ptr, %bo: i64, %bn: i64, %bs: i64,
                       %ca: !llvm.ptr, %c: !llvm.ptr, %co: i64, %cn: i64, %cs: i64,
                       %da: !llvm.ptr, %d: !llvm.ptr, %do: i64, %dn: i64, %ds: i64)
        attributes {gpu.kernel, rocdl.kernel} {
      %none = llvm.mlir.constant(0 : i32) : i32
      %lane = rocdl.workitem.id.x : i32
      %atA = llvm.getelementptr %a[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, !operand
      %atB = llvm.getelementptr %b[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, !operand
      %atC = llvm.getelementptr %c[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, !sums
      %atD = llvm.getelementptr %d[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, !sums
      %x = llvm.load %atA {alignment = 4 : i64} : !llvm.ptr -> !operand
      %y = llvm.load %atB {alignment = 4 : i64} : !llvm.ptr -> !operand
      %z = llvm.load %atC {alignment = 4 : i64} : !llvm.ptr -> !sums
      %product = rocdl.mfma.f32.16x16x16f16 %x, %y, %z, %none, %none, %none : (!operand, !operand, !sums, i32, i32, i32) -> !sums
      llvm.store %product, %atD {alignment = 4 : i64} : !sums, !llvm.ptr
      llvm.return
    }
  }
}
