//===- TargetInfo.cpp - what the CPU lowering knows of a CPU --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Features come from LLVM's own tables for a named CPU, and from the machine
// for the host, whose hypervisor may hide some of what the name promises.
//
//===----------------------------------------------------------------------===//

#include "TargetInfo.h"

#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using namespace mlir::attn::cpu;

using HasFeature = llvm::function_ref<bool(StringRef)>;

static TargetInfo describe(const llvm::Triple &triple, HasFeature has) {
  TargetInfo info;
  if (triple.isX86()) {
    if (has("avx512f") && has("avx512dq") && has("avx512bw") &&
        has("avx512vl")) {
      // 32 registers: 24 accumulators, 4 columns, 1 broadcast.
      info.vectorBits = 512;
      info.kernelVectors = 4;
      info.stencilRows = 8;
      info.mixedHeads = 16;
      info.hasBF16Dot = has("avx512bf16");
      info.hasInt8Dot = has("avx512vnni");
    } else if (has("avx2") && has("fma")) {
      info.vectorBits = 256;
    }
  } else if (triple.isAArch64()) {
    info.kernelVectors = 4;
    info.stencilRows = 8;
    info.mixedHeads = 16;
  }
  return info;
}

FailureOr<TargetInfo> TargetInfo::get(StringRef tripleName, StringRef cpu,
                                      std::string &error) {
  if (tripleName.empty() && cpu.empty()) {
    llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
    return describe(llvm::Triple(llvm::sys::getProcessTriple()),
                    [&](StringRef name) { return features.lookup(name); });
  }
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargetMCs();
  llvm::Triple triple(tripleName.empty() ? llvm::sys::getProcessTriple()
                                         : tripleName.str());
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target || (!triple.isX86() && !triple.isAArch64())) {
    error = ("triple '" + triple.str() + "' is no CPU this compiler knows");
    return failure();
  }
  std::unique_ptr<llvm::MCSubtargetInfo> subtarget(
      target->createMCSubtargetInfo(triple, cpu, ""));
  if (!subtarget || (!cpu.empty() && !subtarget->isCPUStringValid(cpu))) {
    error = ("cpu '" + cpu + "' is unknown for triple '" + triple.str() + "'")
                .str();
    return failure();
  }
  return describe(triple, [&](StringRef name) {
    return subtarget->checkFeatures(("+" + name).str());
  });
}
