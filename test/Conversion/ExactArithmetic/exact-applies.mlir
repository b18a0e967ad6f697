// RUN: attn-opt %s --attn-exact-applies | FileCheck %s

// A gate by the sign moves as its value does, and a square as it does twice.

// CHECK-LABEL: func.func @gated
func.func @gated(%n: index, %x: tensor<1x1x?x?xf32>, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %r = attn.stream rows (%b, %h, %i) in [%n, %n, %n] over %e = %n ins(%s = %x : tensor<1x1x?x?xf32>) outs(%o : tensor<1x1x?xf32>) {
    %c0 = arith.constant 0 : index
    %k = arith.constant -2.0 : f32
    %zero = arith.constant 0.0 : f32
    %two = arith.constant 2.0 : f32
    %l = attn.sweep %j = %c0 to %e {
      %v = attn.at %s[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      %g = attn.running max %v : (f32) -> f32
      %d = arith.subf %v, %g : f32
      %p = math.exp2 %d : f32
      %q = math.powf %p, %two : f32
      %c = arith.cmpf ogt, %q, %zero : f32
      %y = arith.select %c, %q, %zero : f32
      // CHECK: attn.carry sum
      %a = attn.carry sum %y act(%g by %k) : (f32, f32, f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : tensor<1x1x?xf32>
}
