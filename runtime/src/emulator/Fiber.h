//===- Fiber.h - several stacks on one thread ----------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EMULATOR_FIBER_H
#define ATTN_RUNTIME_EMULATOR_FIBER_H

#include <cstddef>
#include <cstdint>

namespace attn::emulator {

/// A place to switch from and to. One that was never prepared is the stack of
/// the thread itself.
struct Fiber {
  void *stackPointer = nullptr;
  void *stack = nullptr;
  size_t stackBytes = 0;
  /// What sanitizers know it by.
  void *fakeStack = nullptr;
  void *sanitizerFiber = nullptr;
};

/// Stacks for many fibers, each above a page that may not be touched.
class Stacks {
public:
  Stacks() = default;
  Stacks(const Stacks &) = delete;
  Stacks &operator=(const Stacks &) = delete;
  ~Stacks();

  /// False if there is no memory.
  bool allocate(size_t count);
  unsigned char *get(size_t index) const;
  /// Forgets what lies on one.
  void clear(size_t index);
  static size_t getBytes();

private:
  unsigned char *data = nullptr;
  size_t count = 0;
  /// Whether all have their page.
  bool isWhole = true;
};

/// Makes the fiber begin with `entry`, which may not return.
void prepare(Fiber &fiber, unsigned char *stack, void (*entry)());

/// To be called first by what a fiber begins with. `origin` is the fiber that
/// is on the thread's own stack.
void enter(Fiber &origin);

/// Leaves `from` where it is and goes on with `to`. A fiber that ends is not
/// switched to again.
void switchTo(Fiber &from, Fiber &to, bool ends = false);

/// Gives back what sanitizers have for a fiber that is not running.
void release(Fiber &fiber);

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_FIBER_H
