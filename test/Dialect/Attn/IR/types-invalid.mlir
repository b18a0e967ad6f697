// RUN: attn-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{scores have four extents [batch, heads, queries, keys], got 3}}
func.func private @rank(!attn.scores<2x8x5xf32>)

// -----

// expected-error @+1 {{the number of heads of scores is static, got ?}}
func.func private @heads(!attn.scores<2x?x5x5xf32>)

// -----

// expected-error @+1 {{scores have an accumulation type, f32, f64 or i32, got 'bf16'}}
func.func private @element(!attn.scores<2x8x5x5xbf16>)
