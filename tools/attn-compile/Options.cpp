//===- Options.cpp - the command line of attn-compile ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"

#include "attn/Target/GPU/Device.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static constexpr StringRef kUsage =
    R"(attn-compile: compiles an attn program to files

usage: attn-compile PROGRAM.mlir -o FILE [-o FILE ...] [options]

The program is read from the file, or from standard input if that is '-'. All of
its public functions are compiled, once; every FILE is written as its ending
says, or not at all.

  FILE       --emit=
  *.so       shared    a shared object for the runtime's attn_module_load_file
  *.o        obj       an object, to be linked with the runtime library
  *.h        header    a C header with a function per function
  *.ll       llvm      LLVM IR
  *.s        asm       assembly
  *.txt      report    the plan, sizes of the code, and how functions are called
  *.ptx      ptx       with --target=cuda:...: the kernels, as text
  *.cubin    cubin     the kernels assembled, by ptxas
  *.hsaco    hsaco     with --target=hip:...: the kernels as a code object

what to write
  -o FILE              a file; '-' is standard output, for one kind of --emit
  --emit=KIND          the kind of the one file, whatever its ending; without
                       -o, to standard output

how to compile
  --cache              look for the files on disk, and store them there: in
                       $ATTN_CACHE_DIR, or in attn-mlir of $XDG_CACHE_HOME or
                       ~/.cache
  --target=T,...       cpu (the default); cuda: and sm_80, sm_86, sm_89, sm_90
                       or sm_90a; hip: and gfx90a, gfx942, gfx1100 or gfx1201.
                       Several of them, in a list or in options of their own,
                       are packed into one program: PTX for each GPU of CUDA,
                       and a cubin if there is ptxas; a code object for each of
                       HIP. For one GPU alone also ptx, cubin or hsaco, and a
                       report with registers and spills
  --triple=T --cpu=C   the CPU (default: this machine, with all its features;
                       with a triple alone, the baseline of its architecture)
  --splits=N           split the keys of streams with few rows into N ranges
                       (GPUs: 8 for up to 16 rows, if nothing is said)
  --max-recompute-factor=N
                       refuse programs that visit their scores more often
                       (4; 0 for no limit)
  --warp-roles         on NVIDIA's GPUs, a warp of its own brings tiles to those
                       that compute, where a kernel allows it (off: nobody has
                       measured it on hardware yet)
  --reference          compile every op by itself on whole matrices
  --loops[=fused]      compile streams as scalar loops: naive, or fused

exit codes
  0 success   2 bad usage   3 the program does not parse, compile or is refused
  4 a file cannot be written
)";

/// The kinds by the name and the ending of files.
static std::optional<std::optional<ArtifactKind>> findKind(StringRef name) {
  using Kind = std::optional<ArtifactKind>;
  return llvm::StringSwitch<std::optional<Kind>>(name)
      .Cases({"shared", ".so"}, Kind(ArtifactKind::SharedObject))
      .Cases({"obj", ".o"}, Kind(ArtifactKind::Object))
      .Cases({"header", ".h"}, Kind(ArtifactKind::Header))
      .Cases({"llvm", ".ll"}, Kind(ArtifactKind::LLVMIR))
      .Cases({"asm", ".s"}, Kind(ArtifactKind::Assembly))
      .Cases({"report", ".txt"}, Kind())
      .Default(std::nullopt);
}

/// What is written of the kernels of a GPU.
static bool isDeviceKind(StringRef name) {
  return name == "ptx" || name == "cubin" || name == "hsaco" ||
         name == "report";
}

namespace {

class Parser : public CommandLineParser {
public:
  Parser(int argc, char **argv, CompileToolOptions &options)
      : CommandLineParser(argc, argv, options.program, options.compile),
        outputs(options.outputs), compileOptions(options.compile),
        cache(options.cache) {}

  std::optional<int> parseAll() {
    if (std::optional<int> result = parse()) {
      return result;
    }
    return chooseKinds();
  }

private:
  void printHelp() override { llvm::outs() << kUsage; }
  bool takesTargets() const override { return true; }

  bool parseOption() override {
    if (option == "cache") {
      cache = true;
      code = rejectValue();
      return true;
    }
    if (option != "o" && option != "emit") {
      return false;
    }
    if (!takeValue()) {
      return true;
    }
    if (option == "o") {
      outputs.push_back({value.str(), std::nullopt});
    } else if (value.starts_with(".") ||
               (!findKind(value) && !isDeviceKind(value))) {
      code =
          fail(kBadUsage, "--emit is shared, obj, header, llvm, asm, report, "
                          "ptx, cubin or hsaco, not '" +
                              value + "'");
    } else {
      emit = value.str();
    }
    return true;
  }

  /// What is written of one GPU's kernels alone; nothing for other kinds.
  std::optional<int> chooseDeviceKind(StringRef kind, Output &output) {
    bool isOfAMD = kind == "hsaco",
         isOfNVIDIA = kind == "ptx" || kind == "cubin";
    bool isGPU = compileOptions.mode == ExecutionMode::GPU;
    bool isWanted =
        isGPU && llvm::all_of(compileOptions.chips, [&](StringRef chip) {
          Vendor vendor = Device::get(chip)->vendor;
          return vendor == Vendor::AMD ? !isOfNVIDIA : !isOfAMD;
        });
    if ((isOfAMD || isOfNVIDIA) && !isWanted) {
      return fail(kBadUsage, "'" + kind + "' is for --target=" +
                                 (isOfAMD ? "hip" : "cuda") + ":... alone");
    }
    if (isGPU && isDeviceKind(kind)) {
      if (compileOptions.chips.size() > 1) {
        return fail(kBadUsage, "'" + kind + "' is for one GPU");
      }
      output.deviceKind = kind.str();
    }
    return kContinue;
  }

  std::optional<int> chooseKinds() {
    if (!emit.empty() && outputs.size() > 1) {
      return fail(kBadUsage,
                  "--emit is for one file; without it, the endings of files "
                  "say what they are");
    }
    if (outputs.empty()) {
      if (emit.empty()) {
        return fail(kBadUsage, "no output: give -o FILE, or --emit; see "
                               "--help");
      }
      outputs.push_back({"-", std::nullopt});
    }
    for (Output &output : outputs) {
      StringRef name =
          emit.empty() ? llvm::sys::path::extension(output.path) : emit;
      StringRef own = name == ".txt" ? "report" : name.ltrim('.');
      if (compileOptions.mode == ExecutionMode::EmulatedGPU) {
        return fail(kBadUsage, "attn-run runs kernels emulated; attn-compile "
                               "writes them, without ,emulate");
      }
      if (std::optional<int> code = chooseDeviceKind(own, output)) {
        return code;
      }
      if (!output.deviceKind.empty()) {
        continue;
      }
      auto kind = findKind(name);
      if (!kind) {
        return fail(kBadUsage, "the ending of '" + output.path +
                                   "' does not say what to write; give --emit");
      }
      output.kind = *kind;
    }
    return kContinue;
  }

  std::vector<Output> &outputs;
  CompileOptions &compileOptions;
  bool &cache;
  std::string emit;
};

} // namespace

std::optional<int> attn::parseCommandLine(int argc, char **argv,
                                          CompileToolOptions &options) {
  return Parser(argc, argv, options).parseAll();
}
