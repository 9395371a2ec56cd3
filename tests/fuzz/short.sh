#!/bin/bash
# The short form of the fuzzers, `make fuzz` and the test `fuzz`: builds them with clang-19 and runs each for SKIFF_FUZZ_SECONDS (60) from
# the committed corpus. Skipped, saying so, without clang-19 and its run-time library (cmake/setup.sh fuzz installs them).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$probe/p.cc"
if ! clang++-19 -fsanitize=fuzzer,address "$probe/p.cc" -o "$probe/p" 2>"$probe/log"; then
  echo "skipped: clang++-19 with libFuzzer is not there (cmake/setup.sh fuzz installs it): $(head -1 "$probe/log")"
  exit 77
fi
cmake --preset fuzz >/dev/null
start=$SECONDS
cmake --build build-fuzz -j "${SKIFF_FUZZ_JOBS:-$(nproc)}" --target fuzzers | tail -1
echo "built in $((SECONDS - start)) s"
exec tests/fuzz/run.sh build-fuzz "${SKIFF_FUZZ_SECONDS:-60}"
