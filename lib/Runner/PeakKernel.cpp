//===- PeakKernel.cpp - the arithmetic peak of this machine ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernel goes through the same pipeline as programs do:
//
//   scf.for ... iter_args(%a0, ..., %a23 : vector<16xf32>) {
//     %b0 = vector.fma %a0, %x, %y ...     // enough to hide the latency
//   }
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Pipelines.h"
#include "attn/Runner/Benchmark.h"
#include "attn_runtime.h"
#include "mlir/Parser/Parser.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <chrono>

using namespace mlir;
using namespace mlir::attn;

namespace {

/// Vector width in bytes, and how many vectors fit into registers.
struct Registers {
  int64_t bytes;
  int64_t accumulators;
};

Registers getHostRegisters() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  if (features.lookup("avx512f")) {
    return {64, 24};
  }
  if (features.lookup("avx")) {
    return {32, 12};
  }
  bool isX86 = llvm::Triple(llvm::sys::getProcessTriple()).isX86();
  return isX86 ? Registers{16, 12} : Registers{16, 24};
}

std::string makeKernel(int64_t lanes, int64_t accumulators, StringRef element) {
  std::string vector =
      ("vector<" + llvm::Twine(lanes) + "x" + element + ">").str();
  std::string iterArgs, types, body, yields, sums, last = "%r#0";
  for (int64_t k = 0; k < accumulators; ++k) {
    std::string n = std::to_string(k), comma = k ? ", " : "";
    iterArgs += comma + "%a" + n + " = %start";
    types += comma + vector;
    body +=
        "    %b" + n + " = vector.fma %a" + n + ", %x, %y : " + vector + "\n";
    yields += comma + "%b" + n;
    if (k > 0) {
      sums += "  %s" + n + " = arith.addf " + last + ", %r#" + n + " : " +
              vector + "\n";
      last = "%s" + n;
    }
  }
  std::string scalar = element.str();
  return "func.func @peak(%n: index, %u: " + scalar + ", %w: " + scalar +
         ") -> " + scalar +
         " {\n"
         "  %c0 = arith.constant 0 : index\n"
         "  %c1 = arith.constant 1 : index\n"
         "  %x = vector.broadcast %u : " +
         scalar + " to " + vector + "\n  %y = vector.broadcast %w : " + scalar +
         " to " + vector + "\n  %start = arith.addf %x, %y : " + vector +
         "\n  %r:" + std::to_string(accumulators) +
         " = scf.for %k = %c0 to %n step %c1 iter_args(" + iterArgs + ") -> (" +
         types + ") {\n" + body + "    scf.yield " + yields + " : " + types +
         "\n  }\n" + sums + "  %total = vector.reduction <add>, " + last +
         " : " + vector + " into " + scalar + "\n  return %total : " + scalar +
         "\n}\n";
}

/// Arguments of one thread's call, for any element type.
struct Call {
  void *entry;
  int64_t iterations;
  bool isF64;
};

void runItem(void *args, int64_t begin, int64_t end) {
  auto *call = static_cast<Call *>(args);
  for (int64_t item = begin; item < end; ++item) {
    float narrow[3] = {0.5f, 0.25f, 0.0f};
    double wide[3] = {0.5, 0.25, 0.0};
    auto at = [&](int k) -> void * {
      return call->isF64 ? static_cast<void *>(&wide[k]) : &narrow[k];
    };
    void *arguments[4] = {&call->iterations, at(0), at(1), at(2)};
    reinterpret_cast<void (*)(void **)>(call->entry)(arguments);
  }
}

double getSeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

} // namespace

llvm::Expected<std::unique_ptr<PeakKernel>>
PeakKernel::create(MLIRContext &context, bool isF64) {
  auto kernel = std::make_unique<PeakKernel>();
  Registers registers = getHostRegisters();
  int64_t lanes = registers.bytes / (isF64 ? 8 : 4);
  kernel->isF64 = isF64;
  kernel->flopsPerIteration = 2 * lanes * registers.accumulators;
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(
      makeKernel(lanes, registers.accumulators, isF64 ? "f64" : "f32"),
      &context);
  if (!module) {
    return llvm::createStringError("the peak kernel does not parse");
  }
  ExecutableOptions options;
  auto lowered = lowerProgram(*module, options);
  if (!lowered) {
    return lowered.takeError();
  }
  auto jit = JitModule::create(**lowered);
  if (!jit) {
    return jit.takeError();
  }
  kernel->jit = std::move(*jit);
  return kernel;
}

llvm::Expected<double> PeakKernel::measure() {
  auto entry = jit->lookup("attn_packed_peak");
  if (!entry) {
    return entry.takeError();
  }
  Call call{*entry, 200000, isF64};
  int threads = attn_get_num_threads();
  double best = 0.0;
  for (int repeat = 0; repeat < 3; ++repeat) {
    double start = getSeconds();
    attn_parallel_for(runItem, &call, threads);
    double seconds = getSeconds() - start;
    best = std::max(best, static_cast<double>(threads) *
                              static_cast<double>(call.iterations) *
                              static_cast<double>(flopsPerIteration) / seconds *
                              1e-9);
  }
  return best;
}
