//===- Program.h - the kernels of a compiled program ---------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_CUDA_PROGRAM_H
#define ATTN_RUNTIME_CUDA_PROGRAM_H

#include "../Metadata.h"
#include "Device.h"

namespace attn::cuda {

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

/// The kernels on a device, whose context is current; the first call loads
/// them.
attn_status load(DeviceProgram &program, Device &device, Loaded *&loaded);

/// A constant of the program's code on a device, whose context is current; the
/// first call copies it.
attn_status getConstant(DeviceProgram &program, Device &device, Loaded &loaded,
                        const void *source, size_t bytes, void *&data);

/// The image that suits a device best, or null: machine code of the same major
/// number and the highest minor that is not above the device's; else, or if
/// `textOnly`, text of the highest architecture that is not.
const DeviceImage *choose(const DeviceProgram &program, int architecture,
                          bool textOnly);

/// Gives back what is loaded, on all devices.
void unload(DeviceProgram &program);

} // namespace attn::cuda

#endif // ATTN_RUNTIME_CUDA_PROGRAM_H
