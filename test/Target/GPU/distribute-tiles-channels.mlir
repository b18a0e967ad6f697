// Channels between threads that bring and read: groups of asynchronous copies,
// or barriers alone.
// RUN: attn-opt %s --attn-distribute-tiles --canonicalize | FileCheck %s --check-prefixes=CHECK,GROUPS
// RUN: attn-opt %s --attn-distribute-tiles=chip=gfx942 --canonicalize | FileCheck %s --check-prefixes=CHECK,LDS

!matrix = memref<16x24xbf16, #gpu.address_space<workgroup>>
!ring = memref<3x16x24xbf16, #gpu.address_space<workgroup>>

gpu.module @kernels {
  // CHECK-LABEL: gpu.func @three(
  // CHECK-SAME:    attn.shared_bytes = 2304 : i32
  // GROUPS:      nvvm.cp.async.commit.group
  // The loop carries the stages as numbers: the second one, and the first.
  // CHECK:       scf.for %{{.*}} iter_args(%[[P:.*]] = %c1, %[[C:.*]] = %c0) -> (index, index)
  // CHECK:         scf.if %arg2
  // GROUPS-NEXT:     nvvm.cp.async.wait.group 1
  // CHECK-NEXT:      gpu.barrier
  // CHECK-NEXT:    }
  // A stage is 768 bytes.
  // CHECK:         %[[READ:.*]] = arith.muli %[[C]], %c768
  // CHECK:         %[[NOW:.*]] = memref.view %{{.*}}[%[[READ]]]
  // CHECK:         %[[WRITTEN:.*]] = arith.muli %[[P]], %c768
  // CHECK:         %[[TO:.*]] = memref.view %{{.*}}[%[[WRITTEN]]]
  // LDS-NOT:       cp.async
  // GROUPS:        nvvm.cp.async.commit.group
  // CHECK:         %[[P1:.*]] = arith.addi %[[P]], %c1
  // CHECK:         %[[WRAPS:.*]] = arith.cmpi eq, %[[P1]], %c3
  // CHECK:         %[[P2:.*]] = arith.select %[[WRAPS]], %c0, %[[P1]]
  // CHECK:         memref.load %[[NOW]]
  // CHECK:         %[[C1:.*]] = arith.addi %[[C]], %c1
  // CHECK:         %[[BACK:.*]] = arith.cmpi eq, %[[C1]], %c3
  // CHECK:         %[[C2:.*]] = arith.select %[[BACK]], %c0, %[[C1]]
  // CHECK:         scf.yield %[[P2]], %[[C2]]
  gpu.func @three(%m: memref<?x16xbf16>, %n: index, %needed: i1, %x: memref<16xbf16>) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>} {
    %zero = arith.constant 0 : index
    %step = arith.constant 16 : index
    %ring = tile.shared : !ring
    %channel, %first = tile.channel depth(3) rings(%ring : !ring)
    tile.acquire %channel[%first] : !matrix
    %second = tile.commit %channel[%first]
    %ends:2 = scf.for %key = %zero to %n step %step iter_args(%p = %second, %c = %first)
        -> (!tile.position, !tile.position) {
      %now = tile.wait %channel[%c] later(1) if %needed : !matrix
      %to = tile.acquire %channel[%p] : !matrix
      tile.copy %m[] rows(%key to %n) columns(16 of 16), %to : memref<?x16xbf16> to !matrix
      %p1 = tile.commit %channel[%p]
      %y = memref.load %now[%zero, %zero] : !matrix
      memref.store %y, %x[%zero] : memref<16xbf16>
      %c1 = tile.release %channel[%c]
      scf.yield %p1, %c1 : !tile.position, !tile.position
    }
    gpu.return
  }

  // In one stage, readers have to be done before it is written; there is no
  // position left.
  // CHECK-LABEL: gpu.func @one(
  // CHECK:       %[[STAGE:.*]] = memref.view
  // CHECK:       scf.for %{{.*}} = %c0 to %{{.*}} step %c16 {
  // CHECK-NEXT:    gpu.barrier
  // GROUPS:        nvvm.cp.async.commit.group
  // GROUPS-NEXT:   nvvm.cp.async.wait.group 0
  // CHECK:         gpu.barrier
  // CHECK-NEXT:    memref.load %[[STAGE]]
  gpu.func @one(%m: memref<?x16xbf16>, %n: index, %x: memref<16xbf16>) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>} {
    %zero = arith.constant 0 : index
    %step = arith.constant 16 : index
    %stage = tile.shared : !matrix
    %channel, %first = tile.channel depth(1) rings(%stage : !matrix)
    %ends:2 = scf.for %key = %zero to %n step %step iter_args(%p = %first, %c = %first)
        -> (!tile.position, !tile.position) {
      %to = tile.acquire %channel[%p] : !matrix
      tile.copy %m[] rows(%key to %n) columns(16 of 16), %to : memref<?x16xbf16> to !matrix
      %p1 = tile.commit %channel[%p]
      %now = tile.wait %channel[%c] later(0) : !matrix
      %y = memref.load %now[%zero, %zero] : !matrix
      memref.store %y, %x[%zero] : memref<16xbf16>
      %c1 = tile.release %channel[%c]
      scf.yield %p1, %c1 : !tile.position, !tile.position
    }
    gpu.return
  }
}
