#!/usr/bin/env bash
# Installs what is missing, builds the compiler, and runs one attention program:
# compiled for this machine, checked against its own reference, and timed.
# A program and options of attn-run may follow:
#   tools/quickstart.sh examples/alibi.mlir --size B=1 L=2048
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install-dependencies.sh
cmake --preset default >/dev/null
cmake --build --preset default --target attn-opt attn-run

# Prints a command and runs it.
show() {
  echo "  \$ $*"
  "$@" | sed 's/^/    /'
}

if [ $# -gt 0 ]; then
  exec build/bin/attn-run "$@" --check --benchmark
fi

echo
echo "examples/causal-gqa.mlir: causal attention, 8 query heads on 2 key heads of"
echo "64 features, compiled for this CPU into one pass over the keys."
echo
echo "Is it right? Compared with the same program run op by op on stored matrices:"
echo "the error against f64 may be twice that of the stored f32 computation."
show build/bin/attn-run examples/causal-gqa.mlir --check --size B=1 L=777
echo
echo "Does it store the matrix? At 8192 tokens that would be 2048 MiB."
show build/bin/attn-run examples/causal-gqa.mlir --peak-memory --size B=1 L=8192
echo
echo "Is it fast? Against the multiply-add peak of this machine, measured now."
show build/bin/attn-run examples/causal-gqa.mlir --benchmark --size B=1 L=2048
echo
echo "Next: docs/tutorial-first-program.md, or the other programs in examples/."
