// Every op of the tile level, as it is printed.
// RUN: attn-opt %s | attn-opt | FileCheck %s

#acc = #tile.layout<mma_acc, warps = [4, 1]>
#left = #tile.layout<mma_a, warps = [4, 1]>
!shared = memref<64x72xbf16, #gpu.address_space<workgroup>>

// CHECK-LABEL: func.func @product(
func.func @product(%q: memref<?x?x64xbf16>, %b: index, %i: index, %m: index)
    -> tensor<64x64xf32, #acc> {
  // CHECK: tile.shared : memref<64x72xbf16, #gpu.address_space<workgroup>>
  %rows = tile.shared : !shared
  // CHECK: tile.copy %{{.*}}[%{{.*}}] rows(%{{.*}} to %{{.*}}) columns(64 of 64), %{{.*}}
  tile.copy %q[%b] rows(%i to %m) columns(64 of 64), %rows : memref<?x?x64xbf16> to !shared
  // CHECK: tile.arrive
  tile.arrive
  // CHECK: tile.fetch
  %a = tile.fetch %rows : !shared -> tensor<64x64xbf16, #left>
  %zero = arith.constant 0.0 : f32
  // CHECK: tile.splat %{{.*}} : tensor<64x64xf32, #tile.layout<mma_acc, warps = [4, 1]>>
  %start = tile.splat %zero : tensor<64x64xf32, #acc>
  // CHECK: tile.contract %{{.*}}, %{{.*}}, %{{.*}} depth(64) transposed
  %s = tile.contract %a, %rows, %start depth(64) transposed
     : tensor<64x64xbf16, #left>, !shared -> tensor<64x64xf32, #acc>
  return %s : tensor<64x64xf32, #acc>
}

// CHECK-LABEL: func.func @rows(
func.func @rows(%s: tensor<64x64xf32, #acc>, %o: memref<?xf32>, %p: memref<64x64xf32>)
    -> tensor<64x64xbf16, #left> {
  // CHECK: tile.reduce max %{{.*}} along 1 : {{.*}} -> tensor<64xf32, #tile.slice<1, <mma_acc, warps = [4, 1]>>>
  %m = tile.reduce max %s along 1 : tensor<64x64xf32, #acc> -> tensor<64xf32, #tile.slice<1, #acc>>
  // CHECK: tile.spread
  %all = tile.spread %m : tensor<64xf32, #tile.slice<1, #acc>> -> tensor<64x64xf32, #acc>
  // CHECK: arith.subf %{{.*}} : tensor<64x64xf32, #tile.layout
  %d = arith.subf %s, %all : tensor<64x64xf32, #acc>
  // CHECK: tile.iota 0
  %i = tile.iota 0 : tensor<64xindex, #tile.slice<1, #acc>>
  %row = tile.iota 0 : tensor<64x64xindex, #acc>
  %column = tile.iota 1 : tensor<64x64xindex, #acc>
  %seen = arith.cmpi sle, %column, %row : tensor<64x64xindex, #acc>
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}] if %{{.*}}
  %bias = tile.load %p[%row, %column] if %seen
     : memref<64x64xf32>, (tensor<64x64xindex, #acc>, tensor<64x64xindex, #acc>)
       if tensor<64x64xi1, #acc> -> tensor<64x64xf32, #acc>
  %e = arith.addf %d, %bias : tensor<64x64xf32, #acc>
  // CHECK: tile.store %{{.*}}, %{{.*}}[%{{.*}}]
  tile.store %m, %o[%i] : tensor<64xf32, #tile.slice<1, #acc>>, memref<?xf32>,
     (tensor<64xindex, #tile.slice<1, #acc>>)
  %h = arith.truncf %e : tensor<64x64xf32, #acc> to tensor<64x64xbf16, #acc>
  // CHECK: tile.convert
  %a = tile.convert %h : tensor<64x64xbf16, #acc> -> tensor<64x64xbf16, #left>
  return %a : tensor<64x64xbf16, #left>
}

// CHECK-LABEL: func.func @scatter(
func.func @scatter(%x: tensor<64x64xf32, #acc>, %bin: tensor<64x64xindex, #acc>, %seen: tensor<64x64xi1, #acc>,
                   %bins: memref<64x24xf32, #gpu.address_space<workgroup>>) {
  %row = tile.iota 0 : tensor<64x64xindex, #acc>
  // CHECK: tile.scatter add %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] if %{{.*}}
  tile.scatter add %x, %bins[%row, %bin] if %seen
     : tensor<64x64xf32, #acc>, memref<64x24xf32, #gpu.address_space<workgroup>>,
       (tensor<64x64xindex, #acc>, tensor<64x64xindex, #acc>) if tensor<64x64xi1, #acc>
  return
}

// CHECK-LABEL: func.func @weights_with_presence(
func.func @weights_with_presence(%p: tensor<64x64xf32, #acc>, %seen: tensor<64x64xi1, #acc>,
    %values: memref<64x68xf32, #gpu.address_space<workgroup>>, %n: index,
    %o: tensor<64x64xf32, #acc>) -> tensor<64x64xf32, #acc> {
  %weights = tile.shared : memref<64x68xf32, #gpu.address_space<workgroup>>
  %present = tile.shared : memref<64x80xi8, #gpu.address_space<workgroup>>
  // CHECK: tile.finite %{{.*}} of 64 x 64
  %finite = tile.finite %values of 64 x 64 : memref<64x68xf32, #gpu.address_space<workgroup>>
  // CHECK: tile.stash
  tile.stash %p, %weights : tensor<64x64xf32, #acc>, memref<64x68xf32, #gpu.address_space<workgroup>>
  tile.stash %seen, %present : tensor<64x64xi1, #acc>, memref<64x80xi8, #gpu.address_space<workgroup>>
  // CHECK: tile.fill %{{.*}} columns(64 of 64), %{{.*}} {
  tile.fill %n columns(64 of 64), %values {
  ^bb0(%r: index, %c: index):
    %k = arith.addi %r, %c : index
    %x = arith.index_cast %k : index to i32
    %y = arith.sitofp %x : i32 to f32
    tile.yield %y : f32
  } : memref<64x68xf32, #gpu.address_space<workgroup>>
  // CHECK: tile.combine max %{{.*}}, %{{.*}}, %{{.*}} depth(64) {
  %bound = tile.combine max %weights, %values, %o depth(64) {
  ^bb0(%x: f32, %y: f32, %k: index):
    %d = arith.subf %x, %y : f32
    tile.yield %d : f32
  } : memref<64x68xf32, #gpu.address_space<workgroup>>,
      memref<64x68xf32, #gpu.address_space<workgroup>> -> tensor<64x64xf32, #acc>
  // CHECK: tile.contract %{{.*}}, %{{.*}}, %{{.*}} if %{{.*}} : memref<64x80xi8, {{.*}}> unless %{{.*}} depth(64) :
  %r = tile.contract %weights, %values, %o
     if %present : memref<64x80xi8, #gpu.address_space<workgroup>> unless %finite depth(64)
     : memref<64x68xf32, #gpu.address_space<workgroup>>,
       memref<64x68xf32, #gpu.address_space<workgroup>> -> tensor<64x64xf32, #acc>
  return %r : tensor<64x64xf32, #acc>
}

// CHECK-LABEL: func.func @ring(
func.func @ring(%stage: index) -> !shared {
  // CHECK: tile.shared : memref<3x64x72xbf16, #gpu.address_space<workgroup>>
  %ring = tile.shared : memref<3x64x72xbf16, #gpu.address_space<workgroup>>
  // CHECK: tile.stage %{{.*}}[%{{.*}}] : memref<3x64x72xbf16, #gpu.address_space<workgroup>>
  %now = tile.stage %ring[%stage] : memref<3x64x72xbf16, #gpu.address_space<workgroup>>
  return %now : !shared
}

// CHECK-LABEL: func.func @channel(
func.func @channel(%k: memref<?x64xbf16>, %n: index, %needed: i1) {
  %zero = arith.constant 0 : index
  %step = arith.constant 64 : index
  %ring = tile.shared : memref<2x64x72xbf16, #gpu.address_space<workgroup>>
  // CHECK: %[[CHANNEL:.*]], %[[FIRST:.*]] = tile.channel depth(2) rings(%{{.*}} : memref<2x64x72xbf16, #gpu.address_space<workgroup>>)
  %channel, %first = tile.channel depth(2) rings(%ring : memref<2x64x72xbf16, #gpu.address_space<workgroup>>)
  // CHECK: tile.acquire %[[CHANNEL]][%[[FIRST]]] : memref<64x72xbf16, #gpu.address_space<workgroup>>
  %to = tile.acquire %channel[%first] : !shared
  tile.copy %k[] rows(%zero to %n) columns(64 of 64), %to : memref<?x64xbf16> to !shared
  // CHECK: tile.commit %[[CHANNEL]][%[[FIRST]]]
  %second = tile.commit %channel[%first]
  // Loops carry how far both sides are.
  // CHECK: scf.for {{.*}} -> (!tile.position, !tile.position)
  %ends:2 = scf.for %key = %zero to %n step %step iter_args(%p = %second, %c = %first)
      -> (!tile.position, !tile.position) {
    // What is acquired under a condition is committed behind it.
    // CHECK: scf.if
    scf.if %needed {
      %then = tile.acquire %channel[%p] : !shared
      tile.copy %k[] rows(%key to %n) columns(64 of 64), %then : memref<?x64xbf16> to !shared
    }
    %p1 = tile.commit %channel[%p]
    // CHECK: tile.wait %[[CHANNEL]][%{{.*}}] later(1) if %{{.*}} : memref<64x72xbf16, #gpu.address_space<workgroup>>
    %now = tile.wait %channel[%c] later(1) if %needed : !shared
    // CHECK: tile.release %[[CHANNEL]][%{{.*}}]
    %c1 = tile.release %channel[%c]
    scf.yield %p1, %c1 : !tile.position, !tile.position
  }
  return
}

// CHECK-LABEL: func.func @visit(
func.func @visit(%k: memref<?x64xbf16>, %n: index) -> index {
  %zero = arith.constant 0 : index
  %keys = tile.shared : !shared
  // CHECK: tile.visit from %{{.*}} to %{{.*}} step 64 rings(%{{.*}} : memref<64x72xbf16, {{.*}}>) init(%{{.*}} : index) needed {
  // CHECK: } bring {
  // CHECK: tile.yield{{$}}
  // CHECK: } body {
  // CHECK: tile.yield %{{.*}} : index
  // CHECK: } -> index
  %tiles = tile.visit from %zero to %n step 64 rings(%keys : !shared) init(%zero : index) needed {
  ^bb0(%key: index):
    %true = arith.constant true
    tile.yield %true : i1
  } bring {
  ^bb0(%key: index, %now: !shared):
    tile.copy %k[] rows(%key to %n) columns(64 of 64), %now : memref<?x64xbf16> to !shared
    tile.yield
  } body {
  ^bb0(%key: index, %now: !shared, %count: index):
    %one = arith.constant 1 : index
    %next = arith.addi %count, %one : index
    tile.yield %next : index
  } -> index
  return %tiles : index
}

gpu.module @kernels {
  // CHECK-LABEL: gpu.func @roles(
  gpu.func @roles(%k: memref<?x64xbf16>, %n: index) kernel
      attributes {known_block_size = array<i32: 160, 1, 1>} {
    %zero = arith.constant 0 : index
    %step = arith.constant 64 : index
    %ring = tile.shared : memref<2x64x72xbf16, #gpu.address_space<workgroup>>
    %channel, %first = tile.channel depth(2) rings(%ring : memref<2x64x72xbf16, #gpu.address_space<workgroup>>)
    // CHECK: tile.roles producers(1) producer {
    tile.roles producers(1) producer {
      scf.for %key = %zero to %n step %step iter_args(%p = %first) -> (!tile.position) {
        // CHECK: tile.acquire
        %to = tile.acquire %channel[%p] : !shared
        tile.copy %k[] rows(%key to %n) columns(64 of 64), %to : memref<?x64xbf16> to !shared
        %p1 = tile.commit %channel[%p]
        scf.yield %p1 : !tile.position
      }
    // CHECK: } consumer {
    } consumer {
      scf.for %key = %zero to %n step %step iter_args(%c = %first) -> (!tile.position) {
        // CHECK: tile.wait
        %now = tile.wait %channel[%c] later(1) : !shared
        %c1 = tile.release %channel[%c]
        scf.yield %c1 : !tile.position
      }
      // What only the consumer uses is as without roles.
      // CHECK: gpu.barrier
      gpu.barrier
    }
    gpu.return
  }
}
