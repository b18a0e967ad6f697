// Nothing to compute.
func.func @none() {
  return
}
