// An append writes its argument's buffer, which the function does not return.
// RUN: attn-opt %s --attn-bufferize-streams | FileCheck %s
// RUN: attn-opt %s --attn-loops-pipeline | FileCheck %s --check-prefix=LLVM

// CHECK-LABEL: func @twice
// CHECK-SAME: (%[[C:.*]]: tensor<2x2x?x64xf32> {{.*}}, %[[X:.*]]: tensor<2x2x3x64xf32>, %[[AT:.*]]: tensor<2xi32>)
// CHECK:      %[[BUFFER:.*]] = bufferization.to_buffer %[[C]] :
// CHECK:      %[[ROWS:.*]] = bufferization.to_buffer %[[X]] read_only
// CHECK:      scf.for %[[B:.*]] =
// CHECK:        memref.load %{{.*}}[%[[B]]]
// CHECK:        scf.for %[[G:.*]] =
// CHECK:          scf.for %[[T:.*]] =
// CHECK:            %[[PLACE:.*]] = arith.addi %{{.*}}, %[[T]]
// CHECK:            %[[INSIDE:.*]] = arith.cmpi ult, %[[PLACE]]
// CHECK:            scf.if %[[INSIDE]]
// CHECK:              scf.for %[[D:.*]] =
// CHECK:                %[[V:.*]] = memref.load %[[ROWS]][%[[B]], %[[G]], %[[T]], %[[D]]]
// CHECK:                memref.store %[[V]], %[[BUFFER]][%[[B]], %[[G]], %[[PLACE]], %[[D]]]
// CHECK:      memref.store %{{.*}}, %[[BUFFER]]
// CHECK:      %[[RESULT:.*]] = bufferization.to_tensor %[[BUFFER]] restrict
// CHECK:      return %[[RESULT]]

// Nothing is allocated, copied or returned.
// LLVM-LABEL: llvm.func @twice(
// LLVM-NOT:   llvm.call
// LLVM:       llvm.return{{$}}
func.func @twice(%c: tensor<2x2x?x64xf32> {bufferization.writable = true},
                 %x: tensor<2x2x3x64xf32>, %at: tensor<2xi32>) -> tensor<2x2x?x64xf32> {
  %c0 = arith.constant 0 : index
  %once = attn.append %c, %x at(%at : tensor<2xi32>) : tensor<2x2x?x64xf32>, tensor<2x2x3x64xf32>
  %two = attn.append %once, %x at(%c0 : index) : tensor<2x2x?x64xf32>, tensor<2x2x3x64xf32>
  return %two : tensor<2x2x?x64xf32>
}

// A page that is none is not written.
// CHECK-LABEL: func @paged
// CHECK:       scf.if
// CHECK:         %[[BLOCK:.*]] = arith.divui
// CHECK:         %[[SLOT:.*]] = arith.remui
// CHECK:         memref.load %{{.*}}[%[[B:.*]], %[[BLOCK]]]
// CHECK:         %[[PAGE:.*]] = arith.index_cast
// CHECK:         arith.cmpi ult, %[[PAGE]]
// CHECK:         scf.if
// CHECK:           memref.store %{{.*}}, %{{.*}}[%[[PAGE]], %[[SLOT]], %{{.*}}, %{{.*}}]
func.func @paged(%c: tensor<?x16x2x64xf32> {bufferization.writable = true},
                 %x: tensor<1x2x1x64xf32>, %t: tensor<1x?xi32>, %at: index) -> tensor<?x16x2x64xf32> {
  %r = attn.append %c, %x at(%at : index) table(%t : tensor<1x?xi32>) layout slots_first
    : tensor<?x16x2x64xf32>, tensor<1x2x1x64xf32>
  return %r : tensor<?x16x2x64xf32>
}
