//===- CodeGen.cpp - LLVM dialect to LLVM IR to machine code --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels arrive tiled, vectorized and unrolled as they should be, so LLVM's
// pipeline is cut down to what cleans up after a lowering: scalar replacement,
// common subexpressions, invariant code, dead code. Neither the vectorizers nor
// the loop unroller run on kernels; they cost more time than the rest and would
// undo the register allocation that the microkernels were shaped for. Entry
// functions, where the user's own linalg ends as plain loops, and outlined
// parallel loops are vectorized.
//
//===----------------------------------------------------------------------===//

#include "CodeGen.h"

#include "attn/Target/CPU/Passes.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm-c/Target.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/ADCE.h"
#include "llvm/Transforms/Scalar/DeadStoreElimination.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/GVN.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopDeletion.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Vectorize/LoopVectorize.h"
#include <mutex>

using namespace mlir;
using namespace mlir::attn;

void attn::initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
  });
}

std::string attn::getHostFeatures() {
  llvm::SubtargetFeatures features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures()) {
    features.AddFeature(feature.first(), feature.second);
  }
  return features.getString();
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
attn::createTargetMachine(const TargetSpec &spec, StringRef added) {
  initializeTargets();
  llvm::Triple triple(spec.triple.empty()
                          ? llvm::sys::getProcessTriple()
                          : llvm::Triple::normalize(spec.triple));
  std::string message;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target) {
    return llvm::createStringError("unknown target triple '" + spec.triple +
                                   "': supported are x86_64 and aarch64");
  }
  std::string cpu = spec.cpu;
  std::string features = added.str();
  if (spec.isHost()) {
    cpu = llvm::sys::getHostCPUName().str();
    features = getHostFeatures();
  }
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      llvm::CodeGenOptLevel::Aggressive));
  if (!machine) {
    return llvm::createStringError("no code generator for target triple '" +
                                   triple.str() + "'");
  }
  if (!cpu.empty() && !machine->getMCSubtargetInfo()->isCPUStringValid(cpu)) {
    return llvm::createStringError("unknown CPU '" + cpu + "' for target '" +
                                   triple.str() + "'");
  }
  return machine;
}

llvm::Error attn::runStep(const llvm::Twine &doing,
                          llvm::function_ref<llvm::Error()> fn) {
  llvm::Error inner = llvm::Error::success();
  llvm::Error outer = runSafely(doing, [&] {
    llvm::consumeError(std::move(inner));
    inner = fn();
  });
  return llvm::joinErrors(std::move(outer), std::move(inner));
}

llvm::Expected<Translation>
attn::translate(ModuleOp module, const TargetSpec &target, StringRef features) {
  auto created = createTargetMachine(target, features);
  if (!created) {
    return created.takeError();
  }
  llvm::TargetMachine &machine = **created;
  auto context = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(module, *context, "attn");
  if (!llvmModule) {
    return llvm::createStringError(
        "the module could not be translated to LLVM IR");
  }
  llvmModule->setTargetTriple(machine.getTargetTriple());
  llvmModule->setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : *llvmModule) {
    if (function.isDeclaration()) {
      continue;
    }
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    // Vectors are as wide as the lowering chose, also where the CPU's tuning
    // would rather split them.
    function.addFnAttr("prefer-vector-width", "512");
  }
  return Translation{std::move(context), std::move(*created),
                     std::move(llvmModule)};
}

std::vector<FunctionSize> attn::countInstructions(const llvm::Module &module) {
  std::vector<FunctionSize> sizes;
  for (const llvm::Function &function : module) {
    if (!function.isDeclaration()) {
      sizes.push_back({function.getName().str(),
                       static_cast<int64_t>(function.getInstructionCount())});
    }
  }
  return sizes;
}

void attn::addPackedEntries(llvm::Module &module) {
  SmallVector<llvm::Function *> entries;
  for (llvm::Function &function : module) {
    if (!function.isDeclaration() &&
        function.getName().starts_with(kInterfacePrefix)) {
      entries.push_back(&function);
    }
  }
  llvm::IRBuilder<> builder(module.getContext());
  llvm::Type *pointer = builder.getPtrTy();
  for (llvm::Function *entry : entries) {
    auto *type = llvm::FunctionType::get(builder.getVoidTy(), {pointer}, false);
    auto *packed = llvm::Function::Create(
        type, llvm::GlobalValue::ExternalLinkage,
        kHostEntryPrefix + entry->getName().drop_front(kInterfacePrefix.size()),
        module);
    for (llvm::Attribute attr : entry->getAttributes().getFnAttrs()) {
      if (attr.isStringAttribute()) {
        packed->addFnAttr(attr);
      }
    }
    builder.SetInsertPoint(
        llvm::BasicBlock::Create(module.getContext(), "", packed));
    auto slot = [&](unsigned index) -> llvm::Value * {
      llvm::Value *address =
          builder.CreateConstGEP1_64(pointer, packed->getArg(0), index);
      return builder.CreateLoad(pointer, address);
    };
    SmallVector<llvm::Value *> arguments;
    for (llvm::Argument &argument : entry->args()) {
      arguments.push_back(
          builder.CreateLoad(argument.getType(), slot(arguments.size())));
    }
    llvm::Value *result = builder.CreateCall(entry, arguments);
    if (!result->getType()->isVoidTy()) {
      builder.CreateStore(result, slot(arguments.size()));
    }
    builder.CreateRetVoid();
  }
}

namespace {
/// Whether a function is one that callers see, and not a kernel, or a kernel of
/// scalar loops.
bool hasScalarLoops(const llvm::Function &function) {
  return function.hasFnAttribute(kVectorizeLoops) ||
         function.getParent()->getFunction(
             (kInterfacePrefix + function.getName()).str());
}

/// The loop vectorizer, where it has something to do.
struct VectorizeScalarLoops : llvm::PassInfoMixin<VectorizeScalarLoops> {
  llvm::PreservedAnalyses run(llvm::Function &function,
                              llvm::FunctionAnalysisManager &analyses) {
    if (!hasScalarLoops(function)) {
      return llvm::PreservedAnalyses::all();
    }
    llvm::FunctionPassManager passes;
    passes.addPass(llvm::LoopVectorizePass());
    passes.addPass(llvm::InstCombinePass());
    passes.addPass(llvm::SimplifyCFGPass());
    return passes.run(function, analyses);
  }
};
} // namespace

void attn::prepareToSplit(llvm::Module &module) {
  for (llvm::Function &function : module) {
    if (!function.isDeclaration() && hasScalarLoops(function)) {
      function.addFnAttr(kVectorizeLoops);
    }
  }
}

static llvm::FunctionPassManager buildFunctionPipeline() {
  using namespace llvm;
  SimplifyCFGOptions simplify;
  simplify.hoistCommonInsts(true);
  FunctionPassManager passes;
  passes.addPass(SROAPass(SROAOptions::ModifyCFG));
  passes.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(SimplifyCFGPass(simplify));
  passes.addPass(InstCombinePass());
  LoopPassManager rotate;
  rotate.addPass(LoopRotatePass());
  rotate.addPass(LICMPass(LICMOptions()));
  passes.addPass(createFunctionToLoopPassAdaptor(std::move(rotate),
                                                 /*UseMemorySSA=*/true));
  passes.addPass(SimplifyCFGPass(simplify));
  passes.addPass(InstCombinePass());
  LoopPassManager loops;
  loops.addPass(IndVarSimplifyPass(/*WidenIndVars=*/true));
  loops.addPass(LoopDeletionPass());
  passes.addPass(createFunctionToLoopPassAdaptor(std::move(loops)));
  passes.addPass(GVNPass());
  passes.addPass(DSEPass());
  LoopPassManager hoist;
  hoist.addPass(LICMPass(LICMOptions()));
  passes.addPass(createFunctionToLoopPassAdaptor(std::move(hoist),
                                                 /*UseMemorySSA=*/true));
  passes.addPass(ADCEPass());
  passes.addPass(VectorizeScalarLoops());
  passes.addPass(InstCombinePass());
  passes.addPass(SimplifyCFGPass(simplify));
  return passes;
}

void attn::optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loopAnalyses;
  llvm::FunctionAnalysisManager functionAnalyses;
  llvm::CGSCCAnalysisManager callGraphAnalyses;
  llvm::ModuleAnalysisManager moduleAnalyses;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(moduleAnalyses);
  builder.registerCGSCCAnalyses(callGraphAnalyses);
  builder.registerFunctionAnalyses(functionAnalyses);
  builder.registerLoopAnalyses(loopAnalyses);
  builder.crossRegisterProxies(loopAnalyses, functionAnalyses,
                               callGraphAnalyses, moduleAnalyses);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass());
  passes.addPass(
      llvm::createModuleToFunctionPassAdaptor(buildFunctionPipeline()));
  passes.run(module, moduleAnalyses);
}

void attn::hoistSlots(llvm::Module &module) {
  for (llvm::Function &function : module) {
    for (llvm::Instruction &op :
         llvm::make_early_inc_range(llvm::instructions(function))) {
      auto *slot = dyn_cast<llvm::AllocaInst>(&op);
      llvm::BasicBlock &entry = function.getEntryBlock();
      if (slot && slot->getParent() != &entry &&
          isa<llvm::ConstantInt>(slot->getArraySize())) {
        slot->moveBefore(entry.begin());
      }
    }
  }
}

bool attn::emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                           llvm::CodeGenFileType type,
                           llvm::raw_pwrite_stream &stream) {
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type)) {
    return false;
  }
  passes.run(module);
  return true;
}
