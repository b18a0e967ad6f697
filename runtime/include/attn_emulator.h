/*===- attn_emulator.h - GPU kernels on the host ------------------*- C -*-===*\
|*                                                                            *|
|* Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The emulated GPU: every thread of a block is a fiber, and who runs next is *|
|* drawn from a seed. Programs use the first section. The others are for code *|
|* that the pass attn-emulate-gpu writes; they are called by kernels alone    *|
|* and may change from version to version.                                    *|
|*                                                                            *|
|* What a kernel does wrong is kept as a sentence. It ends the launch, and    *|
|* later launches on the thread do nothing until the sentence is taken.       *|
|*                                                                            *|
|* A `site` is the number of a line of the launch's `sites`: where in the     *|
|* source an op is.                                                           *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef ATTN_EMULATOR_H
#define ATTN_EMULATOR_H

#include "attn_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/*===----------------------------------------------------------------------===*\
|* For programs
\*===----------------------------------------------------------------------===*/

/**
 * Launches from now on, on any thread, draw their schedule from this number:
 * the same number gives the same schedule. It is 0 at first.
 */
ATTN_RUNTIME_EXPORT void attn_emulator_set_seed(uint64_t seed);

/**
 * What went wrong in a launch on this thread since the last call: a sentence
 * without a full stop, or null. Valid until the next launch on the thread.
 */
ATTN_RUNTIME_EXPORT const char *attn_emulator_take_error(void);

/** Types of elements. */
enum {
  ATTN_EMULATOR_F16,
  ATTN_EMULATOR_BF16,
  ATTN_EMULATOR_TF32,
  ATTN_EMULATOR_S8,
  ATTN_EMULATOR_U8,
  ATTN_EMULATOR_F32,
  ATTN_EMULATOR_S32,
  ATTN_EMULATOR_U32,
  ATTN_EMULATOR_S64,
  ATTN_EMULATOR_U64,
  ATTN_EMULATOR_F64,
  ATTN_EMULATOR_E4M3,
  ATTN_EMULATOR_E5M2
};

enum { ATTN_EMULATOR_MAX_RANK = 5 };

/**
 * A tensor in global memory, and a box of it that is copied at once: what a
 * tensor map describes. Dimension 0 is the one whose elements follow each
 * other.
 */
typedef struct attn_emulator_tensor {
  int32_t type;
  int32_t rank;
  /** A multiple of 16. */
  void *data;
  int64_t sizes[ATTN_EMULATOR_MAX_RANK];
  /** In bytes, multiples of 16; that of dimension 0 is not looked at. */
  int64_t strides[ATTN_EMULATOR_MAX_RANK];
  int32_t box[ATTN_EMULATOR_MAX_RANK];
  /** One of so many elements is copied; not in dimension 0. */
  int32_t element_strides[ATTN_EMULATOR_MAX_RANK];
  /** 0, or the 32, 64 or 128 bytes that a row of the box has. */
  int32_t swizzle;
  /** What is outside is a NaN, and not 0. */
  int32_t fills_with_nan;
} attn_emulator_tensor;

/** At an address that is a multiple of 64. What it holds may change. */
typedef struct attn_emulator_tensor_map {
  uint64_t words[16];
} attn_emulator_tensor_map;

/** Null, or a sentence without a full stop that says what is not allowed. */
ATTN_RUNTIME_EXPORT const char *
attn_emulator_encode_tensor_map(attn_emulator_tensor_map *map,
                                const attn_emulator_tensor *tensor);

typedef struct attn_emulator_statistics {
  uint64_t launches;
  /** Thread blocks that were begun. */
  uint64_t blocks;
  /** Changes from one thread of a block to another. */
  uint64_t switches;
} attn_emulator_statistics;

/** All launches of the process until now. */
ATTN_RUNTIME_EXPORT attn_emulator_statistics attn_emulator_get_statistics(void);

/*===----------------------------------------------------------------------===*\
|* Launches
\*===----------------------------------------------------------------------===*/

/** Shared memory begins here, so that address 0 is not a place in it. */
#define ATTN_EMULATOR_SHARED_BASE 1024

typedef struct attn_emulator_kernel {
  const char *name;
  /** Runs one thread: reads each argument from where `arguments` points. */
  void (*entry)(void *const *arguments);
  /** Lines; each is the place of an op in the source. */
  const char *sites;
  /** Lanes of a warp: 32 or 64; 0 stands for 32. */
  int64_t warp_size;
  /** The most memory that a block can share; 0 stands for the most there is. */
  int64_t max_shared_bytes;
  /** Registers of a thread at first; 0 stands for the most there is. */
  int64_t registers;
  /** Blocks of a cluster in each dimension; 0 stands for 1. */
  int64_t cluster[3];
} attn_emulator_kernel;

typedef struct attn_emulator_sizes {
  int64_t grid[3];
  int64_t block[3];
  int64_t static_shared_bytes;
  int64_t dynamic_shared_bytes;
} attn_emulator_sizes;

/**
 * Global memory that the kernel may touch: `arguments[argument]` points to a
 * pointer, `arguments[argument + 1]` to an offset in elements, and those after
 * it to `rank` sizes and `rank` strides. With a negative rank there is a
 * pointer alone, to one element.
 */
typedef struct attn_emulator_buffer {
  /** What to call it: "argument 2", "constant @table". */
  const char *name;
  int64_t argument;
  int64_t rank;
  int64_t element_bytes;
} attn_emulator_buffer;

/** Runs all blocks, one cluster after the other. Not 0 if something went wrong.
 */
ATTN_RUNTIME_EXPORT int32_t
attn_emulator_launch(const attn_emulator_kernel *kernel,
                     const attn_emulator_sizes *sizes, void *const *arguments,
                     const attn_emulator_buffer *buffers, int64_t num_buffers);

/*===----------------------------------------------------------------------===*\
|* Threads
\*===----------------------------------------------------------------------===*/

enum {
  ATTN_EMULATOR_THREAD_X,
  ATTN_EMULATOR_THREAD_Y,
  ATTN_EMULATOR_THREAD_Z,
  ATTN_EMULATOR_BLOCK_SIZE_X,
  ATTN_EMULATOR_BLOCK_SIZE_Y,
  ATTN_EMULATOR_BLOCK_SIZE_Z,
  ATTN_EMULATOR_BLOCK_X,
  ATTN_EMULATOR_BLOCK_Y,
  ATTN_EMULATOR_BLOCK_Z,
  ATTN_EMULATOR_GRID_X,
  ATTN_EMULATOR_GRID_Y,
  ATTN_EMULATOR_GRID_Z,
  ATTN_EMULATOR_CLUSTER_X,
  ATTN_EMULATOR_CLUSTER_Y,
  ATTN_EMULATOR_CLUSTER_Z,
  ATTN_EMULATOR_CLUSTERS_X,
  ATTN_EMULATOR_CLUSTERS_Y,
  ATTN_EMULATOR_CLUSTERS_Z,
  /** Of a block in its cluster. */
  ATTN_EMULATOR_IN_CLUSTER_X,
  ATTN_EMULATOR_IN_CLUSTER_Y,
  ATTN_EMULATOR_IN_CLUSTER_Z,
  ATTN_EMULATOR_CLUSTER_SIZE_X,
  ATTN_EMULATOR_CLUSTER_SIZE_Y,
  ATTN_EMULATOR_CLUSTER_SIZE_Z,
  ATTN_EMULATOR_LANE,
  ATTN_EMULATOR_WARP,
  ATTN_EMULATOR_NUM_WARPS,
  ATTN_EMULATOR_SHARED_BYTES,
  ATTN_EMULATOR_CLUSTER_RANK,
  ATTN_EMULATOR_CLUSTER_BLOCKS
};

/** The value of a special register. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_register(int32_t which);

/** Ends the thread. */
ATTN_RUNTIME_EXPORT void attn_emulator_exit(void);

/** Lets other threads run. */
ATTN_RUNTIME_EXPORT void attn_emulator_yield(void);

enum {
  ATTN_EMULATOR_REDUCE_NONE = -1,
  ATTN_EMULATOR_REDUCE_COUNT,
  ATTN_EMULATOR_REDUCE_AND,
  ATTN_EMULATOR_REDUCE_OR
};

/** A negative count stands for all threads of the block. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_barrier(int32_t id, int32_t count,
                                                  int32_t reduction,
                                                  int32_t predicate,
                                                  int32_t site);
/** Arrives without waiting. */
ATTN_RUNTIME_EXPORT void attn_emulator_barrier_arrive(int32_t id, int32_t count,
                                                      int32_t site);

/*===----------------------------------------------------------------------===*\
|* Memory
\*===----------------------------------------------------------------------===*/

enum {
  ATTN_EMULATOR_READ = 1,
  ATTN_EMULATOR_WRITE = 2,
  ATTN_EMULATOR_ATOMIC = 4
};

/**
 * Where on the host an access takes place. The address has to be a multiple of
 * `alignment`.
 */
ATTN_RUNTIME_EXPORT void *
attn_emulator_access_shared(const void *address, int64_t bytes, int32_t kind,
                            int32_t alignment, int32_t site);
/** The same for a generic address: global, local or shared memory. */
ATTN_RUNTIME_EXPORT void *attn_emulator_access(const void *address,
                                               int64_t bytes, int32_t kind,
                                               int32_t alignment, int32_t site);

/** Copies `source_bytes`, and zeros up to `bytes`, at some later time. */
ATTN_RUNTIME_EXPORT void
attn_emulator_copy_async(void *shared, const void *global, int32_t bytes,
                         int32_t source_bytes, int32_t site);
ATTN_RUNTIME_EXPORT void attn_emulator_copy_commit(void);
ATTN_RUNTIME_EXPORT void attn_emulator_copy_wait(int32_t groups);

/*===----------------------------------------------------------------------===*\
|* Barriers in shared memory: mbarriers, of 8 bytes
\*===----------------------------------------------------------------------===*/

enum {
  /** Nothing is learned from others, or told to them. */
  ATTN_EMULATOR_MBARRIER_RELAXED = 1,
  /** Later phases lack so many arrivals less. */
  ATTN_EMULATOR_ARRIVE_DROP = 2,
  /** The phase is not to end with the arrivals. */
  ATTN_EMULATOR_ARRIVE_NO_COMPLETE = 4,
  /** What is waited for is the parity of a phase, and not a state. */
  ATTN_EMULATOR_WAIT_PARITY = 8,
  /** Does not wait. */
  ATTN_EMULATOR_WAIT_TEST = 16,
  /** May stop waiting. */
  ATTN_EMULATOR_WAIT_IMPATIENT = 32
};

ATTN_RUNTIME_EXPORT void
attn_emulator_mbarrier_init(void *address, int32_t count, int32_t site);
ATTN_RUNTIME_EXPORT void attn_emulator_mbarrier_inval(void *address,
                                                      int32_t site);
/** The current phase is not to end before so many bytes more are complete. */
ATTN_RUNTIME_EXPORT void
attn_emulator_mbarrier_expect(void *address, int32_t bytes, int32_t site);
ATTN_RUNTIME_EXPORT void
attn_emulator_mbarrier_complete(void *address, int32_t bytes, int32_t site);
/** Expects bytes and arrives so many times. Returns the state before. */
ATTN_RUNTIME_EXPORT int64_t attn_emulator_mbarrier_arrive(
    void *address, int32_t count, int32_t bytes, int32_t flags, int32_t site);
/** Whether the phase that a state or a parity stands for has ended. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_mbarrier_wait(void *address,
                                                        int64_t which,
                                                        int32_t flags,
                                                        int32_t site);
/** Arrives when the copies that the thread has begun are complete. */
ATTN_RUNTIME_EXPORT void
attn_emulator_copy_arrive(void *address, int32_t no_increment, int32_t site);

/*===----------------------------------------------------------------------===*\
|* Clusters
\*===----------------------------------------------------------------------===*/

/** The address of the same place in the shared memory of another block. */
ATTN_RUNTIME_EXPORT void *attn_emulator_map_shared(void *address, int32_t block,
                                                   int32_t site);
/** All lanes of the warp come there together if it is aligned. */
ATTN_RUNTIME_EXPORT void
attn_emulator_cluster_arrive(int32_t relaxed, int32_t aligned, int32_t site);
ATTN_RUNTIME_EXPORT void attn_emulator_cluster_wait(int32_t aligned,
                                                    int32_t site);

/*===----------------------------------------------------------------------===*\
|* Copies of bulk. What threads write reaches them by a fence alone.
\*===----------------------------------------------------------------------===*/

/** fence.proxy.async, of shared memory. */
ATTN_RUNTIME_EXPORT void attn_emulator_fence_async(void);
ATTN_RUNTIME_EXPORT void attn_emulator_fence_mbarrier_init(void);

/**
 * Is complete with the current phase of an mbarrier. Bit i of `blocks` stands
 * for block i of the cluster; 0 for the one that has the address.
 */
ATTN_RUNTIME_EXPORT void
attn_emulator_bulk_load(void *shared, const void *global, const void *mbarrier,
                        int32_t bytes, int32_t blocks, int32_t site);
/** Bit i of the mask stands for byte i of every 16. */
ATTN_RUNTIME_EXPORT void
attn_emulator_bulk_store(void *global, const void *shared, int32_t bytes,
                         int32_t byte_mask, int32_t site);
/** The box whose first element has these coordinates. */
ATTN_RUNTIME_EXPORT void
attn_emulator_tensor_load(void *shared, const void *map, const void *mbarrier,
                          const int32_t *coordinates, int32_t rank,
                          int32_t blocks, int32_t site);

/** Numbered as in the NVVM dialect, but for the first. */
enum {
  ATTN_EMULATOR_TENSOR_STORE = -1,
  ATTN_EMULATOR_TENSOR_ADD,
  ATTN_EMULATOR_TENSOR_MIN,
  ATTN_EMULATOR_TENSOR_MAX,
  ATTN_EMULATOR_TENSOR_INC,
  ATTN_EMULATOR_TENSOR_DEC,
  ATTN_EMULATOR_TENSOR_AND,
  ATTN_EMULATOR_TENSOR_OR,
  ATTN_EMULATOR_TENSOR_XOR
};

ATTN_RUNTIME_EXPORT void
attn_emulator_tensor_store(const void *map, const void *shared,
                           const int32_t *coordinates, int32_t rank,
                           int32_t reduction, int32_t site);
ATTN_RUNTIME_EXPORT void attn_emulator_bulk_commit(void);
/** Until all groups but the last few are complete, or read. */
ATTN_RUNTIME_EXPORT void attn_emulator_bulk_wait(int32_t groups,
                                                 int32_t only_read);

/*===----------------------------------------------------------------------===*\
|* Warps. Enumerations are numbered as in the NVVM dialect.
\*===----------------------------------------------------------------------===*/

ATTN_RUNTIME_EXPORT void attn_emulator_warp_barrier(int32_t mask, int32_t site);

/** The low half is the value; bit 32 says whether the source was in range. */
ATTN_RUNTIME_EXPORT int64_t attn_emulator_shuffle(int32_t kind, int32_t mask,
                                                  int32_t value, int32_t offset,
                                                  int32_t mask_and_clamp,
                                                  int32_t site);
ATTN_RUNTIME_EXPORT int32_t attn_emulator_vote(int32_t kind, int32_t mask,
                                               int32_t predicate, int32_t site);

enum { ATTN_EMULATOR_REDUX_ABS = 1, ATTN_EMULATOR_REDUX_NAN = 2 };

ATTN_RUNTIME_EXPORT int32_t attn_emulator_redux(int32_t kind, int32_t flags,
                                                int32_t mask, int32_t value,
                                                int32_t site);
/** setmaxnreg: waits until there are as many. */
ATTN_RUNTIME_EXPORT void
attn_emulator_set_registers(int32_t count, int32_t increases, int32_t site);
ATTN_RUNTIME_EXPORT int32_t attn_emulator_elect(int32_t mask, int32_t site);

/** 1, 2 or 4 matrices of 8 x 8 elements of 16 bits. */
ATTN_RUNTIME_EXPORT void attn_emulator_ldmatrix(const void *row, int32_t count,
                                                int32_t transposed,
                                                uint32_t *results,
                                                int32_t site);
ATTN_RUNTIME_EXPORT void attn_emulator_stmatrix(void *row, int32_t count,
                                                int32_t transposed,
                                                const uint32_t *sources,
                                                int32_t site);

/** What an mma.sync of 16 x 8 x `depth` multiplies. */
typedef struct attn_emulator_mma_form {
  int32_t depth;
  int32_t type_a;
  int32_t type_b;
  int32_t type_c;
  int32_t type_d;
  /** Whether sums of integers stop at the largest and the smallest. */
  int32_t saturates;
} attn_emulator_mma_form;

/** `operands` are the registers of A, then of B, then of C. */
ATTN_RUNTIME_EXPORT void attn_emulator_mma(const attn_emulator_mma_form *form,
                                           const uint32_t *operands,
                                           uint32_t *results, int32_t site);

/** A float with the 10 bits of fraction that tf32 has, rounded to nearest. */
ATTN_RUNTIME_EXPORT uint32_t attn_emulator_round_tf32(float value,
                                                      int32_t ties_to_even);
/** Picks bytes: prmt. */
ATTN_RUNTIME_EXPORT uint32_t attn_emulator_permute(int32_t mode, uint32_t low,
                                                   uint32_t high,
                                                   uint32_t selector);

/*===----------------------------------------------------------------------===*\
|* Products of warpgroups: wgmma. All 128 threads come to these.
\*===----------------------------------------------------------------------===*/

/** What one product of 64 x `columns` results multiplies. */
typedef struct attn_emulator_wgmma_form {
  int32_t columns;
  int32_t depth;
  int32_t type_a;
  int32_t type_b;
  /** Whether elements along M and N follow each other in memory. */
  int32_t transposed_a;
  int32_t transposed_b;
  int32_t negates_a;
  int32_t negates_b;
  /** Whether it adds to what the accumulators hold. */
  int32_t adds;
  /** Four registers hold a thread's part of A. */
  int32_t takes_registers;
  /** Fences before the last time that the kernel wrote one of its registers. */
  int32_t written;
  /** What the kernel calls the registers of A; -1 if it does not write them. */
  int32_t names[4];
} attn_emulator_wgmma_form;

ATTN_RUNTIME_EXPORT void attn_emulator_wgmma_fence(int32_t site);
/** The accumulators, which become names of the results, and then those of A. */
ATTN_RUNTIME_EXPORT void
attn_emulator_wgmma(const attn_emulator_wgmma_form *form, int64_t descriptor_a,
                    int64_t descriptor_b, uint32_t *registers, int32_t site);
ATTN_RUNTIME_EXPORT void attn_emulator_wgmma_commit(int32_t site);
/** Until all groups but the last few are complete. */
ATTN_RUNTIME_EXPORT void attn_emulator_wgmma_wait(int32_t groups, int32_t site);
/** What is in a register that may be the name of a result. */
ATTN_RUNTIME_EXPORT uint32_t attn_emulator_wgmma_value(uint32_t bits,
                                                       int32_t site);
/** How many fences the warpgroup has had. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_wgmma_fences(void);
/** A register of A gets another value. */
ATTN_RUNTIME_EXPORT void attn_emulator_wgmma_write(int32_t name, int32_t site);

/*===----------------------------------------------------------------------===*\
|* Waves of AMD's GPUs. All lanes of a wave come to these.
\*===----------------------------------------------------------------------===*/

/** ds_bpermute: the value of lane `address` / 4, modulo the wave. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_bpermute(int32_t address,
                                                   int32_t value, int32_t site);
/** The value of one lane, which is the same one for all. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_readlane(int32_t value, int32_t lane,
                                                   int32_t site);
/** update.dpp: the value of the lane that `control` says, or `old` in lanes
 * that the masks of rows and banks leave out. Where there is no such lane, or
 * it is not active, 0 with `bound`, else `old`. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_dpp(int32_t old, int32_t value,
                                              int32_t control, int32_t rows,
                                              int32_t banks, int32_t bound,
                                              int32_t site);
/** permlanex16: the value of a lane of the other row of 16, by four bits of
 *  `low` or of `high` for each lane. One that is not active is read with
 * `fetch`, which is reported, as it may hold anything. */
ATTN_RUNTIME_EXPORT int32_t
attn_emulator_permlanex16(int32_t old, int32_t value, int32_t low, int32_t high,
                          int32_t fetch, int32_t bound, int32_t site);
/** ds_swizzle: the value of a lane of the same 32, or 0 of one that is not
 *  active. `pattern` has five bits each of an and, an or and an exclusive or of
 *  its number; with bit 15, two for each of four lanes. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_swizzle(int32_t value,
                                                  int32_t pattern,
                                                  int32_t site);
/** `base`, and the bits of a mask of lanes 0 to 31, or 32 to 63 with `high`,
 *  that belong to lanes before this one. */
ATTN_RUNTIME_EXPORT int32_t attn_emulator_mbcnt(int32_t high, int32_t mask,
                                                int32_t base);

enum { ATTN_EMULATOR_MFMA, ATTN_EMULATOR_WMMA_GFX11, ATTN_EMULATOR_WMMA_GFX12 };

/**
 * A * B + C of 16 x 16 matrices of one of these kinds: A and B of `type`, f16
 * or bf16, C in f32. `operands` are the registers of A, then of B, then of C.
 */
ATTN_RUNTIME_EXPORT void attn_emulator_wave_mma(int32_t kind, int32_t type,
                                                const uint32_t *operands,
                                                float *results, int32_t site);

#ifdef __cplusplus
}
#endif

#endif /* ATTN_EMULATOR_H */
