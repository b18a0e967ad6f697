// RUN: attn-opt %s -attn-exact-arithmetic -split-input-file -verify-diagnostics

func.func @unknown(%x: vector<2x2xf32>, %acc: vector<2xf32>) -> vector<2xf32> {
  // expected-error @below {{exact mode does not apply: 'vector.multi_reduction' has no meaning in a ring}}
  %r = vector.multi_reduction <add>, %x, %acc [0] : vector<2x2xf32> to vector<2xf32>
  return %r : vector<2xf32>
}
