//===- Bridge.h - the compiler as the Python module sees it -----*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The binding is compiled with exceptions and RTTI, the compiler and LLVM
// without: nothing of theirs may be in this header.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_PYTHON_BRIDGE_H
#define ATTN_PYTHON_BRIDGE_H

#include "attn_runtime.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attn_python {

/// What the compiler has to say about a place of a program.
struct Message {
  /// "error", "warning", "remark" or "note".
  std::string severity;
  std::string text;
  /// The place in the user's file; no file if there is none.
  std::string file;
  int line = 0, column = 0;
};

/// Why something was not made.
struct Failure {
  /// The last step's own sentence.
  std::string reason;
  std::vector<Message> messages;
};

struct Options {
  /// How often a stream may compute its scores again; 0: no limit.
  int64_t maxRecomputeFactor = 4;
  /// Ranges into which keys are split for few rows; 0: chosen by the target.
  int64_t splits = 0;
  /// Look code up in the user's cache, and store it there.
  bool useCache = true;
  /// cpu, cuda:sm_80 and the like, or cuda:sm_80,emulate.
  std::string target = "cpu";
};

/// A result beside the reference.
struct Comparison {
  std::string name;
  double error, budget, magnitude;
  int64_t mismatches;
  bool passes;
};

/// A compiled program with its function. Any number of threads may share one.
class Program {
public:
  /// Null, with `failure`, for a program that is not to be compiled.
  static std::shared_ptr<Program>
  compile(const std::string &text, const Options &options, Failure &failure);
  ~Program();

  const attn_function *getFunction() const { return function; }
  bool isFromCache() const { return fromCache; }
  /// Whether its kernels run on the emulated GPU.
  bool isEmulated() const { return emulated; }
  /// Warnings of the compilation.
  const std::vector<Message> &getMessages() const { return messages; }

private:
  Program() = default;
  struct Impl;
  std::unique_ptr<Impl> impl;
  const attn_function *function = nullptr;
  bool fromCache = false, emulated = false;
  std::vector<Message> messages;
};

/// The program, parsed and verified; after planning, where `plan` says so.
/// Empty, with `failure`, if that is not possible.
std::string print(const std::string &text, const Options &options, bool plan,
                  Failure &failure);

/// What a sweep visits, tile by tile: 0 nothing, 1 some entries, 2 all.
struct TileMap {
  unsigned stream, sweep;
  int64_t rows, keys;
  std::vector<uint8_t> tiles;
};

/// A map of every sweep of the plan for these arguments, in tiles of `block`
/// rows and keys. Nothing where only the program can tell its extents.
std::vector<TileMap> mapTiles(const std::string &text, const Options &options,
                              const std::vector<const DLTensor *> &arguments,
                              int64_t block, Failure &failure);

/// Compares the program with its f64 reference on these arguments. Its results
/// are `results`, if there are any: those of a device, which are on the host
/// like the arguments. Nothing, with `failure`, if that is not possible.
std::vector<Comparison> check(const std::string &text, const Options &options,
                              const std::vector<const DLTensor *> &arguments,
                              const std::vector<const DLTensor *> &results,
                              Failure &failure);

/// Why there is no such target; empty if there is one.
std::string checkTarget(const std::string &target);

/// The target of a GPU. Empty, with `failure`, where there is none.
std::string findTarget(DLDevice device, Failure &failure);

} // namespace attn_python

#endif // ATTN_PYTHON_BRIDGE_H
