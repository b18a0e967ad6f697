//===- Benchmark.cpp - time and memory of a program -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Benchmark.h"

#include "attn_runtime.h"
#include "llvm/Support/MemoryBuffer.h"
#include <chrono>
#include <cstdio>
#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace mlir;
using namespace mlir::attn;

namespace {

constexpr double kDefaultMilliseconds = 1000.0;
constexpr size_t kLeastRuns = 5;
/// The peak is measured this many times over the runs.
constexpr size_t kPeakMeasurements = 4;

llvm::Expected<double> timeOneRun(const Executable &executable,
                                  ArrayRef<Array> inputs) {
  auto start = std::chrono::steady_clock::now();
  auto results = executable.run(inputs);
  auto end = std::chrono::steady_clock::now();
  if (!results) {
    return results.takeError();
  }
  return std::chrono::duration<double, std::milli>(end - start).count();
}

/// Memory that a run frees serves the next one, as the workspace does that an
/// engine gives a call: pages are not asked of the system in every run.
void keepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
#endif
}

/// A field of /proc/self/status, in bytes.
std::optional<int64_t> readStatus(StringRef field) {
  auto file = llvm::MemoryBuffer::getFileAsStream("/proc/self/status");
  if (!file) {
    return std::nullopt;
  }
  SmallVector<StringRef> lines;
  (*file)->getBuffer().split(lines, '\n');
  for (StringRef line : lines) {
    if (!line.consume_front(field) || !line.consume_front(":")) {
      continue;
    }
    int64_t kibibytes = 0;
    line = line.ltrim();
    if (line.consumeInteger(10, kibibytes)) {
      return std::nullopt;
    }
    return kibibytes * 1024;
  }
  return std::nullopt;
}

/// Makes the peak of the resident set the present one.
bool resetResidentPeak() {
  std::FILE *file = std::fopen("/proc/self/clear_refs", "w");
  if (!file) {
    return false;
  }
  bool written = std::fputs("5", file) >= 0;
  return std::fclose(file) == 0 && written;
}

} // namespace

llvm::Expected<Timing> attn::benchmark(const Executable &executable,
                                       ArrayRef<Array> inputs,
                                       int64_t repetitions, PeakKernel *peak,
                                       ReadBandwidth *bandwidth) {
  keepFreedMemory();
  auto warmUp = timeOneRun(executable, inputs);
  if (!warmUp) {
    return warmUp.takeError();
  }
  auto wanted = static_cast<size_t>(repetitions);
  if (repetitions == 0) {
    auto second = timeOneRun(executable, inputs);
    if (!second) {
      return second.takeError();
    }
    wanted = std::max(kLeastRuns, static_cast<size_t>(kDefaultMilliseconds /
                                                      std::max(*second, 1e-3)));
  }
  Timing timing;
  size_t interval = std::max<size_t>(1, wanted / kPeakMeasurements);
  for (size_t run = 0; run < wanted; ++run) {
    if (peak && run % interval == 0) {
      auto measured = peak->measure();
      if (!measured) {
        return measured.takeError();
      }
      timing.peak = std::max(timing.peak, *measured);
    }
    if (bandwidth && run % interval == 0) {
      timing.bandwidth = std::max(timing.bandwidth, bandwidth->measure());
    }
    auto milliseconds = timeOneRun(executable, inputs);
    if (!milliseconds) {
      return milliseconds.takeError();
    }
    timing.runs.push_back(*milliseconds);
  }
  llvm::sort(timing.runs);
  return timing;
}

llvm::Expected<PeakMemory> attn::measurePeakMemory(const Executable &executable,
                                                   ArrayRef<Array> inputs) {
  // Threads and their stacks belong to the process, not to the program.
  attn_parallel_for([](void *, int64_t, int64_t) {}, nullptr,
                    4 * attn_get_num_threads());
  jit_memory::resetPeakBytes();
  int64_t allocatedBefore = jit_memory::getCurrentBytes();
  if (!resetResidentPeak()) {
    return llvm::createStringError(
        "this system does not let a process reset its peak memory");
  }
  std::optional<int64_t> before = readStatus("VmRSS");
  auto results = executable.run(inputs);
  std::optional<int64_t> peak = readStatus("VmHWM");
  if (!results) {
    return results.takeError();
  }
  if (!before || !peak) {
    return llvm::createStringError("/proc/self/status cannot be read");
  }
  int64_t resultBytes = 0;
  for (const Array &result : *results) {
    resultBytes += result.size() * getByteWidth(result.getType());
  }
  PeakMemory memory;
  memory.resident = std::max<int64_t>(0, *peak - *before - resultBytes);
  memory.allocated = std::max<int64_t>(0, jit_memory::getPeakBytes() -
                                              allocatedBefore - resultBytes);
  return memory;
}
