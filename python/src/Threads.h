//===- Threads.h - one set of threads beside other libraries ----*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_PYTHON_THREADS_H
#define ATTN_PYTHON_THREADS_H

namespace attn_python {

/// Runs later loops on the threads of GNU's OpenMP, if a library that is loaded
/// (PyTorch) brought one along. Whether they do.
bool shareThreads();

} // namespace attn_python

#endif // ATTN_PYTHON_THREADS_H
