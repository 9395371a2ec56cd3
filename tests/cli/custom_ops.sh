#!/bin/sh
# The example library of custom operators through the command. Arguments: SKIFF SOURCE LIBRARY.
. "$(dirname "$0")/common.sh"
library=$3
model=$source_dir/examples/custom_op/custom_op.onnx
printf 'the quick fox\n' >"$dir/texts.txt"
printf '0.5,1,100\n' >"$dir/x.csv"

works run "$model" --custom-ops "$library" -i "texts=$dir/texts.txt" -i "x=$dir/x.csv" -o "words=$dir/words.txt" \
  -o "negative=$dir/negative.csv" -o "counts=$dir/counts.csv"
[ "$(tr '\n' ' ' <"$dir/words.txt")" = "the quick fox " ] || bad "words: $(cat "$dir/words.txt")"
grep -q '^3' "$dir/counts.csv" || bad "counts: $(cat "$dir/counts.csv")"
# 2 tanh(x / 2) of 100 is 2; the mean of the first run is the value itself.
awk -F, '{ d = $1 + 0.489837; e = $3 + 2; exit !(d * d < 1e-9 && e * e < 1e-9) }' "$dir/negative.csv" ||
  bad "negative: $(cat "$dir/negative.csv")"

works info "$model" --custom-ops "$library" --option "custom_ops=$library"
for command in "profile --runs 2" "bench --runs 2"; do
  # shellcheck disable=SC2086
  works $command "$model" --custom-ops "$library" -i "texts=$dir/texts.txt" -i "x=$dir/x.csv"
done
json info "$model" --custom-ops "$library" --nodes
grep -q 'com.example.SoftClip' "$dir/.out" || bad "info does not show the operator: $(head -c 300 "$dir/.out")"
expect 1 "'SoftClip' of domain 'com.example' is not known.*--custom-ops" info "$model"
expect 1 'no custom-operator library' info "$model" --custom-ops "$dir/none.so"
expect 1 'cannot be loaded as a shared library' info "$model" --custom-ops "$model"
finish
