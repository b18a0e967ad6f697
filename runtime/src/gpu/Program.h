//===- Program.h - the kernels of a compiled program ---------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_GPU_PROGRAM_H
#define ATTN_RUNTIME_GPU_PROGRAM_H

#include "../Metadata.h"
#include "Device.h"

namespace attn::gpu {

/// A constant of the program, copied to the device.
struct Constant {
  const void *source = nullptr;
  Address data = 0;
  Constant *next = nullptr;
};

/// A program's kernels on one device.
struct Loaded {
  Image *image = nullptr;
  /// By the numbers of the record.
  Kernel **kernels = nullptr;
  std::atomic<Constant *> constants{nullptr};
};

/// The kernels on a device, which is current; the first call loads them.
attn_status load(DeviceProgram &program, Device &device, Loaded *&loaded);

/// A constant of the program's code on a device, which is current; the first
/// call copies it.
attn_status getConstant(DeviceProgram &program, Device &device, Loaded &loaded,
                        const void *source, size_t bytes, void *&data);

/// Of the programs of one type of device, the one with the image that suits a
/// device best; the first one if none does.
attn_status choose(DLDevice place, const attn_function *&function);

/// Gives back what is loaded, on all devices.
void unload(DeviceProgram &program);

} // namespace attn::gpu

#endif // ATTN_RUNTIME_GPU_PROGRAM_H
