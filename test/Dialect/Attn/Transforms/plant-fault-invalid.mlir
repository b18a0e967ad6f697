// RUN: attn-opt %s --attn-plant-fault=kind=head -verify-diagnostics=only-expected -split-input-file
// RUN: not attn-opt %s --attn-plant-fault=kind=typo 2>&1 | FileCheck %s

// CHECK: a fault is rescale, bound, tail or head, not 'typo'
// expected-error @below {{the plan has no place for a fault of kind 'head'}}
func.func @f() {
  return
}
