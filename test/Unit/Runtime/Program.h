//===- Program.h - programs for the tests of the runtime ------ -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The writer of attn_module.h's record, and a shared object to put it into.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TEST_RUNTIME_PROGRAM_H
#define ATTN_TEST_RUNTIME_PROGRAM_H

#include "attn_module.h"
#include "attn_runtime.h"
#include "gtest/gtest.h"
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace attn::test {

using Bytes = std::vector<unsigned char>;

struct Op {
  attn_op op;
  int64_t operand = 0;
};
using Expr = std::vector<Op>;

inline Expr constant(int64_t value) { return {{ATTN_OP_CONSTANT, value}}; }
inline Expr symbol(int64_t index) { return {{ATTN_OP_SYMBOL, index}}; }
inline Expr argument(int64_t index) { return {{ATTN_OP_ARGUMENT, index}}; }
Expr binary(attn_op op, Expr left, const Expr &right);

constexpr DLDataType kF32 = {kDLFloat, 32, 1};
constexpr DLDataType kI8 = {kDLInt, 8, 1};
constexpr DLDataType kI32 = {kDLInt, 32, 1};
constexpr DLDataType kI64 = {kDLInt, 64, 1};

struct ParameterSpec {
  std::string name;
  DLDataType type = kF32;
  std::vector<Expr> extents;
  unsigned flags = 0;
  unsigned mode = 0;
  unsigned alias = 0;
  unsigned device = kDLCPU;
  unsigned alignment = 0;
};

struct RelationSpec {
  unsigned kind;
  unsigned argument;
  Expr left, right;
  std::string text;
};

struct RuleSpec {
  unsigned argument;
  unsigned kind;
  unsigned flags;
  Expr low, high;
};

struct FunctionSpec {
  std::string name;
  std::vector<std::string> symbols;
  std::vector<ParameterSpec> arguments, results;
  std::vector<RelationSpec> relations;
  std::vector<RuleSpec> rules;
  /// Nothing, if empty.
  Expr workspace;
  std::string entry = "attn_packed_" + name;
  Expr threadWorkspace = constant(0);
  std::string unbounded = "";
};

struct KernelSpec {
  std::string name;
  unsigned sharedBytes = 0;
};

struct ImageSpec {
  unsigned kind;
  unsigned architecture;
  std::string text;
};

/// What there is for one type of device.
struct ProgramSpec {
  unsigned device = kDLCUDA;
  std::vector<KernelSpec> kernels;
  std::vector<ImageSpec> images;
  std::vector<FunctionSpec> functions;
};

struct ModuleSpec {
  std::string compiler = "hand";
  std::string target = "x86_64-pc-linux-gnu";
  std::vector<std::string> features;
  std::vector<FunctionSpec> functions;
  std::vector<ProgramSpec> programs;
};

/// The functions of Kernels.c.
ModuleSpec getKernels();
/// Those that it has for devices as well, for both; with PTX for sm_80, and
/// code objects for gfx942 and gfx90a.
ModuleSpec getDeviceKernels();
FunctionSpec &find(ModuleSpec &spec, const std::string &name);

/// The record; `seal` recomputes length and checksum of one that was changed.
Bytes writeMetadata(const ModuleSpec &spec);
void sealMetadata(Bytes &metadata);
/// Kernels.c with a record, and with its seal.
Bytes makeImage(const Bytes &metadata);
void sealImage(Bytes &image);

struct ModuleDeleter {
  void operator()(attn_module *module) const { attn_module_release(module); }
};
using Module = std::unique_ptr<attn_module, ModuleDeleter>;

/// Loads the spec's program; fails the test if that fails.
Module load(const ModuleSpec &spec);
const attn_function *find(const Module &module, const char *name);

/// A tensor that owns its elements.
struct Tensor : DLTensor {
  Tensor(DLDataType type, std::vector<int64_t> shape);
  Tensor(const Tensor &) = delete;
  Tensor &operator=(const Tensor &) = delete;

  template <typename T> T *get() { return static_cast<T *>(data); }
  void setStrides(std::vector<int64_t> values);

  std::vector<int64_t> extents, steps;
  std::vector<int64_t> storage;
};

/// A scalar, and a matrix of numbers 0, 1, 2, ...
std::unique_ptr<Tensor> makeScalar(int64_t value);
std::unique_ptr<Tensor> makeScalar(float value);
std::unique_ptr<Tensor> makeMatrix(int64_t rows, int64_t columns);

using Tensors = std::vector<const DLTensor *>;

inline attn_status call(const attn_function *function, const Tensors &arguments,
                        const Tensors &results,
                        const attn_call_options *options = nullptr,
                        attn_stream *stream = nullptr) {
  return attn_function_call(function, stream, arguments.data(),
                            arguments.size(), results.data(), results.size(),
                            options);
}

} // namespace attn::test

/// The call fails with a code and exactly this sentence.
#define EXPECT_FAILS(code, sentence, call)                                     \
  do {                                                                         \
    EXPECT_EQ((call), code);                                                   \
    EXPECT_STREQ(attn_get_message(), sentence);                                \
  } while (false)

#define EXPECT_OK(call) EXPECT_EQ((call), ATTN_OK) << attn_get_message()
#define ASSERT_OK(call) ASSERT_EQ((call), ATTN_OK) << attn_get_message()

#endif // ATTN_TEST_RUNTIME_PROGRAM_H
