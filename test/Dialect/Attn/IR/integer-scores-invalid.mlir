// RUN: attn-opt %s --split-input-file --verify-diagnostics

// attn.score C6: integer operands have integer scores
func.func @accumulation(%q: tensor<1x2x5x8xi8>) {
  // expected-error @+1 {{C6: the result is '!attn.scores<1x2x5x5xi32>', got '!attn.scores<1x2x5x5xf32>'}}
  %s = attn.score %q, %q : tensor<1x2x5x8xi8>, tensor<1x2x5x8xi8> -> !attn.scores<1x2x5x5xf32>
  return
}

// -----

// attn.score C2
func.func @mixed(%q: tensor<1x2x5x8xi8>, %k: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{C2: query and key have the same element type, got 'i8' and 'f32'}}
  %s = attn.score %q, %k : tensor<1x2x5x8xi8>, tensor<1x2x5x8xf32> -> !attn.scores<1x2x5x5xi32>
  return
}

// -----

// attn.score C8: scale
func.func @scale(%q: tensor<1x2x5x8xi8>) {
  // expected-error @+1 {{'attn.score' op C8: integer scores have no scale; multiply where attn.map makes floats of them}}
  %s = attn.score %q, %q scale(0.125) : tensor<1x2x5x8xi8>, tensor<1x2x5x8xi8> -> !attn.scores<1x2x5x5xi32>
  return
}

// -----

// attn.score C8: features
func.func @overflow(%q: tensor<1x1x5x131072xi8>) {
  // expected-error @+1 {{C8: sums of 131072 products of i8 may overflow; integer scores have fewer than 131072 features}}
  %s = attn.score %q, %q : tensor<1x1x5x131072xi8>, tensor<1x1x5x131072xi8> -> !attn.scores<1x1x5x5xi32>
  return
}

// -----

func.func @score_with(%q: tensor<1x2x5x8xi8>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of 16-bit float or bfloat16 type or 32-bit float or 64-bit float values, but got 'tensor<1x2x5x8xi8>'}}
  %s = attn.score_with max %q, %q {
  ^bb0(%x: i32, %y: i32, %d: index):
    attn.yield %x : i32
  } : tensor<1x2x5x8xi8>, tensor<1x2x5x8xi8> -> !attn.scores<1x2x5x5xi32>
  return
}

// -----

// attn.fill C1
func.func @fraction(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{C1: the value is not representable in 'i32'}}
  %f = attn.fill %s, 0.5 : !attn.scores<1x2x5x5xi32>
  return
}

// -----

// attn.fill C1
func.func @wide(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{C1: the value is not representable in 'i32'}}
  %f = attn.fill %s, 3.0e9 : !attn.scores<1x2x5x5xi32>
  return
}

// -----

// attn.fill C1
func.func @nan(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{C1: the value is not representable in 'i32'}}
  %f = attn.fill %s, 0x7FF8000000000000 : !attn.scores<1x2x5x5xi32>
  return
}

// -----

func.func @softmax(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{'attn.softmax' op operand #0 must be scores of f32 or f64 (map integer scores to f32 first: arith.sitofp in attn.map), but got '!attn.scores<1x2x5x5xi32>'}}
  %p = attn.softmax %s : !attn.scores<1x2x5x5xi32>
  return
}

// -----

func.func @aggregate(%s: !attn.scores<1x2x5x5xi32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{'attn.aggregate' op operand #0 must be scores of f32 or f64 (map integer scores to f32 first}}
  %o = attn.aggregate %s, %v : !attn.scores<1x2x5x5xi32>, tensor<1x2x5x8xf32> -> tensor<1x2x5x8xf32>
  return
}

// -----

func.func @materialize(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{'attn.materialize' op operand #0 must be scores of f32 or f64 (map integer scores to f32 first}}
  %t = attn.materialize %s : !attn.scores<1x2x5x5xi32> -> tensor<1x2x5x5xf32>
  return
}

// -----

func.func @matmul(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{'attn.matmul' op operand #0 must be scores of f32 or f64 (map integer scores to f32 first}}
  %t = attn.matmul %s, %s : !attn.scores<1x2x5x5xi32>, !attn.scores<1x2x5x5xi32> -> !attn.scores<1x2x5x5xi32>
  return
}

// -----

func.func @mix_heads(%s: !attn.scores<1x2x5x5xi32>, %w: tensor<2x2xf32>) {
  // expected-error @+1 {{'attn.mix_heads' op operand #0 must be scores of f32 or f64 (map integer scores to f32 first}}
  %t = "attn.mix_heads"(%s, %w) : (!attn.scores<1x2x5x5xi32>, tensor<2x2xf32>) -> !attn.scores<1x2x5x5xi32>
  return
}

// -----

func.func @topk(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{'attn.topk' op operand #0 must be scores of f32 or f64 (map integer scores to f32 first}}
  %v, %i, %n = attn.topk %s
     : (!attn.scores<1x2x5x5xi32>) -> (tensor<1x2x5x4xf32>, tensor<1x2x5x4xi64>, tensor<1x2x5xi64>)
  return
}

// -----

// attn.reduce C6
func.func @maximum(%s: !attn.scores<1x2x5x5xi32>) {
  // expected-error @+1 {{'attn.reduce' op C8: max takes scores of f32 or f64; map integer scores to f32 first (arith.sitofp in attn.map)}}
  %m = attn.reduce max keys %s : (!attn.scores<1x2x5x5xi32>) -> tensor<1x2x5xi32>
  return
}

// -----

// attn.dot C3
func.func @dot(%q: tensor<1x2x5x8xi8>, %i: index) {
  // expected-error @+1 {{'attn.dot' op C3: the result is i32 for rows of i8, got 'f32'}}
  %s = attn.dot %q[%i, %i, %i], %q[%i, %i, %i] : tensor<1x2x5x8xi8>, tensor<1x2x5x8xi8> -> f32
  return
}

// -----

// attn.dot C3
func.func @dot_of_floats(%q: tensor<1x2x5x8xi8>, %k: tensor<1x2x5x8xf32>, %i: index) {
  // expected-error @+1 {{C3: the result is a float for rows that are not both i8, got 'i32'}}
  %s = attn.dot %q[%i, %i, %i], %k[%i, %i, %i] : tensor<1x2x5x8xi8>, tensor<1x2x5x8xf32> -> i32
  return
}

// -----

// attn.inner C2
func.func @inner(%x: vector<8xi8>) {
  // expected-error @+1 {{'attn.inner' op C2: the result is i32 for rows of i8, got 'f32'}}
  %s = attn.inner %x, %x : vector<8xi8>, vector<8xi8> -> f32
  return
}
