// A driver for the tests: the stub with a kernel, y = 2 x, that a GPU would run.
#include "StubDriver.h"

extern "C" attn::test::Stub attn_stub;

namespace {

/// The words of a memref of rank 2 among the arguments of a kernel.
struct Matrix {
  void **words;

  int64_t get(int k) const { return *static_cast<int64_t *>(words[k]); }
  float &at(int64_t i, int64_t j) const {
    void *data = attn_stub.getHost(*static_cast<void **>(words[1]));
    return static_cast<float *>(data)[get(2) + i * get(5) + j * get(6)];
  }
};

void twice(const attn::test::StubLaunch &, void **arguments) {
  Matrix x{arguments + 2}, y{arguments + 9};
  for (int64_t i = 0; i < x.get(3); ++i) {
    for (int64_t j = 0; j < x.get(4); ++j) {
      y.at(i, j) = 2 * x.at(i, j);
    }
  }
}

[[gnu::constructor]] void defineKernel() {
  attn_stub.define("twice_linalg0", twice);
}

} // namespace
