// Two warps read what a third one brings.
!matrix = memref<16x24xbf16, #gpu.address_space<workgroup>>
!ring = memref<2x16x24xbf16, #gpu.address_space<workgroup>>
gpu.module @kernels {
  gpu.func @roles(%m: memref<?x24xbf16>, %n: index, %x: memref<24xbf16>) kernel
      attributes {known_block_size = array<i32: 96, 1, 1>} {
    %zero = arith.constant 0 : index
    %step = arith.constant 16 : index
    %ring = tile.shared : !ring
    %channel, %first = tile.channel depth(2) rings(%ring : !ring)
    tile.roles producers(1) producer {
      scf.for %key = %zero to %n step %step iter_args(%p = %first) -> (!tile.position) {
        %to = tile.acquire %channel[%p] : !matrix
        tile.copy %m[] rows(%key to %n) columns(24 of 24), %to : memref<?x24xbf16> to !matrix
        %p1 = tile.commit %channel[%p]
        scf.yield %p1 : !tile.position
      }
    } consumer {
      scf.for %key = %zero to %n step %step iter_args(%c = %first) -> (!tile.position) {
        %now = tile.wait %channel[%c] later(1) : !matrix
        %finite = tile.finite %now of 16 x 24 : !matrix
        scf.if %finite {
          %y = memref.load %now[%zero, %zero] : !matrix
          memref.store %y, %x[%zero] : memref<24xbf16>
        }
        %c1 = tile.release %channel[%c]
        scf.yield %c1 : !tile.position
      }
      gpu.barrier
    }
    gpu.return
  }
}
