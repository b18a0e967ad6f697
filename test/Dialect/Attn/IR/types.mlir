// RUN: attn-opt %s | attn-opt | FileCheck %s

// The type of scores: static and dynamic extents, both accumulation types.

// CHECK-LABEL: func.func private @all_static(!attn.scores<2x8x5x7xf32>)
func.func private @all_static(!attn.scores<2x8x5x7xf32>)

// CHECK-LABEL: func.func private @dynamic(!attn.scores<?x8x?x?xf32>)
func.func private @dynamic(!attn.scores<?x8x?x?xf32>)

// CHECK-LABEL: func.func private @double(!attn.scores<1x1x?x64xf64>)
func.func private @double(!attn.scores<1x1x?x64xf64>)

// CHECK-LABEL: func.func private @empty(!attn.scores<0x1x0x0xf32>)
func.func private @empty(!attn.scores<0x1x0x0xf32>)
