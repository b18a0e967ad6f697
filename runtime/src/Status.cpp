//===- Status.cpp - why something failed ----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Status.h"

#include <cstdarg>
#include <cstdio>

namespace {
constexpr size_t kMessageBytes = 1024;
thread_local char message[kMessageBytes];
} // namespace

attn_status attn::fail(attn_status code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, kMessageBytes, format, arguments);
  va_end(arguments);
  return code;
}

attn_status attn::failOutOfMemory(size_t bytes) {
  return fail(ATTN_OUT_OF_MEMORY, "out of memory: %zu bytes cannot be had",
              bytes);
}

const char *attn_get_message(void) { return message; }

const char *attn_get_version(void) { return ATTN_RUNTIME_VERSION; }
