// Multi-head latent attention as written: keys and values of each head are
// expanded from one latent per token as they are loaded, keys are normalised,
// and neither is stored.
//
// Papers: DeepSeek-V2, arXiv 2405.04434; Query-Key Normalization for
// Transformers, arXiv 2010.04245.
// Shapes: q [B, 4, M, 48], latent [B, 1, N, 24], expansions [4, 24, 48].
//
// RUN: attn-run %s --check --size B=2 M=5 N=70
// RUN: attn-run %s --check --size B=1 M=50 N=129
// RUN: attn-run %s --check --loops=fused --size B=1 M=3 N=17

!q = tensor<?x4x?x48xf32>
!latent = tensor<?x1x?x24xf32>
!weights = tensor<4x24x48xf32>
!scores = !attn.scores<?x4x?x?xf32>

func.func @attention(
    %q: !q {attn.name = "q", attn.dims = ["B", "4", "M", "48"]},
    %c: !latent {attn.name = "c", attn.dims = ["B", "1", "N", "24"]},
    %wk: !weights {attn.name = "wk"},
    %wv: !weights {attn.name = "wv"}
  ) -> (!q {attn.name = "o"}) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %batch = tensor.dim %c, %c0 : !latent
  %n = tensor.dim %c, %c2 : !latent
  %k = attn.view (%b, %h, %j) sizes(%batch, %n) {
    %zero = arith.constant 0 : index
    %x = attn.at %c[%b, %zero, %j] : !latent -> vector<24xf32>
    %y = attn.expand %x, %wk[%h] : vector<24xf32>, !weights -> vector<48xf32>
    %yy = arith.mulf %y, %y : vector<48xf32>
    %sum = vector.reduction <add>, %yy : vector<48xf32> into f32
    %eps = arith.constant 1.0e-6 : f32
    %norm = arith.addf %sum, %eps : f32
    %factor = math.rsqrt %norm : f32
    %factors = vector.broadcast %factor : f32 to vector<48xf32>
    %unit = arith.mulf %y, %factors : vector<48xf32>
    attn.yield %unit : vector<48xf32>
  } : !q
  %v = attn.view (%b, %h, %j) sizes(%batch, %n) {
    %zero = arith.constant 0 : index
    %x = attn.at %c[%b, %zero, %j] : !latent -> vector<24xf32>
    %y = attn.expand %x, %wv[%h] : vector<24xf32>, !weights -> vector<48xf32>
    attn.yield %y : vector<48xf32>
  } : !q
  %s = attn.score %q, %k : !q, !q -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, !q -> !q
  return %o : !q
}
