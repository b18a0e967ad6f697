// The tensors of a GPU program are not where the host is.
// RUN: attn-opt %s --verify-diagnostics --attn-linalg-to-gpu -o /dev/null

func.func @host(%x: memref<?xf32>, %i: index) -> f32 {
  // expected-error @+1 {{'memref.load' op would run on the host, where the tensors of a GPU program are not}}
  %0 = memref.load %x[%i] : memref<?xf32>
  return %0 : f32
}
