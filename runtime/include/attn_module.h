/*===- attn_module.h - what a compiled program says of itself -----*- C -*-===*\
|*                                                                            *|
|* Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The contract between compiled programs and the runtime that loads them:    *|
|* a record in the shared object, a seal at the end of its file, and the way  *|
|* functions are called. The compiler writes them, the loader checks them;    *|
|* nobody else needs this header.                                             *|
|*                                                                            *|
|* 1. The shared object                                                       *|
|*                                                                            *|
|* An ordinary ELF shared object for the machine. It has no constructors and  *|
|* no needed libraries: attn_parallel_for, attn_malloc, attn_free,            *|
|* attn_device_launch, attn_device_constant, attn_device_read, the            *|
|* conversions of small floats (__truncsfbf2 and its like) and the functions  *|
|* of libc and libm are undefined in it, and the loader resolves them (it     *|
|* makes the runtime's symbols global first). malloc and free are renamed to  *|
|* attn_malloc and attn_free, after optimization: those never return null, as *|
|* generated code does not ask; a call that runs out of memory ends with a    *|
|* status. A block is freed where it was taken: by the body of the same call  *|
|* of a function, or by the same call of the body of a parallel loop. The     *|
|* object exports, with default visibility,                                   *|
|*                                                                            *|
|*   const unsigned char attn_module_metadata[];   the record of section 3    *|
|*   const uint64_t attn_module_metadata_size;     its bytes                  *|
|*   void attn_packed_NAME(void **slots);          per public function        *|
|*   void attn_cuda_packed_NAME(void **slots);     the same, for CUDA         *|
|*   void attn_hip_gfx942_packed_NAME(void **slots);  for HIP and a gfx942    *|
|*                                                                            *|
|* 2. The seal                                                                *|
|*                                                                            *|
|* Code can be damaged as well as metadata, and a linker that meets a damaged *|
|* file may crash. So the last 24 bytes of the file, after all that ELF knows *|
|* of, are a seal, which is checked before anything else is read:             *|
|*                                                                            *|
|*   char[8]  "ATTNSEAL"                                                      *|
|*   u64      the bytes of the file before the seal                           *|
|*   u64      attn_module_checksum of them                                    *|
|*                                                                            *|
|* 3. The record                                                              *|
|*                                                                            *|
|* All numbers are little-endian and unaligned; things follow each other      *|
|* without gaps. `str` is a u32 and as many bytes (no zero among them); `list *|
|* of T` is a u32 and as many T.                                              *|
|*                                                                            *|
|*   record:                                                                  *|
|*     char[8] "ATTNMETA"                                                     *|
|*     u64     attn_module_checksum of all bytes from here to the end         *|
|*     u32     ATTN_MODULE_ABI_VERSION                                        *|
|*     u32     0                                                              *|
|*     u64     length of the whole record                                     *|
|*     str     compiler, for people: "attn-mlir 0.1.0 (LLVM 22.1.0)"          *|
|*     str     target triple; the part before the first '-' must be x86_64 or *|
|*             aarch64                                                        *|
|*     list of str       CPU features that the code uses: names of            *|
|*             ATTN_X86_FEATURES or ATTN_AARCH64_FEATURES only, without '+'   *|
|*     list of function  (names differ): those that compute on the host       *|
|*     list of device program                                                 *|
|*                                                                            *|
|*   function:                                                                *|
|*     str     name                                                           *|
|*     str     symbol of the entry: "attn_packed_" and the name               *|
|*     list of str       symbols: names of dimensions. Equal names are one    *|
|*             symbol; "arg0.2" (argument and axis) for one without a name    *|
|*     list of parameter arguments   (names differ)                           *|
|*     list of parameter results     (names differ)                           *|
|*     list of relation                                                       *|
|*     list of rule                                                           *|
|*     expr    bytes of workspace that a call takes outside of parallel       *|
|*             loops, at most: the sum of all pieces that it asks of          *|
|*             attn_malloc, each rounded up to 64 and with 64 more. Blocks    *|
|*             are taken again as section 5 says                              *|
|*     expr    the same of the body of a parallel loop: of one call of it, in *|
|*             the loop that takes most                                       *|
|*     str     why nobody can tell beforehand, as the end of a sentence: "the *|
|*             size of a buffer of it depends on data"; empty if the two      *|
|*             expressions are there, and without it they must be             *|
|*                                                                            *|
|*   parameter:                                                               *|
|*     str     name                                                           *|
|*     u8, u8  DLPack type code and bits (i1 is bool, 8 bits; index is int,   *|
|*             64 bits; codes that libdlpack 0.6 lacks are below)             *|
|*     u8      attn_parameter_flag, or-ed                                     *|
|*     u8      attn_result_mode (0 for arguments)                             *|
|*     u32     the argument that is returned, for ATTN_RESULT_ALIAS, else 0   *|
|*     u32     DLPack device type: 1, the host, of scalars and of functions   *|
|*             that compute there; else that of the device program            *|
|*     u32     alignment of the data in bytes, a power of two (0: that of     *|
|*             an element)                                                    *|
|*     list of expr      extents, one per axis. Of an argument: a constant or *|
|*             a symbol. Of a result: any expression, or empty if only the    *|
|*             call can tell. A scalar has none                               *|
|*                                                                            *|
|*   relation: what must hold between extents beyond equal names, such as     *|
|*   divisibility (N mod 16 == 0) and rows of lists (ceil(M / 64) <= Q)       *|
|*     u8      attn_relation_kind                                             *|
|*     u32     the argument to blame                                          *|
|*     expr    left side                                                      *|
|*     expr    right side                                                     *|
|*     str     what holds, as the end of a sentence: "needs a row for every   *|
|*             64 queries of 'q'"                                             *|
|*                                                                            *|
|*   rule: what must hold for the values of an integer argument               *|
|*     u32     the argument                                                   *|
|*     u8      attn_rule_kind: what the argument is                           *|
|*     u8      attn_rule_flag, or-ed                                          *|
|*     expr    smallest value allowed                                         *|
|*     expr    largest value allowed                                          *|
|*   A page table of a pool with P pages: -1 and P - 1. A list of key blocks  *|
|*   of c keys: -1 and ceildiv(N, c) - 1. A head map: 0 and G - 1. Lengths: 0 *|
|*   and N. Offsets: 0 and L, ascending. An index operand can have one, too.  *|
|*                                                                            *|
|*   device program: what runs on devices of one type, or on some chips of it *|
|*     u32     DLPack device type: 2, CUDA, or 10, HIP. Of types that it does *|
|*             not know the runtime makes no use                              *|
|*     list of kernel                                                         *|
|*     list of image                                                          *|
|*     list of function  (if there are functions for the host, just those,    *|
|*             with the same parameters; what is known of results and         *|
|*             workspaces may differ). Their entries are host code, by names  *|
|*             "attn_cuda_packed_NAME" or "attn_hip_gfx942_packed_NAME"       *|
|*   Of several of one type, a device takes the one with the image that suits *|
|*   it best.                                                                 *|
|*                                                                            *|
|*   kernel:                                                                  *|
|*     str     name, in the images                                            *|
|*     u32     bytes of dynamic shared memory that a launch asks for at most  *|
|*                                                                            *|
|*   image: all kernels, for one architecture                                 *|
|*     u8      attn_image_kind                                                *|
|*     u32     architecture: 90 for sm_90, 0x942 for gfx942                   *|
|*     u32     its bytes, which follow                                        *|
|*   A device of CUDA takes the cubin of its major number (all but the last   *|
|*   digit) with the highest minor one that is not above its own, else the    *|
|*   PTX of the highest architecture that is not. One of HIP takes the code   *|
|*   object of its own architecture.                                          *|
|*                                                                            *|
|*   expr: an expression in postfix order, in signed 64-bit numbers           *|
|*     list of { u8 attn_op; i64 operand, for CONSTANT, SYMBOL, ARGUMENT and  *|
|*             STRIDE }                                                       *|
|*   A symbol is an index into the function's symbols; it must be that of an  *|
|*   extent of some argument. ARGUMENT is the value of a scalar argument of   *|
|*   an integer type. Overflow and division by zero fail the call.            *|
|*                                                                            *|
|* 4. Calls                                                                   *|
|*                                                                            *|
|* attn_packed_NAME(slots) calls the C interface of the function, loading     *|
|* every argument of it from where the next slot points to:                   *|
|*                                                                            *|
|*   if results are returned, and not just one that is a scalar: a pointer to *|
|*     storage for them, a C struct of descriptors and scalars in order (one  *|
|*     result alone lies there by itself); results of other modes take no     *|
|*     part in it                                                             *|
|*   every argument: a pointer to a descriptor, or the scalar itself          *|
|*   every result of mode PASSED: a pointer to a descriptor                   *|
|*   if exactly one result is returned and it is a scalar: its storage        *|
|*                                                                            *|
|* A descriptor of rank r is { void *allocated, *aligned; int64_t offset,     *|
|* sizes[r], strides[r] }; strides count elements. Every returned buffer is a *|
|* block of attn_malloc of its own, which the caller frees. The buffer of a   *|
|* result that is passed is row-major and without gaps, and shares no memory  *|
|* with any other.                                                            *|
|*                                                                            *|
|* Entries for devices are called in the same way, with descriptors of memory *|
|* of the device, which they do not write: they launch kernels by             *|
|* attn_device_launch, on the stream of the call, and what they ask of        *|
|* attn_malloc is memory of the device. Tables that they give to kernels are  *|
|* copied there by attn_device_constant, and numbers on which sizes or bounds *|
|* depend are copied from there by attn_device_read, which waits for them.    *|
|*                                                                            *|
|* 5. Workspaces                                                              *|
|*                                                                            *|
|* The workspace of a call is a stack of blocks, each behind a line of 64     *|
|* bytes. attn_malloc takes a block that was freed and has just the size that *|
|* is asked for (rounded up to 64), else it puts a new one on top; attn_free  *|
|* takes blocks off the top as long as they are free. Every thread that runs  *|
|* items of a parallel loop has a stack of its own, which is empty again when *|
|* the body of the loop returns. Blocks of a device have the same places; of  *|
|* the lines before them no use is made.                                      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef ATTN_MODULE_H
#define ATTN_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATTN_MODULE_ABI_VERSION 4
#define ATTN_MODULE_MAGIC "ATTNMETA"
#define ATTN_MODULE_SEAL_MAGIC "ATTNSEAL"
/** Bytes of the record before the compiler's name, and of the seal. */
#define ATTN_MODULE_HEADER_BYTES 32
#define ATTN_MODULE_SEAL_BYTES 24
#define ATTN_MODULE_METADATA_SYMBOL "attn_module_metadata"
#define ATTN_MODULE_SIZE_SYMBOL "attn_module_metadata_size"

/** Limits that the loader enforces. */
#define ATTN_MAX_RANK 16
#define ATTN_MAX_PARAMETERS 256
#define ATTN_MAX_SYMBOLS 1024
#define ATTN_MAX_STACK 32

/** Pieces of a workspace begin at multiples of it, behind a line of their own. */
#define ATTN_WORKSPACE_LINE_BYTES 64

/** DLPack type codes that version 0.6 of its header lacks. */
enum {
  ATTN_DL_BOOL = 6,
  ATTN_DL_FLOAT8_E4M3FN = 10,
  ATTN_DL_FLOAT8_E5M2 = 12
};

typedef enum attn_parameter_flag {
  /** Not a tensor but a number, passed by value. */
  ATTN_PARAMETER_SCALAR = 1,
  /** The program writes the argument in place. */
  ATTN_PARAMETER_WRITABLE = 2,
  /** The last stride must be 1 (of an axis with more than one element). */
  ATTN_PARAMETER_UNIT_STRIDE = 4
} attn_parameter_flag;

typedef enum attn_result_mode {
  /** The program allocates the result and returns its descriptor. */
  ATTN_RESULT_RETURNED = 0,
  /** The caller passes a buffer; all extents are known beforehand. */
  ATTN_RESULT_PASSED = 1,
  /** The result is a writable argument. */
  ATTN_RESULT_ALIAS = 2
} attn_result_mode;

typedef enum attn_relation_kind {
  ATTN_RELATION_EQUAL = 0,
  ATTN_RELATION_LESS_EQUAL = 1
} attn_relation_kind;

typedef enum attn_rule_kind {
  ATTN_RULE_INDEX = 0,
  ATTN_RULE_PAGE_TABLE = 1,
  ATTN_RULE_LIST = 2,
  ATTN_RULE_HEAD_MAP = 3,
  ATTN_RULE_LENGTHS = 4,
  ATTN_RULE_OFFSETS = 5
} attn_rule_kind;

typedef enum attn_rule_flag {
  /** No element is less than the one before it on the last axis. */
  ATTN_RULE_ASCENDING = 1
} attn_rule_flag;

typedef enum attn_image_kind {
  /** Machine code for one architecture, which ptxas made. */
  ATTN_IMAGE_CUBIN = 0,
  /** Text that the driver compiles for an architecture or a later one. */
  ATTN_IMAGE_PTX = 1,
  /** A code object of AMD, for one architecture. */
  ATTN_IMAGE_HSACO = 2
} attn_image_kind;

/** Operators; those of two operands take the upper one from the right. */
typedef enum attn_op {
  ATTN_OP_CONSTANT = 0,
  ATTN_OP_SYMBOL = 1,
  ATTN_OP_ARGUMENT = 2,
  ATTN_OP_ADD = 3,
  ATTN_OP_SUB = 4,
  ATTN_OP_MUL = 5,
  /** Divisions by positive numbers only; FLOORDIV and MOD round down. */
  ATTN_OP_FLOORDIV = 6,
  ATTN_OP_CEILDIV = 7,
  ATTN_OP_MOD = 8,
  ATTN_OP_MIN = 9,
  ATTN_OP_MAX = 10,
  /** The stride of an axis of a tensor argument, in elements: the operand is
   *  ATTN_MAX_RANK * argument + axis. In workspaces alone. */
  ATTN_OP_STRIDE = 11
} attn_op;

/** The entry of a function: see section 4. */
typedef void (*attn_packed_fn)(void **slots);

/** FNV-1a of 64 bits. Any change of a single byte changes it. */
static inline uint64_t attn_module_checksum(const void *data, size_t size) {
  const unsigned char *bytes = (const unsigned char *)data;
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  size_t i;
  for (i = 0; i < size; ++i) {
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  }
  return hash;
}

/**
 * The x86-64 features that a record may ask for, as LLVM calls them, each with
 * the CPUID leaf, subleaf, register (0 to 3: eax to edx) and bit that show it,
 * and the state that the system must save for it (0: none, 1: AVX, 2: AVX-512,
 * 3: AMX). Features that only tune code, or that kernels never use, are left
 * out: the compiler drops them, too.
 */
#define ATTN_X86_FEATURES(X)                                                   \
  X("sse3", 1, 0, 2, 0, 0)                                                     \
  X("pclmul", 1, 0, 2, 1, 0)                                                   \
  X("ssse3", 1, 0, 2, 9, 0)                                                    \
  X("fma", 1, 0, 2, 12, 1)                                                     \
  X("cx16", 1, 0, 2, 13, 0)                                                    \
  X("sse4.1", 1, 0, 2, 19, 0)                                                  \
  X("sse4.2", 1, 0, 2, 20, 0)                                                  \
  X("movbe", 1, 0, 2, 22, 0)                                                   \
  X("popcnt", 1, 0, 2, 23, 0)                                                  \
  X("aes", 1, 0, 2, 25, 0)                                                     \
  X("avx", 1, 0, 2, 28, 1)                                                     \
  X("f16c", 1, 0, 2, 29, 1)                                                    \
  X("bmi", 7, 0, 1, 3, 0)                                                      \
  X("avx2", 7, 0, 1, 5, 1)                                                     \
  X("bmi2", 7, 0, 1, 8, 0)                                                     \
  X("avx512f", 7, 0, 1, 16, 2)                                                 \
  X("avx512dq", 7, 0, 1, 17, 2)                                                \
  X("adx", 7, 0, 1, 19, 0)                                                     \
  X("avx512ifma", 7, 0, 1, 21, 2)                                              \
  X("avx512cd", 7, 0, 1, 28, 2)                                                \
  X("sha", 7, 0, 1, 29, 0)                                                     \
  X("avx512bw", 7, 0, 1, 30, 2)                                                \
  X("avx512vl", 7, 0, 1, 31, 2)                                                \
  X("avx512vbmi", 7, 0, 2, 1, 2)                                               \
  X("avx512vbmi2", 7, 0, 2, 6, 2)                                              \
  X("gfni", 7, 0, 2, 8, 0)                                                     \
  X("vaes", 7, 0, 2, 9, 1)                                                     \
  X("vpclmulqdq", 7, 0, 2, 10, 1)                                              \
  X("avx512vnni", 7, 0, 2, 11, 2)                                              \
  X("avx512bitalg", 7, 0, 2, 12, 2)                                            \
  X("avx512vpopcntdq", 7, 0, 2, 14, 2)                                         \
  X("avx512vp2intersect", 7, 0, 3, 8, 2)                                       \
  X("amx-bf16", 7, 0, 3, 22, 3)                                                \
  X("avx512fp16", 7, 0, 3, 23, 2)                                              \
  X("amx-tile", 7, 0, 3, 24, 3)                                                \
  X("amx-int8", 7, 0, 3, 25, 3)                                                \
  X("avxvnni", 7, 1, 0, 4, 1)                                                  \
  X("avx512bf16", 7, 1, 0, 5, 2)                                               \
  X("amx-fp16", 7, 1, 0, 21, 3)                                                \
  X("avxifma", 7, 1, 0, 23, 1)                                                 \
  X("avxvnniint8", 7, 1, 3, 4, 1)                                              \
  X("avxneconvert", 7, 1, 3, 5, 1)                                             \
  X("avxvnniint16", 7, 1, 3, 10, 1)                                            \
  X("lzcnt", 0x80000001u, 0, 2, 5, 0)                                          \
  X("fma4", 0x80000001u, 0, 2, 16, 1)

/** The same for AArch64: the word (1: AT_HWCAP, 2: AT_HWCAP2) and the bit. */
#define ATTN_AARCH64_FEATURES(X)                                               \
  X("fp-armv8", 1, 0)                                                          \
  X("neon", 1, 1)                                                              \
  X("aes", 1, 3)                                                               \
  X("sha2", 1, 6)                                                              \
  X("crc", 1, 7)                                                               \
  X("lse", 1, 8)                                                               \
  X("fullfp16", 1, 10)                                                         \
  X("rdm", 1, 12)                                                              \
  X("complxnum", 1, 14)                                                        \
  X("dotprod", 1, 20)                                                          \
  X("sve", 1, 22)                                                              \
  X("fp16fml", 1, 23)                                                          \
  X("sve2", 2, 1)                                                              \
  X("i8mm", 2, 13)                                                             \
  X("bf16", 2, 14)

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ATTN_MODULE_H */
