//===- Warnings.h - what compilations warn of -------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program from the cache runs as slowly as when it was compiled, and its user
// is told so again. Warnings are kept beside the code, with the number of the
// op they are about: lines are those of the text at hand.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_WARNINGS_H
#define ATTN_COMPILER_WARNINGS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include <string>
#include <vector>

namespace mlir::attn {

/// Hears the warnings about a program as long as it lives, and passes each on
/// once.
class WarningRecorder {
public:
  explicit WarningRecorder(ModuleOp module);

  /// All warnings so far, to be repeated for the same program.
  std::string getText() const;

  /// Emits warnings that another recorder has written down.
  void repeat(StringRef text) const;

private:
  struct Message {
    /// Of the ops of the module, in order; -1 if it is about none of them.
    int64_t op;
    std::string text;
    bool operator==(const Message &) const = default;
  };
  /// A warning and its notes.
  using Warning = std::vector<Message>;

  Message note(const Diagnostic &diagnostic) const;
  Location getLocation(int64_t op) const;

  ModuleOp module;
  std::vector<Warning> warnings;
  ScopedDiagnosticHandler handler;
};

} // namespace mlir::attn

#endif // ATTN_COMPILER_WARNINGS_H
