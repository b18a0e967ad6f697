// Masks that leave gaps between the keys of a row, in images wide enough that
// whole vectors of a tile are passed over; values that are not finite stay out
// of rows that do not see them.

// RUN: attn-run %s --entry=image --check --size B=2
// RUN: attn-run %s --entry=image --check=exact --size B=1
// RUN: attn-run %s --entry=image --check --pattern v=nan-row --size B=1
// RUN: attn-run %s --entry=image --check --pattern k=inf-row --size B=1
// RUN: attn-run %s --entry=rounded --check --size B=1
// RUN: attn-run %s --entry=blocks --check --size B=2,L=301
// RUN: attn-run %s --entry=blocks --check=exact --size B=1,L=301
// RUN: attn-run %s --entry=blocks --check --pattern v=inf-row --size B=1,L=700
// RUN: attn-run %s --entry=window --check --size B=1,L=701
// RUN: attn-run %s --entry=window --check --pattern v=nan-row --size B=1,L=701
// RUN: attn-opt %s --attn-cpu-pipeline="triple=x86_64-unknown-linux-gnu cpu=znver4" --mlir-print-ir-after=attn-stream-to-cpu -o /dev/null 2>&1 | FileCheck %s

!image = tensor<?x2x533x20xf32>

// Per six rows of a tile of 48 by 256: how many pieces, and up to eight of them.
// CHECK-LABEL: func.func private @image_stream0(
// CHECK:         memref.alloc() {{.*}} : memref<8x17xindex>
func.func @image(%q: !image {attn.name = "q", attn.dims = ["B", "2", "533", "20"]},
    %k: !image {attn.name = "k", attn.dims = ["B", "2", "533", "20"]},
    %v: !image {attn.name = "v", attn.dims = ["B", "2", "533", "20"]}) -> (!image, !image) {
  %s = attn.score %q, %k scale(0.2) : !image, !image -> !attn.scores<?x2x533x533xf32>
  %n = attn.mask %s neighborhood<shape = [13, 41], window = [3, 7], dilation = [3, 1]> : !attn.scores<?x2x533x533xf32>
  %p = attn.softmax %n : !attn.scores<?x2x533x533xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x2x533x533xf32>, !image -> !image
  %r = attn.aggregate %n, %v : !attn.scores<?x2x533x533xf32>, !image -> !image
  return %o, %r : !image, !image
}

!narrow = tensor<?x2x533x20xbf16>

// Pairs of keys.
func.func @rounded(%q: !narrow {attn.name = "q", attn.dims = ["B", "2", "533", "20"]},
    %k: !narrow {attn.name = "k", attn.dims = ["B", "2", "533", "20"]},
    %v: !narrow {attn.name = "v", attn.dims = ["B", "2", "533", "20"]}) -> !narrow {
  %s = attn.score %q, %k scale(0.2) : !narrow, !narrow -> !attn.scores<?x2x533x533xf32>
  %n = attn.mask %s neighborhood<shape = [13, 41], window = [3, 5], dilation = [2, 1]> : !attn.scores<?x2x533x533xf32>
  %p = attn.softmax %n : !attn.scores<?x2x533x533xf32>
  %o = attn.aggregate %p, %v operand_type(bf16) : !attn.scores<?x2x533x533xf32>, !narrow -> !narrow
  return %o : !narrow
}

!qkv = tensor<?x3x?x32xf32>
!scores = !attn.scores<?x3x?x?xf32>

// Every other block of 37 keys, up to the row's own.
func.func @blocks(%q: !qkv {attn.name = "q", attn.dims = ["B", "3", "L", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "3", "L", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "3", "L", "32"]}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %m = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {
    %two = arith.constant 2 : index
    %width = arith.constant 37 : index
    %zero = arith.constant 0 : index
    %block = arith.divui %j, %width : index
    %odd = arith.remui %block, %two : index
    %even = arith.cmpi eq, %odd, %zero : index
    %before = arith.cmpi sle, %j, %i : index
    %both = arith.andi %even, %before : i1
    attn.yield %both : i1
  } : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}

// No gap, but keys at the start of a tile that no row of a block needs.
// CHECK-LABEL: func.func private @window_stream0(
// CHECK-NOT:     xindex>
func.func @window(%q: !qkv {attn.name = "q", attn.dims = ["B", "3", "L", "32"]},
    %k: !qkv {attn.name = "k", attn.dims = ["B", "3", "L", "32"]},
    %v: !qkv {attn.name = "v", attn.dims = ["B", "3", "L", "32"]}) -> !qkv {
  %s = attn.score %q, %k scale(0.2) : !qkv, !qkv -> !scores
  %m = attn.mask %s window<left = 75, right = 3> : !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !qkv -> !qkv
  return %o : !qkv
}
