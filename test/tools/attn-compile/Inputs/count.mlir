// x, doubled n times.
func.func @double(%x: tensor<?xf32>, %n: tensor<i32>) -> (tensor<?xf32> {attn.name = "y"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %count = tensor.extract %n[] : tensor<i32>
  %end = arith.index_cast %count : i32 to index
  %y = scf.for %i = %c0 to %end step %c1 iter_args(%now = %x) -> (tensor<?xf32>) {
    %next = arith.addf %now, %now : tensor<?xf32>
    scf.yield %next : tensor<?xf32>
  }
  return %y : tensor<?xf32>
}
