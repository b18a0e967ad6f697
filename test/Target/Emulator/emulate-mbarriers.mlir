// RUN: attn-opt %s -attn-emulate-gpu | FileCheck %s

gpu.module @m {
  // CHECK-LABEL: llvm.func internal @m_k
  llvm.func @k(%b: !llvm.ptr<3>, %count: i32, %parity: i32, %ticks: i32) attributes {gpu.kernel} {
    // CHECK: call @attn_emulator_mbarrier_init(%[[B:[^,]+]], %{{.*}}, %{{.*}}) : (!llvm.ptr, i32, i32) -> ()
    nvvm.mbarrier.init %b, %count : !llvm.ptr<3>, i32
    // CHECK: call @attn_emulator_mbarrier_expect(%[[B]],
    nvvm.mbarrier.expect_tx %b, %count : !llvm.ptr<3>, i32
    // CHECK: call @attn_emulator_mbarrier_complete(%[[B]],
    nvvm.mbarrier.complete_tx %b, %count : !llvm.ptr<3>, i32
    // One arrival, no bytes, no flags.
    // CHECK: %[[ONE:.*]] = llvm.mlir.constant(1 : i32)
    // CHECK: %[[NONE:.*]] = llvm.mlir.constant(0 : i32)
    // CHECK: %[[PLAIN:.*]] = llvm.mlir.constant(0 : i32)
    // CHECK: %[[STATE:.*]] = llvm.call @attn_emulator_mbarrier_arrive(%[[B]], %[[ONE]], %[[NONE]], %[[PLAIN]], %{{.*}}) : (!llvm.ptr, i32, i32, i32, i32) -> i64
    %state = nvvm.mbarrier.arrive %b : !llvm.ptr<3> -> i64
    // CHECK: %[[RELAXED:.*]] = llvm.mlir.constant(1 : i32)
    // CHECK: call @attn_emulator_mbarrier_arrive(%[[B]], %{{.*}}, %{{.*}}, %[[RELAXED]],
    nvvm.mbarrier.arrive %b, %count {relaxed = true} : !llvm.ptr<3>
    // CHECK: %[[DROP:.*]] = llvm.mlir.constant(2 : i32)
    // CHECK: call @attn_emulator_mbarrier_arrive(%[[B]], %{{.*}}, %{{.*}}, %[[DROP]],
    nvvm.mbarrier.arrive_drop %b, %count : !llvm.ptr<3>
    // CHECK: %[[NO_COMPLETE:.*]] = llvm.mlir.constant(4 : i32)
    // CHECK: call @attn_emulator_mbarrier_arrive(%[[B]], %{{.*}}, %{{.*}}, %[[NO_COMPLETE]],
    %1 = nvvm.mbarrier.arrive.nocomplete %b, %count : !llvm.ptr<3>, i32 -> i64
    // CHECK: %[[BOTH:.*]] = llvm.mlir.constant(6 : i32)
    // CHECK: call @attn_emulator_mbarrier_arrive(%[[B]], %{{.*}}, %{{.*}}, %[[BOTH]],
    %2 = nvvm.mbarrier.arrive_drop.nocomplete %b, %count : !llvm.ptr<3>, i32 -> i64
    // CHECK: call @attn_emulator_mbarrier_arrive(%[[B]],
    nvvm.mbarrier.arrive.expect_tx %b, %count : !llvm.ptr<3>, i32
    // CHECK: %[[DROP2:.*]] = llvm.mlir.constant(2 : i32)
    // CHECK: call @attn_emulator_mbarrier_arrive(%[[B]], %{{.*}}, %{{.*}}, %[[DROP2]],
    %3 = nvvm.mbarrier.arrive_drop.expect_tx %b, %count : !llvm.ptr<3>, i32 -> i64
    // CHECK: %[[WHICH:.*]] = llvm.zext %{{.*}} : i32 to i64
    // CHECK: %[[PARITY:.*]] = llvm.mlir.constant(8 : i32)
    // CHECK: call @attn_emulator_mbarrier_wait(%[[B]], %[[WHICH]], %[[PARITY]], %{{.*}}) : (!llvm.ptr, i64, i32, i32) -> i32
    nvvm.mbarrier.try_wait.parity %b, %parity, %ticks : !llvm.ptr<3>, i32, i32
    // CHECK: %[[TEST:.*]] = llvm.mlir.constant(16 : i32)
    // CHECK: %[[ENDED:.*]] = llvm.call @attn_emulator_mbarrier_wait(%[[B]], %[[STATE]], %[[TEST]],
    // CHECK: llvm.trunc %[[ENDED]] : i32 to i1
    %4 = nvvm.mbarrier.test.wait %b, %state : !llvm.ptr<3>, i64 -> i1
    // CHECK: %[[IMPATIENT:.*]] = llvm.mlir.constant(32 : i32)
    // CHECK: call @attn_emulator_mbarrier_wait(%[[B]], %[[STATE]], %[[IMPATIENT]],
    %5 = nvvm.mbarrier.try_wait %b, %state : !llvm.ptr<3>, i64 -> i1
    // CHECK: %[[NO_INCREMENT:.*]] = llvm.mlir.constant(1 : i32)
    // CHECK: call @attn_emulator_copy_arrive(%[[B]], %[[NO_INCREMENT]], %{{.*}}) : (!llvm.ptr, i32, i32) -> ()
    nvvm.cp.async.mbarrier.arrive %b {noinc = true} : !llvm.ptr<3>
    // CHECK: call @attn_emulator_mbarrier_inval(%[[B]], %{{.*}}) : (!llvm.ptr, i32) -> ()
    nvvm.mbarrier.inval %b : !llvm.ptr<3>
    llvm.return
  }
}
