//===- attn-reduce.cpp - smaller programs that fail alike -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Takes a program that fails a check, or for which a command says so, and makes
// it as small as it gets without ceasing to fail in that way.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Registration.h"
#include "attn/Smith/Isolation.h"
#include "attn/Smith/Reduce.h"
#include "attn_runtime.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static constexpr StringRef kUsage =
    R"(attn-reduce: makes a program that fails smaller

usage: attn-reduce PROGRAM.mlir [options]

Writes the smallest program found that fails as PROGRAM does, to standard
output or a file; progress goes to standard error.

what failing means
  --check=C,...        a check fails, with the same verdict (f64); see below
  --test=COMMAND       a shell command ends with code 0; %s in it stands for the
                       file of a program

for checks
  --seed=S             seed of generated operands (0)
  --loops[=fused]      compile streams as scalar loops: naive, or fused
  --splits=N           split the keys of streams with few rows into N ranges
  --threads=N          threads of the program (2)
  --max-recompute-factor=N
                       refuse programs that visit their scores more often
                       (0, no limit)
  --timeout-seconds=N  a program that needs more processor time, or ten
                       times that on the clock, has timed out (60)

output
  --output FILE        where the smaller program goes

checks
)";

static constexpr StringRef kExitCodes = R"(
exit codes
  0 success   1 PROGRAM does not fail   2 bad usage   3 PROGRAM does not parse
  4 a file cannot be written
)";

enum ExitCode {
  kSuccess = 0,
  kNoFailure = 1,
  kBadUsage = 2,
  kBadProgram = 3,
  kBadFile = 4
};

namespace {
struct CommandLine {
  std::string program, output, test, check = "f64";
  TrialOptions trial;
  int64_t seed = 0, threads = 2, timeout = 60;
};
} // namespace

static int fail(int code, const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  return code;
}

/// Prints a sentence and returns a code if the tool should end here.
static std::optional<int> parseCommandLine(ArrayRef<char *> args,
                                           CommandLine &options) {
  options.trial.compile.maxRecomputeFactor = 0;
  options.trial.compile.verifyPasses = true;
  while (!args.empty()) {
    StringRef arg = args.front();
    args = args.drop_front();
    if (!arg.consume_front("--")) {
      if (!options.program.empty()) {
        return fail(kBadUsage, "more than one program: '" + options.program +
                                   "' and '" + arg + "'");
      }
      options.program = arg.str();
      continue;
    }
    auto [name, value] = arg.split('=');
    if (name == "help") {
      llvm::outs() << kUsage << getCheckHelp() << kExitCodes;
      return kSuccess;
    }
    if (name == "loops") {
      if (!value.empty() && value != "naive" && value != "fused") {
        return fail(kBadUsage,
                    "--loops is naive or fused, not '" + value + "'");
      }
      options.trial.compile.mode =
          value == "fused" ? ExecutionMode::FusedLoops : ExecutionMode::Loops;
      continue;
    }
    if (name == "check" && value.empty()) {
      continue;
    }
    if (value.empty() && !args.empty()) {
      value = args.front();
      args = args.drop_front();
    }
    auto *text = llvm::StringSwitch<std::string *>(name)
                     .Case("check", &options.check)
                     .Case("test", &options.test)
                     .Case("output", &options.output)
                     .Default(nullptr);
    auto *number = llvm::StringSwitch<int64_t *>(name)
                       .Case("seed", &options.seed)
                       .Case("splits", &options.trial.compile.splits)
                       .Case("threads", &options.threads)
                       .Case("timeout-seconds", &options.timeout)
                       .Case("max-recompute-factor",
                             &options.trial.compile.maxRecomputeFactor)
                       .Default(nullptr);
    if (!text && !number) {
      return fail(kBadUsage, "unknown option '--" + name + "'; see --help");
    }
    if (text) {
      *text = value.str();
    } else if (value.getAsInteger(10, *number) || *number < 0) {
      return fail(kBadUsage, "--" + name +
                                 " takes an integer of at least 0, not '" +
                                 value + "'");
    }
  }
  if (options.program.empty()) {
    return fail(kBadUsage, "no program given; see --help");
  }
  if (llvm::Error error = parseChecks(options.check, options.trial.checks)) {
    return fail(kBadUsage, llvm::toString(std::move(error)));
  }
  options.trial.seed = static_cast<uint64_t>(options.seed);
  return std::nullopt;
}

/// Whether the command says that the program fails.
static bool runTest(StringRef command, ModuleOp module) {
  int fd = 0;
  SmallString<128> path;
  if (llvm::sys::fs::createTemporaryFile("attn-reduce", "mlir", fd, path)) {
    return false;
  }
  llvm::FileRemover remover(path);
  {
    llvm::raw_fd_ostream os(fd, /*shouldClose=*/true);
    module->print(os);
  }
  std::string text;
  while (true) {
    auto [before, after] = command.split("%s");
    text += before;
    if (before.size() == command.size()) {
      break;
    }
    text += path;
    command = after;
  }
  StringRef args[] = {"/bin/sh", "-c", text};
  std::optional<StringRef> redirects[] = {StringRef(), StringRef(),
                                          StringRef()};
  return llvm::sys::ExecuteAndWait("/bin/sh", args, std::nullopt, redirects) ==
         0;
}

/// What a failure is known by: the verdict, and of a compiler that says why it
/// gives up, the sentence without its numbers.
static std::string getKind(const Outcome &outcome) {
  std::string kind = getName(outcome.verdict).str();
  if (outcome.verdict == Verdict::Refused ||
      outcome.verdict == Verdict::Unchecked ||
      outcome.verdict == Verdict::Miscompiled ||
      outcome.verdict == Verdict::NoReference) {
    for (char c : StringRef(outcome.reason).split('\n').first) {
      kind += c >= '0' && c <= '9' ? '#' : c;
      if (c == ':') { // what follows names things that go away
        break;
      }
    }
  }
  return kind;
}

int main(int argc, char **argv) {
  CommandLine options;
  if (std::optional<int> code = parseCommandLine(
          ArrayRef<char *>(argv + 1, argc > 0 ? argc - 1 : 0), options)) {
    return *code;
  }
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  context.loadAllAvailableDialects();
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(options.program);
  if (!buffer) {
    return fail(kBadUsage, "cannot read '" + options.program +
                               "': " + buffer.getError().message());
  }
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  OwningOpRef<ModuleOp> module;
  {
    SourceMgrDiagnosticHandler printer(sources, &context, llvm::errs());
    module = parseSourceFile<ModuleOp>(sources, &context);
  }
  if (!module) {
    return fail(kBadProgram, "'" + options.program + "' does not parse");
  }
  attn_set_num_threads(static_cast<int>(std::max<int64_t>(options.threads, 1)));

  std::string wanted;
  auto tryIt = [&](ModuleOp candidate) {
    return tryProgramIsolated(candidate, options.trial, options.timeout);
  };
  if (options.test.empty()) {
    Outcome outcome = tryIt(*module);
    if (outcome.verdict == Verdict::Ok) {
      return fail(kNoFailure, "the program passes its check");
    }
    wanted = getKind(outcome);
    llvm::errs() << wanted << ": " << outcome.reason << "\n";
  } else if (!runTest(options.test, *module)) {
    return fail(kNoFailure, "the test does not end with code 0 on the program");
  }
  auto isInteresting = [&](ModuleOp candidate) {
    return options.test.empty() ? getKind(tryIt(candidate)) == wanted
                                : runTest(options.test, candidate);
  };
  auto accepted = [&](StringRef move, ModuleOp smaller) {
    llvm::errs() << move << ": " << countOps(smaller) << " ops\n";
  };
  module = reduceProgram(std::move(module), isInteresting, accepted);

  std::error_code code;
  llvm::raw_fd_ostream os(options.output.empty() ? "-" : options.output, code);
  if (code) {
    return fail(kBadFile,
                "cannot write '" + options.output + "': " + code.message());
  }
  module->print(os);
  os << "\n";
  return kSuccess;
}
