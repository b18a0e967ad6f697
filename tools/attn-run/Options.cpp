//===- Options.cpp - the command line of attn-run -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static constexpr StringRef kUsage =
    R"(attn-run: runs a function of an attn program

usage: attn-run PROGRAM.mlir [options]

The program is read from the file, or from standard input if that is '-'. Its
function is compiled for this machine and run once; a line per result is
printed.

what to run
  --entry=NAME         the function; needed if there are several public ones
  --target=T           cpu (the default); cuda:sm_80 or hip:gfx942: on the first
                       GPU of that kind; cuda:sm_80,emulate: GPU kernels on this
                       machine, threads, shared memory and all
  --reference          compile every op by itself on whole matrices
  --loops[=fused]      compile streams as scalar loops: naive, or fused
  --splits=N           split the keys of streams with few rows into N ranges
                       (GPUs: 8 for up to 16 rows, if nothing is said)
  --max-recompute-factor=N
                       refuse programs that visit their scores more often
                       (4; 0 for no limit)
  --warp-roles         on NVIDIA's GPUs, a warp of its own brings tiles to those
                       that compute, where a kernel allows it (off: nobody has
                       measured it on hardware yet)

operands
  --input NAME=FILE    a .npy file for argument NAME; bf16 as uint16
  --inputs FILE.npz    files for several arguments, by name
  --size NAME=N,...    sizes of dimensions, for operands that are generated
  --seed=N             seed of generated operands (0)
  --pattern NAME=P     how to generate argument NAME (default: attn.init)
  --strided NAME       pass argument NAME as a view with a last stride of 2

results
  --output PATH        write results as PATH/NAME.npy, or into PATH.npz
  --record FILE.npz    with --check: what it takes to check the program on
                       another machine, as operand.NAME, materialised.NAME (by
                       the reference, in the program's types) and truth.NAME
                       (in f64)

instead of, or beside, a plain run
  --check              compare with the reference: in the program's types, which
                       gives the error budget, and in f64, which is the truth
  --check=exact        compare with the reference in integer arithmetic in place
                       of floats: what is equal as algebra is equal in all bits
  --benchmark[=N]      run N times (as often as fits in a second) and report
                       times, GFLOP/s, and the share of this machine's peak
  --peak-memory        report memory used beyond operands and results
  --time               report the time from text to first result
  --cache              look for compiled code on disk, and store it there:
                       in $ATTN_CACHE_DIR, or attn-mlir in $XDG_CACHE_HOME or
                       ~/.cache
  --threads=N          threads of parallel loops (default: all)
  --schedule=N         seed of the emulated GPU: which threads run first, and
                       when copies land (0)
  --attn-plan          print the plan and stop; also --dump=plan
  --dump=llvm|asm|obj  print code and stop
  --triple=T --cpu=C   for --dump: the target (default: this machine)
  --plant-fault=KIND   damage the plan first, to see a check fail: rescale,
                       bound, tail or head

patterns
)";

static constexpr StringRef kExitCodes = R"(
exit codes
  0 success   1 a check failed   2 bad usage or arguments
  3 the program does not parse, compile or is refused   4 unreadable data file
)";

namespace {

class Parser : public CommandLineParser {
public:
  Parser(int argc, char **argv, RunOptions &options)
      : CommandLineParser(argc, argv, options.program, options.compile),
        options(options) {}

private:
  void printHelp() override {
    llvm::outs() << kUsage << getPatternHelp() << kExitCodes;
  }

  bool parseOption() override { return parseFlag() || parseValueOption(); }

  /// Options without a value, or with one that may be left out. False for
  /// others; `code` says whether to go on.
  bool parseFlag() {
    bool *flag = llvm::StringSwitch<bool *>(option)
                     .Case("peak-memory", &options.peakMemory)
                     .Case("time", &options.time)
                     .Case("cache", &options.cache)
                     .Case("benchmark", &options.benchmark)
                     .Default(nullptr);
    if (flag) {
      *flag = true;
      code = option == "benchmark" && hasValue
                 ? parseInteger(options.repetitions, 1)
                 : rejectValue();
    } else if (option == "attn-plan") {
      options.dump = DumpKind::Plan;
      code = rejectValue();
    } else if (option == "check") {
      code = parseCheck();
    } else {
      return false;
    }
    return true;
  }

  std::optional<int> parseCheck() {
    if (hasValue && value != "exact") {
      return fail(kBadUsage,
                  "--check takes no value, or exact, not '" + value + "'");
    }
    (hasValue ? options.exactCheck : options.check) = true;
    options.compile.verifyPasses = true;
    return kContinue;
  }

  bool parseValueOption() {
    std::string *string = llvm::StringSwitch<std::string *>(option)
                              .Case("entry", &options.entry)
                              .Case("output", &options.output)
                              .Case("record", &options.record)
                              .Case("plant-fault", &options.compile.plantFault)
                              .Default(nullptr);
    constexpr StringRef others[] = {"seed",    "schedule", "threads",
                                    "size",    "input",    "inputs",
                                    "pattern", "strided",  "dump"};
    if (!string && !llvm::is_contained(others, option)) {
      return false;
    }
    if (!takeValue()) {
      return true;
    }
    if (string) {
      *string = value.str();
    } else {
      code = parseTypedValue();
    }
    return true;
  }

  std::optional<int> parseTypedValue() {
    if (option == "seed") {
      int64_t seed = 0;
      std::optional<int> failure = parseInteger(seed, 0);
      options.inputs.seed = static_cast<uint64_t>(seed);
      return failure;
    }
    if (option == "schedule") {
      return parseInteger(options.schedule, 0);
    }
    if (option == "threads") {
      int64_t threads = 0;
      std::optional<int> failure = parseInteger(threads, 1);
      options.threads = static_cast<int>(std::min<int64_t>(threads, 4096));
      return failure;
    }
    if (option == "strided") {
      options.inputs.strided[value] = true;
      return kContinue;
    }
    if (option == "dump") {
      return parseDump();
    }
    if (option == "inputs") {
      return parseArchive();
    }
    return parseAssignment();
  }

  /// NAME=VALUE.
  std::optional<int> parseAssignment() {
    auto [name, text] = value.split('=');
    if (name.empty() || text.empty()) {
      return fail(kBadUsage,
                  "--" + option + " takes NAME=VALUE, not '" + value + "'");
    }
    if (option == "size") {
      return parseSizes();
    }
    if (option == "pattern") {
      options.inputs.patterns[name] = text.str();
      return kContinue;
    }
    auto buffer = llvm::MemoryBuffer::getFile(text);
    if (!buffer) {
      return fail(kBadFile,
                  "cannot read '" + text + "': " + buffer.getError().message());
    }
    options.inputs.files[name] = (*buffer)->getBuffer().str();
    return kContinue;
  }

  /// NAME=N, more of them after commas, and as separate arguments.
  std::optional<int> parseSizes() {
    while (true) {
      SmallVector<StringRef> assignments;
      value.split(assignments, ',', -1, /*KeepEmpty=*/false);
      for (StringRef assignment : assignments) {
        auto [name, text] = assignment.split('=');
        int64_t size = 0;
        if (name.empty() || text.getAsInteger(10, size) || size < 0) {
          return fail(kBadUsage,
                      "--size takes NAME=N with N at least 0, not '" +
                          assignment + "'");
        }
        options.inputs.sizes[name] = size;
      }
      if (args.empty() || StringRef(args.front()).starts_with("-") ||
          !StringRef(args.front()).contains('=')) {
        return kContinue;
      }
      value = args.front();
      args = args.drop_front();
    }
  }

  std::optional<int> parseArchive() {
    auto buffer = llvm::MemoryBuffer::getFile(value);
    if (!buffer) {
      return fail(kBadFile, "cannot read '" + value +
                                "': " + buffer.getError().message());
    }
    auto members = parseNpz((*buffer)->getBuffer());
    if (!members) {
      return fail(kBadFile,
                  "'" + value + "': " + llvm::toString(members.takeError()));
    }
    for (auto &[name, contents] : *members) {
      options.inputs.files[name] = std::move(contents);
    }
    return kContinue;
  }

  std::optional<int> parseDump() {
    options.dump = llvm::StringSwitch<DumpKind>(value)
                       .Case("plan", DumpKind::Plan)
                       .Case("llvm", DumpKind::LLVMIR)
                       .Case("asm", DumpKind::Assembly)
                       .Case("obj", DumpKind::Object)
                       .Default(DumpKind::None);
    if (options.dump == DumpKind::None) {
      return fail(kBadUsage,
                  "--dump is plan, llvm, asm or obj, not '" + value + "'");
    }
    return kContinue;
  }

  RunOptions &options;
};

} // namespace

std::optional<int> attn::parseCommandLine(int argc, char **argv,
                                          RunOptions &options) {
  return Parser(argc, argv, options).parse();
}
