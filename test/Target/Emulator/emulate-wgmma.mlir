// RUN: attn-opt %s -attn-emulate-gpu | FileCheck %s

gpu.module @m [#nvvm.target<chip = "sm_90a">] {
  // Results are names: they go from product to product and through the wait as
  // they are, and what looks at one asks for its value.
  // CHECK-LABEL: llvm.func internal @m_k
  llvm.func @k(%a: i64, %b: i64, %y: !llvm.ptr) attributes {gpu.kernel} {
    %none = llvm.mlir.poison : !llvm.struct<(f32, f32, f32, f32)>
    // CHECK: call @attn_emulator_wgmma_fence(
    nvvm.wgmma.fence.aligned
    // CHECK: call @attn_emulator_wgmma(%{{.*}}, %[[A:.*]], %[[B:.*]], %[[REGISTERS:.*]], %{{.*}}) : (!llvm.ptr, i64, i64, !llvm.ptr, i32) -> ()
    // CHECK: %[[NAME:.*]] = llvm.load %{{.*}} : !llvm.ptr -> f32
    %r = nvvm.wgmma.mma_async %a, %b, %none, #nvvm.shape<m = 64, n = 8, k = 16>, D[<f32>, <zero>], A[<f16>, <one>, <row>], B[<f16>, <one>, <col>] : !llvm.struct<(f32, f32, f32, f32)> -> !llvm.struct<(f32, f32, f32, f32)>
    // CHECK: call @attn_emulator_wgmma_commit(
    nvvm.wgmma.commit.group.sync.aligned
    %r0 = llvm.extractvalue %r[0] : !llvm.struct<(f32, f32, f32, f32)>
    // CHECK: call @attn_emulator_wgmma_wait(
    // CHECK-NOT: inline_asm
    %t0 = llvm.inline_asm has_side_effects "wgmma.wait_group.sync.aligned 0;", "=f,0" %r0 : (f32) -> f32
    // CHECK: %[[BITS:.*]] = llvm.bitcast %{{.*}} : f32 to i32
    // CHECK: %[[VALUE:.*]] = llvm.call @attn_emulator_wgmma_value(%[[BITS]], %{{.*}}) : (i32, i32) -> i32
    // CHECK: %[[FLOAT:.*]] = llvm.bitcast %[[VALUE]] : i32 to f32
    // CHECK: llvm.fadd %[[FLOAT]]
    %x = llvm.mlir.constant(1.0 : f32) : f32
    %s = llvm.fadd %t0, %x : f32
    llvm.store %s, %y : f32, !llvm.ptr
    llvm.return
  }

  // What the kernel writes takes the number of fences along, around the loop
  // too, and to change a register of A is noted.
  // CHECK-LABEL: llvm.func internal @m_loop
  llvm.func @loop(%b: i64, %x: i32, %f: f32, %n: i32) attributes {gpu.kernel} {
    %zero = llvm.mlir.constant(0.0 : f32) : f32
    %one = llvm.mlir.constant(1 : i32) : i32
    // CHECK: %[[P:.*]] = llvm.add
    // CHECK: call @attn_emulator_wgmma_write(
    // CHECK: %[[FENCES:.*]] = llvm.call @attn_emulator_wgmma_fences() : () -> i32
    %p = llvm.add %x, %one : i32
    // CHECK: llvm.br ^bb1({{.*}} : f32, f32, f32, f32, i32)
    llvm.br ^bb1(%zero, %zero, %zero, %zero : f32, f32, f32, f32)
  // CHECK: ^bb1({{.*}}, %[[CARRIED:[^:]*]]: i32):
  ^bb1(%c0: f32, %c1: f32, %c2: f32, %c3: f32):
    nvvm.wgmma.fence.aligned
    // CHECK: llvm.intr.umax
    // CHECK: call @attn_emulator_wgmma(
    %r = llvm.inline_asm has_side_effects "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {$0, $1, $2, $3}, {$8, $9, $10, $11}, $12, 1, 1, -1, 1;", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,l" %c0, %c1, %c2, %c3, %p, %p, %x, %one, %b : (f32, f32, f32, f32, i32, i32, i32, i32, i64) -> !llvm.struct<(f32, f32, f32, f32)>
    nvvm.wgmma.commit.group.sync.aligned
    nvvm.wgmma.wait.group.sync.aligned 0
    %r0 = llvm.extractvalue %r[0] : !llvm.struct<(f32, f32, f32, f32)>
    // CHECK: %[[NEXT:.*]] = llvm.fmul
    // CHECK: %[[AFTER:.*]] = llvm.call @attn_emulator_wgmma_fences()
    %next = llvm.fmul %r0, %f : f32
    %more = llvm.icmp "slt" %x, %n : i32
    // CHECK: llvm.cond_br %{{.*}}, ^bb1({{.*}}, %[[AFTER]] : f32, f32, f32, f32, i32), ^bb2
    llvm.cond_br %more, ^bb1(%next, %next, %next, %next : f32, f32, f32, f32), ^bb2
  ^bb2:
    llvm.return
  }
}
