// Tiles as the scalars of a thread.
// RUN: attn-opt %s --attn-distribute-tiles --canonicalize --cse | FileCheck %s

#acc = #tile.layout<mma_acc, warps = [4, 1]>
#left = #tile.layout<mma_a, warps = [4, 1]>
#grid = #tile.layout<grid, warps = [4, 1]>
#wide = #tile.layout<grid, warps = [8, 1]>
!scores = tensor<64x16xf32, #acc>
!row = tensor<64xf32, #tile.slice<1, #acc>>
!shared = memref<64x72xbf16, #gpu.address_space<workgroup>>

// A launch passes what the kernel's buffers take: 64 rows of 72 numbers.
// CHECK-LABEL: func.func @host(
// CHECK: gpu.launch_func @kernels::@product {{.*}} dynamic_shared_memory_size %c9216_i32
module attributes {gpu.container_module} {
func.func @host(%m: memref<?x?xbf16>, %o: memref<64x16xf32>, %n: index) {
  %one = arith.constant 1 : index
  %threads = arith.constant 128 : index
  %none = arith.constant 0 : i32
  gpu.launch_func @kernels::@product blocks in (%one, %one, %one) threads in (%threads, %one, %one)
    dynamic_shared_memory_size %none args(%m : memref<?x?xbf16>, %n : index)
  return
}

gpu.module @kernels {
  // Rows go 16 bytes at a time if every row starts at such an address, the last
  // ones with zeros, and number by number if not.
  // CHECK-LABEL: gpu.func @product(
  // CHECK:   scf.if
  // CHECK:     nvgpu.device_async_copy {{.*}}, 8, %
  // CHECK:   else
  // CHECK:     memref.store
  // CHECK:   nvvm.cp.async.commit.group
  // CHECK:   nvvm.cp.async.wait.group 0
  // Four matrices of 8 x 8 are one operand of mma.sync, two atoms of keys another.
  // CHECK:   nvgpu.ldmatrix {{.*}}numTiles = 4 : i32, transpose = false{{.*}} -> vector<4x2xbf16>
  // CHECK:   nvgpu.ldmatrix {{.*}}numTiles = 4 : i32, transpose = false
  // CHECK-COUNT-2: nvvm.mma.sync
  // CHECK-NOT: nvvm.mma.sync
  gpu.func @product(%m: memref<?x?xbf16>, %n: index) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %zero = arith.constant 0.0 : f32
    %first = arith.constant 0 : index
    %rows = tile.shared : !shared
    tile.copy %m[] rows(%first to %n) columns(16 of 16), %rows : memref<?x?xbf16> to !shared
    tile.arrive
    gpu.barrier
    %a = tile.fetch %rows : !shared -> tensor<64x16xbf16, #left>
    %start = tile.splat %zero : !scores
    %s = tile.contract %a, %rows, %start depth(16) transposed : tensor<64x16xbf16, #left>, !shared -> !scores
    %i = tile.iota 0 : tensor<64x16xindex, #acc>
    %j = tile.iota 1 : tensor<64x16xindex, #acc>
    %h = arith.truncf %s : !scores to tensor<64x16xbf16, #acc>
    tile.store %h, %m[%i, %j] : tensor<64x16xbf16, #acc>, memref<?x?xbf16>,
       (tensor<64x16xindex, #acc>, tensor<64x16xindex, #acc>)
    gpu.return
  }

  // A maximum of a row: that of the thread's four numbers, then over the four
  // lanes that share the row. One of them stores it.
  // CHECK-LABEL: gpu.func @maxima(
  // CHECK-COUNT-6: arith.maximumf
  // CHECK:         %[[OWNER:.*]] = arith.cmpi eq
  // CHECK:         scf.if %[[OWNER]]
  // CHECK-COUNT-2:   memref.store
  gpu.func @maxima(%m: memref<64x16xf32>, %o: memref<64xf32>) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %i = tile.iota 0 : tensor<64x16xindex, #acc>
    %j = tile.iota 1 : tensor<64x16xindex, #acc>
    %s = tile.load %m[%i, %j] : memref<64x16xf32>, (tensor<64x16xindex, #acc>, tensor<64x16xindex, #acc>) -> !scores
    %r = tile.reduce max %s along 1 : !scores -> !row
    %k = tile.iota 0 : tensor<64xindex, #tile.slice<1, #acc>>
    tile.store %r, %o[%k] : !row, memref<64xf32>, (tensor<64xindex, #tile.slice<1, #acc>>)
    gpu.return
  }

  // Accumulators are left operands with their numbers in another order.
  // CHECK-LABEL: gpu.func @accumulators_as_operands(
  // CHECK-NOT: gpu.shuffle
  // CHECK: nvgpu.ldmatrix {{.*}}transpose = true
  // CHECK: nvvm.mma.sync
  gpu.func @accumulators_as_operands(%v: !shared, %m: memref<64x16xbf16>) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %zero = arith.constant 0.0 : f32
    %i = tile.iota 0 : tensor<64x16xindex, #acc>
    %j = tile.iota 1 : tensor<64x16xindex, #acc>
    %s = tile.load %m[%i, %j] : memref<64x16xbf16>, (tensor<64x16xindex, #acc>, tensor<64x16xindex, #acc>) -> tensor<64x16xbf16, #acc>
    %p = tile.convert %s : tensor<64x16xbf16, #acc> -> tensor<64x16xbf16, #left>
    %start = tile.splat %zero : !scores
    %o = tile.contract %p, %v, %start depth(16) : tensor<64x16xbf16, #left>, !shared -> !scores
    %h = arith.truncf %o : !scores to tensor<64x16xbf16, #acc>
    tile.store %h, %m[%i, %j] : tensor<64x16xbf16, #acc>, memref<64x16xbf16>, (tensor<64x16xindex, #acc>, tensor<64x16xindex, #acc>)
    gpu.return
  }

  // Elements that may meet others at the same place, each by itself.
  // CHECK-LABEL: gpu.func @scatter(
  // CHECK-COUNT-8: memref.atomic_rmw addf
  // CHECK-NOT:     atomic_rmw
  gpu.func @scatter(%bins: memref<64x24xf32, #gpu.address_space<workgroup>>, %m: memref<64x16xf32>) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %i = tile.iota 0 : tensor<64x16xindex, #acc>
    %j = tile.iota 1 : tensor<64x16xindex, #acc>
    %s = tile.load %m[%i, %j] : memref<64x16xf32>, (tensor<64x16xindex, #acc>, tensor<64x16xindex, #acc>) -> !scores
    tile.scatter add %s, %bins[%i, %j] : !scores, memref<64x24xf32, #gpu.address_space<workgroup>>,
       (tensor<64x16xindex, #acc>, tensor<64x16xindex, #acc>)
    gpu.return
  }

  // Without tensor cores each thread multiplies and adds; absent products are
  // left out, whatever the values are.
  // CHECK-LABEL: gpu.func @multiply_and_add(
  // CHECK: scf.for {{.*}} iter_args
  // CHECK:   math.fma
  // CHECK:   arith.select
  gpu.func @multiply_and_add(%a: memref<64x20xf32, #gpu.address_space<workgroup>>,
      %present: memref<64x32xi8, #gpu.address_space<workgroup>>, %m: memref<64x4xf32>) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %zero = arith.constant 0.0 : f32
    %start = tile.splat %zero : tensor<64x4xf32, #grid>
    %s = tile.contract %a, %a, %start if %present : memref<64x32xi8, #gpu.address_space<workgroup>> depth(16)
       : memref<64x20xf32, #gpu.address_space<workgroup>>, memref<64x20xf32, #gpu.address_space<workgroup>>
       -> tensor<64x4xf32, #grid>
    %i = tile.iota 0 : tensor<64x4xindex, #grid>
    %j = tile.iota 1 : tensor<64x4xindex, #grid>
    tile.store %s, %m[%i, %j] : tensor<64x4xf32, #grid>, memref<64x4xf32>, (tensor<64x4xindex, #grid>, tensor<64x4xindex, #grid>)
    gpu.return
  }

  // What may be added whole is, and else what is present: of two loops one is
  // empty, and the second goes on with the sums of the first.
  // CHECK-LABEL: gpu.func @unless(
  // CHECK:   %[[COUNT:.*]] = arith.select %{{.*}}, %c16, %c0 : index
  // CHECK:   %[[SUMS:.*]] = scf.for %{{.*}} = %c0 to %[[COUNT]] step %c1 iter_args
  // CHECK-NOT: arith.select
  // CHECK:     scf.yield
  // CHECK:   scf.for %{{.*}} = %[[COUNT]] to %c16 step %c1 iter_args(%{{.*}} = %[[SUMS]]) -> (f32)
  // CHECK:     arith.select
  // CHECK:     scf.yield
  // CHECK-NOT: scf.if
  gpu.func @unless(%x: f32, %finite: i1, %m: memref<64x4xf32>) kernel
      attributes {known_block_size = array<i32: 256, 1, 1>} {
    %a = tile.shared : memref<64x20xf32, #gpu.address_space<workgroup>>
    %present = tile.shared : memref<64x32xi8, #gpu.address_space<workgroup>>
    %start = tile.splat %x : tensor<64x4xf32, #wide>
    %s = tile.contract %a, %a, %start if %present : memref<64x32xi8, #gpu.address_space<workgroup>> unless %finite depth(16)
       : memref<64x20xf32, #gpu.address_space<workgroup>>, memref<64x20xf32, #gpu.address_space<workgroup>>
       -> tensor<64x4xf32, #wide>
    %i = tile.iota 0 : tensor<64x4xindex, #wide>
    %j = tile.iota 1 : tensor<64x4xindex, #wide>
    tile.store %s, %m[%i, %j] : tensor<64x4xf32, #wide>, memref<64x4xf32>, (tensor<64x4xindex, #wide>, tensor<64x4xindex, #wide>)
    gpu.return
  }

  // One lane of a warp writes what the warp has, and all read what four have.
  // CHECK-LABEL: gpu.func @join_warps(
  // CHECK:   %[[PARTS:.*]] = memref.view %{{.*}} to memref<4x12xf32,
  // CHECK:   gpu.shuffle
  // CHECK:   scf.if
  // CHECK:     memref.store %{{.*}}, %[[PARTS]]
  // CHECK:   gpu.barrier
  // CHECK-COUNT-4: memref.load %[[PARTS]]
  // CHECK:   gpu.barrier
  gpu.func @join_warps(%x: f32, %m: memref<4xf32>) kernel
      attributes {known_block_size = array<i32: 128, 1, 1>} {
    %parts = tile.shared : memref<4x12xf32, #gpu.address_space<workgroup>>
    %tile = tile.splat %x : tensor<32x4xf32, #grid>
    %max = tile.reduce max %tile along 0 through %parts : tensor<32x4xf32, #grid>
      through memref<4x12xf32, #gpu.address_space<workgroup>> -> tensor<4xf32, #tile.slice<0, #grid>>
    %j = tile.iota 0 : tensor<4xindex, #tile.slice<0, #grid>>
    tile.store %max, %m[%j] : tensor<4xf32, #tile.slice<0, #grid>>, memref<4xf32>, (tensor<4xindex, #tile.slice<0, #grid>>)
    gpu.return
  }
}
}
