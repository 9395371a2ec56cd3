#!/bin/sh
# Outputs written to files come back as inputs, and --json is JSON everywhere.
. "$(dirname "$0")/common.sh"
needs_model
image=$(ls "$images"/*.jpg | head -1)

# The same input through every format that can hold it gives the same answer.
works run "$model" -i "$image" -o "$dir/answer.npy" -o "$dir/answer.txt" -o "$dir/answer.csv" -o "$dir/answer.pb" -o "$dir/answer.npz"
for e in npy txt csv pb npz; do [ -s "$dir/answer.$e" ] || bad "answer.$e was not written"; done
works run "$model" -i "$image" -o "$dir/again.npy"
cmp -s "$dir/answer.npy" "$dir/again.npy" || bad "two runs of one input differ"
[ "$(wc -l <"$dir/answer.txt")" = 4 ] || bad "four classes, four lines: $(cat "$dir/answer.txt")"
[ "$(tr ',' '\n' <"$dir/answer.csv")" = "$(cat "$dir/answer.txt")" ] || bad "csv and txt differ"

# A fixed fill is the same as the same numbers from a text file; shapes come from the model.
works run "$model" --fill ones -o "$dir/ones.txt"
head -c 27648 /dev/zero | tr '\0' '1' | fold -w 1 >"$dir/ones_in.txt"
echo >>"$dir/ones_in.txt"
works run "$model" -i "$dir/ones_in.txt" -o "$dir/ones2.txt"
cmp -s "$dir/ones.txt" "$dir/ones2.txt" || bad "ones from a file differ from --fill ones"

# A model brought to the newest opset, and one with its weights beside it, answer the same.
works rewrite "$model" "$dir/newest.onnx" --newest-opset
works info "$dir/newest.onnx"
grep -q "opset ai.onnx 28" "$dir/.out" || bad "the newest opset is not told: $(head -5 "$dir/.out")"
works rewrite "$model" "$dir/outside.onnx" --external 256
[ -s "$dir/outside.onnx.data" ] || bad "no outside.onnx.data"
for m in newest outside; do
  works run "$dir/$m.onnx" -i "$image" --no-sidecar -o "$dir/$m.npy"
  works run "$model" -i "$image" --no-sidecar -o "$dir/plain.npy"
  cmp -s "$dir/plain.npy" "$dir/$m.npy" || bad "$m.onnx answers differently"
done
expect 1 'the model is of opset [0-9]+; it cannot be brought to the older 1' rewrite "$model" "$dir/old.onnx" --opset 1

json info "$model"
json info "$model" --nodes --placement --passes --print
json run "$model" -i "$image"
json bench "$model" --runs 2 --warmup 1
json profile "$model" --runs 2 --trace "$dir/trace.json"
grep -q traceEvents "$dir/trace.json" || bad "no trace"
works info "$model" --nodes --placement --passes --print
works bench "$model" --runs 2
works profile "$model" --runs 2
works run "$model" --fill random --threads 1 --skip-passes all
works run "$model" --fill random --device reference
works run "$model" --fill random --place share:0.5=reference
finish
