/*===- attn_runtime.h - what compiled programs need at run time ---*- C -*-===*\
|*                                                                            *|
|* Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The C interface of the runtime library. Compiled kernels call it, and so   *|
|* do programs that load them; it knows nothing of LLVM, so that a compiled   *|
|* program can be shipped with this library alone.                            *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef ATTN_RUNTIME_H
#define ATTN_RUNTIME_H

#include <stdint.h>

#if defined(__GNUC__)
#define ATTN_RUNTIME_EXPORT __attribute__((visibility("default")))
#else
#define ATTN_RUNTIME_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The body of a parallel loop: does the items [begin, end). */
typedef void (*attn_tile_fn)(void *args, int64_t begin, int64_t end);

/**
 * Calls `fn(args, begin, end)` for ranges that cover [0, count) once, on the
 * threads of the runtime and in any order, and returns when all calls have
 * returned. Ranges are short, because the items of a masked program differ in
 * work. A call from inside a parallel loop, or with at most one item, or with
 * one thread, runs on the calling thread.
 */
ATTN_RUNTIME_EXPORT void attn_parallel_for(attn_tile_fn fn, void *args,
                                           int64_t count);

/**
 * Sets the number of threads of later parallel loops; 0 or less restores the
 * default (all processors, or OMP_NUM_THREADS).
 */
ATTN_RUNTIME_EXPORT void attn_set_num_threads(int num_threads);

/** The number of threads that a parallel loop started now would use. */
ATTN_RUNTIME_EXPORT int attn_get_num_threads(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ATTN_RUNTIME_H */
