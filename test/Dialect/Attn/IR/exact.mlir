// RUN: attn-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func.func @opaque
func.func @opaque() -> (f32, bf16) {
  // CHECK: attn.opaque 1.250000e-01 : f32
  %a = attn.opaque 0.125 : f32
  // CHECK: attn.opaque 2.000000e+00 : bf16
  %b = attn.opaque 2.0 : bf16
  return %a, %b : f32, bf16
}
