#!/bin/sh
# Kernel objects export their table and nothing else, and hold no weak symbol: an inline function compiled for a large
# instruction set must never be the copy the linker keeps. The shared library exports the C ABI alone, and is small.
#   usage: symbols.sh BUILD_DIR
set -eu
build=$1
bad=0
found=0
for o in $(find "$build" -path '*skiff_k_*' -name '*.o'); do
  found=1
  weak=$(nm -C "$o" | awk '$2 ~ /^[WVu]$/ && $3 !~ /^DW\.ref/' || true)
  if [ -n "$weak" ]; then echo "$o holds weak symbols:"; echo "$weak"; bad=1; fi
  extra=$(nm -C --defined-only "$o" | awk '$2 ~ /^[TBDRGS]$/' | grep -vE 'skiff::cpu::[a-z0-9_]+::' || true)
  if [ -n "$extra" ]; then echo "$o exports more than its namespace:"; echo "$extra"; bad=1; fi
done
[ "$found" = 1 ] || { echo "no kernel objects under $build"; exit 1; }
lib=$(find "$build" -maxdepth 1 -name 'libskiff.so.*.*' | head -n 1)
if [ -n "$lib" ]; then
  extra=$(nm -D --defined-only "$lib" | awk '{print $3}' | grep -v '^skiff_' || true)
  if [ -n "$extra" ]; then echo "$lib exports more than the C ABI:"; echo "$extra" | head; bad=1; fi
  if ! nm "$lib" 2>/dev/null | grep -q __asan_init; then
    strip -o "$build/stripped.so" "$lib"
    n=$(wc -c < "$build/stripped.so")
    rm -f "$build/stripped.so"
    echo "stripped libskiff.so: $n bytes"
    [ "$n" -lt 6000000 ] || { echo "the stripped library is over 6 MB"; bad=1; }
  fi
fi
[ "$bad" = 0 ] && echo "symbols: ok"
exit "$bad"
