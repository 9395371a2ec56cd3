#!/bin/sh
# The include arrows between the layers point downward only (docs/architecture.md), and files stay under 800 lines.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
bad=0
say() { echo "$1"; bad=1; }

# rank of a layer; a file may include its own layer and those of lower rank
rank() {
  case $1 in
    base) echo 0 ;; codecs | text | tensor) echo 1 ;; graph) echo 2 ;; ops) echo 3 ;;
    onnx | passes | device) echo 4 ;; plan) echo 5 ;; runtime) echo 6 ;;
    adapt | serve) echo 7 ;; capi) echo 8 ;; *) echo none ;;
  esac
}

for f in $(find src -name '*.h' -o -name '*.cc' -o -name '*.inc'); do
  here=$(echo "$f" | cut -d/ -f2)
  for inc in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$f"); do
    to=$(echo "$inc" | cut -d/ -f1)
    [ "$to" = skiff ] && { [ "$here" = capi ] || say "$f includes the public $inc; only src/capi may"; continue; }
    a=$(rank "$here"); b=$(rank "$to")
    [ "$b" = none ] && { say "$f includes \"$inc\", which names no layer"; continue; }
    if [ "$here" != "$to" ] && [ "$b" -ge "$a" ]; then say "$f ($here) includes $inc ($to): arrows point downward only"; fi
    case "$f:$inc" in
      src/runtime/devices.cc:device/*) ;;
      src/device/*:device/*) ;;
      *:device/device.h) ;;
      *:device/*) say "$f includes $inc; outside src/device only src/runtime/devices.cc names devices" ;;
    esac
  done
done

for f in $(git ls-files tools examples python 2>/dev/null | grep -E '\.(cc|h|c)$' || true); do
  if grep -nE '#[[:space:]]*include[[:space:]]*"(base|tensor|graph|ops|onnx|passes|plan|runtime|device|capi|adapt)/' "$f"; then
    say "$f reaches behind include/skiff"
  fi
done

for f in $(find src include tools tests python -name '*.h' -o -name '*.cc' -o -name '*.hpp' -o -name '*.inc' -o -name '*.c'); do
  n=$(wc -l < "$f")
  [ "$n" -le 800 ] || say "$f has $n lines; over 800 is two ideas"
done

[ "$bad" = 0 ] && echo "arrows: ok"
exit "$bad"
