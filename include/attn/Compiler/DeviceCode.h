//===- DeviceCode.h - GPU kernels of a program ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_DEVICECODE_H
#define ATTN_COMPILER_DEVICECODE_H

#include "attn/Compiler/Compiler.h"

namespace mlir::attn {

/// What ptxas, or the metadata of a code object, says of one kernel.
struct KernelResources {
  std::string name;
  int64_t threads = 0;
  int64_t registers = 0;
  /// Bytes of the workgroup memory that a launch passes.
  int64_t sharedBytes = 0;
  int64_t stackBytes = 0, spillStores = 0, spillLoads = 0;
  /// Of AMD: `registers` are those of vectors, accumulators among them; spills
  /// are registers.
  int64_t accumulators = 0, scalarRegisters = 0, spills = 0, scalarSpills = 0;
};

struct DeviceCode {
  std::string ptx;
  /// Empty without ptxas.
  std::string cubin;
  /// The code object instead of both, for AMD's GPUs.
  std::string hsaco;
  std::vector<KernelResources> kernels;
};

enum class ImageKind { Cubin, PTX, CodeObject };

/// The kernels of a program for one architecture.
struct DeviceImage {
  ImageKind kind = ImageKind::Cubin;
  /// 80 for sm_80, 0x942 for gfx942.
  uint32_t architecture = 0;
  std::string bytes;
};

struct DeviceImages {
  /// In the order of their numbers.
  std::vector<KernelResources> kernels;
  std::vector<DeviceImage> images;
};

/// The kernels of `module`, none of which takes more shared memory than a block
/// can have, for `options.chip` as PTX, in this process. With
/// `assemble`, ptxas makes a cubin of it; that is looked for in the folder bin
/// of $CUDA_HOME, and then on the PATH. For GPUs of AMD there is a code object.
llvm::Expected<DeviceCode>
compileForDevice(ModuleOp module, const CompileOptions &options, bool assemble);

/// The kernels of a program that `lowerProgram` made, which they are moved out
/// of, for each of these architectures: as PTX, and as cubins where there is
/// ptxas. For a GPU of AMD, which is the only one then, as a code object.
llvm::Expected<DeviceImages> compileKernels(ModuleOp lowered,
                                            ArrayRef<std::string> chips);

/// Where ptxas is; empty if it is nowhere.
std::string findDeviceAssembler();

} // namespace mlir::attn

#endif // ATTN_COMPILER_DEVICECODE_H
