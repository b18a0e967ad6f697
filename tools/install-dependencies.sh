#!/usr/bin/env bash
# Installs what a Debian 12 machine lacks to build attn-mlir; with --tests, also
# what the tests of the Python package compare with (PyTorch, of some gigabytes).
# Nothing is done, and no network is used, when everything is there.
set -euo pipefail

packages=(
  libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools lld-22 liblld-22-dev
  clang-22 libclang-rt-22-dev clang-format-22 clang-tidy-22 libomp-22-dev
  ninja-build ccache cmake libgtest-dev libgmock-dev libbenchmark-dev
  zlib1g-dev libzstd-dev libedit-dev libcurl4-openssl-dev libxml2-dev
  python3 python3-dev python3-venv libdlpack-dev
  qemu-user g++-aarch64-linux-gnu # to test code for 64-bit Arm
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
# The Python package is built and tested in an environment of its own.
with_tests=${1:-}
install_python() {
  local root venv list
  root=$(dirname "$0")/..
  venv=$root/.venv
  local lists=("$root/python/requirements.txt")
  [ "$with_tests" = --tests ] && lists+=("$root/python/requirements-test.txt")
  if "$venv/bin/python" - "${lists[@]}" 2>/dev/null <<'CHECK'
import importlib.metadata as metadata, re, sys
for path in sys.argv[1:]:
    for line in open(path):
        name = re.match(r"[\w-]+", line)
        if name:
            metadata.version(name.group())
CHECK
  then
    return
  fi
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  for list in "${lists[@]}"; do
    echo "dependencies: installing the Python packages of $(basename "$list")"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$list"
  done
}

if [ ${#missing[@]} -eq 0 ]; then
  install_python
  echo "dependencies: all installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "error: these Debian packages are missing, and installing them needs" \
      "root or sudo: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "dependencies: installing ${missing[*]}"
# Package lists may be absent or too old for the mirror: refresh and try again.
if ! install; then
  if ! "${as_root[@]}" apt-get update -qq >"$log" 2>&1 </dev/null || ! install
  then
    tail -n 20 "$log" >&2
    echo "error: apt could not install: ${missing[*]}" >&2
    echo "LLVM and MLIR 22 come from Debian 12 with its security repository;" \
      "check the package sources, then run $0 again" >&2
    exit 1
  fi
fi
install_python
echo "dependencies: installed"
