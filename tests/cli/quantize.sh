#!/bin/sh
# Accuracy and quantization of the model the project ships, on its own pictures; bad input.
. "$(dirname "$0")/common.sh"
needs_model

printf 'file\tindex\n' >"$dir/truth.tsv"
for f in "$images"/*; do
  name=$(basename "$f")
  case $name in good*) i=0 ;; scratch*) i=1 ;; dent*) i=2 ;; *) i=3 ;; esac
  printf '%s\t%s\n' "$name" "$i" >>"$dir/truth.tsv"
done

works eval "$model" --data "$images" --labels "$dir/truth.tsv"
grep -Eq '^top1 +(9[1-9]|7[5-9]|8[0-9]|100)' "$dir/.out" || bad "eval: $(cat "$dir/.out")"
json eval "$model" --data "$images" --labels "$dir/truth.tsv" --metric f1 --metric accuracy
grep -q '"f1"' "$dir/.out" || bad "eval --metric f1: $(cat "$dir/.out")"
# Class sub-folders say the same as a table.
for c in good scratch dent stain; do
  mkdir -p "$dir/tree/$c"
  cp "$images/$c"* "$dir/tree/$c"
done
works eval "$model" --data "$images" --labels "$dir/truth.tsv"
sed -n 's/^top1 *//p' "$dir/.out" >"$dir/a"
works eval "$model" --data "$dir/tree"
sed -n 's/^top1 *//p' "$dir/.out" >"$dir/b"
cmp -s "$dir/a" "$dir/b" || bad "table and folders: $(cat "$dir/a") $(cat "$dir/b")"
works eval "$model" --against "$model" --data "$images"
grep -Eq '^agreement +100.00 %' "$dir/.out" || bad "a model disagrees with itself: $(cat "$dir/.out")"
works eval "$model" --data "$dir/tree" --samples 1::4
grep -q '^3 samples' "$dir/.out" || bad "--samples: $(cat "$dir/.out")"

cksum <"$model" >"$dir/before"
works quantize "$model" -o "$dir/int8.onnx" --data "$dir/tree" --samples ::2 --eval-samples 1::2 --report "$dir/r.html" \
  --report-json "$dir/r.json"
cksum <"$model" | cmp -s - "$dir/before" || bad "the original changed"
grep -q '^accuracy  *top1' "$dir/.out" || bad "quantize: $(cat "$dir/.out")"
grep -Eq '^size .*\(0\.[23]' "$dir/.out" || bad "size: $(cat "$dir/.out")"
grep -q '</html>' "$dir/r.html" || bad "no page"
grep -q 'http' "$dir/r.html" && bad "the page is not self-contained"
works eval "$dir/int8.onnx" --against "$model" --data "$images"
grep -Eq '^agreement +(9[1-9]|100)\.' "$dir/.out" || bad "int8 differs: $(cat "$dir/.out")"
json quantize "$model" -o "$dir/int8.onnx" --data "$images"

# Bad input: one line, and nothing is written.
rm -f "$dir/none.onnx"
expect 1 'needs samples' quantize "$model" -o "$dir/none.onnx"
expect 1 'no such file' quantize "$model" -o "$dir/none.onnx" --data "$dir/nowhere"
expect 1 'is the model itself' quantize "$model" -o "$model" --data "$images"
expect 1 'there is no folder' quantize "$model" -o "$dir/no/where.onnx" --data "$images"
expect 1 'quantized already' quantize "$dir/int8.onnx" -o "$dir/none.onnx" --data "$images"
expect 1 "weight_bits" quantize "$model" -o "$dir/none.onnx" --data "$images" --weight-bits 5
expect 2 'BEGIN:END:STEP' quantize "$model" -o "$dir/none.onnx" --data "$images" --samples a:b:c:d
expect 1 'picks none' eval "$model" --data "$images" --labels "$dir/truth.tsv" --samples 100:
expect 2 'there is no "best"' eval "$model" --data "$images" --metric best
expect 1 'have no truth' eval "$model" --data "$images"
[ -e "$dir/none.onnx" ] && bad "a failed call left a file"
cksum <"$model" | cmp -s - "$dir/before" || bad "the original changed"
finish
