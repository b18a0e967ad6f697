// A loop over tiles of keys, with one, two and three of them in shared memory.
// RUN: attn-opt %s --attn-pipeline-tiles=stages=1 | FileCheck %s --check-prefix=ONE
// RUN: attn-opt %s --attn-pipeline-tiles=stages=3 | FileCheck %s --check-prefix=THREE
// RUN: attn-opt %s --attn-pipeline-tiles | FileCheck %s --check-prefix=CHOSEN
// RUN: attn-opt %s --attn-pipeline-tiles=block-bytes=20000 | FileCheck %s --check-prefix=SMALL

!matrix = memref<128x136xbf16, #gpu.address_space<workgroup>>

gpu.module @kernels {
  // One is waited for where it is asked for.
  // ONE-LABEL: gpu.func @kernel(
  // ONE:       %[[RING:.*]] = tile.shared : memref<128x136xbf16
  // ONE:       %[[CHANNEL:.*]], %[[FIRST:.*]] = tile.channel depth(1) rings(%[[RING]] :
  // ONE:       scf.for %[[KEY:.*]] = %{{.*}} to %[[N:.*]] step {{.*}} iter_args(%{{.*}}, %[[P:.*]] = %[[FIRST]], %[[C:.*]] = %[[FIRST]])
  // ONE:         arith.remui %[[KEY]]
  // ONE:         scf.if
  // ONE-NEXT:      %[[TO:.*]] = tile.acquire %[[CHANNEL]][%[[P]]]
  // ONE-NEXT:      tile.copy %{{.*}}[] rows(%[[KEY]] to %{{.*}}){{.*}}, %[[TO]]
  // ONE-NEXT:      %[[P1:.*]] = tile.commit %[[CHANNEL]][%[[P]]]
  // ONE-NEXT:      %[[NOW:.*]] = tile.wait %[[CHANNEL]][%[[C]]] later(0) :
  // ONE:           tile.finite %[[NOW]]
  // ONE:           %[[C1:.*]] = tile.release %[[CHANNEL]][%[[C]]]
  // ONE-NEXT:      scf.yield %{{.*}}, %[[P1]], %[[C1]]
  // ONE:           scf.yield %{{.*}}, %[[P]], %[[C]]

  // Of three, two are on their way.
  // THREE-LABEL: gpu.func @kernel(
  // THREE:       %[[RING:.*]] = tile.shared : memref<3x128x136xbf16
  // THREE:       %[[CHANNEL:.*]], %[[FIRST:.*]] = tile.channel depth(3) rings(%[[RING]] :
  // THREE:       scf.if
  // THREE:         tile.acquire %[[CHANNEL]][%[[FIRST]]]
  // THREE:         tile.copy
  // THREE:       %[[SECOND:.*]] = tile.commit %[[CHANNEL]][%[[FIRST]]]
  // THREE:       scf.if
  // THREE:         tile.acquire %[[CHANNEL]][%[[SECOND]]]
  // THREE:         tile.copy
  // THREE:       %[[THIRD:.*]] = tile.commit %[[CHANNEL]][%[[SECOND]]]
  // Both positions are counted, not computed from the key.
  // THREE:       scf.for %[[KEY:.*]] = %{{.*}} iter_args(%{{.*}}, %[[P:.*]] = %[[THIRD]], %[[C:.*]] = %[[FIRST]])
  // THREE:         %[[HERE:.*]] = arith.cmpi eq
  // THREE:         %[[LATER:.*]] = arith.addi %[[KEY]], %c256
  // THREE:         arith.cmpi slt, %[[LATER]]
  // THREE:         %[[ANY:.*]] = arith.ori %[[HERE]], %[[WANTED:.*]] :
  // THREE-NEXT:    %[[NOW:.*]] = tile.wait %[[CHANNEL]][%[[C]]] later(1) if %[[ANY]]
  // THREE-NEXT:    scf.if %[[WANTED]]
  // THREE-NEXT:      %[[TO:.*]] = tile.acquire %[[CHANNEL]][%[[P]]]
  // THREE-NEXT:      tile.copy %{{.*}}[] rows(%[[LATER]] to {{.*}}, %[[TO]]
  // A stage per tile, be it empty.
  // THREE:         %[[P1:.*]] = tile.commit %[[CHANNEL]][%[[P]]]
  // THREE:         scf.if %[[HERE]]
  // THREE:           tile.finite %[[NOW]]
  // THREE:         %[[C1:.*]] = tile.release %[[CHANNEL]][%[[C]]]
  // THREE-NEXT:    scf.yield %{{.*}}, %[[P1]], %[[C1]]

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
