//===- JitSymbols.cpp - what compiled code may call -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitSymbols.h"

#include "attn_emulator.h"
#include "attn_runtime.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"

using namespace mlir;

// Conversions to and from f16 and bf16 for CPUs without an instruction for
// them. The runtime has them; the types fix the calling convention.
#if defined(__x86_64__) || defined(__aarch64__)
#define ATTN_HAVE_SMALL_FLOATS 1
extern "C" {
__bf16 __truncsfbf2(float value);
__bf16 __truncdfbf2(double value);
_Float16 __truncsfhf2(float value);
_Float16 __truncdfhf2(double value);
float __extendhfsf2(_Float16 value);
}
#endif

/// What emulated kernels call, and what launches them.
template <typename Add> static void addEmulator(Add add) {
  add("attn_emulator_launch", &attn_emulator_launch);
  add("attn_emulator_register", &attn_emulator_register);
  add("attn_emulator_exit", &attn_emulator_exit);
  add("attn_emulator_yield", &attn_emulator_yield);
  add("attn_emulator_barrier", &attn_emulator_barrier);
  add("attn_emulator_barrier_arrive", &attn_emulator_barrier_arrive);
  add("attn_emulator_access_shared", &attn_emulator_access_shared);
  add("attn_emulator_access", &attn_emulator_access);
  add("attn_emulator_copy_async", &attn_emulator_copy_async);
  add("attn_emulator_copy_commit", &attn_emulator_copy_commit);
  add("attn_emulator_copy_wait", &attn_emulator_copy_wait);
  add("attn_emulator_warp_barrier", &attn_emulator_warp_barrier);
  add("attn_emulator_shuffle", &attn_emulator_shuffle);
  add("attn_emulator_vote", &attn_emulator_vote);
  add("attn_emulator_redux", &attn_emulator_redux);
  add("attn_emulator_elect", &attn_emulator_elect);
  add("attn_emulator_ldmatrix", &attn_emulator_ldmatrix);
  add("attn_emulator_stmatrix", &attn_emulator_stmatrix);
  add("attn_emulator_mma", &attn_emulator_mma);
  add("attn_emulator_round_tf32", &attn_emulator_round_tf32);
  add("attn_emulator_permute", &attn_emulator_permute);
  add("attn_emulator_mbcnt", &attn_emulator_mbcnt);
  add("attn_emulator_readlane", &attn_emulator_readlane);
  add("attn_emulator_bpermute", &attn_emulator_bpermute);
  add("attn_emulator_dpp", &attn_emulator_dpp);
  add("attn_emulator_permlanex16", &attn_emulator_permlanex16);
  add("attn_emulator_swizzle", &attn_emulator_swizzle);
  add("attn_emulator_wave_mma", &attn_emulator_wave_mma);
  add("attn_emulator_bulk_commit", &attn_emulator_bulk_commit);
  add("attn_emulator_bulk_load", &attn_emulator_bulk_load);
  add("attn_emulator_bulk_store", &attn_emulator_bulk_store);
  add("attn_emulator_bulk_wait", &attn_emulator_bulk_wait);
  add("attn_emulator_copy_arrive", &attn_emulator_copy_arrive);
  add("attn_emulator_fence_async", &attn_emulator_fence_async);
  add("attn_emulator_fence_mbarrier_init", &attn_emulator_fence_mbarrier_init);
  add("attn_emulator_mbarrier_arrive", &attn_emulator_mbarrier_arrive);
  add("attn_emulator_mbarrier_complete", &attn_emulator_mbarrier_complete);
  add("attn_emulator_mbarrier_expect", &attn_emulator_mbarrier_expect);
  add("attn_emulator_mbarrier_init", &attn_emulator_mbarrier_init);
  add("attn_emulator_mbarrier_inval", &attn_emulator_mbarrier_inval);
  add("attn_emulator_mbarrier_wait", &attn_emulator_mbarrier_wait);
  add("attn_emulator_set_registers", &attn_emulator_set_registers);
  add("attn_emulator_tensor_load", &attn_emulator_tensor_load);
  add("attn_emulator_tensor_store", &attn_emulator_tensor_store);
  add("attn_emulator_wgmma", &attn_emulator_wgmma);
  add("attn_emulator_wgmma_commit", &attn_emulator_wgmma_commit);
  add("attn_emulator_wgmma_fence", &attn_emulator_wgmma_fence);
  add("attn_emulator_wgmma_fences", &attn_emulator_wgmma_fences);
  add("attn_emulator_wgmma_value", &attn_emulator_wgmma_value);
  add("attn_emulator_wgmma_wait", &attn_emulator_wgmma_wait);
  add("attn_emulator_wgmma_write", &attn_emulator_wgmma_write);
  add("attn_emulator_cluster_arrive", &attn_emulator_cluster_arrive);
  add("attn_emulator_cluster_wait", &attn_emulator_cluster_wait);
  add("attn_emulator_map_shared", &attn_emulator_map_shared);
}

llvm::orc::SymbolMap attn::getJitSymbols(llvm::orc::MangleAndInterner &mangle) {
  llvm::orc::SymbolMap symbols;
  auto add = [&](llvm::StringRef name, auto *function) {
    symbols[mangle(name)] = {llvm::orc::ExecutorAddr::fromPtr(function),
                             llvm::JITSymbolFlags::Exported |
                                 llvm::JITSymbolFlags::Callable};
  };
  add("malloc", &jitMalloc);
  add("free", &jitFree);
  add("attn_malloc", &attn_malloc);
  add("attn_free", &attn_free);
  add("attn_parallel_for", &attn_parallel_for);
  add("attn_device_launch", &attn_device_launch);
  add("attn_device_constant", &attn_device_constant);
  add("attn_device_read", &attn_device_read);
  addEmulator(add);
#if ATTN_HAVE_SMALL_FLOATS
  add("__truncsfbf2", &__truncsfbf2);
  add("__truncdfbf2", &__truncdfbf2);
  add("__truncsfhf2", &__truncsfhf2);
  add("__truncdfhf2", &__truncdfhf2);
  add("__extendhfsf2", &__extendhfsf2);
#endif
  return symbols;
}
