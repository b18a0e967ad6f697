// Tiles as the scalars of a thread of AMD's GPUs.
// RUN: sed "s/ACC/mfma/; s/LEFT/mfma/; s/WAVES/256/; s/GRID/grid64/; s/HEIGHT/16/g; s/THREADS/64/" %s > %t.mfma.mlir && attn-opt %t.mfma.mlir --attn-distribute-tiles=chip=gfx942 --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,MFMA
// RUN: sed "s/ACC/wmma_acc/; s/LEFT/wmma_a/; s/WAVES/128/; s/GRID/grid/; s/HEIGHT/8/g; s/THREADS/32/" %s > %t.wmma.mlir && attn-opt %t.wmma.mlir --attn-distribute-tiles=chip=gfx1100 --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,RDNA3
// RUN: sed "s/ACC/wmma_halves/; s/LEFT/wmma_halves/; s/WAVES/128/; s/GRID/grid/; s/HEIGHT/8/g; s/THREADS/32/" %s > %t.halves.mlir && attn-opt %t.halves.mlir --attn-distribute-tiles=chip=gfx1201 --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,RDNA4
// RUN: not attn-opt %t.mfma.mlir --attn-distribute-tiles=chip=gfx9 2>&1 | FileCheck %s --check-prefix=CHIP
// CHIP: error: 'gfx9' is none of the GPUs

#acc = #tile.layout<ACC, warps = [4, 1]>
#left = #tile.layout<LEFT, warps = [4, 1]>
#grid = #tile.layout<GRID, warps = [1, 1]>
!scores = tensor<64x16xf32, #acc>
!row = tensor<64xf32, #tile.slice<1, #acc>>
!shared = memref<64x24xbf16, #gpu.address_space<workgroup>>

gpu.module @kernels {
  // Rows go through registers 16 bytes at a time, and nothing is waited for.
  // CHECK-LABEL: gpu.func @product(
  // CHECK:   scf.if
  // CHECK:     vector.load {{.*}} {alignment = 16 : i64} {{.*}}, vector<8xbf16>
  // CHECK:     vector.store {{.*}} {alignment = 16 : i64} {{.*}}, vector<8xbf16>
  // CHECK-NOT: nvgpu
  // What lies in shared memory is the first operand, the tile the second.
  // MFMA:   %[[B:.*]] = vector.load {{.*}} {alignment = 8 : i64} {{.*}} vector<4xbf16>
  // MFMA:   %[[FIRST:.*]] = vector.bitcast %[[B]] : vector<4xbf16> to vector<4xi16>
  // MFMA:   rocdl.mfma.f32.16x16x16bf16.1k %[[FIRST]], {{.*}} (vector<4xi16>, vector<4xi16>, vector<4xf32>, i32, i32, i32) -> vector<4xf32>
  // RDNA3:  %[[B:.*]] = vector.load {{.*}} {alignment = 16 : i64} {{.*}} vector<16xbf16>
  // RDNA3:  rocdl.wmma.f32.16x16x16.bf16 {{.*}} (vector<16xi16>, vector<16xi16>, vector<8xf32>) -> vector<8xf32>
  // RDNA4:  %[[B:.*]] = vector.load {{.*}} {alignment = 16 : i64} {{.*}} vector<8xbf16>
  // RDNA4:  rocdl.wmma.f32.16x16x16.bf16 {{.*}} (vector<8xi16>, vector<8xi16>, vector<8xf32>) -> vector<8xf32>
  // The sums as a left operand: in place, but for the lanes of RDNA 3.
  // MFMA-NOT: ds_bpermute
  // RDNA4-NOT: ds_bpermute
  // RDNA3-COUNT-8: rocdl.permlanex16
  // CHECK:  rocdl.{{mfma|wmma}}
  gpu.func @product(%m: memref<?x?xbf16>, %n: index) kernel
      attributes {known_block_size = array<i32: WAVES, 1, 1>} {
    %zero = arith.constant 0.0 : f32
    %first = arith.constant 0 : index
    %rows = tile.shared : !shared
    tile.copy %m[] rows(%first to %n) columns(16 of 16), %rows : memref<?x?xbf16> to !shared
    tile.arrive
    gpu.barrier
    %a = tile.fetch %rows : !shared -> tensor<64x16xbf16, #left>
    %start = tile.splat %zero : !scores
    %s = tile.contract %a, %rows, %start depth(16) transposed : tensor<64x16xbf16, #left>, !shared -> !scores
    %h = arith.truncf %s : !scores to tensor<64x16xbf16, #acc>
    %p = tile.convert %h : tensor<64x16xbf16, #acc> -> tensor<64x16xbf16, #left>
    %o = tile.contract %p, %rows, %start depth(16) : tensor<64x16xbf16, #left>, !shared -> !scores
    %i = tile.iota 0 : tensor<64x16xindex, #acc>
    %j = tile.iota 1 : tensor<64x16xindex, #acc>
    %r = arith.truncf %o : !scores to tensor<64x16xbf16, #acc>
    tile.store %r, %m[%i, %j] : tensor<64x16xbf16, #acc>, memref<?x?xbf16>,
       (tensor<64x16xindex, #acc>, tensor<64x16xindex, #acc>)
    gpu.return
  }

  // A row is in four lanes of a long wave, one in each row of 16 lanes, and in
  // two of a short one.
  // CHECK-LABEL: gpu.func @maxima(
  // MFMA: %[[SWAP:.*]] = arith.constant 16415 : i32
  // MFMA: rocdl.ds_swizzle %{{.*}}, %[[SWAP]]
  // MFMA: rocdl.ds_bpermute
  // RDNA3: rocdl.permlanex16
  // RDNA4: rocdl.permlanex16
  // CHECK-NOT: ds_swizzle
  // CHECK-NOT: ds_bpermute
  // CHECK-NOT: permlanex16
  gpu.func @maxima(%m: memref<?xf32>) kernel
      attributes {known_block_size = array<i32: WAVES, 1, 1>} {
    %j = tile.iota 1 : tensor<64x16xindex, #acc>
    %x = tile.load %m[%j] : memref<?xf32>, (tensor<64x16xindex, #acc>) -> !scores
    %y = tile.reduce max %x along 1 : !scores -> !row
    %i = tile.iota 0 : tensor<64xindex, #tile.slice<1, #acc>>
    tile.store %y, %m[%i] : !row, memref<?xf32>, (tensor<64xindex, #tile.slice<1, #acc>>)
    gpu.return
  }

  // Within 16 lanes, each exchange is a primitive, or two.
  // CHECK-LABEL: gpu.func @columns(
  // MFMA:        %[[MIRROR:.*]] = rocdl.update.dpp %{{.*}} with 321, 15, 15, true
  // MFMA:        rocdl.update.dpp %[[MIRROR]], %[[MIRROR]] with 27, 15, 15, true
  // MFMA:        rocdl.update.dpp {{.*}} with 296, 15, 15, true
  // MFMA:        rocdl.ds_swizzle
  // MFMA:        rocdl.ds_bpermute
  // RDNA3:       rocdl.update.dpp {{.*}} with 356, 15, 15, true
  // RDNA3:       rocdl.update.dpp {{.*}} with 360, 15, 15, true
  // RDNA3:       rocdl.permlanex16
  // CHECK-NOT:   ds_bpermute
  // The row: lanes that differ in 1, and in 2.
  // MFMA:        rocdl.update.dpp {{.*}} with 177, 15, 15, true
  // MFMA:        rocdl.update.dpp {{.*}} with 78, 15, 15, true
  // RDNA3:       rocdl.update.dpp {{.*}} with 353, 15, 15, true
  // RDNA3:       rocdl.update.dpp {{.*}} with 354, 15, 15, true
  // CHECK:       gpu.return
  gpu.func @columns(%m: memref<?xf32>, %o: memref<?xf32>) kernel
      attributes {known_block_size = array<i32: THREADS, 1, 1>} {
    %j = tile.iota 1 : tensor<HEIGHTx4xindex, #grid>
    %x = tile.load %m[%j] : memref<?xf32>, (tensor<HEIGHTx4xindex, #grid>) -> tensor<HEIGHTx4xf32, #grid>
    %y = tile.reduce max %x along 0 : tensor<HEIGHTx4xf32, #grid> -> tensor<4xf32, #tile.slice<0, #grid>>
    %k = tile.iota 0 : tensor<4xindex, #tile.slice<0, #grid>>
    tile.store %y, %o[%k] : tensor<4xf32, #tile.slice<0, #grid>>, memref<?xf32>, (tensor<4xindex, #tile.slice<0, #grid>>)
    %z = tile.reduce max %x along 1 : tensor<HEIGHTx4xf32, #grid> -> tensor<HEIGHTxf32, #tile.slice<1, #grid>>
    %i = tile.iota 0 : tensor<HEIGHTxindex, #tile.slice<1, #grid>>
    tile.store %z, %m[%i] : tensor<HEIGHTxf32, #tile.slice<1, #grid>>, memref<?xf32>, (tensor<HEIGHTxindex, #tile.slice<1, #grid>>)
    gpu.return
  }
}
