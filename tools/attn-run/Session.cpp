//===- Session.cpp - one program and its operands -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Session.h"

#include "Program.h"
#include "Report.h"
#include "attn/Dialect/Attn/Transforms/PrintPlan.h"
#include "attn/Runner/Benchmark.h"
#include "attn/Runner/Check.h"
#include "attn/Runner/ExactCheck.h"
#include "attn/Runner/Progress.h"
#include "attn_emulator.h"
#include "attn_runtime.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

double Session::getElapsed() const {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now() - start)
      .count();
}

int Session::run() {
  SourceMgrDiagnosticHandler printer(sources, &context, llvm::errs());
  // Remarks explain the plan; they are of interest where it is printed.
  ScopedDiagnosticHandler filter(&context, [&](Diagnostic &diagnostic) {
    bool isRemark = diagnostic.getSeverity() == DiagnosticSeverity::Remark;
    return success(isRemark && options.dump != DumpKind::Plan);
  });
  if (int code = parseProgram(options.program, context, sources, module)) {
    return code;
  }
  attn_emulator_set_seed(static_cast<uint64_t>(options.schedule));
  if (options.threads > 0) {
    attn_set_num_threads(options.threads);
  }
  if (options.dump != DumpKind::None) {
    return dump();
  }
  if (!options.compile.target.isHost()) {
    return fail(kBadUsage, "--triple and --cpu are for --dump: programs run on "
                           "this machine");
  }
  if (options.compile.mode == ExecutionMode::GPU) {
    if (options.exactCheck || !options.compile.plantFault.empty()) {
      return fail(kBadUsage, "--check=exact and --plant-fault are for this "
                             "machine: --target=" +
                                 getTargetName(options.compile.chip) +
                                 ",emulate");
    }
    if (options.benchmark || options.peakMemory || options.time) {
      return fail(kBadUsage, "--benchmark, --peak-memory and --time measure "
                             "this machine; attn-bench --device measures GPUs");
    }
  }
  if (!options.record.empty() && !options.check) {
    return fail(kBadUsage, "--record keeps what --check compares: it goes with "
                           "--check");
  }
  bool plans = options.compile.mode != ExecutionMode::Reference &&
               options.compile.mode != ExecutionMode::Loops;
  if (!options.compile.plantFault.empty() && !plans) {
    return fail(kBadUsage, "--plant-fault damages a plan, and --reference and "
                           "--loops run without one");
  }
  if (options.cache) {
    cache = openCache();
  }
  if (int code = prepare()) {
    return code;
  }
  bool measures = options.benchmark || options.peakMemory;
  if (options.check) {
    int code = runCheck();
    if (code || !(options.exactCheck || measures)) {
      return code;
    }
  }
  if (options.exactCheck) {
    int code = runExactCheck();
    if (code || !measures) {
      return code;
    }
  }
  if (options.peakMemory) {
    int code = runPeakMemory();
    if (code || !options.benchmark) {
      return code;
    }
  }
  return options.benchmark ? runBenchmark() : runPlain();
}

int Session::prepare() {
  auto func = findEntry(*module, options.entry);
  if (!func) {
    return fail(kBadUsage, func.takeError());
  }
  auto read = readSignature(*func);
  if (!read) {
    return fail(kBadProgram, read.takeError());
  }
  signature = std::move(*read);
  double before = getElapsed();
  Progress progress("making operands");
  std::vector<std::string> chosen;
  auto made = makeInputs(signature, options.inputs, sizes, chosen);
  if (!made) {
    bool isFile = !options.inputs.files.empty();
    return fail(isFile ? kBadFile : kBadUsage, made.takeError());
  }
  inputs = std::move(*made);
  operandsTime = getElapsed() - before;
  if (!chosen.empty()) {
    llvm::outs() << "sizes:";
    for (StringRef dim : chosen) {
      llvm::outs() << " " << dim << "=" << sizes.lookup(dim);
    }
    llvm::outs() << " (set with --size)\n";
  }
  return kSuccess;
}

std::unique_ptr<Executable> Session::compile(ExecutableOptions how) {
  how.cache = cache;
  Progress progress("compiling (" + getName(how.mode) + ")");
  auto executable = Executable::compile(*module, options.entry, how);
  if (!executable) {
    fail(kBadProgram, executable.takeError());
    return nullptr;
  }
  return std::move(*executable);
}

std::optional<std::vector<Array>> Session::execute(const Executable &executable,
                                                   ArrayRef<Array> arguments) {
  Progress progress("running");
  bool crashed = false;
  auto results = executable.runSafely(arguments, crashed);
  if (!results) {
    std::string message = llvm::toString(results.takeError());
    if (options.compile.mode == ExecutionMode::EmulatedGPU) {
      message += " (--schedule=" + std::to_string(options.schedule) + ")";
    }
    fail(kBadProgram, message);
    return std::nullopt;
  }
  return std::move(*results);
}

int Session::writeOutput(const Signature &compiled, ArrayRef<Array> results) {
  if (options.output.empty()) {
    return kSuccess;
  }
  if (llvm::Error error =
          writeResults(options.output, compiled.results, results)) {
    return fail(kBadFile, std::move(error));
  }
  return kSuccess;
}

int Session::runPlain() {
  double prepared = getElapsed();
  std::unique_ptr<Executable> executable = compile(options.compile);
  if (!executable) {
    return kBadProgram;
  }
  jit_memory::setPoison(true);
  double before = getElapsed();
  auto results = execute(*executable, inputs);
  if (!results) {
    return kBadProgram;
  }
  double after = getElapsed();
  for (auto [parameter, result] :
       llvm::zip_equal(executable->getSignature().results, *results)) {
    llvm::outs() << formatSummary(parameter, result) << "\n";
  }
  if (options.time) {
    llvm::outs() << llvm::format(
        "time: text %.1f ms, passes %.1f ms, code %.1f ms%s, run %.1f ms; text "
        "to first result %.1f ms (beside %.1f ms for the operands)\n",
        prepared - operandsTime, executable->getLoweringTime(),
        executable->getCodegenTime(),
        executable->isFromCache() ? " (from the cache)" : "", after - before,
        after - operandsTime, operandsTime);
  }
  return writeOutput(executable->getSignature(), *results);
}

int Session::runCheck() {
  ExecutableOptions plain, exact;
  plain.mode = exact.mode = ExecutionMode::Reference;
  exact.promoteToF64 = true;
  std::unique_ptr<Executable> subject = compile(options.compile);
  std::unique_ptr<Executable> materialised = subject ? compile(plain) : nullptr;
  std::unique_ptr<Executable> reference =
      materialised ? compile(exact) : nullptr;
  if (!reference) {
    return kBadProgram;
  }
  auto widened = widenInputs(inputs, reference->getSignature());
  if (!widened) {
    return fail(kBadUsage, widened.takeError());
  }
  jit_memory::setPoison(true);
  auto own = copyWritten(signature, inputs);
  auto kept = copyWritten(signature, inputs);
  if (!own || !kept) {
    return fail(kBadUsage, llvm::joinErrors(own.takeError(), kept.takeError()));
  }
  auto actual = execute(*subject, *own);
  auto wanted = actual ? execute(*materialised, inputs) : std::nullopt;
  auto truth = wanted ? execute(*reference, *widened) : std::nullopt;
  if (!truth) {
    return kBadProgram;
  }
  bool passed = true;
  for (auto [index, parameter] : llvm::enumerate(signature.results)) {
    auto comparison = compareResults(parameter, (*truth)[index],
                                     (*wanted)[index], (*actual)[index]);
    if (!comparison) {
      return fail(kCheckFailed, comparison.takeError());
    }
    llvm::outs() << formatComparison(*comparison, (*truth)[index],
                                     (*wanted)[index], (*actual)[index])
                 << "\n";
    passed = passed && comparison->passes();
  }
  if (int code = writeOutput(signature, *actual)) {
    return code;
  }
  if (int code = writeRecord(*kept, *wanted, *truth)) {
    return code;
  }
  return finishCheck(*actual, passed, "check");
}

int Session::writeRecord(ArrayRef<Array> operands, ArrayRef<Array> materialised,
                         ArrayRef<Array> truth) {
  if (options.record.empty()) {
    return kSuccess;
  }
  std::vector<NamedArray> arrays;
  auto add = [&](StringRef kind, ArrayRef<Parameter> parameters,
                 ArrayRef<Array> values) {
    for (auto [parameter, array] : llvm::zip_equal(parameters, values)) {
      arrays.emplace_back((kind + "." + parameter.name).str(), array);
    }
  };
  add("operand", signature.arguments, operands);
  add("materialised", signature.results, materialised);
  add("truth", signature.results, truth);
  if (llvm::Error error = writeArchive(options.record, arrays)) {
    return fail(kBadFile, std::move(error));
  }
  return kSuccess;
}

int Session::runExactCheck() {
  std::unique_ptr<Executable> subject =
      compile(getExactOptions(options.compile));
  std::unique_ptr<Executable> reference =
      subject ? compile(getExactReferenceOptions()) : nullptr;
  if (!reference) {
    return kBadProgram;
  }
  auto embedded = embedInputs(signature, inputs, options.inputs.seed);
  if (!embedded) {
    return fail(kBadUsage, embedded.takeError());
  }
  auto own = copyWritten(signature, *embedded);
  if (!own) {
    return fail(kBadUsage, own.takeError());
  }
  jit_memory::setPoison(true);
  auto actual = execute(*subject, *own);
  auto wanted = actual ? execute(*reference, *embedded) : std::nullopt;
  if (!wanted) {
    return kBadProgram;
  }
  auto report = compareExactly(*subject, *reference, *wanted, *actual);
  if (!report) {
    return fail(kCheckFailed, report.takeError());
  }
  llvm::outs() << report->text;
  if (int code = writeOutput(signature, *actual)) {
    return code;
  }
  return finishCheck(*actual, report->passes, "exact check");
}

int Session::finishCheck(std::vector<Array> &results, bool passed,
                         StringRef kind) {
  results.clear();
  if (int64_t overruns = jit_memory::getOverruns()) {
    return fail(kCheckFailed, llvm::Twine(overruns) +
                                  " buffers were written beyond their end");
  }
  llvm::outs() << kind << " (" << getName(options.compile.mode)
               << "): " << (passed ? "ok" : "FAILED") << "\n";
  return passed ? kSuccess : kCheckFailed;
}

std::optional<Work> Session::getWork() {
  auto plan = planProgram(*module, options.compile);
  if (!plan) {
    llvm::consumeError(plan.takeError());
    return std::nullopt;
  }
  auto func = findEntry(**plan, options.entry);
  if (!func) {
    llvm::consumeError(func.takeError());
    return std::nullopt;
  }
  std::optional<Work> work = countWork(*func, inputs);
  return work && work->flops > 0.0 ? work : std::nullopt;
}

/// Operands of at least this size come from memory, not from a cache.
static constexpr int64_t kMemoryBytes = int64_t{48} << 20;

int Session::runBenchmark() {
  std::unique_ptr<Executable> executable = compile(options.compile);
  if (!executable) {
    return kBadProgram;
  }
  std::optional<Work> work = getWork();
  std::unique_ptr<PeakKernel> peak;
  if (work) {
    auto created = PeakKernel::create(context, work->isF64);
    if (!created) {
      return fail(kBadProgram, created.takeError());
    }
    peak = std::move(*created);
  }
  jit_memory::setPoison(false);
  Progress progress("measuring");
  int64_t bytes = 0;
  for (const Array &input : inputs) {
    bytes += input.size() * getByteWidth(input.getType());
  }
  std::optional<ReadBandwidth> bandwidth;
  if (bytes >= kMemoryBytes) {
    bandwidth.emplace();
  }
  auto timing = benchmark(*executable, inputs, options.repetitions, peak.get(),
                          bandwidth ? &*bandwidth : nullptr);
  if (!timing) {
    return fail(kBadUsage, timing.takeError());
  }
  llvm::outs() << llvm::format(
      "benchmark: median %.3f ms, min %.3f ms over %zu runs, %d threads\n",
      timing->getMedian(), timing->getMinimum(), timing->runs.size(),
      attn_get_num_threads());
  if (bandwidth) {
    double rate = static_cast<double>(bytes) / timing->getMedian() * 1e-6;
    llvm::outs() << llvm::format(
        "benchmark: operands of %.1f MB read at %.1f GB/s, %.3f of measured "
        "read bandwidth %.1f GB/s\n",
        static_cast<double>(bytes) * 1e-6, rate, rate / timing->bandwidth,
        timing->bandwidth);
  }
  if (!work) {
    llvm::outs() << "benchmark: no work rate, because the plan has no "
                    "contractions of known size\n";
    return kSuccess;
  }
  double rate = work->flops / timing->getMedian() * 1e-6;
  double best = work->flops / timing->getMinimum() * 1e-6;
  llvm::outs() << llvm::format(
      "benchmark: %.1f GFLOP/s, %.3f of measured %s FMA peak %.1f GFLOP/s; "
      "best run %.1f GFLOP/s, %.3f\n",
      rate, rate / timing->peak, work->isF64 ? "f64" : "f32", timing->peak,
      best, best / timing->peak);
  llvm::outs() << llvm::format(
      "benchmark: work %.3f GFLOP, %.1f %% of the entries needed\n",
      work->flops * 1e-9, 100.0 * work->visited / work->entries);
  return kSuccess;
}

int Session::runPeakMemory() {
  std::unique_ptr<Executable> executable = compile(options.compile);
  if (!executable) {
    return kBadProgram;
  }
  jit_memory::setPoison(false);
  Progress progress("running");
  auto memory = measurePeakMemory(*executable, inputs);
  if (!memory) {
    return fail(kBadUsage, memory.takeError());
  }
  constexpr double mebibyte = 1 << 20;
  llvm::outs() << llvm::format(
      "peak memory beyond operands and results: %.2f MiB resident, %.2f MiB "
      "allocated by the program\n",
      static_cast<double>(memory->resident) / mebibyte,
      static_cast<double>(memory->allocated) / mebibyte);
  return kSuccess;
}

int Session::dump() {
  if (options.dump == DumpKind::Plan) {
    auto plan = planProgram(*module, options.compile);
    if (!plan) {
      return fail(kBadProgram, plan.takeError());
    }
    printPlan(**plan, llvm::outs());
    return kSuccess;
  }
  Progress progress("compiling");
  auto lowered = lowerProgram(*module, options.compile);
  if (!lowered) {
    return fail(kBadProgram, lowered.takeError());
  }
  EmitKind kind = options.dump == DumpKind::LLVMIR     ? EmitKind::LLVMIR
                  : options.dump == DumpKind::Assembly ? EmitKind::Assembly
                                                       : EmitKind::Object;
  auto code = emitCode(**lowered, options.compile.target, kind);
  if (!code) {
    return fail(kBadProgram, code.takeError());
  }
  llvm::outs() << *code;
  return kSuccess;
}
