//===- Formats.h - numbers as registers hold them ------------ -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EMULATOR_FORMATS_H
#define ATTN_RUNTIME_EMULATOR_FORMATS_H

#include <cstdint>

namespace attn::emulator {

/// Elements in a register of 32 bits.
uint32_t getPacking(int32_t type);

/// Element `i` of a register. Products of all types are exact in double.
double unpack(int32_t type, uint32_t bits, uint32_t i);

/// A sum as an integer of 32 bits.
uint32_t packInteger(double sum, bool saturates);

float halfToFloat(uint16_t bits);
uint16_t floatToHalf(float value);

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_FORMATS_H
