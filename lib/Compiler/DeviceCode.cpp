//===- DeviceCode.cpp - GPU kernels of a program --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/DeviceCode.h"

#include "CodeGen.h"
#include "CodeObject.h"
#include "attn/Target/Device/Passes.h"
#include "attn/Target/GPU/Device.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm-c/Target.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include <cstdlib>
#include <mutex>

using namespace mlir;
using namespace mlir::attn;

static void initializeDevices() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
}

/// The PTX that LLVM writes for a chip, by default the first that knows it, has
/// no barriers in shared memory that are waited for by parity, or bulk copies.
static StringRef getPTXVersion(gpu::GPUModuleOp kernels, StringRef chip) {
  WalkResult found = kernels.walk(
      [](NVVM::MBarrierInitOp) { return WalkResult::interrupt(); });
  if (!found.wasInterrupted()) {
    return "";
  }
  return Device::get(chip)->copiesInBulk ? "+ptx80" : "+ptx71";
}

/// The kernels, which are moved out of `module`, as text.
static llvm::Expected<std::string> makePTX(gpu::GPUModuleOp kernels,
                                           StringRef chip) {
  initializeDevices();
  StringRef version = getPTXVersion(kernels, chip);
  OwningOpRef<ModuleOp> alone = ModuleOp::create(kernels.getLoc());
  alone->getBody()->getOperations().splice(alone->getBody()->end(),
                                           kernels.getBody()->getOperations());
  std::string text;
  llvm::Error error = runStep("generating PTX", [&]() -> llvm::Error {
    auto translation =
        translate(*alone, {"nvptx64-nvidia-cuda", chip.str()}, version);
    if (!translation) {
      return translation.takeError();
    }
    llvm::Module &module = *translation->module;
    optimize(module, *translation->machine);
    SmallString<0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    if (!emitMachineCode(module, *translation->machine,
                         llvm::CodeGenFileType::AssemblyFile, stream)) {
      return llvm::createStringError("the target cannot write text");
    }
    text = std::string(bytes);
    return llvm::Error::success();
  });
  if (error) {
    return error;
  }
  return text;
}

static llvm::Expected<std::string> findAssembler() {
  SmallVector<StringRef> folders;
  std::string own;
  if (const char *home = std::getenv("CUDA_HOME")) {
    own = std::string(home) + "/bin";
    folders.push_back(own);
  }
  if (!folders.empty()) {
    if (auto found = llvm::sys::findProgramByName("ptxas", folders)) {
      return *found;
    }
  }
  if (auto found = llvm::sys::findProgramByName("ptxas")) {
    return *found;
  }
  return llvm::createStringError(
      "a cubin needs ptxas of the CUDA toolkit, which is neither in $CUDA_HOME "
      "nor on the PATH; PTX needs nothing");
}

/// The numbers behind `pattern` in `text`; -1 where there is none.
static int64_t findNumber(StringRef text, StringRef pattern) {
  SmallVector<StringRef> groups;
  int64_t number = -1;
  if (llvm::Regex(pattern).match(text, &groups)) {
    groups[1].getAsInteger(10, number);
  }
  return number;
}

/// Fills in what ptxas -v says of each kernel.
static void readReport(StringRef report,
                       std::vector<KernelResources> &kernels) {
  SmallVector<StringRef> parts;
  report.split(parts, "Compiling entry function '");
  for (StringRef part : ArrayRef(parts).drop_front()) {
    StringRef name = part.take_until([](char c) { return c == '\''; });
    for (KernelResources &kernel : kernels) {
      if (kernel.name == name) {
        kernel.registers = findNumber(part, "Used ([0-9]+) registers");
        kernel.stackBytes = findNumber(part, "([0-9]+) bytes stack frame");
        kernel.spillStores = findNumber(part, "([0-9]+) bytes spill stores");
        kernel.spillLoads = findNumber(part, "([0-9]+) bytes spill loads");
      }
    }
  }
}

/// Files of a folder that is gone at the end.
namespace {
struct TemporaryFolder {
  SmallString<128> path;
  ~TemporaryFolder() {
    if (!path.empty()) {
      llvm::sys::fs::remove_directories(path);
    }
  }
  std::string get(StringRef name) const {
    SmallString<128> file = path;
    llvm::sys::path::append(file, name);
    return std::string(file);
  }
};
} // namespace

std::string attn::findDeviceAssembler() {
  auto found = findAssembler();
  if (!found) {
    llvm::consumeError(found.takeError());
    return "";
  }
  return *found;
}

static llvm::Error assembleCode(DeviceCode &code, StringRef chip) {
  auto assembler = findAssembler();
  if (!assembler) {
    return assembler.takeError();
  }
  TemporaryFolder folder;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory("attn-kernels", folder.path)) {
    return llvm::createStringError("cannot make a folder for ptxas: " +
                                   error.message());
  }
  std::string input = folder.get("kernels.ptx"),
              output = folder.get("kernels.cubin"),
              said = folder.get("report.txt");
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(input, error);
    stream << code.ptx;
    stream.close();
    if (error || stream.has_error()) {
      stream.clear_error();
      return llvm::createStringError("cannot write PTX for ptxas");
    }
  }
  std::string architecture = "-arch=" + chip.str();
  std::optional<StringRef> redirects[] = {StringRef(), StringRef(said),
                                          StringRef(said)};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(
      *assembler, {*assembler, architecture, "-v", input, "-o", output},
      std::nullopt, redirects, /*SecondsToWait=*/300, /*MemoryLimit=*/0,
      &message);
  auto report = llvm::MemoryBuffer::getFile(said);
  StringRef text = report ? (*report)->getBuffer() : StringRef();
  if (status != 0) {
    return llvm::createStringError(
        "ptxas failed: " + (message.empty() ? text.trim().str() : message));
  }
  auto bytes = llvm::MemoryBuffer::getFile(output);
  if (!bytes) {
    return llvm::createStringError("ptxas left no cubin");
  }
  code.cubin = (*bytes)->getBuffer().str();
  readReport(text, code.kernels);
  return llvm::Error::success();
}

/// The kernels of a module, in order.
static std::vector<KernelResources> readKernels(gpu::GPUModuleOp module) {
  std::vector<KernelResources> kernels;
  for (LLVM::LLVMFuncOp function : getKernels(module)) {
    KernelResources &kernel = kernels.emplace_back();
    kernel.name = function.getName();
    if (auto bytes = function->getAttrOfType<IntegerAttr>(kSharedBytes)) {
      kernel.sharedBytes = bytes.getInt();
    }
    for (StringRef name : {"nvvm.maxntid", "rocdl.reqd_work_group_size"}) {
      if (auto threads = function->getAttrOfType<DenseI32ArrayAttr>(name)) {
        kernel.threads = threads[0];
      }
    }
  }
  return kernels;
}

static llvm::Error checkShared(ArrayRef<KernelResources> kernels,
                               StringRef chip) {
  int64_t limit = Device::get(chip)->sharedBytes;
  for (const KernelResources &kernel : kernels) {
    if (kernel.sharedBytes > limit) {
      return llvm::createStringError("kernel " + kernel.name + " takes " +
                                     std::to_string(kernel.sharedBytes) +
                                     " bytes of shared memory; a block has " +
                                     std::to_string(limit) + " on " + chip);
    }
  }
  return llvm::Error::success();
}

static llvm::Expected<gpu::GPUModuleOp> findKernels(ModuleOp lowered) {
  auto kernels = lowered.lookupSymbol<gpu::GPUModuleOp>(kKernelModule);
  if (!kernels) {
    return llvm::createStringError("the program has no kernels");
  }
  return kernels;
}

/// Whether code for the chip is for no later one, not even as PTX.
static bool isAlone(StringRef chip) {
  return chip.starts_with("sm_") && chip.ends_with("a");
}

/// 80 for sm_80, 90 for sm_90 and sm_90a, 0x942 for gfx942.
static uint32_t getArchitecture(StringRef chip) {
  uint32_t architecture = 0;
  if (isAlone(chip)) {
    chip.consume_back("a");
  }
  unsigned radix = chip.consume_front("gfx") ? 16 : 10;
  chip.consume_front("sm_");
  chip.getAsInteger(radix, architecture);
  return architecture;
}

/// As PTX, and as a cubin for `assemble`; of AMD as a code object.
static llvm::Error addImages(gpu::GPUModuleOp kernels, StringRef chip,
                             bool assemble, DeviceImages &result) {
  uint32_t architecture = getArchitecture(chip);
  DeviceCode code;
  if (Device::get(chip)->vendor == Vendor::AMD) {
    llvm::Error error = makeCodeObject(kernels, chip, code);
    result.images.push_back(
        {ImageKind::CodeObject, architecture, std::move(code.hsaco)});
    return error;
  }
  if (llvm::Error error = makePTX(kernels, chip).moveInto(code.ptx)) {
    return error;
  }
  if (assemble) {
    if (llvm::Error error = assembleCode(code, chip)) {
      return error;
    }
    result.images.push_back(
        {ImageKind::Cubin, architecture, std::move(code.cubin)});
    if (isAlone(chip)) {
      return llvm::Error::success();
    }
  }
  result.images.push_back({ImageKind::PTX, architecture, std::move(code.ptx)});
  return llvm::Error::success();
}

llvm::Expected<DeviceImages> attn::compileKernels(ModuleOp lowered,
                                                  ArrayRef<std::string> chips) {
  auto found = findKernels(lowered);
  if (!found) {
    return found.takeError();
  }
  gpu::GPUModuleOp kernels = *found;
  DeviceImages result;
  result.kernels = readKernels(kernels);
  bool assemble = !findDeviceAssembler().empty();
  for (StringRef chip : chips) {
    if (llvm::Error error = checkShared(result.kernels, chip)) {
      return error;
    }
    OwningOpRef<gpu::GPUModuleOp> copy(kernels.clone());
    if (llvm::Error error = addImages(*copy, chip, assemble, result)) {
      return error;
    }
  }
  kernels.erase();
  lowered->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
  return result;
}

llvm::Expected<DeviceCode> attn::compileForDevice(ModuleOp module,
                                                  const CompileOptions &options,
                                                  bool assemble) {
  auto lowered = lowerProgram(module, options);
  if (!lowered) {
    return lowered.takeError();
  }
  auto found = findKernels(**lowered);
  if (!found) {
    return found.takeError();
  }
  gpu::GPUModuleOp kernels = *found;
  DeviceCode code;
  code.kernels = readKernels(kernels);
  if (llvm::Error error = checkShared(code.kernels, options.chip)) {
    return error;
  }
  if (Device::get(options.chip)->vendor == Vendor::AMD) {
    if (llvm::Error error = makeCodeObject(kernels, options.chip, code)) {
      return error;
    }
    return code;
  }
  auto ptx = makePTX(kernels, options.chip);
  if (!ptx) {
    return ptx.takeError();
  }
  code.ptx = std::move(*ptx);
  if (assemble) {
    if (llvm::Error error = assembleCode(code, options.chip)) {
      return error;
    }
  }
  return code;
}
