//===- Binding.h - the tensors of one call -------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_BINDING_H
#define ATTN_RUNTIME_BINDING_H

#include "Metadata.h"
#include "Tensor.h"

namespace attn {

/// Arguments and results of a call of `function`: checks them, and turns them
/// into what the code is called with. All that it needs is one block of words,
/// on the stack for functions of usual size:
///
///   symbols | where each was seen | scalars | descriptors | storage for
///   returned results | slots | what slots of descriptors point to
class Binding {
public:
  /// `device` is the one that all tensors must be on.
  Binding(const attn_function &function, DLDevice device)
      : function(function), device(device) {}
  Binding(const Binding &) = delete;
  Binding &operator=(const Binding &) = delete;
  ~Binding();

  /// Checks everything about the arguments but the values of indices. Without
  /// `withData`, addresses may be null.
  attn_status bindArguments(const DLTensor *const *tensors, size_t count,
                            bool withData);
  /// Page tables, lists, lengths and the like; on a device, scalars alone.
  attn_status checkValues() const;
  /// Tensors for results that the caller provides, null for aliases.
  attn_status bindResults(const DLTensor *const *tensors, size_t count);
  /// A result that this call allocates: `result` is uninitialized then.
  attn_status setResult(size_t index, void *data);
  /// Extent `axis` of a result, -1 if only the call can tell.
  attn_status getResultExtent(size_t index, int axis, int64_t &extent) const;
  /// What a call works in: bytes outside of parallel loops, and per thread in
  /// them; multiples of kMemoryAlignment, and zero where nobody can tell.
  attn_status getWorkspace(size_t &bytes, size_t &threadBytes) const;

  Descriptor getArgument(size_t index) const;
  Descriptor getResult(size_t index) const;
  /// Where the code stores what it returns.
  unsigned char *getStorage() const { return storage; }
  /// What the entry is called with; valid once all is bound.
  void **makeSlots();

private:
  attn_status allocate();
  attn_status bindArgument(size_t index, const DLTensor *tensor, bool withData);
  attn_status bindExtent(size_t index, int axis, int64_t extent);
  attn_status bindScalar(size_t index, const DLTensor &tensor);
  attn_status bindResult(size_t index, const DLTensor &tensor);
  attn_status checkOverlap() const;
  attn_status checkRelations() const;
  attn_status evaluateFor(const Expression &expression, const char *name,
                          int64_t &value) const;

  const attn_function &function;
  DLDevice device;
  static constexpr size_t kStackWords = 384;
  int64_t stackWords[kStackWords];
  int64_t *words = nullptr;
  int64_t *symbols = nullptr, *origins = nullptr, *scalars = nullptr,
          *descriptors = nullptr;
  unsigned char *storage = nullptr;
  void **slots = nullptr;
};

/// Where a call runs: on the device of its first tensor, or of the stream if
/// there is none, by the code that `function` has for that. Only that device is
/// looked at; the other tensors are the binding's to check.
attn_status choosePlace(const attn_function &function,
                        const DLTensor *const *tensors, size_t count,
                        const attn_stream *stream, const attn_function *&chosen,
                        DLDevice &device);

/// Whether the values of an argument obey a rule: every one in [low, high], and
/// ascending if it says so.
attn_status checkRule(const attn_function &function, const Rule &rule,
                      const Descriptor &tensor, int64_t low, int64_t high);

/// An integer of a type of the rules.
int64_t readInteger(DLDataType type, const unsigned char *data);

} // namespace attn

#endif // ATTN_RUNTIME_BINDING_H
