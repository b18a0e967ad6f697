//===- CommandLine.h - what the tools' command lines share ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parsed by hand: LLVM's option library would accept, and print in --help, the
// hundreds of options that the libraries behind a tool register.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TOOLS_COMMON_COMMANDLINE_H
#define ATTN_TOOLS_COMMON_COMMANDLINE_H

#include "attn/Compiler/Compiler.h"
#include <optional>

namespace mlir::attn {

/// Exit codes; part of the tools' interface.
enum ExitCode {
  kSuccess = 0,
  kCheckFailed = 1,
  kBadUsage = 2,
  kBadProgram = 3,
  kBadFile = 4
};

/// Goes on, where an exit code would end the tool.
constexpr std::nullopt_t kContinue = std::nullopt;

/// Prints "error: <message>" and returns the code.
int fail(int code, const llvm::Twine &message);
/// The same, with the messages of an error.
int fail(int code, llvm::Error error);

/// Walks over the arguments of a tool that takes one program. The value of an
/// option is what follows '=', or the next argument.
class CommandLineParser {
public:
  CommandLineParser(int argc, char **argv, std::string &program,
                    CompileOptions &compile)
      : args(argv + 1, argc > 0 ? argc - 1 : 0), program(program),
        compile(compile) {}
  virtual ~CommandLineParser() = default;

  /// An exit code if the tool should end here, also after --help.
  std::optional<int> parse();

protected:
  virtual void printHelp() = 0;
  /// Parses `option` into `code`; false for options the tool does not have.
  virtual bool parseOption() = 0;
  /// Whether --target may name several.
  virtual bool takesTargets() const { return false; }

  /// How to compile: --reference, --loops, --splits, --max-recompute-factor,
  /// --triple and --cpu.
  bool parseCompileOption();
  /// Makes sure that `value` is set, and says in `code` if it cannot be.
  bool takeValue();
  std::optional<int> parseInteger(int64_t &result, int64_t least);
  std::optional<int> rejectValue();

  ArrayRef<char *> args;
  StringRef option, value;
  bool hasValue = false;
  std::optional<int> code;

private:
  std::optional<int> parseArgument(StringRef argument);
  std::optional<int> parseLoops();
  std::optional<int> parseTarget();

  /// Of all --target options.
  SmallVector<StringRef> targets;
  std::string &program;
  CompileOptions &compile;
};

} // namespace mlir::attn

#endif // ATTN_TOOLS_COMMON_COMMANDLINE_H
