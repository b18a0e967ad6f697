//===- CallTest.cpp - what calls do, and what they refuse -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace attn::test;

namespace {

class Calls : public testing::Test {
protected:
  Calls() { reload(); }

  void reload() { module = load(spec); }
  const attn_function *get(const char *name) { return find(module, name); }
  FunctionSpec &change(const char *name) { return find(spec, name); }

  ModuleSpec spec = getKernels();
  Module module;
  std::unique_ptr<Tensor> x = makeMatrix(3, 4), y = makeMatrix(3, 4),
                          alpha = makeScalar(2.0f);
};

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

TEST_F(Calls, ReturnedResultsAreStored) {
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(y->get<float>()[i], 2.0f * i);
  }
}

TEST_F(Calls, StridesAndOffsetsAreFollowed) {
  Tensor from(kF32, {3, 4}), to(kF32, {3, 4});
  from.storage.assign(64, 0);
  to.storage.assign(64, 0);
  from.data = from.storage.data();
  to.data = to.storage.data();
  from.setStrides({1, 5});
  from.byte_offset = 8;
  to.setStrides({9, 2});
  auto *source = static_cast<float *>(from.data) + 2;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j) {
      source[i + 5 * j] = static_cast<float>(10 * i + j);
    }
  }
  ASSERT_OK(call(get("scale"), {&from, alpha.get()}, {&to}));
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j) {
      EXPECT_EQ(to.get<float>()[9 * i + 2 * j], 2.0f * (10 * i + j));
    }
  }
  EXPECT_EQ(to.get<float>()[1], 0.0f);
  // Backwards.
  Tensor back(kF32, {3, 4});
  back.setStrides({-4, 1});
  back.byte_offset = 32;
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {&back}));
  EXPECT_EQ(back.get<float>()[0], 16.0f);
}

TEST_F(Calls, NewResultsBelongToTheCaller) {
  Tensors arguments = {x.get(), alpha.get()};
  DLManagedTensor *result = nullptr;
  ASSERT_OK(attn_function_call_new(get("scale"), nullptr, arguments.data(), 2,
                                   &result, 1, nullptr));
  module.reset();
  const DLTensor &tensor = result->dl_tensor;
  EXPECT_EQ(tensor.ndim, 2);
  EXPECT_EQ(tensor.shape[0], 3);
  EXPECT_EQ(tensor.strides[0], 4);
  EXPECT_EQ(static_cast<float *>(tensor.data)[11], 22.0f);
  result->deleter(result);
}

TEST_F(Calls, PassedResultsAreWritten) {
  auto pool = makeMatrix(5, 8), o = makeMatrix(3, 8);
  Tensor table(kI32, {3});
  int32_t pages[] = {4, -1, 0};
  table.data = pages;
  Tensors arguments = {pool.get(), &table};
  ASSERT_OK(call(get("gather"), arguments, {o.get()}));
  EXPECT_EQ(o->get<float>()[1], 33.0f);
  EXPECT_EQ(o->get<float>()[8], 0.0f);
  EXPECT_EQ(o->get<float>()[17], 1.0f);
  DLManagedTensor *result = nullptr;
  ASSERT_OK(attn_function_call_new(get("gather"), nullptr, arguments.data(), 2,
                                   &result, 1, nullptr));
  EXPECT_EQ(result->dl_tensor.shape[1], 8);
  EXPECT_EQ(static_cast<float *>(result->dl_tensor.data)[7], 39.0f);
  result->deleter(result);
}

TEST_F(Calls, WritableArgumentsAreWrittenInPlace) {
  auto cache = makeMatrix(6, 4), row = makeMatrix(1, 4),
       place = makeScalar(int64_t(5));
  Tensors arguments = {cache.get(), row.get(), place.get()};
  ASSERT_OK(call(get("append"), arguments, {nullptr}));
  EXPECT_EQ(cache->get<float>()[19], 19.0f);
  EXPECT_EQ(cache->get<float>()[23], 3.0f);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'after' of 'append' is argument 'cache' and takes no "
               "tensor: pass null",
               call(get("append"), arguments, {cache.get()}));
  DLManagedTensor *result = nullptr;
  ASSERT_OK(attn_function_call_new(get("append"), nullptr, arguments.data(), 3,
                                   &result, 1, nullptr));
  EXPECT_EQ(result, nullptr);
}

TEST_F(Calls, ScalarsAreReturned) {
  auto number = makeScalar(int64_t(0));
  x->get<float>()[3] = NAN;
  ASSERT_OK(call(get("count"), {x.get()}, {number.get()}));
  EXPECT_EQ(*number->get<int64_t>(), 11);
  const DLTensor *argument = x.get();
  DLManagedTensor *result = nullptr;
  ASSERT_OK(attn_function_call_new(get("count"), nullptr, &argument, 1, &result,
                                   1, nullptr));
  EXPECT_EQ(*static_cast<int64_t *>(result->dl_tensor.data), 11);
  result->deleter(result);
}

TEST_F(Calls, SeveralResultsAndExtentsOfTheData) {
  x->get<float>()[0] = -1.0f; // rows 1 and 2 are kept
  auto sum = makeScalar(0.0f), rows = makeMatrix(2, 4);
  Tensor one(kI8, {});
  ASSERT_OK(call(get("split"), {x.get()}, {sum.get(), rows.get(), &one}));
  EXPECT_EQ(*sum->get<float>(), 65.0f);
  EXPECT_EQ(rows->get<float>()[7], 11.0f);
  EXPECT_EQ(*one.get<int8_t>(), 1);
  const DLTensor *argument = x.get();
  int64_t shape[2];
  ASSERT_OK(
      attn_function_get_result_shape(get("split"), &argument, 1, 1, shape));
  EXPECT_EQ(shape[0], -1);
  EXPECT_EQ(shape[1], 4);
  EXPECT_FAILS(
      ATTN_NOT_FOUND, "'split' has no result 3",
      attn_function_get_result_shape(get("split"), &argument, 1, 3, shape));
  auto many = makeMatrix(3, 4);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'rows' of 'split' has extent 2 on axis 0, the tensor "
               "given for it has 3",
               call(get("split"), {x.get()}, {sum.get(), many.get(), &one}));
  DLManagedTensor *results[3];
  ASSERT_OK(attn_function_call_new(get("split"), nullptr, &argument, 1, results,
                                   3, nullptr));
  EXPECT_EQ(results[1]->dl_tensor.shape[0], 2);
  for (DLManagedTensor *result : results) {
    result->deleter(result);
  }
}

TEST_F(Calls, EmptyTensorsNeedNoData) {
  Tensor empty(kF32, {0, 4}), result(kF32, {0, 4});
  empty.data = result.data = nullptr;
  EXPECT_EQ(call(get("scale"), {&empty, alpha.get()}, {&result}), ATTN_OK)
      << attn_get_message();
}

TEST_F(Calls, ImportsAreResolved) {
  auto sum = makeScalar(0.0f);
  ASSERT_OK(call(get("imports"), {}, {sum.get()}));
  EXPECT_NEAR(*sum->get<float>(), 0.5 + std::tanh(0.5), 1e-6);
}

//===----------------------------------------------------------------------===//
// What is refused of arguments
//===----------------------------------------------------------------------===//

TEST_F(Calls, NumbersOfTensors) {
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "'scale' takes 2 arguments, not 1",
               call(get("scale"), {x.get()}, {y.get()}));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "'scale' takes 2 arguments, not 0",
               attn_function_call(get("scale"), nullptr, nullptr, 2, nullptr, 1,
                                  nullptr));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "'scale' has 1 results, not 2",
               call(get("scale"), {x.get(), alpha.get()}, {y.get(), y.get()}));
  Tensors arguments = {x.get(), alpha.get()};
  DLManagedTensor *result = nullptr;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "'scale' has 1 results, not 0",
               attn_function_call_new(get("scale"), nullptr, arguments.data(),
                                      2, &result, 0, nullptr));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the function is null",
               call(nullptr, {}, {}));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "argument 'x' of 'scale' is null",
               call(get("scale"), {nullptr, alpha.get()}, {y.get()}));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "result 'y' of 'scale' is null",
               call(get("scale"), {x.get(), alpha.get()}, {nullptr}));
}

/// The first argument of `scale` is refused.
#define EXPECT_X_REFUSED(sentence)                                             \
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, sentence,                                \
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}))

TEST_F(Calls, RankAndTypeAndDevice) {
  x->ndim = 1;
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' has rank 1, the program asks for 2");
  x->ndim = 2;
  x->dtype = {kDLBfloat, 16, 1};
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' is of bf16, the program asks for f32");
  x->dtype = {ATTN_DL_FLOAT8_E4M3FN, 8, 1};
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' is of f8E4M3FN, the program asks for f32");
  x->dtype = {ATTN_DL_FLOAT8_E5M2, 8, 1};
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' is of f8E5M2, the program asks for f32");
  x->dtype = {kDLFloat, 64, 1};
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' is of f64, the program asks for f32");
  x->dtype = {kDLFloat, 16, 1};
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' is of f16, the program asks for f32");
  x->dtype = {ATTN_DL_BOOL, 8, 1};
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' is of bool, the program asks for f32");
  x->dtype = {kDLUInt, 32, 1};
  EXPECT_X_REFUSED(
      "argument 'x' of 'scale' is of uint32, the program asks for f32");
  x->dtype = {kDLFloat, 32, 4};
  EXPECT_X_REFUSED("argument 'x' of 'scale' is of a type of code 2, 32 bits, 4 "
                   "lanes, the program asks for f32");
  x->dtype = kF32;
  x->device.device_type = kDLCUDA;
  EXPECT_X_REFUSED("argument 'x' of 'scale' is on CUDA device 0, the program "
                   "is compiled for the host");
  x->device.device_type = kDLCUDAHost;
  EXPECT_EQ(call(get("scale"), {x.get(), alpha.get()}, {y.get()}), ATTN_OK);
}

TEST_F(Calls, UnsignedBytesAreBytes) {
  ParameterSpec codes = {"codes", kI8, {symbol(0)}};
  ParameterSpec bits = {"bits", {ATTN_DL_BOOL, 8, 1}, {symbol(0)}};
  spec.functions.push_back(
      {"bytes", {"N"}, {codes, bits}, {}, {}, {}, {}, "attn_packed_nothing"});
  reload();
  Tensor bytes({kDLUInt, 8, 1}, {5}), more({kDLUInt, 8, 1}, {5});
  EXPECT_EQ(call(get("bytes"), {&bytes, &more}, {}), ATTN_OK);
  more.dtype = kI8;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'bits' of 'bytes' is of int8, the program asks for "
               "bool",
               call(get("bytes"), {&bytes, &more}, {}));
}

TEST_F(Calls, Shapes) {
  x->extents[1] = 5;
  EXPECT_X_REFUSED("argument 'x' of 'scale' has extent 5 on axis 1, the "
                   "program asks for 4");
  x->extents = {-1, 4};
  EXPECT_X_REFUSED("argument 'x' of 'scale' has extent -1 on axis 0");
  x->shape = nullptr;
  EXPECT_X_REFUSED("argument 'x' of 'scale' has no shape");
  auto cache = makeMatrix(6, 4), row = makeMatrix(1, 5),
       place = makeScalar(int64_t(5));
  EXPECT_FAILS(
      ATTN_INVALID_ARGUMENT,
      "argument 'row' of 'append' has extent 5 on axis 1 (D), but "
      "argument 'cache' says D = 4",
      call(get("append"), {cache.get(), row.get(), place.get()}, {nullptr}));
}

TEST_F(Calls, SizesThatOverflow) {
  int64_t large = std::numeric_limits<int64_t>::max();
  for (int64_t extent : {large, large / 2, large / 4, large / 15}) {
    x->extents[0] = extent;
    EXPECT_X_REFUSED(
        "argument 'x' of 'scale' is larger than the address space");
  }
  x->extents[0] = 3;
  x->setStrides({large / 2, 1});
  EXPECT_X_REFUSED("argument 'x' of 'scale' is larger than the address space");
  x->setStrides({-(large / 4), 1});
  EXPECT_X_REFUSED("argument 'x' of 'scale' is larger than the address space");
  // An axis of one element has no stride to speak of.
  x->extents[0] = y->extents[0] = 1;
  EXPECT_EQ(call(get("scale"), {x.get(), alpha.get()}, {y.get()}), ATTN_OK);
  x->setStrides({4, 1});
  x->byte_offset = ~uint64_t(0) - 7;
  EXPECT_X_REFUSED("argument 'x' of 'scale' is larger than the address space");
  x->byte_offset = 0;
  x->extents = {large, 0};
  ModuleSpec any = getKernels();
  find(any, "scale").arguments[0].extents[1] = symbol(1);
  find(any, "scale").symbols.push_back("D");
  Module other = load(any);
  Tensors arguments = {x.get(), alpha.get()};
  size_t bytes = 0;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the extents given to 'scale' are too large, or zero where they "
               "divide: 'workspace' cannot be checked",
               attn_function_get_workspace(find(other, "scale"),
                                           arguments.data(), 2, &bytes));
}

TEST_F(Calls, Data) {
  void *data = x->data;
  x->data = nullptr;
  EXPECT_X_REFUSED("argument 'x' of 'scale' has no data");
  x->data = static_cast<char *>(data) + 2;
  EXPECT_X_REFUSED("argument 'x' of 'scale' is not aligned to 4 bytes");
  x->data = data;
  alpha->data = nullptr;
  EXPECT_X_REFUSED("argument 'alpha' of 'scale' has no data");
  change("scale").arguments[0].alignment = 64;
  reload();
  x->data = static_cast<char *>(data) + 16;
  x->byte_offset = 4;
  EXPECT_X_REFUSED("argument 'x' of 'scale' is not aligned to 64 bytes");
}

TEST_F(Calls, ScalarsMayLieAnywhere) {
  char bytes[9] = {};
  float two = 2.0f;
  std::memcpy(bytes + 1, &two, 4);
  alpha->data = bytes;
  alpha->byte_offset = 1;
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  EXPECT_EQ(y->get<float>()[11], 22.0f);
}

/// The program writes where it is told to; only a tensor with gaps, or in
/// another order, gets a copy.
TEST_F(Calls, PassedResults) {
  auto pool = makeMatrix(5, 2);
  Tensor table(kI32, {3}), o(kF32, {3, 2});
  for (int i = 0; i < 3; ++i) {
    table.get<int32_t>()[i] = 2 * i;
  }
  auto check = [&](int64_t rowStride, int64_t columnStride) {
    std::fill(o.storage.begin(), o.storage.end(), -1);
    ASSERT_OK(call(get("gather"), {pool.get(), &table}, {&o}));
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 2; ++j) {
        EXPECT_EQ(o.get<float>()[i * rowStride + j * columnStride],
                  static_cast<float>(4 * i + j));
      }
    }
  };
  o.storage.resize(20);
  o.data = o.storage.data();
  check(2, 1);
  o.setStrides({1, 3});
  check(1, 3);
  o.setStrides({9, 4});
  check(9, 4);
  EXPECT_NE(o.get<float>()[1], o.get<float>()[1]); // nothing between elements
}

TEST_F(Calls, LastStride) {
  auto pool = makeMatrix(5, 2), o = makeMatrix(3, 2);
  Tensor table(kI32, {3});
  pool->storage.resize(20);
  pool->data = pool->storage.data();
  pool->setStrides({4, 2});
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'pool' of 'gather' has stride 2 on its last axis, the "
               "program asks for 1",
               call(get("gather"), {pool.get(), &table}, {o.get()}));
  // An axis of one element has no stride to speak of.
  pool->extents[1] = o->extents[1] = 1;
  EXPECT_EQ(call(get("gather"), {pool.get(), &table}, {o.get()}), ATTN_OK);
}

TEST_F(Calls, Relations) {
  // ceil(N / 2) <= 2 and N mod 3 == 0
  Expr blocks = binary(ATTN_OP_CEILDIV, symbol(0), constant(2));
  Expr rest = binary(ATTN_OP_MOD, symbol(0), constant(3));
  change("scale").relations = {{ATTN_RELATION_LESS_EQUAL, 0, blocks,
                                constant(2),
                                "has more blocks of 2 rows than 2"},
                               {ATTN_RELATION_EQUAL, 0, rest, constant(0),
                                "needs a multiple of 3 rows"}};
  reload();
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  x = makeMatrix(6, 4);
  EXPECT_X_REFUSED("argument 'x' of 'scale' has more blocks of 2 rows than 2: "
                   "3 is more than 2");
  x = makeMatrix(4, 4);
  EXPECT_X_REFUSED("argument 'x' of 'scale' needs a multiple of 3 rows: 1 is "
                   "not 0");
  Expr zero = binary(ATTN_OP_FLOORDIV, constant(1), symbol(0));
  change("scale").relations = {
      {ATTN_RELATION_EQUAL, 0, zero, constant(0), "is there"}};
  reload();
  x = makeMatrix(0, 4);
  EXPECT_X_REFUSED("the extents given to 'scale' are too large, or zero where "
                   "they divide: 'x' cannot be checked");
}

/// Every operator, on numbers of both signs.
TEST_F(Calls, Operators) {
  struct {
    attn_op op;
    int64_t left, right, value;
  } cases[] = {
      {ATTN_OP_ADD, 2, -3, -1},      {ATTN_OP_SUB, 2, -3, 5},
      {ATTN_OP_MUL, 2, -3, -6},      {ATTN_OP_FLOORDIV, 7, 2, 3},
      {ATTN_OP_FLOORDIV, -7, 2, -4}, {ATTN_OP_CEILDIV, 7, 2, 4},
      {ATTN_OP_CEILDIV, -7, 2, -3},  {ATTN_OP_MOD, 7, 2, 1},
      {ATTN_OP_MOD, -7, 2, 1},       {ATTN_OP_MOD, -6, 2, 0},
      {ATTN_OP_MIN, 2, -3, -3},      {ATTN_OP_MAX, 2, -3, 2},
  };
  for (auto [op, left, right, value] : cases) {
    change("scale").relations = {{ATTN_RELATION_EQUAL, 0,
                                  binary(op, constant(left), constant(right)),
                                  constant(value), "is right"}};
    reload();
    EXPECT_EQ(call(get("scale"), {x.get(), alpha.get()}, {y.get()}), ATTN_OK)
        << attn_get_message();
  }
  int64_t large = std::numeric_limits<int64_t>::max();
  for (auto [op, left, right] : {std::tuple{ATTN_OP_ADD, large, int64_t(1)},
                                 {ATTN_OP_SUB, -large, int64_t(2)},
                                 {ATTN_OP_MUL, large, int64_t(2)},
                                 {ATTN_OP_FLOORDIV, int64_t(1), int64_t(-1)},
                                 {ATTN_OP_CEILDIV, int64_t(1), int64_t(0)},
                                 {ATTN_OP_MOD, int64_t(1), int64_t(0)}}) {
    change("scale").relations[0].left =
        binary(op, constant(left), constant(right));
    reload();
    EXPECT_EQ(call(get("scale"), {x.get(), alpha.get()}, {y.get()}),
              ATTN_INVALID_ARGUMENT);
  }
}

//===----------------------------------------------------------------------===//
// Overlap
//===----------------------------------------------------------------------===//

TEST_F(Calls, WrittenArgumentsAreAlone) {
  auto cache = makeMatrix(6, 4), row = makeMatrix(1, 4),
       place = makeScalar(int64_t(5));
  Tensors arguments = {cache.get(), row.get(), place.get()};
  row->data = cache->get<float>() + 23 - 3;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'cache' of 'append' is written, but shares memory "
               "with argument 'row'",
               call(get("append"), arguments, {nullptr}));
  cache->setStrides({0, 1});
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'cache' of 'append' is written, but elements of it "
               "share memory",
               call(get("append"), arguments, {nullptr}));
  cache->setStrides({3, 1});
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'cache' of 'append' is written, but elements of it "
               "share memory",
               call(get("append"), arguments, {nullptr}));
}

/// Halves of one buffer, by rows and by columns, are two tensors.
TEST_F(Calls, InterleavedViewsDoNotOverlap) {
  Tensor buffer(kF32, {100});
  Tensor cache(kF32, {6, 4}), row(kF32, {1, 4});
  auto place = makeScalar(int64_t(5));
  Tensors arguments = {&cache, &row, place.get()};
  cache.data = row.data = buffer.data;
  cache.setStrides({8, 1});
  row.byte_offset = 4 * 4;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_OK)
      << attn_get_message();
  row.byte_offset = 3 * 4;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_INVALID_ARGUMENT);
  row.byte_offset = 5 * 4;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_INVALID_ARGUMENT);
  // Columns: every other element.
  cache.setStrides({8, 2});
  row.setStrides({8, 2});
  row.byte_offset = 4;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_OK);
  row.byte_offset = 8;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_INVALID_ARGUMENT);
  // Backwards, and beyond the other's last element.
  cache.setStrides({-8, 1});
  cache.byte_offset = 40 * 4;
  row.setStrides({8, 1});
  row.byte_offset = 4 * 4;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_OK);
  row.byte_offset = 44 * 4;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_OK);
  row.byte_offset = 43 * 4;
  EXPECT_EQ(call(get("append"), arguments, {nullptr}), ATTN_INVALID_ARGUMENT);
}

TEST_F(Calls, ResultsAreAlone) {
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'y' of 'scale' shares memory with argument 'x'",
               call(get("scale"), {x.get(), alpha.get()}, {x.get()}));
  y->setStrides({0, 1});
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "elements of result 'y' of 'scale' share memory",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  auto sum = makeScalar(0.0f), rows = makeMatrix(3, 4);
  Tensor one(kI8, {});
  sum->data = rows->data;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'rows' of 'split' shares memory with result 'sum'",
               call(get("split"), {x.get()}, {sum.get(), rows.get(), &one}));
}

TEST_F(Calls, ResultsAreChecked) {
  Tensors arguments = {x.get(), alpha.get()};
  auto wrong = makeMatrix(2, 4);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'y' of 'scale' has extent 2 on axis 0, the arguments "
               "say 3",
               call(get("scale"), arguments, {wrong.get()}));
  y->dtype = kI32;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'y' of 'scale' is of int32, the program asks for f32",
               call(get("scale"), arguments, {y.get()}));
  y->dtype = kF32;
  y->data = nullptr;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "result 'y' of 'scale' has no data",
               call(get("scale"), arguments, {y.get()}));
  change("scale").results[0].extents[0] =
      binary(ATTN_OP_SUB, symbol(0), constant(5));
  reload();
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the extents given to 'scale' leave -2 on axis 0 of result 'y'",
               call(get("scale"), arguments, {makeMatrix(3, 4).get()}));
}

} // namespace
