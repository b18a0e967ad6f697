// RUN: attn-opt %s -attn-promote-to-f64 -split-input-file -verify-diagnostics

func.func @bits(%x: f32) -> i32 {
  // expected-error @below {{'arith.bitcast' depends on the width of a float, so there is no program on f64 that does the same}}
  %r = arith.bitcast %x : f32 to i32
  return %r : i32
}

// -----

func.func @resource() -> tensor<1xf32> {
  // expected-error @below {{'value' is a resource of narrow floats, which has no copy in f64; write it as dense elements}}
  %c = arith.constant dense_resource<blob> : tensor<1xf32>
  return %c : tensor<1xf32>
}

{-#
  dialect_resources: {
    builtin: {
      blob: "0x040000000000803F"
    }
  }
#-}
