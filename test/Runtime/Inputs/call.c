/*===- call.c - one call of a compiled program, operands from files -------===*\
|*                                                                            *|
|* Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|*   call PROGRAM.so LIST ARGUMENTS                                           *|
|*                                                                            *|
|* Each line of LIST is a tensor, arguments first: a file, the element type's *|
|* code and bits, the rank, the extents. Results are written to their files.  *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include <attn_runtime.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_TENSORS = 32, MOST_AXES = 8 };

static void fail(const char *what) {
  fprintf(stderr, "error: %s\n", what);
  exit(1);
}

static void check(attn_status status) {
  if (status != ATTN_OK) {
    fail(attn_get_message());
  }
}

int main(int argc, char **argv) {
  static DLTensor tensors[MOST_TENSORS];
  static int64_t shapes[MOST_TENSORS][MOST_AXES];
  static char files[MOST_TENSORS][4096];
  static size_t bytes[MOST_TENSORS];
  const DLTensor *pointers[MOST_TENSORS];
  size_t count = 0, arguments, k;
  unsigned code, bits;
  int rank, axis;
  attn_module *module;
  FILE *list, *file;
  if (argc != 4 || !(list = fopen(argv[2], "r"))) {
    fail("usage: call PROGRAM.so LIST ARGUMENTS");
  }
  arguments = (size_t)atoi(argv[3]);
  while (count < MOST_TENSORS &&
         fscanf(list, "%4095s %u %u %d", files[count], &code, &bits, &rank) ==
             4) {
    DLTensor *tensor = &tensors[count];
    tensor->device.device_type = kDLCPU;
    tensor->ndim = rank;
    tensor->dtype.code = (uint8_t)code;
    tensor->dtype.bits = (uint8_t)bits;
    tensor->dtype.lanes = 1;
    tensor->shape = shapes[count];
    bytes[count] = bits / 8;
    for (axis = 0; axis < rank; ++axis) {
      long extent;
      if (rank > MOST_AXES || fscanf(list, "%ld", &extent) != 1) {
        fail("the list is damaged");
      }
      shapes[count][axis] = extent;
      bytes[count] *= (size_t)extent;
    }
    tensor->data = aligned_alloc(64, (bytes[count] / 64 + 1) * 64);
    pointers[count] = tensor;
    ++count;
  }
  fclose(list);
  for (k = 0; k < arguments; ++k) {
    file = fopen(files[k], "rb");
    if (!file || fread(tensors[k].data, 1, bytes[k], file) != bytes[k]) {
      fail("an operand cannot be read");
    }
    fclose(file);
  }
  check(attn_module_load_file(argv[1], &module));
  check(attn_function_call(attn_module_get_function(module, 0), NULL, pointers,
                           arguments, pointers + arguments, count - arguments,
                           NULL));
  for (; k < count; ++k) {
    file = fopen(files[k], "wb");
    if (!file || fwrite(tensors[k].data, 1, bytes[k], file) != bytes[k] ||
        fclose(file)) {
      fail("a result cannot be written");
    }
  }
  attn_module_release(module);
  return 0;
}
