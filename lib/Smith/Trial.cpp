//===- Trial.cpp - one program, compiled, run and checked -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Most results are so close to the f64 reference that their budget, whatever it
// is, covers them; the materialised computation is compiled for the others. A
// random program may be small enough for its materialised computation to hit
// the truth by luck, which leaves no error to budget with. So a result that is
// over its budget is judged again on other operands, all of them together.
//
// In exact mode there is nothing to judge: bits are equal or not. It says
// nothing about programs that it does not apply to, which is no failure.
//
//===----------------------------------------------------------------------===//

#include "attn/Smith/Trial.h"

#include "attn/Runner/Check.h"
#include "attn/Runner/ExactCheck.h"
#include "attn_emulator.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::attn;

StringRef attn::getName(Verdict verdict) {
  switch (verdict) {
  case Verdict::Ok:
    return "ok";
  case Verdict::Unchecked:
    return "not checked";
  case Verdict::Refused:
    return "refused";
  case Verdict::Rejected:
    return "rejected by the verifier";
  case Verdict::Miscompiled:
    return "not compiled";
  case Verdict::NoReference:
    return "no reference";
  case Verdict::Crashed:
    return "crashed";
  case Verdict::WrongResult:
    return "wrong result";
  case Verdict::WrongBits:
    return "wrong in exact mode";
  case Verdict::TimedOut:
    return "timed out";
  }
  llvm_unreachable("all verdicts are handled");
}

namespace {

/// The first error that is emitted while it lives.
class FirstError {
public:
  explicit FirstError(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error &&
              text.empty()) {
            text = diagnostic.str();
          }
          return success();
        }) {}

  /// It, or else what `error` says; that is consumed.
  std::string take(llvm::Error error) {
    std::string fallback = llvm::toString(std::move(error));
    return text.empty() || StringRef(fallback).contains("crashed")
               ? fallback
               : std::exchange(text, std::string());
  }
  std::string take() { return std::exchange(text, std::string()); }

private:
  std::string text;
  ScopedDiagnosticHandler handler;
};

/// Whether the sentence is one that a pass did not mean to say to users: of the
/// verifier between passes, of the conversion framework, of LLVM.
bool isInternal(StringRef message) {
  bool isVerifier = message.starts_with("'") && message.contains("' op ");
  constexpr StringRef marks[] = {"crashed",    "failed to legalize",
                                 "failed: ",   " failed",
                                 "unrealized", "does not dominate",
                                 "operand #",  "could not be translated"};
  return isVerifier || llvm::any_of(marks, [&](StringRef mark) {
           return message.contains(mark);
         });
}

/// A program with what its check needs.
class Trial {
public:
  Trial(ModuleOp module, const TrialOptions &options)
      : module(module), options(options), errors(module.getContext()) {}

  Outcome run();

private:
  Outcome read();
  Outcome checkCompile();
  Outcome checkRun();
  Outcome checkF64();
  Outcome checkExact();
  Outcome check(StringRef name);

  /// Compiles in `how`; null with an outcome in `failed` otherwise.
  std::unique_ptr<Executable> compile(const ExecutableOptions &how,
                                      bool isReference);
  std::optional<std::vector<Array>> execute(const Executable &executable,
                                            ArrayRef<Array> arguments,
                                            bool isReference);
  std::optional<std::vector<Array>> makeOperands(uint64_t seed);
  /// Compares all results on operands of one seed with their own budgets;
  /// nothing, and `failed`, without results.
  std::optional<bool> compare(uint64_t seed);
  /// Adds comparisons to those of other seeds.
  void pool(ArrayRef<Comparison> found);

  ModuleOp module;
  const TrialOptions &options;
  FirstError errors;
  /// Of programs before this one.
  int64_t overruns = jit_memory::getOverruns();
  Signature signature;
  Outcome failed;
  std::unique_ptr<Executable> subject, truth, materialised;
  /// Of all seeds together, and what the first of them has to say.
  std::vector<Comparison> comparisons;
  std::string text;
};

} // namespace

std::unique_ptr<Executable> Trial::compile(const ExecutableOptions &how,
                                           bool isReference) {
  auto executable = Executable::compile(module, "", how);
  if (executable) {
    return std::move(*executable);
  }
  std::string reason = errors.take(executable.takeError());
  failed = {saysNotExact(reason) ? Verdict::Unchecked
            : isReference        ? Verdict::NoReference
            : isInternal(reason) ? Verdict::Miscompiled
                                 : Verdict::Refused,
            reason};
  return nullptr;
}

std::optional<std::vector<Array>> Trial::execute(const Executable &executable,
                                                 ArrayRef<Array> arguments,
                                                 bool isReference) {
  bool crashed = false;
  auto results = executable.runSafely(arguments, crashed);
  if (!results) {
    // What the emulated GPU finds is wrong with the kernels, not the operands.
    crashed |=
        !isReference && options.compile.mode == ExecutionMode::EmulatedGPU;
    failed = {!crashed      ? Verdict::Rejected
              : isReference ? Verdict::NoReference
                            : Verdict::Crashed,
              llvm::toString(results.takeError())};
    return std::nullopt;
  }
  return std::move(*results);
}

std::optional<std::vector<Array>> Trial::makeOperands(uint64_t seed) {
  InputOptions inputs;
  inputs.seed = seed;
  SizeMap sizes;
  std::vector<std::string> chosen;
  auto made = makeInputs(signature, inputs, sizes, chosen);
  if (!made) {
    failed = {Verdict::Rejected, llvm::toString(made.takeError())};
    return std::nullopt;
  }
  return std::move(*made);
}

Outcome Trial::read() {
  if (mlir::failed(verify(module))) {
    return {Verdict::Rejected, errors.take()};
  }
  auto func = findEntry(module, "");
  if (!func) {
    return {Verdict::Rejected, llvm::toString(func.takeError())};
  }
  auto read = readSignature(*func);
  if (!read) {
    return {Verdict::Rejected, llvm::toString(read.takeError())};
  }
  signature = std::move(*read);
  return {};
}

Outcome Trial::check(StringRef name) {
  failed = Outcome();
  return name == "compile" ? checkCompile()
         : name == "run"   ? checkRun()
         : name == "exact" ? checkExact()
                           : checkF64();
}

Outcome Trial::run() {
  attn_emulator_set_seed(options.seed);
  Outcome outcome = read();
  if (outcome.verdict != Verdict::Ok) {
    return outcome;
  }
  for (auto [index, name] : llvm::enumerate(options.checks)) {
    Outcome one = check(name);
    if (int64_t count = jit_memory::getOverruns() - overruns;
        count > 0 && !isFailure(one.verdict)) {
      one = {Verdict::Crashed,
             std::to_string(count) + " buffers were written beyond their end"};
    }
    if (one.verdict == Verdict::Ok) {
      outcome.passed |= uint32_t{1} << index;
      continue;
    }
    outcome.verdict = one.verdict;
    outcome.reason = std::move(one.reason);
    if (one.verdict != Verdict::Unchecked) {
      return outcome;
    }
  }
  if (outcome.passed) {
    outcome.verdict = Verdict::Ok;
  }
  return outcome;
}

Outcome Trial::checkCompile() {
  compile(options.compile, false);
  return failed;
}

Outcome Trial::checkRun() {
  auto operands = makeOperands(options.seed);
  auto subject = operands ? compile(options.compile, false) : nullptr;
  if (subject) {
    execute(*subject, *operands, false);
  }
  return failed;
}

/// Whether a result is right. The truth of a program on f64 is no more precise
/// than the program, and says nothing about sums that cancel.
static bool passes(const Comparison &comparison) {
  double rounding = 0x1p-36 * std::max(1.0, comparison.magnitude);
  bool isRounding =
      comparison.type == ElementType::F64 && comparison.error <= rounding;
  return comparison.passes() || (comparison.mismatches == 0 && isRounding);
}

/// Whether a result is so close to the truth that no budget is below that.
static bool isClose(const Parameter &parameter, const Array &truth,
                    const Array &actual) {
  auto comparison = compareResults(parameter, truth, truth, actual);
  if (!comparison) {
    llvm::consumeError(comparison.takeError());
    return false;
  }
  return passes(*comparison);
}

std::optional<bool> Trial::compare(uint64_t seed) {
  auto operands = makeOperands(seed);
  if (!operands) {
    return std::nullopt;
  }
  auto widened = widenInputs(*operands, truth->getSignature());
  if (!widened) {
    failed = {Verdict::Rejected, llvm::toString(widened.takeError())};
    return std::nullopt;
  }
  auto own = copyWritten(signature, *operands);
  if (!own) {
    failed = {Verdict::Rejected, llvm::toString(own.takeError())};
    return std::nullopt;
  }
  auto actual = execute(*subject, *own, false);
  auto exact = actual ? execute(*truth, *widened, true) : std::nullopt;
  if (!exact) {
    return std::nullopt;
  }
  bool allClose = true;
  for (auto [index, parameter] : llvm::enumerate(signature.results)) {
    allClose =
        allClose && isClose(parameter, (*exact)[index], (*actual)[index]);
  }
  if (allClose && comparisons.empty()) {
    return true;
  }
  if (!materialised) {
    ExecutableOptions plain;
    plain.mode = ExecutionMode::Reference;
    plain.isQuick = true;
    materialised = compile(plain, true);
  }
  auto wanted =
      materialised ? execute(*materialised, *operands, true) : std::nullopt;
  if (!wanted) {
    return std::nullopt;
  }
  bool passed = true;
  std::vector<Comparison> found;
  for (auto [index, parameter] : llvm::enumerate(signature.results)) {
    auto comparison = compareResults(parameter, (*exact)[index],
                                     (*wanted)[index], (*actual)[index]);
    if (!comparison) {
      failed = {Verdict::WrongResult, llvm::toString(comparison.takeError())};
      return std::nullopt;
    }
    if (!passes(*comparison)) {
      passed = false;
      text += comparisons.empty()
                  ? formatComparison(*comparison, (*exact)[index],
                                     (*wanted)[index], (*actual)[index]) +
                        "\n"
                  : "";
    }
    found.push_back(std::move(*comparison));
  }
  pool(found);
  return passed;
}

void Trial::pool(ArrayRef<Comparison> found) {
  if (comparisons.empty()) {
    comparisons.assign(found.begin(), found.end());
    return;
  }
  for (auto [all, one] : llvm::zip_equal(comparisons, found)) {
    double floor = std::max(all.budget - 2.0 * all.materialisedError,
                            one.budget - 2.0 * one.materialisedError);
    all.materialisedError =
        std::max(all.materialisedError, one.materialisedError);
    all.error = std::max(all.error, one.error);
    all.mismatches += one.mismatches;
    all.budget = 2.0 * all.materialisedError + floor;
  }
}

Outcome Trial::checkF64() {
  ExecutableOptions exact;
  exact.mode = ExecutionMode::Reference;
  exact.promoteToF64 = true;
  exact.isQuick = true;
  subject = compile(options.compile, false);
  truth = subject ? compile(exact, true) : nullptr;
  if (!truth) {
    return failed;
  }
  jit_memory::setPoison(true);
  std::optional<bool> passed = compare(options.seed);
  if (!passed) {
    return failed;
  }
  bool isHopeless = llvm::any_of(
      comparisons, [](const Comparison &c) { return c.mismatches > 0; });
  if (*passed || isHopeless) {
    return *passed ? Outcome() : Outcome{Verdict::WrongResult, text};
  }
  constexpr uint64_t kMoreSeeds = 4;
  for (uint64_t k = 1; k <= kMoreSeeds; ++k) {
    if (!compare(options.seed + k * 7919)) {
      return failed;
    }
  }
  bool allPass = llvm::all_of(comparisons, passes);
  return allPass ? Outcome() : Outcome{Verdict::WrongResult, text};
}

/// An operand with infinities, which are ends of the order of the ring, and
/// nothing that arithmetic knows.
static const Parameter *findInfinite(const Signature &signature,
                                     ArrayRef<Array> operands) {
  for (auto [parameter, array] :
       llvm::zip_equal(signature.arguments, operands)) {
    for (int64_t i = 0; isFloat(parameter.type) && i < array.size(); ++i) {
      if (std::isinf(array.getFloat(i))) {
        return &parameter;
      }
    }
  }
  return nullptr;
}

Outcome Trial::checkExact() {
  auto operands = makeOperands(options.seed);
  if (!operands) {
    return failed;
  }
  if (const Parameter *operand = findInfinite(signature, *operands)) {
    return {Verdict::Unchecked, "exact mode does not apply: '" + operand->name +
                                    "' has infinities, which no sum or product "
                                    "of the ring keeps"};
  }
  ExecutableOptions how = getExactOptions(options.compile);
  ExecutableOptions plain = getExactReferenceOptions();
  // Integers are the same without LLVM's optimisations, and the check in floats
  // has those run.
  how.isQuick = plain.isQuick = true;
  auto actually = compile(how, false);
  auto reference = actually ? compile(plain, true) : nullptr;
  if (!reference) {
    return failed;
  }
  auto embedded = embedInputs(signature, *operands, options.seed);
  if (!embedded) {
    return {Verdict::Rejected, llvm::toString(embedded.takeError())};
  }
  auto own = copyWritten(signature, *embedded);
  if (!own) {
    return {Verdict::Rejected, llvm::toString(own.takeError())};
  }
  jit_memory::setPoison(true);
  auto actual = execute(*actually, *own, false);
  auto wanted = actual ? execute(*reference, *embedded, true) : std::nullopt;
  if (!wanted) {
    return failed;
  }
  auto report = compareExactly(*actually, *reference, *wanted, *actual);
  if (!report) {
    return {Verdict::WrongBits, llvm::toString(report.takeError())};
  }
  return report->passes ? Outcome() : Outcome{Verdict::WrongBits, report->text};
}

Outcome attn::tryProgram(ModuleOp module, const TrialOptions &options) {
  return Trial(module, options).run();
}

llvm::Error attn::parseChecks(StringRef text,
                              SmallVectorImpl<std::string> &checks) {
  checks.clear();
  for (StringRef name : llvm::split(text, ',')) {
    if (!llvm::is_contained({"f64", "exact", "run", "compile"}, name)) {
      return llvm::createStringError("'" + name + "' is no check; known are\n" +
                                     getCheckHelp());
    }
    if (!llvm::is_contained(checks, name)) {
      checks.push_back(name.str());
    }
  }
  return llvm::Error::success();
}

StringRef attn::getCheckHelp() {
  return "  f64       results against the reference, within their error "
         "budget\n"
         "  exact     bits of results against the reference in exact mode, "
         "where that\n            applies\n"
         "  run       the program compiles, and runs without a crash\n"
         "  compile   the program compiles\n";
}
