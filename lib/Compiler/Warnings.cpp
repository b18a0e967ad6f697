//===- Warnings.cpp - what compilations warn of ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Warnings.h"

#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::attn;

/// What all locations of an op that was made from another one have in common.
static Location getPlace(Location location) {
  auto line = location->findInstanceOf<FileLineColLoc>();
  return line ? Location(line) : location;
}

WarningRecorder::WarningRecorder(ModuleOp module)
    : module(module),
      handler(module.getContext(), [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != DiagnosticSeverity::Warning) {
          return failure();
        }
        Warning warning = {note(diagnostic)};
        for (const Diagnostic &further : diagnostic.getNotes()) {
          warning.push_back(note(further));
        }
        bool isKnown = llvm::is_contained(warnings, warning);
        if (!isKnown) {
          warnings.push_back(std::move(warning));
        }
        return success(isKnown);
      }) {}

WarningRecorder::Message
WarningRecorder::note(const Diagnostic &diagnostic) const {
  Location place = getPlace(diagnostic.getLocation());
  int64_t count = 0, found = -1;
  module->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (getPlace(op->getLoc()) == place) {
      found = count;
      return WalkResult::interrupt();
    }
    ++count;
    return WalkResult::advance();
  });
  return {found, diagnostic.str()};
}

Location WarningRecorder::getLocation(int64_t op) const {
  Location location = UnknownLoc::get(module->getContext());
  int64_t count = 0;
  module->walk<WalkOrder::PreOrder>([&](Operation *at) {
    if (count++ != op) {
      return WalkResult::advance();
    }
    location = at->getLoc();
    return WalkResult::interrupt();
  });
  return location;
}

std::string WarningRecorder::getText() const {
  llvm::json::Array list;
  for (const Warning &warning : warnings) {
    llvm::json::Array messages;
    for (const Message &message : warning) {
      messages.push_back(llvm::json::Array{message.op, message.text});
    }
    list.push_back(std::move(messages));
  }
  return llvm::formatv("{0}", llvm::json::Value(std::move(list)));
}

void WarningRecorder::repeat(StringRef text) const {
  auto list = llvm::json::parse(text);
  if (!list) {
    // The cache checks what it holds: nothing but a text of getText is here.
    llvm::consumeError(list.takeError());
    return;
  }
  for (const llvm::json::Value &messages : *list->getAsArray()) {
    std::optional<InFlightDiagnostic> warning;
    for (const llvm::json::Value &value : *messages.getAsArray()) {
      const llvm::json::Array &message = *value.getAsArray();
      Location location = getLocation(*message[0].getAsInteger());
      StringRef said = *message[1].getAsString();
      if (!warning) {
        warning.emplace(emitWarning(location));
        *warning << said;
      } else {
        warning->attachNote(location) << said;
      }
    }
  }
}
