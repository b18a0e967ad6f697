// Two warps add up 7 tiles of 16 rows of 8 numbers, which a third one brings
// through a channel of two stages.
#sums = #tile.layout<grid, warps = [2, 1]>
!sums = tensor<16x8xf32, #sums>
!matrix = memref<16x12xf32, #gpu.address_space<workgroup>>
!ring = memref<2x16x12xf32, #gpu.address_space<workgroup>>
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xf32> {attn.name = "x"}, %y: memref<?xf32> {attn.name = "y"})
      attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c96 = arith.constant 96 : index
    %none = arith.constant 0 : i32
    %rows = memref.reinterpret_cast %x to offset: [0], sizes: [107, 8], strides: [8, 1] : memref<?xf32> to memref<107x8xf32>
    %sums = memref.reinterpret_cast %y to offset: [0], sizes: [16, 8], strides: [8, 1] : memref<?xf32> to memref<16x8xf32>
    gpu.launch_func @kernels::@tiles blocks in (%c1, %c1, %c1) threads in (%c96, %c1, %c1)
      dynamic_shared_memory_size %none args(%rows : memref<107x8xf32>, %sums : memref<16x8xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @tiles(%x: memref<107x8xf32>, %y: memref<16x8xf32>) kernel
        attributes {known_block_size = array<i32: 96, 1, 1>} {
      %c0 = arith.constant 0 : index
      %c16 = arith.constant 16 : index
      %n = arith.constant 107 : index
      %ring = tile.shared : !ring
      %channel, %first = tile.channel depth(2) rings(%ring : !ring)
      tile.roles producers(1) producer {
        scf.for %key = %c0 to %n step %c16 iter_args(%p = %first) -> (!tile.position) {
          %to = tile.acquire %channel[%p] : !matrix
          tile.copy %x[] rows(%key to %n) columns(8 of 8), %to : memref<107x8xf32> to !matrix
          %p1 = tile.commit %channel[%p]
          scf.yield %p1 : !tile.position
        }
      } consumer {
        %zero = arith.constant 0.0 : f32
        %nothing = tile.splat %zero : !sums
        %sum:2 = scf.for %key = %c0 to %n step %c16 iter_args(%s = %nothing, %c = %first)
            -> (!sums, !tile.position) {
          %now = tile.wait %channel[%c] later(1) : !matrix
          %tile = tile.fetch %now : !matrix -> !sums
          %t = arith.addf %s, %tile : !sums
          %c1 = tile.release %channel[%c]
          scf.yield %t, %c1 : !sums, !tile.position
        }
        %i = tile.iota 0 : tensor<16x8xindex, #sums>
        %j = tile.iota 1 : tensor<16x8xindex, #sums>
        tile.store %sum#0, %y[%i, %j] : !sums, memref<16x8xf32>, (tensor<16x8xindex, #sums>, tensor<16x8xindex, #sums>)
      }
      gpu.return
    }
  }
}
