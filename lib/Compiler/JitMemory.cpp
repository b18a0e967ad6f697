//===- JitMemory.cpp - the allocator of compiled programs -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `malloc` and `free` of JIT-compiled code end here, so that tools can say how
// much a program allocated beyond its results, and can poison what it got: an
// element that a kernel forgets to write is then a NaN, and not a zero that
// happens to be right. Every buffer has a header with its size:
//
//   | size, in 64 bytes | the buffer | guard, 64 bytes of 0xa5 |
//
//===----------------------------------------------------------------------===//

#include "JitSymbols.h"

#include "attn/Compiler/Jit.h"
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace mlir;

namespace {
constexpr size_t kHeaderBytes = 64;
constexpr size_t kGuardBytes = 64;
constexpr unsigned char kGuardByte = 0xa5;

struct Header {
  size_t bytes;
};

std::atomic<bool> poison{false};
std::atomic<int64_t> currentBytes{0};
std::atomic<int64_t> peakBytes{0};
std::atomic<int64_t> overruns{0};

void addBytes(int64_t bytes) {
  int64_t now = currentBytes.fetch_add(bytes) + bytes;
  int64_t peak = peakBytes.load();
  while (now > peak && !peakBytes.compare_exchange_weak(peak, now)) {
  }
}

[[noreturn]] void reportOutOfMemory(size_t bytes) {
  std::fprintf(
      stderr, "error: out of memory: the program asked for %zu bytes\n", bytes);
  std::fflush(stderr);
  std::_Exit(attn::kOutOfMemoryExitCode);
}
} // namespace

void *attn::jitMalloc(size_t bytes) {
  size_t total = 0;
  if (__builtin_add_overflow(bytes, kHeaderBytes + kGuardBytes, &total)) {
    reportOutOfMemory(bytes);
  }
  auto *base = static_cast<unsigned char *>(std::malloc(total));
  if (!base) {
    reportOutOfMemory(bytes);
  }
  Header header{bytes};
  std::memcpy(base, &header, sizeof(header));
  unsigned char *buffer = base + kHeaderBytes;
  if (poison.load(std::memory_order_relaxed)) {
    std::memset(buffer, 0xff, bytes);
  }
  std::memset(buffer + bytes, kGuardByte, kGuardBytes);
  addBytes(static_cast<int64_t>(bytes));
  return buffer;
}

void attn::jitFree(void *pointer) {
  if (!pointer) {
    return;
  }
  auto *buffer = static_cast<unsigned char *>(pointer);
  unsigned char *base = buffer - kHeaderBytes;
  Header header;
  std::memcpy(&header, base, sizeof(header));
  for (size_t i = 0; i < kGuardBytes; ++i) {
    if (buffer[header.bytes + i] != kGuardByte) {
      overruns.fetch_add(1);
      break;
    }
  }
  addBytes(-static_cast<int64_t>(header.bytes));
  std::free(base);
}

void attn::jit_memory::setPoison(bool enabled) { poison.store(enabled); }
int64_t attn::jit_memory::getCurrentBytes() { return currentBytes.load(); }
int64_t attn::jit_memory::getPeakBytes() { return peakBytes.load(); }
void attn::jit_memory::resetPeakBytes() {
  peakBytes.store(currentBytes.load());
}
int64_t attn::jit_memory::getOverruns() { return overruns.load(); }
void attn::jit_memory::release(void *allocated) { jitFree(allocated); }
