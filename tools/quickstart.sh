#!/usr/bin/env bash
# Installs what is missing, builds the compiler, and runs one attention program:
# compiled, checked against its own reference, and timed. A program and options
# of attn-run may follow: tools/quickstart.sh examples/alibi.mlir --size L=2048
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install-dependencies.sh
cmake --preset default >/dev/null
cmake --build --preset default --target attn-opt attn-run

if [ $# -eq 0 ]; then
  set -- examples/causal-gqa.mlir --size B=1 L=2048
fi
echo
echo "build/bin/attn-run $* --check --benchmark"
exec build/bin/attn-run "$@" --check --benchmark
