//===- Options.cpp - the command line of attn-smith -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static constexpr StringRef kUsage =
    R"(attn-smith: random well-typed programs over the algebra

usage: attn-smith [options]

Prints the program of a seed, or runs many of them against the reference. The
same seed and options give the same program on every machine.

programs
  --seed=S             the first seed (0)
  --count=N            print the programs of N seeds (1)
  --print              print them (the default without --run)
  --output DIR         write them as DIR/SEED.mlir instead; with --run, only
                       those that fail
  --sizes=CLASS        tiny, small (the default), medium or large: sizes up to
                       9, 70, 150 or 520
  --steps=N            ops on scores per program, at most (6)
  --families=F=W,...   weights of families; 0 leaves one out

campaigns
  --run=N              compile, run and check the programs of N seeds
  --check=C,...        what is checked (f64)
  --jobs=N             processes at a time (the number of cores)
  --threads=N          threads of every program (2)
  --timeout-seconds=N  programs that need more processor time, or ten times
                       that on the clock, have failed (60)
  --loops[=fused]      compile streams as scalar loops: naive, or fused
  --target=T           compile for cpu, cuda:sm_80,emulate or
                       hip:gfx942,emulate
  --splits=N           split the keys of streams with few rows into N ranges
                       (GPUs: 8 for up to 16 rows, if nothing is said)
  --max-recompute-factor=N
                       refuse programs that visit their scores more often
                       (0, no limit)

checks
)";

static constexpr StringRef kExitCodes = R"(
exit codes
  0 success   1 a program failed   2 bad usage   4 a file cannot be written
)";

static int fail(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  return kBadUsage;
}

namespace {

class Parser {
public:
  Parser(ArrayRef<char *> args, CommandLine &options)
      : args(args), options(options) {}

  std::optional<int> parse() {
    options.trial.compile.maxRecomputeFactor = 0;
    options.trial.compile.verifyPasses = true;
    while (!args.empty()) {
      StringRef arg = args.front();
      args = args.drop_front();
      if (!arg.consume_front("--")) {
        return fail("'" + arg + "' is no option; see --help");
      }
      std::tie(name, value) = arg.split('=');
      if (std::optional<int> code = parseOption()) {
        return code;
      }
    }
    return std::nullopt;
  }

private:
  std::optional<int> parseOption() {
    if (name == "help") {
      llvm::outs() << kUsage << getCheckHelp()
                   << "\nfamilies and their weights\n"
                   << getFamilyHelp() << kExitCodes;
      return kSuccess;
    }
    if (name == "print") {
      return std::nullopt;
    }
    if (name == "loops") {
      if (!value.empty() && value != "naive" && value != "fused") {
        return fail("--loops is naive or fused, not '" + value + "'");
      }
      options.trial.compile.mode =
          value == "fused" ? ExecutionMode::FusedLoops : ExecutionMode::Loops;
      return std::nullopt;
    }
    if (value.empty() && !args.empty()) {
      value = args.front();
      args = args.drop_front();
    }
    if (int64_t *number = findNumber()) {
      int64_t least =
          name == "jobs" || name == "threads" || name == "timeout-seconds" ? 1
                                                                           : 0;
      if (value.getAsInteger(10, *number) || *number < least) {
        return fail("--" + name + " takes an integer of at least " +
                    llvm::Twine(least) + ", not '" + value + "'");
      }
      return std::nullopt;
    }
    if (name == "output") {
      options.output = value.str();
      return std::nullopt;
    }
    if (name == "target") {
      if (llvm::Error error = setTarget(options.trial.compile, value)) {
        return fail(llvm::toString(std::move(error)));
      }
      if (options.trial.compile.mode == ExecutionMode::GPU) {
        return fail("programs for " + options.trial.compile.chip +
                    " run on the emulated GPU: --target=" + value + ",emulate");
      }
      return std::nullopt;
    }
    if (name == "families") {
      if (llvm::Error error = parseFamilies(value, options.smith)) {
        return fail(llvm::toString(std::move(error)));
      }
      return std::nullopt;
    }
    return parseChoice();
  }

  std::optional<int> parseChoice() {
    if (name == "check") {
      if (llvm::Error error = parseChecks(value, options.trial.checks)) {
        return fail(llvm::toString(std::move(error)));
      }
      return std::nullopt;
    }
    if (name == "sizes") {
      auto sizes = llvm::StringSwitch<std::optional<SizeClass>>(value)
                       .Case("tiny", SizeClass::Tiny)
                       .Case("small", SizeClass::Small)
                       .Case("medium", SizeClass::Medium)
                       .Case("large", SizeClass::Large)
                       .Default(std::nullopt);
      if (!sizes) {
        return fail("--sizes is tiny, small, medium or large, not '" + value +
                    "'");
      }
      options.smith.sizes = *sizes;
      return std::nullopt;
    }
    return fail("unknown option '--" + name + "'; see --help");
  }

  int64_t *findNumber() {
    return llvm::StringSwitch<int64_t *>(name)
        .Case("run", &options.run)
        .Case("count", &options.count)
        .Case("seed", &options.seed)
        .Case("jobs", &options.jobs)
        .Case("threads", &options.threads)
        .Case("timeout-seconds", &options.timeout)
        .Case("steps", &options.smith.steps)
        .Case("splits", &options.trial.compile.splits)
        .Case("max-recompute-factor", &options.trial.compile.maxRecomputeFactor)
        .Default(nullptr);
  }

  ArrayRef<char *> args;
  CommandLine &options;
  StringRef name, value;
};

} // namespace

std::optional<int> attn::parseCommandLine(int argc, char **argv,
                                          CommandLine &options) {
  return Parser(ArrayRef<char *>(argv + 1, argc > 0 ? argc - 1 : 0), options)
      .parse();
}
