// Roles are a branch between warps, and channels between them barriers in shared
// memory: of copies that arrive one by one, or of bytes in bulk.
// RUN: attn-opt %S/Inputs/roles.mlir --attn-distribute-tiles --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,ASYNC
// RUN: attn-opt %S/Inputs/roles.mlir --attn-distribute-tiles=chip=sm_90 --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,BULK

// 33 arrive with what is brought: each thread with its copies, and the warp; two
// when it is free, which are warps too.
// CHECK-LABEL: gpu.func @roles(
// CHECK-DAG:   %[[BROUGHT:.*]] = arith.constant 33 : i32
// CHECK-DAG:   %[[FREE:.*]] = arith.constant 2 : i32
// CHECK:       nvvm.mbarrier.init %{{.*}}, %[[BROUGHT]]
// CHECK:       nvvm.mbarrier.init %{{.*}}, %[[FREE]]
// CHECK:       nvvm.mbarrier.init %{{.*}}, %[[BROUGHT]]
// CHECK:       nvvm.mbarrier.init %{{.*}}, %[[FREE]]
// CHECK-NOT:   nvvm.mbarrier.init
// BULK:        nvvm.fence.mbarrier.init
// CHECK:       gpu.barrier
// CHECK:       arith.cmpi slt, %{{.*}}, %c64
// CHECK-NEXT:  scf.if
// The consumer: two rounds of two stages.
// CHECK:         scf.for {{.*}} iter_args(%[[C:.*]] = %c0)
// CHECK:           arith.cmpi uge, %[[C]], %c2
// CHECK:           scf.while
// ASYNC:             nvvm.mbarrier.test.wait
// BULK:              nvvm.mbarrier.try_wait
// Before flags are written those of the tile before have been read.
// CHECK:           nvvm.barrier id = %{{.*}} number_of_threads = %[[COUNT:.*]]
// CHECK:           memref.store
// CHECK:           nvvm.barrier id = %{{.*}} number_of_threads = %[[COUNT]]
// CHECK:           nvvm.bar.warp.sync
// CHECK:             nvvm.mbarrier.arrive
// CHECK:           arith.cmpi eq, %{{.*}}, %c4
// CHECK:         nvvm.barrier id =
// The producer waits for the other parity.
// CHECK:       } else {
// CHECK:         arith.xori
// CHECK:         scf.while
// BULK:            nvvm.mbarrier.expect_tx
// BULK:            nvvm.cp.async.bulk.shared.cluster.global
// BULK:            nvvm.fence.proxy
// ASYNC:           nvgpu.device_async_copy
// CHECK:         nvvm.cp.async.mbarrier.arrive %{{.*}} {noinc = true}
// CHECK:         nvvm.bar.warp.sync
// CHECK:           nvvm.mbarrier.arrive
// CHECK-NOT:   nvvm.barrier
