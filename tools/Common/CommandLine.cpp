//===- CommandLine.cpp - what the tools' command lines share --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CommandLine.h"

#include "attn/Compiler/DeviceCode.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

int attn::fail(int code, const llvm::Twine &message) {
  llvm::outs().flush();
  llvm::errs() << "error: " << message << "\n";
  return code;
}

int attn::fail(int code, llvm::Error error) {
  std::string text;
  llvm::handleAllErrors(std::move(error), [&](const llvm::ErrorInfoBase &info) {
    text += (text.empty() ? "" : ": ") + info.message();
  });
  return fail(code, text);
}

std::optional<int> CommandLineParser::parse() {
  while (!args.empty()) {
    StringRef argument = args.front();
    args = args.drop_front();
    if (std::optional<int> result = parseArgument(argument)) {
      return result;
    }
  }
  if (program.empty()) {
    return fail(kBadUsage, "no program given; see --help");
  }
  bool isGPU = compile.mode == ExecutionMode::GPU ||
               compile.mode == ExecutionMode::EmulatedGPU;
  if (compile.warpRoles && (!isGPU || compile.chips.size() > 1)) {
    return fail(kBadUsage, "--warp-roles is for one GPU, as "
                           "--target=cuda:sm_80");
  }
  return kContinue;
}

std::optional<int> CommandLineParser::parseArgument(StringRef argument) {
  code = kContinue;
  if (argument == "-o" || argument.starts_with("--")) {
    auto [name, rest] = argument.ltrim('-').split('=');
    option = name;
    value = rest;
    hasValue = argument.contains('=');
    if (argument == "--help") {
      printHelp();
      return kSuccess;
    }
    if (parseOption() || parseCompileOption()) {
      return code;
    }
  } else if (argument == "-" || !argument.starts_with("-")) {
    if (!program.empty()) {
      return fail(kBadUsage, "more than one program: '" + program + "' and '" +
                                 argument + "'");
    }
    program = argument.str();
    return kContinue;
  }
  return fail(kBadUsage,
              "unknown option '" + argument.split('=').first + "'; see --help");
}

bool CommandLineParser::parseCompileOption() {
  std::string *text = llvm::StringSwitch<std::string *>(option)
                          .Case("triple", &compile.target.triple)
                          .Case("cpu", &compile.target.cpu)
                          .Default(nullptr);
  int64_t *number =
      llvm::StringSwitch<int64_t *>(option)
          .Case("splits", &compile.splits)
          .Case("max-recompute-factor", &compile.maxRecomputeFactor)
          .Default(nullptr);
  if (option == "reference") {
    compile.mode = ExecutionMode::Reference;
    code = rejectValue();
  } else if (option == "warp-roles") {
    compile.warpRoles = true;
    code = rejectValue();
  } else if (option == "target") {
    code = takeValue() ? parseTarget() : code;
  } else if (option == "loops") {
    code = parseLoops();
  } else if (!text && !number) {
    return false;
  } else if (takeValue()) {
    if (text) {
      *text = value.str();
    } else {
      code = parseInteger(*number, 0);
    }
  }
  return true;
}

std::optional<int> CommandLineParser::parseTarget() {
  if (!takesTargets() && !targets.empty()) {
    return fail(kBadUsage, "--target is given twice, and programs run on one");
  }
  // Several, in one option or in more, are packed into one program.
  if (takesTargets() && !value.ends_with(",emulate")) {
    value.split(targets, ',');
  } else {
    targets.push_back(value);
  }
  compile.chips.clear();
  bool hasCPU = false, isEmulated = false;
  for (StringRef target : targets) {
    if (llvm::Error error = setTarget(compile, target)) {
      return fail(kBadUsage, llvm::toString(std::move(error)));
    }
    hasCPU |= compile.mode == ExecutionMode::CPU;
    isEmulated |= compile.mode == ExecutionMode::EmulatedGPU;
    if (compile.mode == ExecutionMode::GPU &&
        !llvm::is_contained(compile.chips, compile.chip)) {
      compile.chips.push_back(compile.chip);
    }
  }
  if (isEmulated) {
    compile.mode = ExecutionMode::EmulatedGPU;
  } else if (hasCPU) {
    compile.mode = ExecutionMode::CPU;
  }
  return kContinue;
}

std::optional<int> CommandLineParser::parseLoops() {
  if (hasValue && value != "fused" && value != "naive") {
    return fail(kBadUsage, "--loops is naive or fused, not '" + value + "'");
  }
  compile.mode =
      value == "fused" ? ExecutionMode::FusedLoops : ExecutionMode::Loops;
  return kContinue;
}

bool CommandLineParser::takeValue() {
  if (!hasValue) {
    if (args.empty()) {
      code = fail(kBadUsage,
                  (option == "o" ? "-" : "--") + option + " needs a value");
      return false;
    }
    value = args.front();
    args = args.drop_front();
  }
  return true;
}

std::optional<int> CommandLineParser::parseInteger(int64_t &result,
                                                   int64_t least) {
  if (value.getAsInteger(10, result) || result < least) {
    return fail(kBadUsage, "--" + option + " takes an integer of at least " +
                               llvm::Twine(least) + ", not '" + value + "'");
  }
  return kContinue;
}

std::optional<int> CommandLineParser::rejectValue() {
  if (hasValue) {
    return fail(kBadUsage, "--" + option + " takes no value");
  }
  return kContinue;
}
