// RUN: attn-opt %s -attn-emulate-gpu | FileCheck %s

gpu.module @m {
  // CHECK-LABEL: llvm.func internal @m_k
  llvm.func @k(%shared: !llvm.ptr<3>, %map: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant, llvm.align = 64 : i64}, %mask: i16, %y: !llvm.ptr<1>) attributes {gpu.kernel, nvvm.kernel} {
    // CHECK: call @attn_emulator_register(
    %rank = nvvm.read.ptx.sreg.cluster.ctarank : i32
    // CHECK: %[[RELAXED:.*]] = llvm.mlir.constant(1 : i32)
    // CHECK: call @attn_emulator_cluster_arrive(%[[RELAXED]],
    nvvm.cluster.arrive.relaxed
    // CHECK: %[[ALIGNED:.*]] = llvm.mlir.constant(1 : i32)
    // CHECK: call @attn_emulator_cluster_wait(%[[ALIGNED]],
    nvvm.cluster.wait {aligned}
    // CHECK: %[[OTHER:.*]] = llvm.call @attn_emulator_map_shared(
    %other = nvvm.mapa %shared, %rank : !llvm.ptr<3> -> !llvm.ptr<7>
    // CHECK: call @attn_emulator_access_shared(
    llvm.store %rank, %other : i32, !llvm.ptr<7>
    %to = llvm.addrspacecast %shared : !llvm.ptr<3> to !llvm.ptr<7>
    // CHECK: %[[MASK:.*]] = llvm.zext %{{.*}} : i16 to i32
    // CHECK: call @attn_emulator_tensor_load({{.*}}, %[[MASK]], %{{[^,]*}}) :
    nvvm.cp.async.bulk.tensor.shared.cluster.global %to, %map, %shared, box[%rank] multicast_mask = %mask : !llvm.ptr<7>, !llvm.ptr
    // CHECK: call @attn_emulator_bulk_load(
    nvvm.cp.async.bulk.shared.cluster.global %to, %y, %shared, %rank multicast_mask = %mask : !llvm.ptr<7>, !llvm.ptr<1>
    // CHECK: call @attn_emulator_mbarrier_arrive(
    nvvm.mbarrier.arrive %other : !llvm.ptr<7>
    // CHECK: call @attn_emulator_cluster_arrive(
    nvvm.cluster.arrive {aligned}
    nvvm.cluster.wait {aligned}
    llvm.return
  }
}
