//===- RulesTest.cpp - values of tables, lists, lengths and offsets -------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <algorithm>

using namespace attn::test;

namespace {

/// A function of one integer argument [A, B] with values from -1 to B.
class Rules : public testing::Test {
protected:
  void setRule(attn_rule_kind kind, unsigned flags = 0,
               DLDataType type = kI32) {
    ModuleSpec spec = getKernels();
    ParameterSpec index = {"t", type, {symbol(0), symbol(1)}};
    spec.functions = {{"f",
                       {"A", "B"},
                       {index},
                       {},
                       {},
                       {{0, kind, flags, constant(-1), symbol(1)}},
                       {},
                       "attn_packed_nothing"}};
    module = load(spec);
  }
  attn_status check(const Tensor &tensor, uint32_t flags = 0) {
    attn_call_options options = {flags, nullptr, 0};
    return call(find(module, "f"), {&tensor}, {}, &options);
  }

  Module module;
};

TEST_F(Rules, EveryKindHasItsName) {
  struct {
    attn_rule_kind kind;
    const char *sentence;
  } cases[] = {
      {ATTN_RULE_INDEX,
       "index 't' of 'f' has 9 at [1, 2], allowed are -1 to 4"},
      {ATTN_RULE_PAGE_TABLE, "page table 't' of 'f' has 9 at [1, 2], allowed "
                             "are -1 to 4; -1 stands for no page"},
      {ATTN_RULE_LIST, "list 't' of 'f' has 9 at [1, 2], allowed are -1 to 4"},
      {ATTN_RULE_HEAD_MAP,
       "head map 't' of 'f' has 9 at [1, 2], allowed are -1 to 4"},
      {ATTN_RULE_LENGTHS,
       "length 't' of 'f' has 9 at [1, 2], allowed are -1 to 4"},
      {ATTN_RULE_OFFSETS,
       "offset 't' of 'f' has 9 at [1, 2], allowed are -1 to 4"},
  };
  Tensor table(kI32, {3, 4});
  table.get<int32_t>()[6] = 9;
  for (auto [kind, sentence] : cases) {
    setRule(kind);
    EXPECT_FAILS(ATTN_INVALID_ARGUMENT, sentence, check(table));
  }
  EXPECT_EQ(check(table, ATTN_CALL_TRUST_VALUES), ATTN_OK);
}

TEST_F(Rules, BothEndsAreAllowed) {
  setRule(ATTN_RULE_PAGE_TABLE);
  Tensor table(kI32, {3, 4});
  for (int32_t value : {-1, 4}) {
    std::fill_n(table.get<int32_t>(), 12, value);
    EXPECT_EQ(check(table), ATTN_OK);
  }
  for (int32_t value : {-2, 5, INT32_MIN, INT32_MAX}) {
    table.get<int32_t>()[11] = value;
    EXPECT_EQ(check(table), ATTN_INVALID_ARGUMENT) << value;
  }
}

/// Every position in a strided table is looked at, and nothing between.
TEST_F(Rules, EveryPositionIsRead) {
  setRule(ATTN_RULE_LIST);
  Tensor table(kI32, {3, 4});
  table.storage.assign(40, 0);
  table.data = table.storage.data();
  table.setStrides({20, 3});
  std::fill_n(table.get<int32_t>(), 80, 77);
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j) {
      table.get<int32_t>()[20 * i + 3 * j] = j;
    }
  }
  EXPECT_EQ(check(table), ATTN_OK) << attn_get_message();
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j) {
      table.get<int32_t>()[20 * i + 3 * j] = -5;
      EXPECT_EQ(check(table), ATTN_INVALID_ARGUMENT);
      EXPECT_EQ(std::string(attn_get_message()),
                "list 't' of 'f' has -5 at [" + std::to_string(i) + ", " +
                    std::to_string(j) + "], allowed are -1 to 4");
      table.get<int32_t>()[20 * i + 3 * j] = j;
    }
  }
}

template <typename T> void fill(Tensor &tensor, T value) {
  std::fill_n(tensor.get<T>(), 12, T(1));
  tensor.get<T>()[7] = value;
}

TEST_F(Rules, EveryIntegerType) {
  auto test = [&](DLDataType type, auto wrong) {
    setRule(ATTN_RULE_INDEX, 0, type);
    Tensor tensor(type, {3, 4});
    fill(tensor, decltype(wrong)(2));
    EXPECT_EQ(check(tensor), ATTN_OK);
    fill(tensor, wrong);
    EXPECT_EQ(check(tensor), ATTN_INVALID_ARGUMENT);
  };
  test({kDLInt, 8, 1}, int8_t(-2));
  test({kDLUInt, 8, 1}, uint8_t(200));
  test({kDLInt, 16, 1}, int16_t(-2));
  test({kDLUInt, 16, 1}, uint16_t(65535));
  test({kDLInt, 32, 1}, int32_t(-2));
  test({kDLUInt, 32, 1}, uint32_t(4294967295u));
  test({kDLInt, 64, 1}, int64_t(1) << 40);
  test({kDLUInt, 64, 1}, uint64_t(1) << 63);
}

TEST_F(Rules, OffsetsAscend) {
  setRule(ATTN_RULE_OFFSETS, ATTN_RULE_ASCENDING);
  Tensor offsets(kI32, {1, 4});
  auto *values = offsets.get<int32_t>();
  std::copy_n(std::initializer_list<int32_t>{0, 2, 2, 4}.begin(), 4, values);
  EXPECT_EQ(check(offsets), ATTN_OK);
  values[2] = 1;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "offset 't' of 'f' falls from 2 to 1 at [0, 2]", check(offsets));
  values[2] = 5;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "offset 't' of 'f' has 5 at [0, 2], allowed are -1 to 4",
               check(offsets));
}

TEST_F(Rules, ScalarsAndEmptyTables) {
  Module kernels = load(getKernels());
  auto cache = makeMatrix(6, 4), row = makeMatrix(1, 4),
       place = makeScalar(int64_t(6));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "index 'place' of 'append' has 6, allowed are 0 to 5",
               call(find(kernels, "append"),
                    {cache.get(), row.get(), place.get()}, {nullptr}));
  setRule(ATTN_RULE_LIST);
  EXPECT_EQ(check(Tensor(kI32, {0, 4})), ATTN_OK);
  EXPECT_EQ(check(Tensor(kI32, {4, 0})), ATTN_OK);
}

} // namespace
