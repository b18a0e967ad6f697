/*===- attn_runtime.h - loading and calling compiled programs -----*- C -*-===*\
|*                                                                            *|
|* Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The C interface of the runtime library. It knows nothing of LLVM, so that  *|
|* a compiled program can be shipped with this library alone.                 *|
|*                                                                            *|
|* Tensors cross it as DLPack structures, without a copy. Every function that *|
|* can fail returns an attn_status; attn_get_message says in a sentence what  *|
|* was wrong, naming the argument. No function aborts.                        *|
|*                                                                            *|
|* Everything may be called from any thread, and from a child after fork(),   *|
|* but for GPUs in a child of a process that has used any: ATTN_UNSUPPORTED.  *|
|* Only what one thread gives back must not be in use by another. Pointers to *|
|* objects, names and places for results must not be null unless it says so.  *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef ATTN_RUNTIME_H
#define ATTN_RUNTIME_H

#include <dlpack/dlpack.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ATTN_RUNTIME_EXPORT __attribute__((visibility("default")))
#else
#define ATTN_RUNTIME_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*===----------------------------------------------------------------------===*\
|* Status
\*===----------------------------------------------------------------------===*/

typedef enum attn_status {
  ATTN_OK = 0,
  /** An argument is not what the function asks for. */
  ATTN_INVALID_ARGUMENT = 1,
  /** There is no such function, parameter or file. */
  ATTN_NOT_FOUND = 2,
  /** The memory could not be had. What was passed is as it was, but for
   *  writable arguments and results of a call that was under way. */
  ATTN_OUT_OF_MEMORY = 3,
  /** A compiled program is truncated, damaged, or no compiled program. */
  ATTN_DAMAGED = 4,
  /** A compiled program is for another version of the runtime. */
  ATTN_VERSION_MISMATCH = 5,
  /** A compiled program is for another machine, or a device is missing. */
  ATTN_UNSUPPORTED = 6,
  /** The operating system, or the driver of a device, refused something. */
  ATTN_SYSTEM_ERROR = 7,
  /** Nobody can tell beforehand. */
  ATTN_UNBOUNDED = 8,
  /** A device has failed: a kernel touched what it must not, or the hardware
   *  broke. Nothing works on it in this process any more. */
  ATTN_DEVICE_FAILED = 9
} attn_status;

/**
 * What was wrong when a function last failed on this thread: a sentence
 * without a full stop, "" if none has. Valid until the next failure on the
 * thread, and never longer than 1023 bytes.
 */
ATTN_RUNTIME_EXPORT const char *attn_get_message(void);

/** The version of the library: "0.1.0". */
ATTN_RUNTIME_EXPORT const char *attn_get_version(void);

/*===----------------------------------------------------------------------===*\
|* Devices, memory and tensors. The host is {kDLCPU, 0}; {kDLCUDA, i} are the
|* GPUs that the driver of CUDA counts, {kDLROCM, i} those that HIP counts, in
|* its order. A driver is opened by the first use of one of them:
|*
|*         library            or what this names   at least
|*   CUDA  libcuda.so.1       ATTN_CUDA_DRIVER     CUDA 11.2
|*   HIP   libamdhip64.so.7,  ATTN_HIP_DRIVER      ROCm 6.0
|*         .so.6 or .so
|*
|* CUDA's are used by their primary contexts, as CUDA's own runtime and PyTorch
|* do. The current context of the calling thread, and HIP's current device, stay
|* what they are.
\*===----------------------------------------------------------------------===*/

/** How many devices of a type (kDLCPU, kDLCUDA, kDLROCM, ...) there are; none
 *  without a driver. */
ATTN_RUNTIME_EXPORT int attn_get_num_devices(DLDeviceType type);

typedef struct attn_device_info {
  /** As its driver calls it. */
  char name[96];
  /** 90 for a GPU of compute capability 9.0, 0x942 for a gfx942. */
  int architecture;
  /** In LLVM's naming: "sm_90", "gfx942". */
  char chip[32];
} attn_device_info;

/**
 * What a GPU is, so that a program can be compiled for it. Errors:
 * ATTN_UNSUPPORTED (the host has none of this), ATTN_SYSTEM_ERROR,
 * ATTN_DEVICE_FAILED.
 */
ATTN_RUNTIME_EXPORT attn_status attn_device_get_info(DLDevice device,
                                                     attn_device_info *info);

typedef struct attn_stream attn_stream;
typedef struct attn_event attn_event;

/**
 * Uninitialized memory on a device, aligned to 64 bytes. 0 bytes are allowed.
 * Errors: ATTN_OUT_OF_MEMORY, ATTN_UNSUPPORTED.
 */
ATTN_RUNTIME_EXPORT attn_status attn_memory_allocate(DLDevice device,
                                                     size_t bytes,
                                                     void **data);
/** Gives it back; null is allowed. */
ATTN_RUNTIME_EXPORT void attn_memory_release(DLDevice device, void *data);

/**
 * Copies bytes within a device or between devices, of which one may be the
 * host, in the order of the stream. Without a stream it is done on return.
 * Errors: ATTN_INVALID_ARGUMENT for GPUs of two drivers, ATTN_UNSUPPORTED,
 * ATTN_SYSTEM_ERROR, ATTN_DEVICE_FAILED.
 */
ATTN_RUNTIME_EXPORT attn_status attn_memory_copy(DLDevice to_device, void *to,
                                                 DLDevice from_device,
                                                 const void *from, size_t bytes,
                                                 attn_stream *stream);

/**
 * A compact row-major tensor of uninitialized elements. Its `deleter` gives it
 * back. Errors: ATTN_INVALID_ARGUMENT for negative or overflowing extents,
 * ATTN_OUT_OF_MEMORY, ATTN_UNSUPPORTED.
 */
ATTN_RUNTIME_EXPORT attn_status attn_tensor_create(DLDevice device,
                                                   DLDataType type, int rank,
                                                   const int64_t *shape,
                                                   DLManagedTensor **tensor);

/*===----------------------------------------------------------------------===*\
|* Streams and events. Work on one stream is done in order. A stream of the
|* host does it at once, on the thread that asks: a call has finished when it
|* returns. On other devices a call returns before its work is done: wait for
|* the stream before you read results or release arguments. A null stream is the
|* default stream of the device, which for CUDA and HIP is the legacy one;
|* functions that are given a stream alone take null for the host's.
\*===----------------------------------------------------------------------===*/

/** Errors: ATTN_UNSUPPORTED, ATTN_OUT_OF_MEMORY. */
ATTN_RUNTIME_EXPORT attn_status attn_stream_create(DLDevice device,
                                                   attn_stream **stream);
/**
 * The same for a stream that the caller has: a CUstream, cudaStream_t or
 * hipStream_t, of which null is the legacy default stream. It must live as long
 * as the wrapper, and as results that calls on it allocated. Errors:
 * ATTN_UNSUPPORTED (the host has no such streams), ATTN_OUT_OF_MEMORY.
 */
ATTN_RUNTIME_EXPORT attn_status attn_stream_wrap(DLDevice device, void *native,
                                                 attn_stream **stream);
/** Waits for the stream's work and gives it back; null is allowed. For one that
 *  wraps the caller's it does not wait. */
ATTN_RUNTIME_EXPORT void attn_stream_release(attn_stream *stream);
/** Returns when all work given to the stream so far is done. */
ATTN_RUNTIME_EXPORT attn_status attn_stream_synchronize(attn_stream *stream);
/** Work given to the stream later begins after the event. Without a stream:
 *  on the default stream of the event's device. */
ATTN_RUNTIME_EXPORT attn_status attn_stream_wait(attn_stream *stream,
                                                 attn_event *event);

/** Errors: ATTN_UNSUPPORTED, ATTN_OUT_OF_MEMORY. */
ATTN_RUNTIME_EXPORT attn_status attn_event_create(DLDevice device,
                                                  attn_event **event);
ATTN_RUNTIME_EXPORT void attn_event_release(attn_event *event);
/** The event happens when the stream's work so far is done. They are of one
 *  device. */
ATTN_RUNTIME_EXPORT attn_status attn_event_record(attn_event *event,
                                                  attn_stream *stream);
/** Returns when the event has happened, at once if it was never recorded. */
ATTN_RUNTIME_EXPORT attn_status attn_event_synchronize(attn_event *event);
/** Milliseconds from one event to another, which have happened. Errors:
 *  ATTN_INVALID_ARGUMENT if one was never recorded, or if they are of two
 *  devices. */
ATTN_RUNTIME_EXPORT attn_status attn_event_elapsed(const attn_event *from,
                                                   const attn_event *to,
                                                   double *milliseconds);

/*===----------------------------------------------------------------------===*\
|* Modules: compiled programs
\*===----------------------------------------------------------------------===*/

typedef struct attn_module attn_module;
/** A function of a module; lives as long as the module. */
typedef struct attn_function attn_function;

/**
 * Loads a shared object that attn-compile wrote. The whole file is verified
 * before any of it is used, and may be replaced or deleted afterwards.
 * Errors: ATTN_NOT_FOUND, ATTN_SYSTEM_ERROR, ATTN_DAMAGED,
 * ATTN_VERSION_MISMATCH, ATTN_UNSUPPORTED, ATTN_OUT_OF_MEMORY.
 */
ATTN_RUNTIME_EXPORT attn_status attn_module_load_file(const char *path,
                                                      attn_module **module);
/** The same from memory, which is copied; `name` is for messages. */
ATTN_RUNTIME_EXPORT attn_status
attn_module_load_memory(const void *data, size_t size, const char *name,
                        attn_module **module);

/** The address of a function's entry: see attn_module.h. */
typedef void (*attn_entry_fn)(void **slots);
/**
 * A module of code that is already in the process: linked in, or just
 * compiled. `entries` are those of the record's functions, in its order, for
 * the host first and then for each type of device; the code must outlive the module.
 */
ATTN_RUNTIME_EXPORT attn_status
attn_module_create(const void *metadata, size_t size,
                   const attn_entry_fn *entries, size_t num_entries,
                   attn_module **module);

/** Unloads a module, of which no function may be under way; null is allowed. */
ATTN_RUNTIME_EXPORT void attn_module_release(attn_module *module);

/** What compiled the module, and for which target triple. */
ATTN_RUNTIME_EXPORT const char *
attn_module_get_compiler(const attn_module *module);
ATTN_RUNTIME_EXPORT const char *
attn_module_get_target(const attn_module *module);
ATTN_RUNTIME_EXPORT size_t
attn_module_get_num_functions(const attn_module *module);
/** Function `index`, or null beyond their number. */
ATTN_RUNTIME_EXPORT const attn_function *
attn_module_get_function(const attn_module *module, size_t index);
/** The function called `name`. Errors: ATTN_NOT_FOUND. */
ATTN_RUNTIME_EXPORT attn_status
attn_module_find_function(const attn_module *module, const char *name,
                          const attn_function **function);

/*===----------------------------------------------------------------------===*\
|* Functions
\*===----------------------------------------------------------------------===*/

/** An argument or a result. All pointers live as long as the module. */
typedef struct attn_parameter {
  const char *name;
  DLDataType type;
  /** Scalars have rank 0, too; they are passed as tensors of rank 0. */
  int rank;
  /** Per axis: its extent, or -1 if that is up to the caller. */
  const int64_t *shape;
  /** Per axis: its name, or its extent in digits; axes of one name agree. Of a
   *  result: "?" if it is computed from others. */
  const char *const *dims;
  int is_scalar;
  /** The argument is written in place. */
  int is_writable;
  /** Of a result: the argument that is this result, or -1. */
  int alias;
} attn_parameter;

ATTN_RUNTIME_EXPORT const char *
attn_function_get_name(const attn_function *function);
ATTN_RUNTIME_EXPORT size_t
attn_function_get_num_arguments(const attn_function *function);
ATTN_RUNTIME_EXPORT size_t
attn_function_get_num_results(const attn_function *function);
/** Errors: ATTN_NOT_FOUND beyond their number. */
ATTN_RUNTIME_EXPORT attn_status
attn_function_get_argument(const attn_function *function, size_t index,
                           attn_parameter *parameter);
ATTN_RUNTIME_EXPORT attn_status
attn_function_get_result(const attn_function *function, size_t index,
                         attn_parameter *parameter);

/**
 * The extents of a result for given arguments, of which the shapes are checked
 * and the data is not read, but for scalars. -1 stands for an extent that only
 * the call can tell. Errors: those of attn_function_call.
 */
ATTN_RUNTIME_EXPORT attn_status attn_function_get_result_shape(
    const attn_function *function, const DLTensor *const *arguments,
    size_t num_arguments, size_t index, int64_t *shape);

/**
 * How many bytes of workspace a call with these arguments takes at most, with
 * the number of threads that attn_get_num_threads says now. It depends on the
 * shapes, strides and scalars of the arguments; other data is not read.
 * Errors: ATTN_UNBOUNDED where only the call can tell, because the size of a
 * buffer of the program depends on data; those of attn_function_call.
 */
ATTN_RUNTIME_EXPORT attn_status attn_function_get_workspace(
    const attn_function *function, const DLTensor *const *arguments,
    size_t num_arguments, size_t *bytes);

enum {
  /** Do not read page tables, lists, head maps, lengths and offsets to check
   *  the values in them. Wrong ones then give wrong results. */
  ATTN_CALL_TRUST_VALUES = 1
};

/** What a call may be told beyond its arguments; all zero is the default. */
typedef struct attn_call_options {
  uint32_t flags;
  /** Memory to work in, aligned to 64 bytes, of at least the bytes that
   *  attn_function_get_workspace says, and apart from all tensors. The call
   *  then allocates nothing, as long as its loops run on no more threads than
   *  attn_get_num_threads says. Where nobody can tell how many bytes it takes,
   *  it uses what it is given and allocates the rest. Null: the runtime
   *  allocates all. */
  void *workspace;
  size_t workspace_bytes;
} attn_call_options;

/**
 * Calls a function. `results` are tensors that the caller provides; those of
 * results that are writable arguments are null. The program writes row-major
 * ones itself; others are copied from one that is. `stream` and `options` may
 * be null.
 *
 * Everything is checked before the call: the number of tensors, their ranks,
 * element types, extents (also between arguments), strides, alignments,
 * devices, that writable arguments and results do not overlap anything, and the
 * values of indices and lengths. int8 accepts uint8, and bool accepts uint8.
 *
 * Tensors are all on one device, which the program must have code for; scalars
 * are on the host. On a device, nothing but scalars is read before the call, so
 * that indices and lengths in tensors are not checked; results that the caller
 * provides are row-major; workspaces are memory of the device. The first call
 * on a device loads the program there. Later ones only give work to the stream:
 * with a workspace, and results that the caller provides, they can be captured
 * in a CUDA graph.
 *
 * Errors: ATTN_INVALID_ARGUMENT with a sentence that names the argument, before
 * anything has been written (but extents of results that only the call can tell
 * are compared after it); ATTN_OUT_OF_MEMORY; on a device also
 * ATTN_UNSUPPORTED, ATTN_SYSTEM_ERROR and ATTN_DEVICE_FAILED. Faults of kernels
 * come to light in whatever waits for them.
 */
ATTN_RUNTIME_EXPORT attn_status attn_function_call(
    const attn_function *function, attn_stream *stream,
    const DLTensor *const *arguments, size_t num_arguments,
    const DLTensor *const *results, size_t num_results,
    const attn_call_options *options);

/**
 * The same with results that the call allocates, each with a deleter; null for
 * those that are writable arguments. Nothing is copied. On a device they are
 * allocated, and given back by the deleter, in the order of the stream.
 */
ATTN_RUNTIME_EXPORT attn_status attn_function_call_new(
    const attn_function *function, attn_stream *stream,
    const DLTensor *const *arguments, size_t num_arguments,
    DLManagedTensor **results, size_t num_results,
    const attn_call_options *options);

/*===----------------------------------------------------------------------===*\
|* Threads
\*===----------------------------------------------------------------------===*/

/** The body of a parallel loop: does the items [begin, end). */
typedef void (*attn_tile_fn)(void *args, int64_t begin, int64_t end);

/**
 * Calls `fn(args, begin, end)` for ranges that cover [0, count) once, on the
 * threads of the runtime and in any order, and returns when all calls have
 * returned. Ranges are short, because the items of a masked program differ in
 * work. A call from inside a parallel loop, or with at most one item, or with
 * one thread, runs on the calling thread.
 *
 * Threads are those of OpenMP. Those do not exist in a child after fork():
 * there every loop starts threads of its own.
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

/** Threads of the caller, to be used in place of the runtime's. */
typedef struct attn_thread_pool {
  /**
   * Covers [0, count) by calls `fn(args, begin, end)`, on any threads and in
   * any order, and returns when all have returned. It may be called from
   * several threads at a time.
   */
  void (*run)(const struct attn_thread_pool *pool, attn_tile_fn fn, void *args,
              int64_t count);
  /** For `run`. */
  void *context;
} attn_thread_pool;

/**
 * Makes later parallel loops run on a pool, which must stay as it is until
 * another is set, or null for the runtime's own threads, and all loops on it
 * have ended.
 */
ATTN_RUNTIME_EXPORT void attn_set_thread_pool(const attn_thread_pool *pool);

/*===----------------------------------------------------------------------===*\
|* For compiled programs
\*===----------------------------------------------------------------------===*/

/**
 * Memory aligned to 64 bytes, from the workspace of the call under way if there
 * is room. In a call it does not return when there is no memory: the call ends
 * with ATTN_OUT_OF_MEMORY. Elsewhere it returns null then.
 */
ATTN_RUNTIME_EXPORT void *attn_malloc(size_t bytes);
/** Gives back what attn_malloc gave; null is allowed. */
ATTN_RUNTIME_EXPORT void attn_free(void *data);

/**
 * Launches a kernel of the program, by its number in the record, on the stream
 * of the call on a device that is under way. `sizes` are the blocks of the grid
 * along x, y and z, the threads of a block likewise, and the bytes of dynamic
 * shared memory; `arguments` point to the kernel's. Where that fails it does
 * not return: the call ends with a status. Elsewhere it does nothing.
 */
ATTN_RUNTIME_EXPORT void attn_device_launch(uint32_t kernel,
                                            const int64_t *sizes,
                                            void **arguments);
/**
 * Where a constant of the program is on the device of the call under way; the
 * first call copies it there. Failures are as above; null elsewhere.
 */
ATTN_RUNTIME_EXPORT void *attn_device_constant(const void *source,
                                               size_t bytes);
/**
 * Copies from the device of the call under way to memory of the host, when all
 * that was launched before is done. Failures are as above, among them a stream
 * that is captured, which cannot be waited for; elsewhere it does nothing.
 */
ATTN_RUNTIME_EXPORT void attn_device_read(void *to, const void *from,
                                          size_t bytes);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ATTN_RUNTIME_H */
