// A warp of its own brings what others compute on.
// RUN: attn-opt %s --attn-pipeline-tiles="roles stages=2" 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t
// RUN: not attn-opt %s --attn-pipeline-tiles="roles chip=gfx942" 2>&1 | FileCheck %s --check-prefix=AMD
// AMD: error: warps have no roles on 'gfx942': they hand on tiles through barriers in shared memory, which AMD's GPUs do not have

!matrix = memref<64x72xbf16, #gpu.address_space<workgroup>>
#l = #tile.layout<grid, warps = [4, 1]>

module attributes {gpu.container_module} {
  // The launch has the warp more.
  // CHECK: %[[THREADS:.*]] = arith.constant 160 : index
  // CHECK: gpu.launch_func @kernels::@kernel {{.*}} threads in (%[[THREADS]],
  func.func @main(%k: memref<?x64xbf16>, %n: index) {
    %one = arith.constant 1 : index
    %threads = arith.constant 128 : index
    %none = arith.constant 0 : i32
    gpu.launch_func @kernels::@kernel blocks in (%one, %one, %one) threads in (%threads, %one, %one)
      dynamic_shared_memory_size %none args(%k : memref<?x64xbf16>, %n : index)
    return
  }

  gpu.module @kernels {
    // CHECK-LABEL: gpu.func @kernel(
    // CHECK-SAME:    known_block_size = array<i32: 160, 1, 1>
    // CHECK:       %[[RING:.*]] = tile.shared : memref<2x64x72xbf16
    // CHECK:       %[[CHANNEL:.*]], %[[FIRST:.*]] = tile.channel depth(2) rings(%[[RING]] :
    // CHECK:       tile.roles producers(1) producer {
    // It knows what bounds the loop, and skips what others skip.
    // CHECK:         %[[END:.*]] = arith.divui %{{.*}}, %{{.*}} : index
    // CHECK:         scf.for %[[KEY:.*]] = %{{.*}} to %[[END]] step {{.*}} iter_args(%[[P:.*]] = %[[FIRST]])
    // CHECK:           %[[NEEDED:.*]] = arith.cmpi eq
    // CHECK:           scf.if %[[NEEDED]]
    // CHECK-NEXT:        %[[TO:.*]] = tile.acquire %[[CHANNEL]][%[[P]]]
    // CHECK-NEXT:        tile.copy %{{.*}}[] rows(%[[KEY]] to %{{.*}}), %[[TO]]
    // CHECK-NEXT:        %[[P1:.*]] = tile.commit %[[CHANNEL]][%[[P]]]
    // CHECK-NEXT:        scf.yield %[[P1]]
    // CHECK:             scf.yield %[[P]]
    // CHECK:       } consumer {
    // CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[C:.*]] = %[[FIRST]])
    // CHECK:           scf.if
    // CHECK-NEXT:        %[[NOW:.*]] = tile.wait %[[CHANNEL]][%[[C]]] later(1) :
    // CHECK-NOT:         tile.copy
    // CHECK:             tile.finite %[[NOW]]
    // CHECK:             %[[C1:.*]] = tile.release %[[CHANNEL]][%[[C]]]
    // CHECK-NEXT:        scf.yield %{{.*}}, %[[C1]]
    // CHECK:             scf.yield %{{.*}}, %[[C]]
    // CHECK-NEXT:      }
    // CHECK-NEXT:      scf.yield
    // CHECK-NEXT:    }
    // CHECK-NEXT:  }
    // CHECK-NEXT:  gpu.return
    gpu.func @kernel(%k: memref<?x64xbf16>, %n: index) kernel
        attributes {known_block_size = array<i32: 128, 1, 1>} {
      %zero = arith.constant 0 : index
      %two = arith.constant 2 : index
      %true = arith.constant true
      %end = arith.divui %n, %two : index
      %keys = tile.shared : !matrix
      %r = tile.visit from %zero to %end step 64 rings(%keys : !matrix) init(%true : i1) needed {
      ^bb0(%key: index):
        %rest = arith.remui %key, %two : index
        %needed = arith.cmpi eq, %rest, %zero : index
        tile.yield %needed : i1
      } bring {
      ^bb0(%key: index, %now: !matrix):
        tile.copy %k[] rows(%key to %n) columns(64 of 64), %now : memref<?x64xbf16> to !matrix
        tile.yield
      } body {
      ^bb0(%key: index, %now: !matrix, %sofar: i1):
        %finite = tile.finite %now of 64 x 64 : !matrix
        %all = arith.andi %sofar, %finite : i1
        tile.yield %all : i1
      } -> i1
      gpu.return
    }

    // What is brought where something is computed first stays with all warps.
    // REMARK: remark: warps have no roles in 'depends': what is brought depends on 'tile.finite'
    // CHECK-LABEL: gpu.func @depends(
    // CHECK-SAME:    known_block_size = array<i32: 128, 1, 1>
    // CHECK-NOT:   tile.roles
    gpu.func @depends(%k: memref<?x64xbf16>, %n: index) kernel
        attributes {known_block_size = array<i32: 128, 1, 1>} {
      %zero = arith.constant 0 : index
      %keys = tile.shared : !matrix
      %flags = tile.shared : !matrix
      %finite = tile.finite %flags of 64 x 64 : !matrix
      tile.visit from %zero to %n step 64 rings(%keys : !matrix) needed {
      ^bb0(%key: index):
        tile.yield %finite : i1
      } bring {
      ^bb0(%key: index, %now: !matrix):
        tile.copy %k[] rows(%key to %n) columns(64 of 64), %now : memref<?x64xbf16> to !matrix
        tile.yield
      } body {
      ^bb0(%key: index, %now: !matrix):
        tile.yield
      }
      gpu.return
    }

    // REMARK: remark: warps have no roles in 'barrier': tiles are brought by 'gpu.barrier'
    gpu.func @barrier(%n: index) kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
      %zero = arith.constant 0 : index
      %true = arith.constant true
      %keys = tile.shared : !matrix
      tile.visit from %zero to %n step 64 rings(%keys : !matrix) needed {
      ^bb0(%key: index):
        tile.yield %true : i1
      } bring {
      ^bb0(%key: index, %now: !matrix):
        gpu.barrier
        tile.yield
      } body {
      ^bb0(%key: index, %now: !matrix):
        tile.yield
      }
      gpu.return
    }

    // REMARK: remark: warps have no roles in 'nested': a loop over tiles is inside of another
    gpu.func @nested(%n: index) kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %true = arith.constant true
      scf.for %i = %zero to %n step %one {
        tile.visit from %zero to %n step 64 needed {
        ^bb0(%key: index):
          tile.yield %true : i1
        } bring {
        ^bb0(%key: index):
          tile.yield
        } body {
        ^bb0(%key: index):
          tile.yield
        }
      }
      gpu.return
    }

    // REMARK: remark: warps have no roles in 'nothing': there is nothing to bring
    gpu.func @nothing(%n: index) kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
      %zero = arith.constant 0 : index
      %true = arith.constant true
      tile.visit from %zero to %n step 64 needed {
      ^bb0(%key: index):
        tile.yield %true : i1
      } bring {
      ^bb0(%key: index):
        tile.yield
      } body {
      ^bb0(%key: index):
        tile.yield
      }
      gpu.return
    }

    // REMARK: remark: warps have no roles in 'stores': 'memref.store' writes memory before the last tile is brought
    gpu.func @stores(%k: memref<?x64xbf16>, %n: index, %x: bf16) kernel
        attributes {known_block_size = array<i32: 128, 1, 1>} {
      %zero = arith.constant 0 : index
      %true = arith.constant true
      memref.store %x, %k[%zero, %zero] : memref<?x64xbf16>
      %keys = tile.shared : !matrix
      tile.visit from %zero to %n step 64 rings(%keys : !matrix) needed {
      ^bb0(%key: index):
        tile.yield %true : i1
      } bring {
      ^bb0(%key: index, %now: !matrix):
        tile.copy %k[] rows(%key to %n) columns(64 of 64), %now : memref<?x64xbf16> to !matrix
        tile.yield
      } body {
      ^bb0(%key: index, %now: !matrix):
        tile.yield
      }
      gpu.return
    }
  }
}
