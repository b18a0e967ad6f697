// A convolution of what moves with a running maximum has no action.
// RUN: attn-opt %s --attn-fuse-sweeps --verify-diagnostics -o /dev/null

func.func @moving(%t: tensor<1x1x?x?xf32>, %w: tensor<1x1x3xf32>, %o0: tensor<1x1x?xf32>, %m: index, %n: index) -> tensor<1x1x?xf32> {
  %c1 = arith.constant 1 : index
  %o = attn.stream rows (%b, %h, %i) in [%c1, %c1, %m] over %e = %n ins(%T = %t : tensor<1x1x?x?xf32>, %W = %w : tensor<1x1x3xf32>, %M = %m : index) outs(%o0 : tensor<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %max = attn.sweep %j = %z to %e {
      %x = attn.at %T[%b, %h, %i, %j] : tensor<1x1x?x?xf32> -> f32
      %c = attn.carry max %x : (f32) -> f32
      attn.yield %c : f32
    } : f32
    %g = attn.guard %max : f32
    // expected-remark @below {{sweep (sum) stays on its own: 'attn.stencil' of a value that moves with a running maximum or mean}}
    %sum = attn.sweep %j = %z to %e {
      %r = attn.stencil [%i, %j] in [%M, %e] taps %W[%z] origin [0, 1] {
      ^bb0(%i2: index, %j2: index):
        %x = attn.at %T[%b, %h, %i2, %j2] : tensor<1x1x?x?xf32> -> f32
        %d = arith.subf %x, %g : f32
        %y = math.exp2 %d : f32
        %p = arith.constant true
        attn.yield %y, %p : f32, i1
      } : tensor<1x1x3xf32> -> f32
      %c = attn.carry sum %r : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %sum : f32
  }
  return %o : tensor<1x1x?xf32>
}
