// One warpgroup. Q is 64 x 16; 3 tiles of 16 keys, with K and V of 16 each, come
// to shared memory one after the other. S = Q K^T by descriptors, and O += S V
// with S in registers and V from behind, the form of attention:
//
//   no swizzle; Q and K with elements of a row in a chunk, V with those of a
//   column of the product
module attributes {gpu.container_module} {
  func.func @main(%q: memref<?xi32> {attn.name = "q"}, %k: memref<?xi32> {attn.name = "k"},
                  %v: memref<?xi32> {attn.name = "v"}, %y: memref<?xf32> {attn.name = "y"}) attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c128 = arith.constant 128 : index
    %bytes = arith.constant 3072 : i32
    gpu.launch_func @kernels::@wgmma blocks in (%c1, %c1, %c1) threads in (%c128, %c1, %c1)
      dynamic_shared_memory_size %bytes
      args(%q : memref<?xi32>, %k : memref<?xi32>, %v : memref<?xi32>, %y : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
    llvm.func @wgmma(%qa: !llvm.ptr, %q: !llvm.ptr, %qo: i64, %qn: i64, %qs: i64,
                     %ka: !llvm.ptr, %k: !llvm.ptr, %ko: i64, %kn: i64, %ks: i64,
                     %va: !llvm.ptr, %v: !llvm.ptr, %vo: i64, %vn: i64, %vs: i64,
                     %ya: !llvm.ptr, %y: !llvm.ptr, %yo: i64, %yn: i64, %ys: i64)
        attributes {gpu.kernel, nvvm.kernel, nvvm.reqntid = array<i32: 128>} {
      %i0 = arith.constant 0 : i32
      %i1 = arith.constant 1 : i32
      %i2 = arith.constant 2 : i32
      %i4 = arith.constant 4 : i32
      %i8 = arith.constant 8 : i32
      %i32 = arith.constant 32 : i32
      %i64 = arith.constant 64 : i32
      %i128 = arith.constant 128 : i32
      %i256 = arith.constant 256 : i32
      %i1024 = arith.constant 1024 : i32
      %tiles = arith.constant 3 : i32
      %zero = arith.constant 0.0 : f32
      %tid = nvvm.read.ptx.sreg.tid.x : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %sharedK = llvm.getelementptr %shared[2048] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
      %sharedV = llvm.getelementptr %shared[2560] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
      // A thread has a chunk of 16 bytes of a row: half of it.
      %row = arith.divui %tid, %i2 : i32
      %half = arith.remui %tid, %i2 : i32
      %inCore = arith.remui %row, %i8 : i32
      %core = arith.divui %row, %i8 : i32
      %word = arith.muli %tid, %i4 : i32
      %coreAt0 = arith.muli %core, %i128 : i32
      %inCoreAt0 = llvm.mlir.constant(16 : i32) : i32
      %inCoreAt = arith.muli %inCore, %inCoreAt0 : i32
      %rowAt = arith.addi %coreAt0, %inCoreAt : i32
      %halfOfQ = arith.muli %half, %i1024 : i32
      %halfOfK = arith.muli %half, %i256 : i32
      %atQ = arith.addi %rowAt, %halfOfQ : i32
      %atK = arith.addi %rowAt, %halfOfK : i32
      %fromQ = llvm.getelementptr %q[%word] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %toQ = llvm.getelementptr %shared[%atQ] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
      %toK = llvm.getelementptr %sharedK[%atK] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
      %toV = llvm.getelementptr %sharedV[%atK] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
      %partOfQ = llvm.load %fromQ {alignment = 16 : i64} : !llvm.ptr -> vector<4xi32>
      llvm.store %partOfQ, %toQ {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
      %isCopier = arith.cmpi ult, %tid, %i32 : i32
      // Addresses in 16 bytes, and strides: 128 bytes from core to core, and
      // from half to half of Q 1024, of K 256; of V from column to column.
      %four = arith.constant 4 : i64
      %begin = llvm.ptrtoint %shared : !llvm.ptr<3> to i64
      %at = arith.shrui %begin, %four : i64
      %stridesQ = llvm.mlir.constant(0x0000000800400000 : i64) : i64
      %stridesK = llvm.mlir.constant(0x0000000800100080 : i64) : i64
      %stridesV = llvm.mlir.constant(0x00000010000800a0 : i64) : i64
      %matrixQ = arith.addi %at, %stridesQ : i64
      %matrixK = arith.addi %at, %stridesK : i64
      %matrixV = arith.addi %at, %stridesV : i64
      %end:8 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%o0 = %zero, %o1 = %zero, %o2 = %zero, %o3 = %zero, %o4 = %zero, %o5 = %zero, %o6 = %zero, %o7 = %zero) -> (f32, f32, f32, f32, f32, f32, f32, f32) : i32 {
        scf.if %isCopier {
          %skip = arith.muli %tile, %i128 : i32
          %source = arith.addi %skip, %word : i32
          %fromK = llvm.getelementptr %k[%source] : (!llvm.ptr, i32) -> !llvm.ptr, i32
          %fromV = llvm.getelementptr %v[%source] : (!llvm.ptr, i32) -> !llvm.ptr, i32
          %partOfK = llvm.load %fromK {alignment = 16 : i64} : !llvm.ptr -> vector<4xi32>
          %partOfV = llvm.load %fromV {alignment = 16 : i64} : !llvm.ptr -> vector<4xi32>
          llvm.store %partOfK, %toK {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
          llvm.store %partOfV, %toV {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
        }
        nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
        nvvm.barrier0 // the tile is there
        nvvm.wgmma.fence.aligned // for S
        %s = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$0, $1, $2, $3, $4, $5, $6, $7}, $8, $9, 0, 1, 1, 0, 0;", "=f,=f,=f,=f,=f,=f,=f,=f,l,l" %matrixQ, %matrixK : (i64, i64) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        nvvm.wgmma.commit.group.sync.aligned // of S
        %s0 = llvm.extractvalue %s[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %s1 = llvm.extractvalue %s[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %s2 = llvm.extractvalue %s[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %s3 = llvm.extractvalue %s[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %s4 = llvm.extractvalue %s[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %s5 = llvm.extractvalue %s[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %s6 = llvm.extractvalue %s[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %s7 = llvm.extractvalue %s[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.wait_group.sync.aligned 0;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7" %s0, %s1, %s2, %s3, %s4, %s5, %s6, %s7 : (f32, f32, f32, f32, f32, f32, f32, f32) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)> // of S
        %t0 = llvm.extractvalue %t[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t1 = llvm.extractvalue %t[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t2 = llvm.extractvalue %t[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t3 = llvm.extractvalue %t[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t4 = llvm.extractvalue %t[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t5 = llvm.extractvalue %t[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t6 = llvm.extractvalue %t[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %t7 = llvm.extractvalue %t[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %p0 = llvm.inline_asm has_side_effects asm_dialect = att "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f" %t1, %t0 : (f32, f32) -> i32
        %p1 = llvm.inline_asm has_side_effects asm_dialect = att "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f" %t3, %t2 : (f32, f32) -> i32
        %p2 = llvm.inline_asm has_side_effects asm_dialect = att "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f" %t5, %t4 : (f32, f32) -> i32
        %p3 = llvm.inline_asm has_side_effects asm_dialect = att "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f" %t7, %t6 : (f32, f32) -> i32
        nvvm.wgmma.fence.aligned // for O
        %u = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$0, $1, $2, $3, $4, $5, $6, $7}, {$16, $17, $18, $19}, $20, 1, 1, 1, 1;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7,r,r,r,r,l" %o0, %o1, %o2, %o3, %o4, %o5, %o6, %o7, %p0, %p1, %p2, %p3, %matrixV : (f32, f32, f32, f32, f32, f32, f32, f32, i32, i32, i32, i32, i64) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        nvvm.wgmma.commit.group.sync.aligned // of O
        %u0 = llvm.extractvalue %u[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %u1 = llvm.extractvalue %u[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %u2 = llvm.extractvalue %u[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %u3 = llvm.extractvalue %u[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %u4 = llvm.extractvalue %u[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %u5 = llvm.extractvalue %u[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %u6 = llvm.extractvalue %u[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %u7 = llvm.extractvalue %u[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.wait_group.sync.aligned 0;", "=f,=f,=f,=f,=f,=f,=f,=f,0,1,2,3,4,5,6,7" %u0, %u1, %u2, %u3, %u4, %u5, %u6, %u7 : (f32, f32, f32, f32, f32, f32, f32, f32) -> !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)> // of O
        %w0 = llvm.extractvalue %w[0] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w1 = llvm.extractvalue %w[1] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w2 = llvm.extractvalue %w[2] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w3 = llvm.extractvalue %w[3] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w4 = llvm.extractvalue %w[4] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w5 = llvm.extractvalue %w[5] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w6 = llvm.extractvalue %w[6] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        %w7 = llvm.extractvalue %w[7] : !llvm.struct<(f32, f32, f32, f32, f32, f32, f32, f32)>
        nvvm.barrier0 // the tile is free
        scf.yield %w0, %w1, %w2, %w3, %w4, %w5, %w6, %w7 : f32, f32, f32, f32, f32, f32, f32, f32
      }
      %to0 = arith.muli %tid, %i8 : i32
      %to = llvm.getelementptr %y[%to0] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %y0 = llvm.getelementptr %to[0] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#0, %y0 : f32, !llvm.ptr
      %y1 = llvm.getelementptr %to[1] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#1, %y1 : f32, !llvm.ptr
      %y2 = llvm.getelementptr %to[2] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#2, %y2 : f32, !llvm.ptr
      %y3 = llvm.getelementptr %to[3] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#3, %y3 : f32, !llvm.ptr
      %y4 = llvm.getelementptr %to[4] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#4, %y4 : f32, !llvm.ptr
      %y5 = llvm.getelementptr %to[5] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#5, %y5 : f32, !llvm.ptr
      %y6 = llvm.getelementptr %to[6] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#6, %y6 : f32, !llvm.ptr
      %y7 = llvm.getelementptr %to[7] : (!llvm.ptr) -> !llvm.ptr, f32
      llvm.store %end#7, %y7 : f32, !llvm.ptr
      llvm.return
    }
  }
}
