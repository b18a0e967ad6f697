// A loop over tiles of keys, with one, two and three of them in shared memory.
// RUN: attn-opt %s --attn-pipeline-tiles=stages=1 | FileCheck %s --check-prefix=ONE
// RUN: attn-opt %s --attn-pipeline-tiles=stages=3 | FileCheck %s --check-prefix=THREE
// RUN: attn-opt %s --attn-pipeline-tiles | FileCheck %s --check-prefix=CHOSEN
// RUN: attn-opt %s --attn-pipeline-tiles=block-bytes=20000 | FileCheck %s --check-prefix=SMALL

!matrix = memref<128x136xbf16, #gpu.address_space<workgroup>>

gpu.module @kernels {
  // One is waited for where it is asked for.
  // ONE-LABEL: gpu.func @kernel(
  // ONE:       %[[K:.*]] = tile.shared : memref<128x136xbf16
  // ONE:       scf.for %[[KEY:.*]] = %{{.*}} to %[[N:.*]] step
  // ONE:         arith.remui %[[KEY]]
  // ONE:         scf.if
  // ONE-NEXT:      gpu.barrier
  // ONE-NEXT:      tile.copy %{{.*}}[] rows(%[[KEY]] to %{{.*}}){{.*}}, %[[K]]
  // ONE-NEXT:      tile.commit
  // ONE-NEXT:      tile.wait{{$}}
  // ONE-NEXT:      gpu.barrier
  // ONE:           tile.finite %[[K]]

  // Of three, two are on their way.
  // THREE-LABEL: gpu.func @kernel(
  // THREE:       %[[RING:.*]] = tile.shared : memref<3x128x136xbf16
  // THREE:       scf.if
  // THREE:         tile.stage %[[RING]][%c0{{.*}}]
  // THREE:         tile.copy
  // THREE:       tile.commit
  // THREE:       scf.if
  // THREE:         tile.stage %[[RING]][%c1{{.*}}]
  // THREE:         tile.copy
  // THREE:       tile.commit
  // THREE:       scf.for %[[KEY:.*]] = %{{.*}} iter_args(%{{.*}} = %{{.*}}, %[[STAGE:.*]] = %{{.*}}) -> (i1, index)
  // THREE:         %[[HERE:.*]] = arith.cmpi eq
  // THREE:         %[[LATER:.*]] = arith.addi %[[KEY]], %c256
  // THREE:         arith.cmpi slt, %[[LATER]]
  // THREE:           tile.wait pending(1)
  // THREE-NEXT:      gpu.barrier
  // THREE:           tile.copy %{{.*}}[] rows(%[[LATER]] to
  // A group per tile, be it empty.
  // THREE:         tile.commit
  // THREE:         scf.if %[[HERE]]
  // THREE:           tile.stage %[[RING]][%[[STAGE]]]
  // THREE:           tile.finite
  // The place in the ring is counted, not computed from the key.
  // THREE:         arith.addi %[[STAGE]], %c1
  // THREE:         scf.yield %{{.*}}, %{{.*}} : i1, index

  // Two of 34 KiB fit into 99, three do not.
  // CHOSEN: tile.shared : memref<2x128x136xbf16
  // SMALL: tile.shared : memref<128x136xbf16
  gpu.func @kernel(%k: memref<?x128xbf16>, %n: index) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %zero = arith.constant 0 : index
    %true = arith.constant true
    %keys = tile.shared : !matrix
    %r = tile.visit from %zero to %n step 128 rings(%keys : !matrix) init(%true : i1) needed {
    ^bb0(%key: index):
      %three = arith.constant 384 : index
      %rest = arith.remui %key, %three : index
      %needed = arith.cmpi eq, %rest, %zero : index
      tile.yield %needed : i1
    } bring {
    ^bb0(%key: index, %now: !matrix):
      tile.copy %k[] rows(%key to %n) columns(128 of 128), %now : memref<?x128xbf16> to !matrix
      tile.yield
    } body {
    ^bb0(%key: index, %now: !matrix, %sofar: i1):
      %finite = tile.finite %now of 128 x 128 : !matrix
      %all = arith.andi %sofar, %finite : i1
      tile.yield %all : i1
    } -> i1
    gpu.return
  }
}
