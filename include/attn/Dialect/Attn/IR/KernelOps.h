//===- KernelOps.h - arithmetic of kernels ----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What targets compute with where no upstream op says it.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_KERNELOPS_H
#define ATTN_DIALECT_ATTN_IR_KERNELOPS_H

#include "attn/Dialect/Attn/IR/Attn.h"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/KernelOps.h.inc"

#endif // ATTN_DIALECT_ATTN_IR_KERNELOPS_H
