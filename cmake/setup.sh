#!/bin/sh
# Installs the Debian packages the build ("build"), the tests ("test") or the fuzzers ("fuzz") need, and only those that are missing.
set -eu
build="g++-12 cmake ninja-build make libprotozero-dev libcli11-dev nlohmann-json3-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev libre2-dev libtiff-dev libwebp-dev libopenjp2-7-dev"
test="doctest-dev python3 python3-dev python3-venv binutils zstd"
fuzz="clang-19 libclang-rt-19-dev"
case "${1:-build}" in
  test) want="$build $test" ;;
  fuzz) want="$build $fuzz" ;;
  *) want="$build" ;;
esac
missing=""
for p in $want; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
  echo "skiff: installing$missing"
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "skiff: error: these packages are missing:$missing; install them with your system's package manager" >&2
    exit 1
  fi
  as_root=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "skiff: error: run as root, or install:$missing" >&2; exit 1; }
    as_root=sudo
  fi
  $as_root apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if [ "${1:-build}" = test ]; then
  # The ONNX checker, ONNX Runtime and pytest, for the tests that compare with them and the Python package's. Without them
  # they skip, saying so.
  root=$(cd "$(dirname "$0")/.." && pwd)
  if [ ! -x "$root/.venv/bin/python" ] || ! "$root/.venv/bin/python" -c 'import onnx, numpy, onnxruntime, pytest, ml_dtypes, mypy' 2>/dev/null; then
    python3 -m venv "$root/.venv" && "$root/.venv/bin/pip" install -q --disable-pip-version-check \
      -r "$root/tests/requirements.txt" || echo "skiff: note: no onnx package could be installed; the tests that need it will skip"
  fi
fi
