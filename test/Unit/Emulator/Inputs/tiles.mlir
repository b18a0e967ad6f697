// Two warps add up 5 tiles of 16 rows of 8 numbers, of which two are on their
// way through a channel while they add one.
#sums = #tile.layout<grid, warps = [2, 1]>
!sums = tensor<16x8xf32, #sums>
!matrix = memref<16x12xf32, #gpu.address_space<workgroup>>
!ring = memref<3x16x12xf32, #gpu.address_space<workgroup>>
module attributes {gpu.container_module} {
  func.func @main(%x: memref<?xf32> {attn.name = "x"}, %y: memref<?xf32> {attn.name = "y"})
      attributes {llvm.emit_c_interface} {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %none = arith.constant 0 : i32
    %rows = memref.reinterpret_cast %x to offset: [0], sizes: [75, 8], strides: [8, 1] : memref<?xf32> to memref<75x8xf32>
    %sums = memref.reinterpret_cast %y to offset: [0], sizes: [16, 8], strides: [8, 1] : memref<?xf32> to memref<16x8xf32>
    gpu.launch_func @kernels::@tiles blocks in (%c1, %c1, %c1) threads in (%c64, %c1, %c1)
      dynamic_shared_memory_size %none args(%rows : memref<75x8xf32>, %sums : memref<16x8xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @tiles(%x: memref<75x8xf32>, %y: memref<16x8xf32>) kernel
        attributes {known_block_size = array<i32: 64, 1, 1>} {
      %c0 = arith.constant 0 : index
      %c16 = arith.constant 16 : index
      %c32 = arith.constant 32 : index
      %n = arith.constant 75 : index
      %false = arith.constant false
      %zero = arith.constant 0.0 : f32
      %nothing = tile.splat %zero : !sums
      %ring = tile.shared : !ring
      %channel, %first = tile.channel depth(3) rings(%ring : !ring)
      %to0 = tile.acquire %channel[%first] : !matrix
      tile.copy %x[] rows(%c0 to %n) columns(8 of 8), %to0 : memref<75x8xf32> to !matrix
      %second = tile.commit %channel[%first]
      %to1 = tile.acquire %channel[%second] : !matrix
      tile.copy %x[] rows(%c16 to %n) columns(8 of 8), %to1 : memref<75x8xf32> to !matrix
      %third = tile.commit %channel[%second]
      %sum:3 = scf.for %key = %c0 to %n step %c16 iter_args(%s = %nothing, %p = %third, %c = %first)
          -> (!sums, !tile.position, !tile.position) {
        %now = tile.wait %channel[%c] later(1) : !matrix
        %later = arith.addi %key, %c32 : index
        %wanted = arith.cmpi slt, %later, %n : index
        scf.if %wanted {
          %to = tile.acquire %channel[%p] : !matrix
          tile.copy %x[] rows(%later to %n) columns(8 of 8), %to : memref<75x8xf32> to !matrix
        }
        %p1 = tile.commit %channel[%p]
        %tile = tile.fetch %now : !matrix -> !sums
        %t = arith.addf %s, %tile : !sums
        %c1 = tile.release %channel[%c]
        scf.yield %t, %p1, %c1 : !sums, !tile.position, !tile.position
      }
      %i = tile.iota 0 : tensor<16x8xindex, #sums>
      %j = tile.iota 1 : tensor<16x8xindex, #sums>
      tile.store %sum#0, %y[%i, %j] : !sums, memref<16x8xf32>, (tensor<16x8xindex, #sums>, tensor<16x8xindex, #sums>)
      gpu.return
    }
  }
}
