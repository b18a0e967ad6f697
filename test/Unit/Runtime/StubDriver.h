//===- StubDriver.h - drivers without a GPU ------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A shared library with the binary interface of libcuda.so.1, or of
// libamdhip64.so, as far as the runtime calls it. Its devices have their memory
// in that of the host, at addresses that nobody can use by mistake, and run
// launches at once, as functions of the test. It counts what is taken and given
// back, holds calls against the current device, and fails where a test says so.
//
//   device   0        1        2         3         4         5, without pools
//   CUDA     sm_90    sm_80    sm_86     sm_75     sm_120    sm_80
//   HIP      gfx942   gfx90a   gfx1100   gfx1030   gfx1201   gfx942
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TEST_RUNTIME_STUBDRIVER_H
#define ATTN_TEST_RUNTIME_STUBDRIVER_H

#include <cstddef>
#include <cstdint>

namespace attn::test {

struct StubLaunch {
  char name[64];
  /// Blocks along x, y, z, threads, and bytes of shared memory.
  unsigned sizes[7];
  void *stream;
};

using StubKernel = void (*)(const StubLaunch &launch, void **arguments);

/// What the library gives by the symbol `attn_stub`.
struct Stub {
  /// Call `nth` from now on, counted from 1, of a function of the interface
  /// returns `result`; 0 for every call. Those of which nothing works
  /// afterwards are returned by all later calls.
  void (*fail)(const char *function, int nth, int result);
  /// No failures, launches, calls, kernels; what is taken stays taken.
  void (*reset)();
  /// How often a function was called.
  int (*countCalls)(const char *function);
  /// What is taken at this time: "blocks", "bytes", "streams", "events",
  /// "images", "contexts" (retained); and of this thread: "depth" (of contexts
  /// pushed, or 1 if HIP's current device is not 0), "error" (HIP's last one).
  long (*count)(const char *what);
  /// A kernel that launches run; others do nothing.
  void (*define)(const char *name, StubKernel kernel);
  /// Launch `index`, or null beyond their number.
  const StubLaunch *(*getLaunch)(int index);
  /// While a graph is captured, allocations and waits are errors.
  void (*setCapturing)(bool isCapturing);
  /// What is behind an address of a device.
  void *(*getHost)(const void *data);
};

} // namespace attn::test

#endif // ATTN_TEST_RUNTIME_STUBDRIVER_H
