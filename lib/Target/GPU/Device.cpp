//===- Device.cpp - what GPUs differ in -----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Target/GPU/Device.h"

using namespace mlir;
using namespace mlir::attn;
using tile::Atom;

/// Shared memory: CUDA C++ programming guide, compute capabilities; LDS of a
/// work-group in AMD's ISA documents.
ArrayRef<Device> Device::getAll() {
  constexpr int64_t kKiB = 1024;
  static const Device devices[] = {{"sm_80", Vendor::NVIDIA, 32, 163 * kKiB,
                                    Atom::Grid, Atom::MmaAcc, true, false},
                                   {"sm_86", Vendor::NVIDIA, 32, 99 * kKiB,
                                    Atom::Grid, Atom::MmaAcc, true, false},
                                   {"sm_89", Vendor::NVIDIA, 32, 99 * kKiB,
                                    Atom::Grid, Atom::MmaAcc, true, false},
                                   {"sm_90", Vendor::NVIDIA, 32, 227 * kKiB,
                                    Atom::Grid, Atom::MmaAcc, true, true},
                                   {"sm_90a", Vendor::NVIDIA, 32, 227 * kKiB,
                                    Atom::Grid, Atom::MmaAcc, true, true},
                                   {"gfx90a", Vendor::AMD, 64, 64 * kKiB,
                                    Atom::Grid64, Atom::Mfma, false, false},
                                   {"gfx942", Vendor::AMD, 64, 64 * kKiB,
                                    Atom::Grid64, Atom::Mfma, false, false},
                                   {"gfx1100", Vendor::AMD, 32, 64 * kKiB,
                                    Atom::Grid, Atom::WmmaAcc, false, false},
                                   {"gfx1201", Vendor::AMD, 32, 64 * kKiB,
                                    Atom::Grid, Atom::WmmaHalves, false,
                                    false}};
  return devices;
}

const Device *Device::get(StringRef chip) {
  const Device *found = llvm::find_if(
      getAll(), [&](const Device &device) { return device.chip == chip; });
  return found == getAll().end() ? nullptr : found;
}

FailureOr<const Device *> attn::getDevice(Operation *op, StringRef chip) {
  if (const Device *device = Device::get(chip)) {
    return device;
  }
  std::string chips = llvm::join(
      llvm::map_range(Device::getAll(),
                      [](const Device &device) { return device.chip; }),
      ", ");
  return op->emitError() << "'" << chip << "' is none of the GPUs " << chips;
}
