//===- Fiber.cpp - several stacks on one thread ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A switch saves the registers that a call preserves on the stack it leaves,
// and takes them from the stack it goes to. The signal mask and the floating
// point modes stay as they are, which is why this is ten times as fast as
// swapcontext.
//
//===----------------------------------------------------------------------===//

#include "Fiber.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATTN_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define ATTN_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ATTN_ADDRESS_SANITIZER 1
#endif
#if defined(__SANITIZE_THREAD__)
#define ATTN_THREAD_SANITIZER 1
#endif

#if ATTN_ADDRESS_SANITIZER
extern "C" {
void __sanitizer_start_switch_fiber(void **fakeStack, const void *bottom,
                                    size_t bytes);
void __sanitizer_finish_switch_fiber(void *fakeStack, const void **bottom,
                                     size_t *bytes);
void __asan_unpoison_memory_region(void const volatile *data, size_t bytes);
}
#endif
#if ATTN_THREAD_SANITIZER
extern "C" {
void *__tsan_get_current_fiber();
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
}
#endif

using namespace attn::emulator;

//===----------------------------------------------------------------------===//
// The switch
//===----------------------------------------------------------------------===//

extern "C" void attn_emulator_switch(void **from, void *to);

#if defined(__x86_64__)
asm(R"(
    .text
    .p2align 4
    .globl attn_emulator_switch
    .hidden attn_emulator_switch
    .type attn_emulator_switch, @function
attn_emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size attn_emulator_switch, . - attn_emulator_switch
)");

/// Saved registers, the address of the first function, and one more word: a
/// function finds its stack aligned but for a return address.
static void **makeFirstFrame(void **top, void (*entry)()) {
  void **frame = top - 8;
  for (int i = 0; i < 8; ++i) {
    frame[i] = nullptr;
  }
  frame[6] = reinterpret_cast<void *>(entry);
  return frame;
}
#elif defined(__aarch64__)
asm(R"(
    .text
    .p2align 4
    .globl attn_emulator_switch
    .hidden attn_emulator_switch
    .type attn_emulator_switch, %function
attn_emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size attn_emulator_switch, . - attn_emulator_switch
)");

static void **makeFirstFrame(void **top, void (*entry)()) {
  void **frame = top - 20;
  for (int i = 0; i < 20; ++i) {
    frame[i] = nullptr;
  }
  frame[11] = reinterpret_cast<void *>(entry);
  return frame;
}
#else
#error "fibers are written for x86-64 and aarch64"
#endif

void attn::emulator::prepare(Fiber &fiber, unsigned char *stack,
                             void (*entry)()) {
  fiber.stack = stack;
  fiber.stackBytes = Stacks::getBytes();
  fiber.fakeStack = nullptr;
  fiber.stackPointer = makeFirstFrame(
      reinterpret_cast<void **>(stack + fiber.stackBytes), entry);
#if ATTN_THREAD_SANITIZER
  fiber.sanitizerFiber = __tsan_create_fiber(0);
#endif
}

void attn::emulator::enter(Fiber &origin) {
#if ATTN_ADDRESS_SANITIZER
  const void *bottom = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  // The first fiber is entered from the thread's own stack.
  if (!origin.stack) {
    origin.stack = const_cast<void *>(bottom);
    origin.stackBytes = bytes;
  }
#else
  (void)origin;
#endif
}

void attn::emulator::switchTo(Fiber &from, Fiber &to, bool ends) {
#if ATTN_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(ends ? nullptr : &from.fakeStack, to.stack,
                                 to.stackBytes);
#else
  (void)ends;
#endif
#if ATTN_THREAD_SANITIZER
  if (!from.sanitizerFiber) {
    from.sanitizerFiber = __tsan_get_current_fiber();
  }
  __tsan_switch_to_fiber(to.sanitizerFiber, 0);
#endif
  attn_emulator_switch(&from.stackPointer, to.stackPointer);
#if ATTN_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(from.fakeStack, nullptr, nullptr);
#endif
}

void attn::emulator::release(Fiber &fiber) {
#if ATTN_THREAD_SANITIZER
  if (fiber.sanitizerFiber) {
    __tsan_destroy_fiber(fiber.sanitizerFiber);
  }
#endif
  fiber.sanitizerFiber = nullptr;
}

//===----------------------------------------------------------------------===//
// Stacks
//===----------------------------------------------------------------------===//

/// Pages that are not touched cost nothing.
static constexpr size_t kStackBytes = 256 << 10;

static size_t getPageBytes() {
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

static size_t getBytesOf(size_t count) {
  return count * (getPageBytes() + kStackBytes);
}

/// Stacks of the last launch on this thread: to map them, and to touch their
/// first pages, takes longer than a small launch.
namespace {
thread_local unsigned char *kept = nullptr;
thread_local size_t numKept = 0;
pthread_key_t keptKey;
} // namespace

static void unmapKept(void *data) { munmap(data, getBytesOf(numKept)); }

/// Has them unmapped when the thread ends.
static bool keep(unsigned char *data, size_t count) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static bool hasKey = false;
  pthread_once(&once,
               [] { hasKey = pthread_key_create(&keptKey, unmapKept) == 0; });
  if (!hasKey || count < numKept || pthread_setspecific(keptKey, data) != 0) {
    return false;
  }
  if (kept) {
    munmap(kept, getBytesOf(numKept));
  }
  kept = data;
  numKept = count;
  return true;
}

size_t Stacks::getBytes() { return kStackBytes; }

bool Stacks::allocate(size_t wanted) {
  if (kept && numKept >= wanted) {
    pthread_setspecific(keptKey, nullptr);
    data = kept;
    count = numKept;
    kept = nullptr;
    numKept = 0;
    return true;
  }
  size_t page = getPageBytes(), step = page + kStackBytes;
  void *mapped = mmap(nullptr, wanted * step, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    return false;
  }
  data = static_cast<unsigned char *>(mapped);
  count = wanted;
  for (size_t i = 0; i < count; ++i) {
    if (mprotect(data + i * step, page, PROT_NONE) != 0) {
      isWhole = false;
      return false;
    }
  }
  return true;
}

unsigned char *Stacks::get(size_t index) const {
  size_t page = getPageBytes();
  return data + index * (page + kStackBytes) + page;
}

void Stacks::clear(size_t index) {
#if ATTN_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(get(index), kStackBytes);
#else
  (void)index;
#endif
}

Stacks::~Stacks() {
  if (!data) {
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    clear(i);
  }
  if (!isWhole || !keep(data, count)) {
    munmap(data, getBytesOf(count));
  }
}
