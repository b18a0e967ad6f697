// RUN: attn-opt %s -attn-emulate-gpu | FileCheck %s

gpu.module @m {
  // CHECK-LABEL: llvm.func internal @m_k
  llvm.func @k(%s: !llvm.ptr<3>, %g: !llvm.ptr<1>, %b: !llvm.ptr<3>, %n: i32, %m: i16, %h: i64) attributes {gpu.kernel} {
    // CHECK: call @attn_emulator_fence_mbarrier_init() : () -> ()
    nvvm.fence.mbarrier.init
    // CHECK: call @attn_emulator_bulk_load(%[[S:[^,]+]], %[[G:[^,]+]], %{{.*}}, %[[N:[^,]+]], %{{.*}}, %{{.*}}) : (!llvm.ptr, !llvm.ptr, !llvm.ptr, i32, i32, i32) -> ()
    nvvm.cp.async.bulk.shared.cluster.global %s, %g, %b, %n l2_cache_hint = %h : !llvm.ptr<3>, !llvm.ptr<1>
    // CHECK: call @attn_emulator_fence_async() : () -> ()
    // CHECK: call @attn_emulator_fence_async() : () -> ()
    // CHECK-NOT: fence
    nvvm.fence.proxy {kind = #nvvm.proxy_kind<async>}
    nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cluster>}
    nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.global>}
    // CHECK: %[[ALL:.*]] = llvm.mlir.constant(65535 : i32)
    // CHECK: call @attn_emulator_bulk_store(%[[G]], %[[S]], %[[N]], %[[ALL]], %{{.*}}) : (!llvm.ptr, !llvm.ptr, i32, i32, i32) -> ()
    nvvm.cp.async.bulk.global.shared.cta %g, %s, %n : !llvm.ptr<1>, !llvm.ptr<3>
    // CHECK: %[[MASK:.*]] = llvm.zext %{{.*}} : i16 to i32
    // CHECK: call @attn_emulator_bulk_store(%[[G]], %[[S]], %[[N]], %[[MASK]],
    nvvm.cp.async.bulk.global.shared.cta %g, %s, %n byte_mask = %m : !llvm.ptr<1>, !llvm.ptr<3>
    // CHECK: call @attn_emulator_bulk_commit() : () -> ()
    nvvm.cp.async.bulk.commit.group
    // CHECK: %[[GROUPS:.*]] = llvm.mlir.constant(2 : i32)
    // CHECK: %[[READ:.*]] = llvm.mlir.constant(1 : i32)
    // CHECK: call @attn_emulator_bulk_wait(%[[GROUPS]], %[[READ]]) : (i32, i32) -> ()
    nvvm.cp.async.bulk.wait_group 2 {read}
    // CHECK: %[[WHOLE:.*]] = llvm.mlir.constant(0 : i32)
    // CHECK: call @attn_emulator_bulk_wait(%{{.*}}, %[[WHOLE]])
    nvvm.cp.async.bulk.wait_group 1
    llvm.return
  }

  // CHECK-LABEL: llvm.func internal @m_boxes
  llvm.func @boxes(%t: !llvm.ptr, %s: !llvm.ptr<3>, %b: !llvm.ptr<3>, %i: i32, %j: i32) attributes {gpu.kernel} {
    // CHECK: %[[AT:.*]] = llvm.alloca %{{.*}} x !llvm.array<5 x i32>
    // CHECK: %[[RANK:.*]] = llvm.mlir.constant(2 : i32)
    // CHECK: call @attn_emulator_tensor_load(%[[S:[^,]+]], %[[T:[^,]+]], %{{.*}}, %[[AT]], %[[RANK]], %{{.*}}, %{{.*}}) : (!llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, i32, i32, i32) -> ()
    nvvm.cp.async.bulk.tensor.shared.cluster.global %s, %t, %b, box[%i, %j] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr
    // CHECK: %[[STORE:.*]] = llvm.mlir.constant(-1 : i32)
    // CHECK: call @attn_emulator_tensor_store(%[[T]], %[[S]], %[[AT]], %{{.*}}, %[[STORE]], %{{.*}}) : (!llvm.ptr, !llvm.ptr, !llvm.ptr, i32, i32, i32) -> ()
    nvvm.cp.async.bulk.tensor.global.shared.cta %t, %s, box[%i, %j] : !llvm.ptr, !llvm.ptr<3>
    // CHECK: %[[XOR:.*]] = llvm.mlir.constant(7 : i32)
    // CHECK: call @attn_emulator_tensor_store(%[[T]], %[[S]], %[[AT]], %{{.*}}, %[[XOR]],
    nvvm.cp.async.bulk.tensor.reduce %t, %s, box[%i, %j] {redKind = #nvvm.tma_redux_kind<xor>} : !llvm.ptr, !llvm.ptr<3>
    // CHECK-NOT: nvvm
    nvvm.cp.async.bulk.tensor.prefetch %t, box[%i, %j] : !llvm.ptr
    llvm.return
  }
}
