#!/usr/bin/env bash
# Installs what is missing, builds everything, and runs every test.
# Arguments go to ctest: tools/run-tests.sh -R test/Dialect
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install-dependencies.sh --tests
cmake --preset default >/dev/null
cmake --build --preset default
ctest --preset default "$@"
