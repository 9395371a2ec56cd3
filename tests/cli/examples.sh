#!/bin/sh
# The example programs on the shipped model; classify agrees with the command. Arguments: SKIFF SOURCE MINIMAL CLASSIFY.
. "$(dirname "$0")/common.sh"
needs_model
minimal=$3
classify=$4
"$minimal" "$model" >"$dir/out" 2>&1 || bad "minimal: $(cat "$dir/out")"
grep -Eq ': float\[1, 4\]( [-0-9.e+]+){4}$' "$dir/out" || bad "minimal: $(cat "$dir/out")"
"$minimal" "$dir/none.onnx" >/dev/null 2>"$dir/err" && bad "minimal: a missing model is no error"
grep -q 'none.onnx' "$dir/err" || bad "minimal: $(cat "$dir/err")"
"$minimal" >/dev/null 2>&1
[ $? = 2 ] || bad "minimal: usage"

printf 'P6 96 96 255\n' >"$dir/p.ppm"
head -c 27648 "$model" >>"$dir/p.ppm"   # any bytes are pixels
"$classify" "$model" "$dir/p.ppm" "$source_dir/examples/inspection/labels.txt" >"$dir/out" 2>&1 || bad "classify: $(cat "$dir/out")"
works run "$model" -i "$dir/p.ppm" --top 1
want=$(awk 'NR == 2 { print $2 }' "$dir/.out")
[ "$(awk 'NR == 1 { print $2 }' "$dir/out")" = "$want" ] || bad "classify says $(head -1 "$dir/out"), skiff says $want"
"$classify" "$model" "$model" >/dev/null 2>"$dir/err" && bad "classify: a model is no picture"
grep -q 'PPM' "$dir/err" || bad "classify: $(cat "$dir/err")"
finish
