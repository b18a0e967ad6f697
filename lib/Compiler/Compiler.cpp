//===- Compiler.cpp - programs in, code out -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Code is cached under the program as it was given, before any pass: a hit
// costs a print and a hash, and neither passes nor LLVM run.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Compiler.h"

#include "CodeGen.h"
#include "Metadata.h"
#include "attn/Compiler/AheadOfTime.h"
#include "attn/Compiler/DeviceCode.h"
#include "attn/Compiler/Pipelines.h"
#include "attn/Compiler/Registration.h"
#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "attn/Target/GPU/Device.h"
#include "attn_module.h"
#include "attn_runtime.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/TargetParser/Host.h"
#include <chrono>

using namespace mlir;
using namespace mlir::attn;

StringRef attn::getName(ExecutionMode mode) {
  switch (mode) {
  case ExecutionMode::CPU:
    return "fused CPU";
  case ExecutionMode::Loops:
    return "loops";
  case ExecutionMode::FusedLoops:
    return "fused loops";
  case ExecutionMode::Reference:
    return "reference";
  case ExecutionMode::GPU:
    return "GPU";
  case ExecutionMode::EmulatedGPU:
    return "emulated GPU";
  }
  llvm_unreachable("all modes are handled");
}

static double getMilliseconds() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Runs passes under crash recovery: a bug in one pass must not take the tool,
/// and its other results, with it. What is left of the module after a crash is
/// not touched again.
static llvm::Error runPasses(PassManager &manager,
                             OwningOpRef<ModuleOp> &module,
                             const llvm::Twine &what) {
  bool succeededAll = false;
  if (llvm::Error error = runSafely(
          what, [&] { succeededAll = succeeded(manager.run(*module)); })) {
    (void)module.release();
    return error;
  }
  if (!succeededAll) {
    return llvm::createStringError(what + " failed");
  }
  return llvm::Error::success();
}

static StringRef getPlatform(const Device &device) {
  return device.vendor == Vendor::AMD ? "hip" : "cuda";
}

std::string attn::getTargetName(StringRef chip) {
  return (getPlatform(*Device::get(chip)) + ":" + chip).str();
}

/// The chips of a vendor: "gfx90a, gfx942".
static std::string listChips(Vendor vendor) {
  std::string chips;
  for (const Device &device : Device::getAll()) {
    if (device.vendor == vendor) {
      chips += (chips.empty() ? "" : ", ") + device.chip.str();
    }
  }
  return chips;
}

/// Code of AMD's runs on its chip alone; CUDA's, on what is not older.
llvm::Expected<std::string> attn::findTarget(const attn_device_info &device) {
  StringRef chip = device.chip;
  if (Device::get(chip)) {
    return getTargetName(chip);
  }
  if (chip.starts_with("gfx")) {
    return llvm::createStringError(
        "there are no kernels for " + StringRef(device.name) + ", a " + chip +
        ": there are some for " + listChips(Vendor::AMD));
  }
  const Device *best = nullptr;
  int bestNumber = 0;
  for (const Device &candidate : Device::getAll()) {
    int number = 0;
    StringRef digits = candidate.chip;
    if (digits.consume_front("sm_") && !digits.getAsInteger(10, number) &&
        number <= device.architecture && number > bestNumber) {
      best = &candidate;
      bestNumber = number;
    }
  }
  if (!best) {
    return llvm::createStringError("there are no kernels for " +
                                   StringRef(device.name) + ", an " + chip +
                                   ": sm_80 is the least");
  }
  return getTargetName(best->chip);
}

llvm::Error attn::setTarget(CompileOptions &options, StringRef target) {
  if (target == "cpu") {
    options.mode = ExecutionMode::CPU;
    return llvm::Error::success();
  }
  auto [machine, how] = target.split(',');
  auto [kind, chip] = machine.split(':');
  const Device *device = Device::get(chip);
  if (!device || kind != getPlatform(*device) ||
      (!how.empty() && how != "emulate")) {
    return llvm::createStringError(
        "a target is cpu, cuda: and one of " + listChips(Vendor::NVIDIA) +
        ", or hip: and one of " + listChips(Vendor::AMD) +
        ", with ,emulate to run it, not '" + target + "'");
  }
  options.chip = chip.str();
  options.mode = how.empty() ? ExecutionMode::GPU : ExecutionMode::EmulatedGPU;
  return llvm::Error::success();
}

/// Few rows leave a GPU idle unless several blocks share their keys.
constexpr int64_t kSplitsOnGPU = 8, kFewRows = 16;

template <typename Derived>
static void setSplits(PlanOptions<Derived> &plan,
                      const CompileOptions &options) {
  plan.splits = options.splits;
  bool isGPU = options.mode == ExecutionMode::GPU ||
               options.mode == ExecutionMode::EmulatedGPU;
  if (isGPU && options.splits == 0) {
    plan.splits = kSplitsOnGPU;
    plan.splitMostRows = kFewRows;
  }
}

static void buildPipeline(PassManager &manager, const CompileOptions &options,
                          bool passResults) {
  switch (options.mode) {
  case ExecutionMode::Reference: {
    ReferencePipelineOptions reference;
    reference.exact = options.exact;
    reference.passResults = passResults;
    return buildReferencePipeline(manager, reference);
  }
  case ExecutionMode::Loops:
  case ExecutionMode::FusedLoops: {
    LoopsPipelineOptions loops;
    loops.fuse = options.mode == ExecutionMode::FusedLoops;
    setSplits(loops, options);
    loops.useBounds = true;
    loops.maxRecomputeFactor = options.maxRecomputeFactor;
    loops.exact = options.exact;
    loops.passResults = passResults;
    loops.plantFault = options.plantFault;
    return buildLoopsPipeline(manager, loops);
  }
  case ExecutionMode::CPU: {
    CPUPipelineOptions cpu;
    cpu.triple = options.target.triple;
    cpu.cpu = options.target.cpu;
    setSplits(cpu, options);
    cpu.maxRecomputeFactor = options.maxRecomputeFactor;
    cpu.oneRowForms = options.oneRowForms;
    cpu.exact = options.exact;
    cpu.passResults = passResults;
    cpu.plantFault = options.plantFault;
    return buildCPUPipeline(manager, cpu);
  }
  case ExecutionMode::GPU:
  case ExecutionMode::EmulatedGPU: {
    GPUPipelineOptions gpu;
    gpu.chip = options.chip.empty() ? options.chips.front() : options.chip;
    setSplits(gpu, options);
    gpu.maxRecomputeFactor = options.maxRecomputeFactor;
    gpu.exact = options.exact;
    gpu.passResults = passResults;
    gpu.plantFault = options.plantFault;
    gpu.warpRoles = options.warpRoles;
    gpu.emulate = options.mode == ExecutionMode::EmulatedGPU;
    gpu.launch = passResults && options.mode == ExecutionMode::GPU;
    return buildGPUPipeline(manager, gpu);
  }
  }
}

llvm::Expected<OwningOpRef<ModuleOp>>
attn::lowerProgram(ModuleOp module, const CompileOptions &options,
                   bool passResults) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager manager(module.getContext());
  // A damaged plan does not verify.
  bool isVerified = options.plantFault.empty();
  manager.enableVerifier(isVerified && options.verifyPasses);
  buildPipeline(manager, options, passResults);
  std::string what = ("compilation (" + getName(options.mode) + ")").str();
  if (llvm::Error error = runPasses(manager, copy, what)) {
    return error;
  }
  if (isVerified && !options.verifyPasses && failed(verify(*copy))) {
    return llvm::createStringError(what + " failed");
  }
  return copy;
}

llvm::Expected<OwningOpRef<ModuleOp>> attn::promoteProgram(ModuleOp module) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager promote(module.getContext());
  promote.addPass(createPromoteToF64Pass());
  if (llvm::Error error = runPasses(promote, copy, "promotion to f64")) {
    return error;
  }
  return copy;
}

llvm::Expected<OwningOpRef<ModuleOp>>
attn::planProgram(ModuleOp module, const CompileOptions &options) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager manager(module.getContext());
  PlanPipelineOptions plan;
  setSplits(plan, options);
  plan.maxRecomputeFactor = options.maxRecomputeFactor;
  buildPlanPipeline(manager, plan);
  if (llvm::Error error = runPasses(manager, copy, "planning")) {
    return error;
  }
  return copy;
}

/// Everything that code depends on; `form` tells apart what is made of one
/// program.
static CacheKey makeKey(ModuleOp module, const CompileOptions &options,
                        StringRef form) {
  std::string text, how;
  llvm::raw_string_ostream textStream(text), howStream(how);
  OpPrintingFlags flags;
  flags.printGenericOpForm().assumeVerified();
  module->print(textStream, flags);
  howStream << form << " " << getName(options.mode) << " " << options.chip
            << " " << options.splits << " " << options.maxRecomputeFactor
            << (options.oneRowForms ? "" : " any rows")
            << (options.warpRoles ? " warp roles" : "")
            << (options.isQuick ? " quick" : "");
  if (!options.target.isHost()) {
    return makeCacheKey({getCompilerBuildId(), text, how, options.target.triple,
                         options.target.cpu, "as the CPU has them"});
  }
  std::string features = getHostFeatures();
  return makeCacheKey({getCompilerBuildId(), text, how,
                       llvm::sys::getProcessTriple(),
                       llvm::sys::getHostCPUName(), features});
}

/// An entry of the cache: code, the warnings about it, and how long the code
/// is.
static std::string joinEntry(StringRef code, StringRef warnings) {
  char size[sizeof(uint64_t)];
  llvm::support::endian::write64le(size, code.size());
  return (code + warnings + StringRef(size, sizeof(size))).str();
}

static std::pair<StringRef, StringRef> splitEntry(StringRef entry) {
  StringRef size = entry.take_back(sizeof(uint64_t));
  uint64_t codeSize = llvm::support::endian::read64le(size.data());
  StringRef rest = entry.drop_back(sizeof(uint64_t));
  return {rest.take_front(codeSize), rest.drop_front(codeSize)};
}

/// An object from the cache, or a new one that is stored there. A full disk, or
/// a directory that cannot be written, is no reason to fail.
static llvm::Expected<ObjectCode>
findOrMakeObject(ModuleOp module, const CompileOptions &options, StringRef form,
                 const WarningRecorder &warnings, bool &isFound,
                 llvm::function_ref<llvm::Expected<ObjectCode>()> make) {
  isFound = false;
  if (!options.cache || options.exact || !options.plantFault.empty()) {
    return make();
  }
  CacheKey key = makeKey(module, options, form);
  if (auto found = options.cache->find(key)) {
    isFound = true;
    auto [code, text] = splitEntry(found->getBuffer());
    warnings.repeat(text);
    return ObjectCode{llvm::MemoryBuffer::getMemBufferCopy(code), {}};
  }
  auto code = make();
  if (!code) {
    return code;
  }
  std::string reason = llvm::toString(options.cache->store(
      key, joinEntry(code->object->getBuffer(), warnings.getText())));
  if (!reason.empty() && options.cache->shouldWarn()) {
    emitWarning(UnknownLoc::get(module.getContext()))
        << "the compiled program was not cached: " << reason;
  }
  return code;
}

llvm::Expected<std::string>
attn::findOrMake(ModuleOp module, const CompileOptions &options, StringRef form,
                 const WarningRecorder &warnings,
                 llvm::function_ref<llvm::Expected<std::string>()> make) {
  bool isFound = false;
  auto code = findOrMakeObject(
      module, options, form, warnings, isFound,
      [&]() -> llvm::Expected<ObjectCode> {
        auto bytes = make();
        if (!bytes) {
          return bytes.takeError();
        }
        return ObjectCode{llvm::MemoryBuffer::getMemBufferCopy(*bytes), {}};
      });
  if (!code) {
    return code.takeError();
  }
  return code->object->getBuffer().str();
}

/// The addresses of the entries of all public functions. Links now, so that a
/// missing symbol is an error of the compilation.
static llvm::Expected<std::vector<attn_entry_fn>>
linkEntries(ModuleOp module, const JitModule &jit,
            StringRef prefix = kHostEntryPrefix) {
  std::vector<attn_entry_fn> entries;
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func.isPublic() || func.isExternal()) {
      continue;
    }
    auto address = jit.lookup((prefix + func.getName()).str());
    if (!address) {
      return address.takeError();
    }
    entries.push_back(reinterpret_cast<attn_entry_fn>(*address));
  }
  return entries;
}

/// Whether values of a lowered program are floats of fewer than 32 bits.
/// Unoptimised code moves those through registers of f32, which changes the
/// bits of a signalling NaN, and in exact mode all bits count.
static bool hasNarrowFloats(ModuleOp lowered) {
  auto isNarrow = [](Type type) {
    auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
    return element && element.getWidth() < 32;
  };
  return lowered
      .walk([&](Operation *op) {
        return llvm::any_of(op->getResultTypes(), isNarrow)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

llvm::Expected<LoadedProgram>
attn::compileProgram(ModuleOp module, const CompileOptions &options) {
  LoadedProgram program;
  double start = getMilliseconds();
  WarningRecorder warnings(module);
  auto code = findOrMakeObject(
      module, options, "plain", warnings, program.fromCache,
      [&]() -> llvm::Expected<ObjectCode> {
        double beforeLowering = getMilliseconds();
        auto lowered = lowerProgram(module, options);
        if (!lowered) {
          return lowered.takeError();
        }
        program.loweringTime = getMilliseconds() - beforeLowering;
        if (auto bits =
                (**lowered)->getAttrOfType<IntegerAttr>(kExactBitsAttrName)) {
          program.exactBits = static_cast<unsigned>(bits.getInt());
          (**lowered)->removeAttr(kExactBitsAttrName);
        }
        bool isQuick =
            options.isQuick && !(options.exact && hasNarrowFloats(**lowered));
        return generateObject(**lowered, !isQuick);
      });
  if (!code) {
    return code.takeError();
  }
  auto jit = JitModule::load(std::move(*code));
  if (!jit) {
    return jit.takeError();
  }
  program.jit = std::move(*jit);
  if (auto entries = linkEntries(module, *program.jit); !entries) {
    return entries.takeError();
  }
  program.codegenTime = getMilliseconds() - start - program.loweringTime;
  return program;
}

struct Program::Impl {
  std::unique_ptr<JitModule> jit;
  attn_module *module = nullptr;
  bool isFromCache = false;
  std::string warnings;

  ~Impl() { attn_module_release(module); }
};

Program::Program() : impl(std::make_unique<Impl>()) {}
Program::~Program() = default;

const attn_module *Program::getModule() const { return impl->module; }
bool Program::isFromCache() const { return impl->isFromCache; }
StringRef Program::getWarnings() const { return impl->warnings; }

llvm::Expected<const attn_function *>
Program::getFunction(StringRef name) const {
  const attn_function *function = nullptr;
  if (attn_module_find_function(impl->module, name.str().c_str(), &function) !=
      ATTN_OK) {
    return llvm::createStringError(attn_get_message());
  }
  return function;
}

llvm::Expected<std::unique_ptr<Program>>
Compiler::compile(ModuleOp module) const {
  if (!options.target.isHost()) {
    return llvm::createStringError("programs run on this machine: a triple or "
                                   "a CPU cannot be chosen for them");
  }
  CompileOptions own = options;
  std::string prefix = kHostEntryPrefix.str();
  if (options.mode == ExecutionMode::GPU) {
    own.chips = {options.chip};
    prefix = getDeviceEntryPrefix(options.chip);
  }
  std::unique_ptr<Program> program(new Program());
  Program::Impl &impl = *program->impl;
  WarningRecorder warnings(module);
  auto code =
      findOrMakeObject(module, own, "checked", warnings, impl.isFromCache, [&] {
        return AheadOfTimeProgram::compileToLoad(module, own);
      });
  if (!code) {
    return code.takeError();
  }
  auto jit = JitModule::load(std::move(*code));
  if (!jit) {
    return jit.takeError();
  }
  impl.jit = std::move(*jit);
  auto entries = linkEntries(module, *impl.jit, prefix);
  if (!entries) {
    return entries.takeError();
  }
  auto metadata = impl.jit->lookup(ATTN_MODULE_METADATA_SYMBOL);
  auto size = impl.jit->lookup(ATTN_MODULE_SIZE_SYMBOL);
  if (!metadata || !size) {
    return llvm::joinErrors(metadata.takeError(), size.takeError());
  }
  if (attn_module_create(*metadata, *static_cast<const uint64_t *>(*size),
                         entries->data(), entries->size(),
                         &impl.module) != ATTN_OK) {
    return llvm::createStringError(attn_get_message());
  }
  return program;
}

Compiler::Compiler(CompileOptions options)
    : options(std::move(options)),
      registry(std::make_unique<DialectRegistry>()) {
  registerDialects(*registry);
}
Compiler::~Compiler() = default;

llvm::Expected<std::unique_ptr<Program>>
Compiler::compile(StringRef text, StringRef name) const {
  // One context per program: they may be compiled at the same time.
  MLIRContext context(*registry, MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  std::string diagnostics;
  llvm::raw_string_ostream stream(diagnostics);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler printer(sources, &context, stream);
  ScopedDiagnosticHandler filter(&context, [](Diagnostic &diagnostic) {
    return success(diagnostic.getSeverity() == DiagnosticSeverity::Remark);
  });
  auto fail = [&](llvm::Error error) {
    StringRef said = StringRef(diagnostics).trim();
    return llvm::createStringError((said.empty() ? "" : said + "\n") +
                                   llvm::toString(std::move(error)));
  };
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name),
                             llvm::SMLoc());
  OwningOpRef<ModuleOp> module;
  if (llvm::Error error = runSafely("parsing", [&] {
        module = parseSourceFile<ModuleOp>(sources, &context);
      })) {
    return fail(std::move(error));
  }
  if (!module) {
    return fail(llvm::createStringError("'" + name + "' does not parse"));
  }
  auto program = compile(*module);
  if (!program) {
    return fail(program.takeError());
  }
  (*program)->impl->warnings = std::move(diagnostics);
  return program;
}
