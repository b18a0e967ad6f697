/*===- Kernels.c - a compiled program, written by hand ----------*- C -*-===*\
|*                                                                            *|
|* Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.     *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Functions of every kind of argument and result, called as attn_module.h    *|
|* says. The tests write the metadata over the place that is left for it.     *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include <math.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

void attn_parallel_for(void (*fn)(void *, int64_t, int64_t), void *args,
                       int64_t count);
void *attn_malloc(uint64_t bytes);
void attn_free(void *data);
void attn_device_launch(uint32_t kernel, const int64_t *sizes,
                        void **arguments);
void *attn_device_constant(const void *source, uint64_t bytes);

/* volatile: the compiler must not believe what is in them */
EXPORT volatile const unsigned char attn_module_metadata[32768] =
    "PLACE OF THE METADATA";
EXPORT volatile const uint64_t attn_module_metadata_size =
    UINT64_C(0x517a0f7e517a0f7e);

typedef struct {
  void *allocated, *aligned;
  int64_t offset, size[1], stride[1];
} Vector;
typedef struct {
  void *allocated, *aligned;
  int64_t offset, size[2], stride[2];
} Matrix;

static float *at(const Matrix *m, int64_t i, int64_t j) {
  return (float *)m->aligned + m->offset + i * m->stride[0] + j * m->stride[1];
}

static Matrix makeMatrix(int64_t rows, int64_t columns) {
  Matrix m;
  m.allocated = m.aligned = attn_malloc((uint64_t)(rows * columns) * 4);
  m.offset = 0;
  m.size[0] = rows;
  m.size[1] = columns;
  m.stride[0] = columns;
  m.stride[1] = 1;
  return m;
}

/* scale(x [N, 4], alpha) -> y [N, 4], one row per item. */
struct Scale {
  const Matrix *x, *y;
  float alpha;
};
static void scaleRows(void *args, int64_t begin, int64_t end) {
  struct Scale *scale = args;
  int64_t i, j;
  for (i = begin; i < end; ++i) {
    for (j = 0; j < scale->x->size[1]; ++j) {
      *at(scale->y, i, j) = scale->alpha * *at(scale->x, i, j);
    }
  }
}
EXPORT void attn_packed_scale(void **slots) {
  Matrix *result = *(Matrix **)slots[0], *x = *(Matrix **)slots[1];
  float alpha = *(float *)slots[2];
  struct Scale scale = {x, result, alpha};
  *result = makeMatrix(x->size[0], x->size[1]);
  attn_parallel_for(scaleRows, &scale, x->size[0]);
}

/* gather(pool [P, D], table [B]) -> passed [B, D]; -1 gives zeros. */
EXPORT void attn_packed_gather(void **slots) {
  Matrix *pool = *(Matrix **)slots[0];
  Vector *table = *(Vector **)slots[1];
  Matrix *result = *(Matrix **)slots[2];
  int64_t i, j;
  for (i = 0; i < table->size[0]; ++i) {
    int32_t page = ((int32_t *)table->aligned)[i * table->stride[0]];
    for (j = 0; j < pool->size[1]; ++j) {
      *at(result, i, j) = page < 0 ? 0.0f : *at(pool, page, j);
    }
  }
}

/* append(cache [N, D] written, row [1, D], place) -> cache */
EXPORT void attn_packed_append(void **slots) {
  Matrix *cache = *(Matrix **)slots[0], *row = *(Matrix **)slots[1];
  int64_t place = *(int64_t *)slots[2], j;
  for (j = 0; j < cache->size[1]; ++j) {
    *at(cache, place, j) = *at(row, 0, j);
  }
}

/* count(x [N, 4]) -> the number of elements that are not NaN */
EXPORT void attn_packed_count(void **slots) {
  Matrix *x = *(Matrix **)slots[0];
  int64_t count = 0, i, j;
  for (i = 0; i < x->size[0]; ++i) {
    for (j = 0; j < x->size[1]; ++j) {
      count += isnan(*at(x, i, j)) ? 0 : 1;
    }
  }
  *(int64_t *)slots[1] = count;
}

/* split(x [N, 4]) -> (f32 sum, the rows with a positive first element, i8 1) */
struct Split {
  float sum;
  Matrix rows;
  int8_t one;
};
EXPORT void attn_packed_split(void **slots) {
  struct Split *results = *(struct Split **)slots[0];
  Matrix *x = *(Matrix **)slots[1];
  int64_t i, j, kept = 0;
  results->sum = 0.0f;
  for (i = 0; i < x->size[0]; ++i) {
    kept += *at(x, i, 0) > 0.0f;
  }
  results->rows = makeMatrix(kept, x->size[1]);
  kept = 0;
  for (i = 0; i < x->size[0]; ++i) {
    for (j = 0; j < x->size[1]; ++j) {
      results->sum += *at(x, i, j);
      if (*at(x, i, 0) > 0.0f) {
        *at(&results->rows, kept, j) = *at(x, i, j);
      }
    }
    kept += *at(x, i, 0) > 0.0f;
  }
  results->one = 1;
}

/* greedy(x [N, 4], bytes, where): allocates `bytes` in the body (0), in item
   `where` of a loop, or nowhere (-1); other items allocate a little. */
struct Greedy {
  int64_t bytes, where;
};
static void takeMemory(void *args, int64_t begin, int64_t end) {
  struct Greedy *greedy = args;
  int64_t i;
  for (i = begin; i < end; ++i) {
    void *little = attn_malloc(100);
    if (i == greedy->where) {
      attn_malloc((uint64_t)greedy->bytes);
    }
    attn_free(little);
  }
}
EXPORT void attn_packed_greedy(void **slots) {
  struct Greedy greedy = {*(int64_t *)slots[1], *(int64_t *)slots[2]};
  void *kept = attn_malloc(1000);
  void *freed = attn_malloc(10);
  attn_free(freed);
  if (greedy.where == 0) {
    attn_malloc((uint64_t)greedy.bytes);
  }
  attn_parallel_for(takeMemory, &greedy, 20);
  attn_free(kept);
}

/* The same for CUDA: rows are copied, and then multiplied by alpha and by a
   constant of each column. */
static const float factors[4] = {1.0f, 1.0f, 1.0f, 1.0f};
EXPORT void attn_cuda_packed_scale(void **slots) {
  Matrix *result = *(Matrix **)slots[0], *x = *(Matrix **)slots[1];
  float alpha = *(float *)slots[2];
  Matrix copy = makeMatrix(x->size[0], x->size[1]);
  int64_t sizes[7] = {x->size[0], 1, 1, 4, 1, 1, 0};
  void *table;
  void *copied[] = {&x->aligned, &x->stride[0], &x->stride[1], &copy.aligned};
  void *scaled[] = {&copy.aligned, &result->aligned, &alpha, &table};
  if (x->size[0] > 0) {
    attn_device_launch(0, sizes, copied);
  }
  *result = makeMatrix(x->size[0], x->size[1]);
  table = attn_device_constant(factors, sizeof(factors));
  sizes[6] = 65536;
  if (x->size[0] > 0) {
    attn_device_launch(1, sizes, scaled);
  }
  attn_free(copy.allocated);
}
EXPORT void attn_cuda_packed_gather(void **slots) {
  Matrix *pool = *(Matrix **)slots[0];
  Vector *table = *(Vector **)slots[1];
  Matrix *result = *(Matrix **)slots[2];
  int64_t sizes[7] = {table->size[0], 1, 1, pool->size[1], 1, 1, 0};
  void *arguments[] = {&pool->aligned, &table->aligned, &result->aligned};
  attn_device_launch(2, sizes, arguments);
}

/* nothing(q, k, v [B, H, L, 64], o passed): for the cost of a call */
EXPORT void attn_packed_nothing(void **slots) { (void)slots; }

/* imports(): what programs call, beyond libc: f16 and libm by name */
_Float16 narrow(float value) __asm__("__truncsfhf2");
EXPORT void attn_packed_imports(void **slots) {
  volatile float half = 0.5f;
  *(float *)slots[0] = (float)narrow(half) + tanhf(half);
}
