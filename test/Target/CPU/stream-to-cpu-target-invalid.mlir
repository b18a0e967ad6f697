// RUN: not attn-opt %s --attn-stream-to-cpu="triple=x86_64-unknown-linux-gnu cpu=abacus" 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not attn-opt %s --attn-stream-to-cpu="triple=nvptx64-nvidia-cuda" 2>&1 | FileCheck %s --check-prefix=TRIPLE

// NAME: error: cpu 'abacus' is unknown for triple 'x86_64-unknown-linux-gnu'
// TRIPLE: error: triple 'nvptx64-nvidia-cuda' is no CPU this compiler knows
module {}
