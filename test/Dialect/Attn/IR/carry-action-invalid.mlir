// A carry's action is derived again when it is verified: an action that was
// dropped, or has another rate, does not get through.
// RUN: attn-opt %s --split-input-file --verify-diagnostics

func.func @dropped(%q: tensor<1x1x?x8xf32>, %n: index, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>) outs(%o : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %l = attn.sweep %j = %zero to %m {
      %f = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %g = attn.running max %f : (f32) -> f32
      %s = attn.guard %g : f32
      %d = arith.subf %f, %s : f32
      %e = math.exp2 %d : f32
      // expected-error @below {{C4: the recorded action is not that of the operand, which moves with rate -1, degree 0}}
      %c = attn.carry sum %e : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : tensor<1x1x?xf32>
}

// -----

func.func @no_action(%q: tensor<1x1x?x8xf32>, %n: index, %o: tensor<1x1x?xf32>) -> tensor<1x1x?xf32> {
  %one = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%one, %one, %n] over %m = %n
      ins(%Q = %q : tensor<1x1x?x8xf32>) outs(%o : tensor<1x1x?xf32>) {
    %zero = arith.constant 0 : index
    %minus = arith.constant -1.0 : f32
    %l = attn.sweep %j = %zero to %m {
      %f = attn.dot %Q[%b, %h, %i], %Q[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %g = attn.running max %f : (f32) -> f32
      %t = math.tanh %g : f32
      // expected-error @below {{C4: the operand moves with a gauge in a way that has no action: 'math.tanh' of a value that moves}}
      %c = attn.carry sum %t act(%g by %minus) : (f32, f32, f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %l : f32
  }
  return %r : tensor<1x1x?xf32>
}
