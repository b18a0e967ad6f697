//===- Metadata.h - what a module says of itself -------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_METADATA_H
#define ATTN_RUNTIME_METADATA_H

#include "Arena.h"
#include "Expression.h"
#include "attn_module.h"
#include "attn_runtime.h"
#include <atomic>
#include <pthread.h>

namespace attn {

template <typename T> struct List {
  T *data = nullptr;
  uint32_t count = 0;

  T *begin() const { return data; }
  T *end() const { return data + count; }
  T &operator[](size_t index) const { return data[index]; }
};

/// An argument or a result. The public part is what introspection returns.
struct Parameter {
  attn_parameter info = {};
  uint8_t flags = 0;
  attn_result_mode mode = ATTN_RESULT_RETURNED;
  uint32_t device = 0;
  uint32_t alignment = 1;
  Expression *extents = nullptr;
  /// Of a returned result: where it lies in the storage for results.
  size_t storageOffset = 0;
  /// Where its descriptor lies in the scratch words of a call.
  size_t descriptorWord = 0;

  bool isScalar() const { return flags & ATTN_PARAMETER_SCALAR; }
  bool isWritable() const { return flags & ATTN_PARAMETER_WRITABLE; }
  size_t getWidth() const { return info.type.bits / 8; }
};

struct Relation {
  attn_relation_kind kind = ATTN_RELATION_EQUAL;
  uint32_t argument = 0;
  Expression left, right;
  const char *text = "";
};

struct Rule {
  attn_rule_kind kind = ATTN_RULE_INDEX;
  uint32_t argument = 0;
  bool ascending = false;
  Expression low, high;
};

struct DeviceProgram;

} // namespace attn

struct attn_function {
  const char *name = "";
  const char *entryName = "";
  attn_packed_fn entry = nullptr;
  attn::List<const char *> symbols;
  attn::List<attn::Parameter> arguments, results;
  attn::List<attn::Relation> relations;
  attn::List<attn::Rule> rules;
  /// Bytes outside of parallel loops, and per thread in them. A stride is that
  /// of a word of the descriptors.
  attn::Expression workspace, threadWorkspace;
  /// Why they are not known, or "".
  const char *unbounded = "";
  /// How many results are returned, and the bytes of storage they take.
  uint32_t numReturned = 0;
  size_t storageBytes = 0;
  /// One scalar and nothing else is returned by value.
  bool returnsByValue = false;
  /// Where descriptors end among the scratch words of a call.
  size_t descriptorWords = 0;
  /// The kernels that its code launches; null for code that computes on the
  /// host.
  attn::DeviceProgram *program = nullptr;
  /// The same function for another device, or null.
  attn_function *other = nullptr;
};

namespace attn {

namespace gpu {
struct Loaded;
constexpr int kMaxDevices = 64;
} // namespace gpu

struct DeviceKernel {
  const char *name = "";
  /// The most that a launch asks for.
  uint32_t sharedBytes = 0;
};

struct DeviceImage {
  attn_image_kind kind = ATTN_IMAGE_CUBIN;
  uint32_t architecture = 0;
  /// A zero byte follows.
  const char *data = nullptr;
  uint32_t bytes = 0;
};

/// What a record has for one type of device, or for some chips of one.
struct DeviceProgram {
  uint32_t deviceType = 0;
  List<DeviceKernel> kernels;
  List<DeviceImage> images;
  List<attn_function> functions;
  /// The next one of this type, or null; whether there is one before it.
  DeviceProgram *next = nullptr;
  bool isAnother = false;
  /// By the number of the device; the lock is for making them.
  std::atomic<gpu::Loaded *> loaded[gpu::kMaxDevices] = {};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
};

struct Metadata {
  const char *compiler = "";
  const char *target = "";
  List<const char *> features;
  /// Of the host.
  List<attn_function> functions;
  List<DeviceProgram> programs;

  /// What callers see: the functions of the host, or else of the first program.
  const List<attn_function> &getFunctions() const {
    return functions.count || !programs.count ? functions
                                              : programs[0].functions;
  }
};

/// Reads a record, of which any byte may be wrong. What it points to is
/// allocated in `arena`; nothing of `data` is referred to afterwards.
attn_status parseMetadata(const void *data, size_t size, Arena &arena,
                          Metadata &metadata);

/// Whether this machine can run code for a target; the sentence says why not.
attn_status checkTarget(const Metadata &metadata);

} // namespace attn

#endif // ATTN_RUNTIME_METADATA_H
