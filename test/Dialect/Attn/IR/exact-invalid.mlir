// RUN: attn-opt %s -split-input-file -verify-diagnostics

func.func @integer() -> i32 {
  // expected-error @below {{'attn.opaque' op attribute 'value' failed to satisfy constraint: a float}}
  %a = "attn.opaque"() {value = 2 : i32} : () -> i32
  return %a : i32
}
