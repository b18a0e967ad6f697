//===- Benchmark.h - time and memory of a program ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_BENCHMARK_H
#define ATTN_RUNNER_BENCHMARK_H

#include "attn/Runner/Executable.h"

namespace mlir {
class MLIRContext;
} // namespace mlir

namespace mlir::attn {

/// A loop of independent multiply-adds on every thread: the most that this
/// machine does when nothing but its arithmetic units is in the way.
class PeakKernel {
public:
  static llvm::Expected<std::unique_ptr<PeakKernel>>
  create(MLIRContext &context, bool isF64);

  /// Runs for some hundredths of a second; GFLOP/s over all threads.
  llvm::Expected<double> measure();

private:
  std::unique_ptr<JitModule> jit;
  int64_t flopsPerIteration = 0;
  bool isF64 = false;
};

/// How fast all threads together read a buffer that no cache holds.
class ReadBandwidth {
public:
  ReadBandwidth();
  /// Reads the buffer once; GB/s over all threads.
  double measure();

private:
  std::vector<uint64_t> words;
};

/// Milliseconds of single runs, sorted.
struct Timing {
  std::vector<double> runs;
  double getMinimum() const { return runs.front(); }
  double getMedian() const { return runs[runs.size() / 2]; }
  /// The best of the peak measurements made in between, if there were any.
  double peak = 0.0;
  /// The same of the read bandwidth.
  double bandwidth = 0.0;
};

/// Runs `executable` once to warm up and then `repetitions` times (0: for about
/// a second, at least five times), with measurements of `peak` and `bandwidth`, unless
/// they are null, spread in between, so that both see the machine in the same state.
llvm::Expected<Timing> benchmark(const Executable &executable,
                                 ArrayRef<Array> inputs, int64_t repetitions,
                                 PeakKernel *peak, ReadBandwidth *bandwidth);

/// Bytes that one run took beyond its operands and results.
struct PeakMemory {
  /// What the process grew by, as the operating system counts.
  int64_t resident = 0;
  /// What the program asked for.
  int64_t allocated = 0;
};

/// Runs once. Fails where /proc cannot reset the peak.
llvm::Expected<PeakMemory> measurePeakMemory(const Executable &executable,
                                             ArrayRef<Array> inputs);

} // namespace mlir::attn

#endif // ATTN_RUNNER_BENCHMARK_H
