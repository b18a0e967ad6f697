//===- SparseTest.cpp - offsets beyond 2^31 elements ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors over mappings without memory behind them: only pages that are touched
// take any, so that offsets of every size can be had.
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <sys/mman.h>

using namespace attn::test;

namespace {

/// 2^32 + 2^20 elements of f32.
class Sparse : public testing::Test {
protected:
  static constexpr int64_t kElements = (int64_t(1) << 32) + (1 << 20);

  void SetUp() override {
    data = static_cast<float *>(
        mmap(nullptr, kElements * sizeof(float), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (data == MAP_FAILED) {
      data = nullptr;
      GTEST_SKIP() << "the system gives no mapping of 16 GiB";
    }
  }
  void TearDown() override {
    if (data) {
      munmap(data, kElements * sizeof(float));
    }
  }

  float *data = nullptr;
  Module module = load(getKernels());
};

TEST_F(Sparse, LastPageOfALargePool) {
  constexpr int64_t kFeatures = 1 << 10, kPages = kElements / kFeatures;
  Tensor pool(kF32, {1, 1}), table(kI32, {2});
  pool.extents = {kPages, kFeatures};
  pool.data = data;
  table.get<int32_t>()[0] = kPages - 1;
  table.get<int32_t>()[1] = kPages / 2;
  data[kElements - 1] = 5.0f;
  data[kPages / 2 * kFeatures] = 7.0f;
  auto o = makeMatrix(2, kFeatures);
  ASSERT_OK(call(find(module, "gather"), {&pool, &table}, {o.get()}));
  EXPECT_EQ(o->get<float>()[kFeatures - 1], 5.0f);
  EXPECT_EQ(o->get<float>()[kFeatures], 7.0f);
  table.get<int32_t>()[1] = kPages;
  EXPECT_EQ(call(find(module, "gather"), {&pool, &table}, {o.get()}),
            ATTN_INVALID_ARGUMENT);
}

TEST_F(Sparse, RowsFarApart) {
  constexpr int64_t kRow = int64_t(1) << 31;
  Tensor x(kF32, {3, 4}), y(kF32, {3, 4});
  auto alpha = makeScalar(2.0f);
  x.data = data;
  x.setStrides({kRow, 1});
  y.data = data + 64;
  y.setStrides({kRow, 1});
  data[2 * kRow + 3] = 21.0f;
  ASSERT_OK(call(find(module, "scale"), {&x, alpha.get()}, {&y}));
  EXPECT_EQ(data[2 * kRow + 64 + 3], 42.0f);
  // They meet in their last rows alone.
  y.data = data + 4;
  y.setStrides({kRow - 1, 1});
  EXPECT_EQ(call(find(module, "scale"), {&x, alpha.get()}, {&y}),
            ATTN_INVALID_ARGUMENT);
}

TEST_F(Sparse, LastRowOfALargeCache) {
  Tensor cache(kF32, {1, 1});
  cache.extents = {kElements / 4, 4};
  cache.data = data;
  auto row = makeMatrix(1, 4), place = makeScalar(kElements / 4 - 1);
  ASSERT_OK(call(find(module, "append"), {&cache, row.get(), place.get()},
                 {nullptr}));
  EXPECT_EQ(data[kElements - 1], 3.0f);
}

} // namespace
