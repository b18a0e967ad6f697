/*===- main.c - a compiled program inside a C program -------------*- C -*-===*\
|*                                                                            *|
|* Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Loads causal grouped-query attention (../causal-gqa.mlir, compiled by      *|
|* attn-compile), calls it, and compares the result with three loops:         *|
|*                                                                            *|
|*   attn-compile ../causal-gqa.mlir -o attention.so                          *|
|*   ./embed attention.so                                                     *|
|*                                                                            *|
|* The only library it needs is the runtime.                                  *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include <attn_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 2, HEADS = 8, GROUPS = 2, LENGTH = 77, FEATURES = 64 };

/* Ends the program if a call of the runtime failed. */
static void check(attn_status status, const char *what) {
  if (status != ATTN_OK) {
    fprintf(stderr, "%s: %s\n", what, attn_get_message());
    exit(1);
  }
}

/* A compact tensor [BATCH, heads, LENGTH, FEATURES] over memory of ours. */
static DLTensor make_tensor(float *data, int64_t shape[4], int64_t heads) {
  DLTensor tensor = {0};
  shape[0] = BATCH;
  shape[1] = heads;
  shape[2] = LENGTH;
  shape[3] = FEATURES;
  tensor.data = data;
  tensor.device.device_type = kDLCPU;
  tensor.ndim = 4;
  tensor.dtype.code = kDLFloat;
  tensor.dtype.bits = 32;
  tensor.dtype.lanes = 1;
  tensor.shape = shape;
  return tensor;
}

static void fill(float *data, int64_t count, unsigned seed) {
  int64_t i;
  for (i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    data[i] = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
  }
}

static const float *get_row(const float *data, int heads, int b, int h, int i) {
  return data + (((int64_t)b * heads + h) * LENGTH + i) * FEATURES;
}

/* Row i of the result, as the definition says. */
static void compute_row(const float *q, const float *k, const float *v, int b,
                        int h, int i, double *row) {
  int group = h / (HEADS / GROUPS), j, d;
  double sum = 0.0;
  for (d = 0; d < FEATURES; ++d) {
    row[d] = 0.0;
  }
  for (j = 0; j <= i; ++j) {
    double score = 0.0, weight;
    for (d = 0; d < FEATURES; ++d) {
      score += 0.125 * get_row(q, HEADS, b, h, i)[d] *
               get_row(k, GROUPS, b, group, j)[d];
    }
    weight = exp(score);
    sum += weight;
    for (d = 0; d < FEATURES; ++d) {
      row[d] += weight * get_row(v, GROUPS, b, group, j)[d];
    }
  }
  for (d = 0; d < FEATURES; ++d) {
    row[d] /= sum;
  }
}

int main(int argc, char **argv) {
  static float q_data[BATCH * HEADS * LENGTH * FEATURES];
  static float k_data[BATCH * GROUPS * LENGTH * FEATURES];
  static float v_data[BATCH * GROUPS * LENGTH * FEATURES];
  static float o_data[BATCH * HEADS * LENGTH * FEATURES];
  int64_t shapes[4][4];
  double worst = 0.0, row[FEATURES];
  int b, h, i, d;
  if (argc != 2) {
    fprintf(stderr, "usage: %s PROGRAM.so\n", argv[0]);
    return 2;
  }
  fill(q_data, BATCH * HEADS * LENGTH * FEATURES, 1);
  fill(k_data, BATCH * GROUPS * LENGTH * FEATURES, 2);
  fill(v_data, BATCH * GROUPS * LENGTH * FEATURES, 3);

  attn_module *module;
  const attn_function *attention;
  check(attn_module_load_file(argv[1], &module), "loading");
  check(attn_module_find_function(module, "attention", &attention), "finding");
  printf("compiled by %s\n", attn_module_get_compiler(module));

  DLTensor q = make_tensor(q_data, shapes[0], HEADS);
  DLTensor k = make_tensor(k_data, shapes[1], GROUPS);
  DLTensor v = make_tensor(v_data, shapes[2], GROUPS);
  DLTensor o = make_tensor(o_data, shapes[3], HEADS);
  const DLTensor *arguments[] = {&q, &k, &v};
  const DLTensor *results[] = {&o};
  check(attn_function_call(attention, NULL, arguments, 3, results, 1, NULL),
        "calling");

  for (b = 0; b < BATCH; ++b) {
    for (h = 0; h < HEADS; ++h) {
      for (i = 0; i < LENGTH; ++i) {
        compute_row(q_data, k_data, v_data, b, h, i, row);
        for (d = 0; d < FEATURES; ++d) {
          worst = fmax(worst, fabs(row[d] - get_row(o_data, HEADS, b, h, i)[d]));
        }
      }
    }
  }
  printf("largest error: %.1e\n", worst);

  /* A wrong argument is a sentence, and not a crash. */
  shapes[1][2] = LENGTH - 1;
  if (attn_function_call(attention, NULL, arguments, 3, results, 1, NULL) !=
      ATTN_INVALID_ARGUMENT) {
    return 1;
  }
  printf("refused: %s\n", attn_get_message());

  attn_module_release(module);
  return worst < 1e-5 ? 0 : 1;
}
