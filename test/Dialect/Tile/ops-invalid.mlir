// What the verifiers of the tile level say.
// RUN: attn-opt %s --split-input-file --verify-diagnostics -o /dev/null

// expected-error @+1 {{warps are counted along two axes}}
func.func private @warps(tensor<64x64xf32, #tile.layout<grid, warps = [4]>>)

// -----

// expected-error @+1 {{a slice is without axis 0 or 1, not 2}}
func.func private @slice(tensor<64xf32, #tile.slice<2, <grid, warps = [4, 1]>>>)

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @rank() {
  // expected-error @+1 {{has a tile of rank 1 in the layout of rank 2}}
  %0 = tile.iota 0 : tensor<64xindex, #l>
  return
}

// -----

#l = #tile.layout<mma_acc, warps = [4, 1]>
func.func @extent() {
  // expected-error @+1 {{has a tile whose extent 48 is no multiple of 64, which its warps hold}}
  %0 = tile.iota 0 : tensor<48x64xindex, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @iota() {
  // expected-error @+1 {{counts along an axis of a tile of index}}
  %0 = tile.iota 2 : tensor<64x64xindex, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @spread(%x: tensor<64xf32, #tile.slice<1, #l>>) {
  // expected-error @+1 {{spreads a slice of the layout of its result}}
  %0 = tile.spread %x : tensor<64xf32, #tile.slice<1, #l>> -> tensor<32x64xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @reduce(%x: tensor<64x32xf32, #l>) {
  // expected-error @+1 {{gives the slice of its operand without an axis}}
  %0 = tile.reduce add %x along 1 : tensor<64x32xf32, #l> -> tensor<32xf32, #tile.slice<0, #l>>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @warps_share(%x: tensor<64x32xf32, #l>) {
  // expected-error @+1 {{reduces an axis that several warps share}}
  %0 = tile.reduce add %x along 0 : tensor<64x32xf32, #l> -> tensor<32xf32, #tile.slice<0, #l>>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @exchange(%x: tensor<64x32xf32, #l>, %parts: memref<2x36xf32, #gpu.address_space<workgroup>>) {
  // expected-error @+1 {{goes through a shared matrix of its elements with a row per warp}}
  %0 = tile.reduce add %x along 0 through %parts : tensor<64x32xf32, #l> through memref<2x36xf32, #gpu.address_space<workgroup>> -> tensor<32xf32, #tile.slice<0, #l>>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @load(%m: memref<?x?xf32>, %i: index) {
  // expected-error @+1 {{indexes every axis of a buffer of the tile's elements}}
  %0 = tile.load %m[%i] : memref<?x?xf32>, (index) -> tensor<64x32xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @index(%m: memref<?xf32>, %i: tensor<32x32xindex, #l>) {
  // expected-error @+1 {{takes indices for all elements, or tiles like the one that moves}}
  %0 = tile.load %m[%i] : memref<?xf32>, (tensor<32x32xindex, #l>) -> tensor<64x32xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @mask(%m: memref<?xf32>, %i: index, %p: tensor<32x32xi1, #l>) {
  // expected-error @+1 {{takes a mask like the tile that moves}}
  %0 = tile.load %m[%i] if %p : memref<?xf32>, (index) if tensor<32x32xi1, #l> -> tensor<64x32xf32, #l>
  return
}

// -----

func.func @shared() {
  // expected-error @+1 {{is a static matrix in workgroup memory}}
  %0 = tile.shared : memref<64x64xf32>
  return
}

// -----

func.func @copy_indices(%m: memref<?x?x64xf32>, %i: index, %s: memref<64x64xf32, #gpu.address_space<workgroup>>) {
  // expected-error @+1 {{takes an index for all axes but the last two}}
  tile.copy %m[] rows(%i to %i) columns(64 of 64), %s : memref<?x?x64xf32> to memref<64x64xf32, #gpu.address_space<workgroup>>
  return
}

// -----

func.func @copy_target(%m: memref<?x64xf32>, %i: index, %s: memref<64x48xf32, #gpu.address_space<workgroup>>) {
  // expected-error @+1 {{fills a shared matrix of the source's elements}}
  tile.copy %m[] rows(%i to %i) columns(64 of 64), %s : memref<?x64xf32> to memref<64x48xf32, #gpu.address_space<workgroup>>
  return
}

// -----

func.func @fill_target(%n: index, %s: memref<64x64xf32>) {
  // expected-error @+1 {{'tile.fill' op fills a shared matrix}}
  tile.fill %n columns(64 of 64), %s {
  ^bb0(%r: index, %c: index):
    %x = arith.constant 0.0 : f32
    tile.yield %x : f32
  } : memref<64x64xf32>
  return
}

// -----

func.func @fill_body(%n: index, %s: memref<64x64xf32, #gpu.address_space<workgroup>>) {
  // expected-error @+1 {{computes an element of its target from a row and a column}}
  tile.fill %n columns(64 of 64), %s {
  ^bb0(%r: index):
    %x = arith.constant 0.0 : f32
    tile.yield %x : f32
  } : memref<64x64xf32, #gpu.address_space<workgroup>>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @stash(%x: tensor<64x64xf32, #l>, %s: memref<64x48xf32, #gpu.address_space<workgroup>>) {
  // expected-error @+1 {{needs a shared matrix of the tile's elements}}
  tile.stash %x, %s : tensor<64x64xf32, #l>, memref<64x48xf32, #gpu.address_space<workgroup>>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @fetch(%s: memref<64x48xf32, #gpu.address_space<workgroup>>) {
  // expected-error @+1 {{reads a shared matrix of the tile's elements}}
  %0 = tile.fetch %s : memref<64x48xf32, #gpu.address_space<workgroup>> -> tensor<64x64xf32, #l>
  return
}

// -----

#l = #tile.layout<mma_acc, warps = [4, 1]>
#a = #tile.layout<mma_a, warps = [4, 1]>
func.func @convert(%x: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{changes nothing but the layout}}
  %0 = tile.convert %x : tensor<64x64xf32, #l> -> tensor<64x64xbf16, #a>
  return
}

// -----

#l = #tile.layout<mma_acc, warps = [4, 1]>
#g = #tile.layout<grid, warps = [4, 1]>
func.func @convert_threads(%x: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{moves no element to another thread}}
  %0 = tile.convert %x : tensor<64x64xf32, #l> -> tensor<64x64xf32, #g>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
!m = memref<64x64xf32, #gpu.address_space<workgroup>>
func.func @to_row(%a: !m, %o: tensor<64xf32, #tile.slice<1, #l>>) {
  // expected-error @+1 {{adds to a matrix}}
  %0 = tile.contract %a, %a, %o depth(64) : !m, !m -> tensor<64xf32, #tile.slice<1, #l>>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
!m = memref<64x64xf32, #gpu.address_space<workgroup>>
func.func @right(%a: !m, %o: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{needs a shared right operand of 128 x 64}}
  %0 = tile.contract %a, %a, %o depth(128) : !m, !m -> tensor<64x64xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
!m = memref<64x64xf32, #gpu.address_space<workgroup>>
func.func @unless(%a: !m, %o: tensor<64x64xf32, #l>, %finite: i1) {
  // expected-error @+1 {{leaves nothing out, and asks whether it may}}
  %0 = tile.contract %a, %a, %o unless %finite depth(64) : !m, !m -> tensor<64x64xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
!m = memref<64x64xf32, #gpu.address_space<workgroup>>
func.func @presence(%a: !m, %o: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{needs presence as a shared matrix of i8}}
  %0 = tile.contract %a, %a, %o if %a : !m depth(64) : !m, !m -> tensor<64x64xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
!m = memref<64x64xf32, #gpu.address_space<workgroup>>
func.func @left(%a: memref<32x64xf32, #gpu.address_space<workgroup>>, %b: !m, %o: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{needs a left operand of 64 x 64, shared or a tile}}
  %0 = tile.contract %a, %b, %o depth(64) : memref<32x64xf32, #gpu.address_space<workgroup>>, !m -> tensor<64x64xf32, #l>
  return
}

// -----

#l = #tile.layout<mma_acc, warps = [4, 1]>
#a = #tile.layout<mma_a, warps = [4, 1]>
!m = memref<64x64xf32, #gpu.address_space<workgroup>>
func.func @tensor_cores(%a: tensor<64x64xf32, #a>, %b: !m, %o: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{multiplies tiles of 16-bit floats in the layout of a left operand and adds in f32 in that of its accumulators}}
  %0 = tile.contract %a, %b, %o depth(64) : tensor<64x64xf32, #a>, !m -> tensor<64x64xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
!m = memref<32x64xf32, #gpu.address_space<workgroup>>
func.func @combined(%a: !m, %o: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{combines shared matrices of its tile's rows and columns}}
  %0 = tile.combine add %a, %a, %o depth(64) {
  ^bb0(%x: f32, %y: f32, %k: index):
    tile.yield %x : f32
  } : !m, !m -> tensor<64x64xf32, #l>
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
!m = memref<64x64xf32, #gpu.address_space<workgroup>>
func.func @combined_by(%a: !m, %o: tensor<64x64xf32, #l>) {
  // expected-error @+1 {{adds, or takes extrema of, what its body makes of two elements and an index}}
  %0 = tile.combine or %a, %a, %o depth(64) {
  ^bb0(%x: f32, %y: f32, %k: index):
    tile.yield %x : f32
  } : !m, !m -> tensor<64x64xf32, #l>
  return
}

// -----

func.func @ring() {
  // expected-error @+1 {{is a static matrix in workgroup memory, or a ring of them}}
  %0 = tile.shared : memref<2x3x64x72xf32, #gpu.address_space<workgroup>>
  return
}

// -----

func.func @stage(%m: memref<3x64x72xf32>, %s: index) {
  // expected-error @+1 {{takes a matrix of a shared ring}}
  %0 = tile.stage %m[%s] : memref<3x64x72xf32>
  return
}

// -----

func.func @channel_depth() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{of depth 2 takes rings of as many matrices, from tile.shared}}
  %c, %p = tile.channel depth(2) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  return
}

// -----

func.func @channel_of_nothing() {
  // expected-error @+1 {{of depth 0 takes rings of as many matrices, from tile.shared}}
  %c, %p = tile.channel depth(0) rings()
  return
}

// -----

func.func @channel_elsewhere(%ring: memref<3x64x72xf32, #gpu.address_space<workgroup>>) {
  // expected-error @+1 {{of depth 3 takes rings of as many matrices, from tile.shared}}
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  return
}

// -----

func.func @acquire_alone() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{is not followed by a tile.commit at its position}}
  %m = tile.acquire %c[%p] : memref<64x72xf32, #gpu.address_space<workgroup>>
  return
}

// -----

func.func @commit_elsewhere(%cond: i1) {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{is not followed by a tile.commit at its position}}
  %m = tile.acquire %c[%p] : memref<64x72xf32, #gpu.address_space<workgroup>>
  scf.if %cond {
    %next = tile.commit %c[%p]
  }
  return
}

// -----

func.func @commit_to_another() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  %d, %q = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{is not followed by a tile.commit at its position}}
  %m = tile.acquire %c[%p] : memref<64x72xf32, #gpu.address_space<workgroup>>
  %next = tile.commit %d[%p]
  return
}

// -----

func.func @acquire_types() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{gives a matrix of each ring of a tile.channel}}
  %m = tile.acquire %c[%p] : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %next = tile.commit %c[%p]
  return
}

// -----

func.func @channel_from_outside(%c: !tile.channel, %p: !tile.position) {
  // expected-error @+1 {{gives a matrix of each ring of a tile.channel}}
  tile.acquire %c[%p]
  %next = tile.commit %c[%p]
  return
}

// -----

func.func @commit_alone() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{is at a position that no tile.acquire is at}}
  %next = tile.commit %c[%p]
  return
}

// -----

func.func @wait_alone() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{is not followed by a tile.release at its position}}
  %m = tile.wait %c[%p] later(0) : memref<64x72xf32, #gpu.address_space<workgroup>>
  return
}

// -----

func.func @release_before() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  %next = tile.release %c[%p]
  // expected-error @+1 {{is not followed by a tile.release at its position}}
  %m = tile.wait %c[%p] later(0) : memref<64x72xf32, #gpu.address_space<workgroup>>
  return
}

// -----

func.func @later() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{has 3 later stages in a channel of depth 3}}
  %m = tile.wait %c[%p] later(3) : memref<64x72xf32, #gpu.address_space<workgroup>>
  %next = tile.release %c[%p]
  return
}

// -----

func.func @release_alone() {
  %ring = tile.shared : memref<3x64x72xf32, #gpu.address_space<workgroup>>
  %c, %p = tile.channel depth(3) rings(%ring : memref<3x64x72xf32, #gpu.address_space<workgroup>>)
  // expected-error @+1 {{is at a position that no tile.wait is at}}
  %next = tile.release %c[%p]
  return
}

// -----

!m = memref<64x72xf32, #gpu.address_space<workgroup>>
func.func @no_ring(%m: !m, %n: index) {
  // expected-error @+1 {{brings tiles to matrices of tile.shared}}
  tile.visit from %n to %n step 64 rings(%m : !m) needed {
  ^bb0(%key: index):
    %true = arith.constant true
    tile.yield %true : i1
  } bring {
  ^bb0(%key: index, %now: !m):
    tile.yield
  } body {
  ^bb0(%key: index, %now: !m):
    tile.yield
  }
  return
}

// -----

func.func @backwards(%n: index) {
  // expected-error @+1 {{goes forward, in steps above 0}}
  tile.visit from %n to %n step 0 needed {
  ^bb0(%key: index):
    %true = arith.constant true
    tile.yield %true : i1
  } bring {
  ^bb0(%key: index):
    tile.yield
  } body {
  ^bb0(%key: index):
    tile.yield
  }
  return
}

// -----

func.func @results(%n: index, %x: f32) {
  // expected-error @+1 {{results in what it begins with}}
  %0 = tile.visit from %n to %n step 64 init(%n : index) needed {
  ^bb0(%key: index):
    %true = arith.constant true
    tile.yield %true : i1
  } bring {
  ^bb0(%key: index):
    tile.yield
  } body {
  ^bb0(%key: index, %value: index):
    tile.yield %value : index
  } -> f32
  return
}

// -----

func.func @body(%n: index) {
  // expected-error @+1 {{has a region 'body' that takes or yields something else}}
  %0 = tile.visit from %n to %n step 64 init(%n : index) needed {
  ^bb0(%key: index):
    %true = arith.constant true
    tile.yield %true : i1
  } bring {
  ^bb0(%key: index):
    tile.yield
  } body {
  ^bb0(%key: index, %value: index):
    tile.yield
  } -> index
  return
}

// -----

func.func @roles_of_no_kernel() {
  // expected-error @+1 {{stands at the end of a kernel that says its number of threads}}
  tile.roles producers(1) producer {
  ^bb0:
  } consumer {
  ^bb0:
  }
  return
}

// -----

gpu.module @kernels {
  gpu.func @roles_in_the_middle() kernel attributes {known_block_size = array<i32: 160, 1, 1>} {
    // expected-error @+1 {{stands at the end of a kernel that says its number of threads}}
    tile.roles producers(1) producer {
    ^bb0:
    } consumer {
    ^bb0:
    }
    gpu.barrier
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @nobody_computes() kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    // expected-error @+1 {{of 2 producers leaves no whole warps of 64 threads to compute}}
    tile.roles producers(2) producer {
    ^bb0:
    } consumer {
    ^bb0:
    }
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @producer_meets() kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    // expected-error @+1 {{has a 'gpu.barrier' in its producer, which only brings tiles}}
    tile.roles producers(1) producer {
      gpu.barrier
    } consumer {
    ^bb0:
    }
    gpu.return
  }
}

// -----

!m = memref<64x72xbf16, #gpu.address_space<workgroup>>
gpu.module @kernels {
  gpu.func @producer_writes_for_itself(%k: memref<?x64xbf16>, %n: index) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>} {
    %m = tile.shared : !m
    // expected-error @+1 {{has a 'tile.copy' in its producer, which only brings tiles}}
    tile.roles producers(1) producer {
      tile.copy %k[] rows(%n to %n) columns(64 of 64), %m : memref<?x64xbf16> to !m
    } consumer {
    ^bb0:
    }
    gpu.return
  }
}

// -----

!m = memref<64x72xbf16, #gpu.address_space<workgroup>>
gpu.module @kernels {
  gpu.func @consumer_brings() kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %m = tile.shared : !m
    %channel, %first = tile.channel depth(1) rings(%m : !m)
    tile.roles producers(1) producer {
    ^bb0:
    } consumer {
      // expected-error @+1 {{is in the wrong role: producers acquire and commit, consumers wait and release}}
      %to = tile.acquire %channel[%first] : !m
      %next = tile.commit %channel[%first]
    }
    gpu.return
  }
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @scatter_kind(%x: tensor<64x64xf32, #l>, %at: tensor<64x64xindex, #l>, %o: memref<?x?xf32>) {
  // expected-error @+1 {{joins sums, maxima or minima of floats or integers of 32 or 64 bits}}
  tile.scatter or %x, %o[%at, %at] : tensor<64x64xf32, #l>, memref<?x?xf32>, (tensor<64x64xindex, #l>, tensor<64x64xindex, #l>)
  return
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
func.func @scatter_element(%x: tensor<64x64xbf16, #l>, %at: tensor<64x64xindex, #l>, %o: memref<?x?xbf16>) {
  // expected-error @+1 {{joins sums, maxima or minima of floats or integers of 32 or 64 bits}}
  tile.scatter add %x, %o[%at, %at] : tensor<64x64xbf16, #l>, memref<?x?xbf16>, (tensor<64x64xindex, #l>, tensor<64x64xindex, #l>)
  return
}
