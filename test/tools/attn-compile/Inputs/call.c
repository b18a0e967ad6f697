/* Calls the compiled program of attention.mlir, and compares with loops. */

#include "attention.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { B = 2, H = 2, M = 5, N = 9, D = 8 };

static float q[B * H * M * D], k[B * H * N * D], v[B * H * N * D],
    o[B * H * M * D];

static DLTensor wrap(void *data, int64_t *shape, int rank) {
  DLTensor tensor = {0};
  tensor.data = data;
  tensor.device.device_type = kDLCPU;
  tensor.ndim = rank;
  tensor.dtype.code = kDLFloat;
  tensor.dtype.bits = 32;
  tensor.dtype.lanes = 1;
  tensor.shape = shape;
  return tensor;
}

static int check(attn_status status, const char *what) {
  if (status != ATTN_OK) {
    printf("%s: status %d, %s\n", what, (int)status, attn_get_message());
  }
  return status == ATTN_OK;
}

/** Row (b, h, i) of the program, and its largest distance from `o`. */
static double compare(int bh, int i, int past) {
  double weights[N], sum = 0, worst = 0;
  int last = i + past < N - 1 ? i + past : N - 1;
  for (int j = 0; j <= last; ++j) {
    double s = 0;
    for (int d = 0; d < D; ++d) {
      s += (double)q[(bh * M + i) * D + d] * k[(bh * N + j) * D + d];
    }
    sum += weights[j] = exp(0.5 * s);
  }
  for (int d = 0; d < D; ++d) {
    double x = 0;
    for (int j = 0; j <= last; ++j) {
      x += weights[j] / sum * v[(bh * N + j) * D + d];
    }
    worst = fmax(worst, fabs(x - o[(bh * M + i) * D + d]));
  }
  return worst;
}

int main(int argc, char **argv) {
  int64_t q_shape[] = {B, H, M, D}, k_shape[] = {B, H, N, D},
          short_shape[] = {B, H, N - 1, D}, x_shape[] = {7};
  int64_t past = N - M;
  DLTensor tq = wrap(q, q_shape, 4), tk = wrap(k, k_shape, 4),
           tv = wrap(v, k_shape, 4), to = wrap(o, q_shape, 4),
           tshort = wrap(v, short_shape, 4), tpast = wrap(&past, NULL, 0),
           tx = wrap(q, x_shape, 1);
  tpast.dtype.code = kDLInt;
  tpast.dtype.bits = 64;
  for (int i = 0; i < B * H * M * D; ++i) {
    q[i] = sinf((float)i);
  }
  for (int i = 0; i < B * H * N * D; ++i) {
    k[i] = cosf((float)(3 * i)), v[i] = sinf((float)(7 * i));
  }
  attn_module *module = NULL;
#ifdef LINKED
  attn_status status = attn_open_attention(&module);
#else
  attn_status status = attn_module_load_file(argv[argc - 1], &module);
#endif
  const attn_function *attention = NULL, *pairs = NULL;
  if (!check(status, "load") ||
      !check(attn_module_find_function(module, "attention", &attention),
             "find") ||
      !check(attn_module_find_function(module, "pairs", &pairs), "find") ||
      !check(attn_call_attention(attention, NULL, &tq, &tk, &tv, &tpast, &to,
                                 NULL),
             "call")) {
    return 1;
  }
  double worst = 0;
  for (int bh = 0; bh < B * H; ++bh) {
    for (int i = 0; i < M; ++i) {
      worst = fmax(worst, compare(bh, i, (int)past));
    }
  }
  printf("attention: %s\n", worst < 1e-5 ? "ok" : "WRONG");

  const DLTensor *x = &tx;
  int64_t extent = 0;
  check(attn_function_get_result_shape(pairs, &x, 1, 0, &extent), "shape");
  printf("pairs: extent %d\n", (int)extent);
  DLManagedTensor *y = NULL;
  if (check(attn_call_new_pairs(pairs, NULL, x, &y, NULL), "call")) {
    const float *data =
        (const float *)((char *)y->dl_tensor.data + y->dl_tensor.byte_offset);
    printf("pairs: %s\n", y->dl_tensor.shape[0] == 3 && data[0] == q[0] &&
                                  data[1] == q[2] && data[2] == q[4]
                              ? "ok"
                              : "WRONG");
    y->deleter(y);
  }
  check(attn_call_attention(attention, NULL, &tq, &tk, &tshort, &tpast, &to,
                            NULL),
        "mismatch");
  const attn_function *fixed = NULL;
  int64_t y_shape[] = {4};
  DLTensor ty = wrap(k, y_shape, 1);
  check(attn_module_find_function(module, "fixed", &fixed), "find");
  check(attn_call_new_fixed(fixed, NULL, &tx, &ty, &y, NULL), "relation");
  attn_module_release(module);
  return 0;
}
