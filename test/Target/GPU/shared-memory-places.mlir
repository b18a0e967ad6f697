// Buffers that are in use one after the other lie in the same place, and threads
// meet where one takes over; those in use at once lie beside each other.
// RUN: attn-opt %s --attn-distribute-tiles --canonicalize | FileCheck %s

#acc = #tile.layout<mma_acc, warps = [4, 1]>
!narrow = memref<64x24xbf16, #gpu.address_space<workgroup>>
!ring = memref<2x64x24xbf16, #gpu.address_space<workgroup>>

gpu.module @kernels {
  // CHECK-LABEL: gpu.func @places(
  // CHECK-SAME:    attn.shared_bytes = 9216 : i32
  // CHECK:       %[[FIRST:.*]] = memref.view %{{.*}}[%c0]
  // CHECK-NEXT:  %[[THIRD:.*]] = memref.view %{{.*}}[%c0]
  // CHECK:       memref.store %{{.*}}, %[[FIRST]]
  // The ring is in use until the end.
  // CHECK:       %[[OFFSET:.*]] = arith.muli %{{.*}}, %c3072
  // CHECK:       %[[PLACE:.*]] = arith.addi %[[OFFSET]], %c3072
  // CHECK:       memref.view %{{.*}}[%[[PLACE]]]
  // CHECK:       gpu.barrier
  // CHECK:       memref.store %{{.*}}, %[[THIRD]]
  // CHECK-NOT:   gpu.barrier
  // CHECK:       gpu.return
  gpu.func @places(%stage: index, %next: index) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %zero = arith.constant 0.0 : bf16
    %value = tile.splat %zero : tensor<64x16xbf16, #acc>
    %first = tile.shared : !narrow
    %ring = tile.shared : !ring
    %third = tile.shared : !narrow
    tile.stash %value, %first : tensor<64x16xbf16, #acc>, !narrow
    %now = tile.stage %ring[%stage] : !ring
    tile.stash %value, %now : tensor<64x16xbf16, #acc>, !narrow
    %x = tile.fetch %first : !narrow -> tensor<64x16xbf16, #acc>
    tile.stash %value, %third : tensor<64x16xbf16, #acc>, !narrow
    %then = tile.stage %ring[%next] : !ring
    tile.stash %value, %then : tensor<64x16xbf16, #acc>, !narrow
    gpu.return
  }
}
