//===- Report.cpp - what a compiled program came to -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "attn/Dialect/Attn/Transforms/PrintPlan.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::attn;

static void printParameter(const Parameter &parameter, bool isResult,
                           const Signature &signature, raw_ostream &os) {
  os << (isResult ? "    result " : "    argument ") << parameter.name << ": "
     << getName(parameter.type);
  if (!parameter.isScalar) {
    os << " [";
    llvm::interleaveComma(
        llvm::zip(parameter.shape, parameter.dims), os, [&](auto axis) {
          auto [extent, dim] = axis;
          os << (ShapedType::isDynamic(extent) ? dim : std::to_string(extent));
        });
    os << "]";
  }
  if (parameter.isWritable) {
    os << ", written in place";
  }
  if (parameter.alias) {
    os << ", is argument " << signature.arguments[*parameter.alias].name;
  }
  if (parameter.pool) {
    os << ", pages of " << signature.arguments[*parameter.pool].name;
  }
  if (parameter.list) {
    os << ", a row for every " << parameter.list->block << " queries of "
       << signature.arguments[parameter.list->query].name;
  }
  os << "\n";
}

llvm::Expected<std::string>
attn::makeReport(ModuleOp module, const CompileOptions &options,
                 const AheadOfTimeProgram &program) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "target: " << program.getTriple();
  if (!program.getCPU().empty()) {
    os << ", " << program.getCPU();
  }
  os << "\nneeds: "
     << (program.getFeatures().empty() ? "nothing beyond the baseline"
                                       : llvm::join(program.getFeatures(), " "))
     << "\n";
  if (options.mode != ExecutionMode::Reference) {
    auto plan = planProgram(module, options);
    if (!plan) {
      return plan.takeError();
    }
    printPlan(**plan, os);
  }
  auto object = program.emit(ArtifactKind::Object, "");
  if (!object) {
    return object.takeError();
  }
  auto functions = AheadOfTimeProgram::measureCode(*object);
  if (!functions) {
    return functions.takeError();
  }
  int64_t total = 0;
  for (const FunctionCode &function : *functions) {
    total += function.bytes;
  }
  os << "code (" << getName(options.mode) << "): " << total << " bytes, ";
  if (program.getVectorBits() > 0) {
    os << "vectors of " << program.getVectorBits() << " bits\n";
  } else {
    os << "no vectors\n";
  }
  for (const FunctionCode &function : *functions) {
    os << "  " << function.name << ": " << function.bytes << " bytes\n";
  }
  os << "interface: " << program.getMetadataSize() << " bytes of metadata\n";
  for (const Signature &signature : program.getSignatures()) {
    os << "  function " << signature.function << "\n";
    for (const Parameter &argument : signature.arguments) {
      printParameter(argument, /*isResult=*/false, signature, os);
    }
    for (const Parameter &result : signature.results) {
      printParameter(result, /*isResult=*/true, signature, os);
    }
  }
  return text;
}

static void printCodeObject(const DeviceCode &code, llvm::raw_ostream &os) {
  os << "kernels: " << code.kernels.size() << ", code object of "
     << code.hsaco.size() << " bytes\n";
  for (const KernelResources &kernel : code.kernels) {
    os << "  " << kernel.name << ": " << kernel.threads << " threads, "
       << kernel.registers << " vector registers, " << kernel.accumulators
       << " of them accumulators, " << kernel.scalarRegisters
       << " scalar registers, " << kernel.sharedBytes
       << " bytes of shared memory, " << kernel.stackBytes
       << " bytes of scratch, " << kernel.spills << " + " << kernel.scalarSpills
       << " spilled registers\n";
  }
}

llvm::Expected<std::string>
attn::makeDeviceReport(ModuleOp module, const CompileOptions &options,
                       const DeviceCode &code) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "target: " << options.chip << "\n";
  auto plan = planProgram(module, options);
  if (!plan) {
    return plan.takeError();
  }
  printPlan(**plan, os);
  if (!code.hsaco.empty()) {
    printCodeObject(code, os);
    return text;
  }
  os << "kernels: " << code.kernels.size() << ", cubin of " << code.cubin.size()
     << " bytes\n";
  for (const KernelResources &kernel : code.kernels) {
    os << "  " << kernel.name << ": " << kernel.threads << " threads, "
       << kernel.registers << " registers, " << kernel.sharedBytes
       << " bytes of shared memory, " << kernel.spillStores
       << " bytes of spill stores, " << kernel.spillLoads << " of spill loads, "
       << kernel.stackBytes << " of stack\n";
  }
  return text;
}
