//===- Function.cpp - what functions take and give ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Metadata.h"
#include "Status.h"

using namespace attn;

const char *attn_function_get_name(const attn_function *function) {
  return function->name;
}

size_t attn_function_get_num_arguments(const attn_function *function) {
  return function->arguments.count;
}

size_t attn_function_get_num_results(const attn_function *function) {
  return function->results.count;
}

static attn_status getParameter(const attn_function *function, const char *what,
                                const List<Parameter> &parameters, size_t index,
                                attn_parameter *parameter) {
  if (index >= parameters.count) {
    return fail(ATTN_NOT_FOUND, "'%s' has no %s %zu", function->name, what,
                index);
  }
  *parameter = parameters[index].info;
  return ATTN_OK;
}

attn_status attn_function_get_argument(const attn_function *function,
                                       size_t index,
                                       attn_parameter *parameter) {
  return getParameter(function, "argument", function->arguments, index,
                      parameter);
}

attn_status attn_function_get_result(const attn_function *function,
                                     size_t index, attn_parameter *parameter) {
  return getParameter(function, "result", function->results, index, parameter);
}
