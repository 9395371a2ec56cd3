#!/bin/sh
# The model the project ships: classes of its pictures, labels, annotation, agreement, verify.
. "$(dirname "$0")/common.sh"
needs_model

printf 'file\tindex\n' >"$dir/truth.tsv"
for f in "$images"/*; do
  name=$(basename "$f")
  case $name in good*) i=0 ;; scratch*) i=1 ;; dent*) i=2 ;; *) i=3 ;; esac
  printf '%s\t%s\n' "$name" "$i" >>"$dir/truth.tsv"
done
mkdir "$dir/out"
works run "$model" --input "image=$images" --labels-tsv "$dir/truth.tsv" --annotate "$dir/out"
grep -Eq '^top-1 [0-9.]+ % \((9|1[0-2]) of 12\)' "$dir/.out" || bad "$(cat "$dir/.out")"
[ "$(ls "$dir/out" | wc -l)" = 12 ] || bad "annotations: $(ls "$dir/out")"
# An annotated picture is itself a picture.
works run "$model" -i "$dir/out/dent_01.png"

works run "$model" -i "$images/dent_01.jpg"
grep -Eq '^ *1 +dent ' "$dir/.out" || bad "dent_01: $(cat "$dir/.out")"

# Saying what the sidecar says gives the same as the sidecar.
works run "$model" -i "$images/dent_01.jpg" -o "$dir/a.npy"
works run "$model" -i "$images/dent_01.jpg" -o "$dir/b.npy" --no-sidecar --resize 96 --resize-mode shorter --crop 96,96 \
  --scale 0.00392156862745098 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
cmp -s "$dir/a.npy" "$dir/b.npy" || bad "sidecar and options differ"
works run "$model" -i "$images/dent_01.jpg" -o "$dir/b.npy" --channels bgr
cmp -s "$dir/a.npy" "$dir/b.npy" && bad "--channels bgr changes nothing"

works verify "$source_dir/examples/inspection"
[ "$(cat "$dir/.out")" = "1 passed, 0 failed" ] || bad "verify: $(cat "$dir/.out")"
json verify "$source_dir/examples/inspection" --jobs 2

# A wrong expectation is found: one line, exit code 1. An INDEX.tsv above sets the tolerance.
mkdir -p "$dir/models/broken/test_data_set_0"
cp "$model" "$dir/models/broken/model.onnx"
cp "$source_dir/examples/inspection/test_data_set_0/input_0.pb" "$dir/models/broken/test_data_set_0"
works run "$model" --fill zeros -o "$dir/models/broken/test_data_set_0/output_0.pb"
"$skiff" verify "$dir/models" >"$dir/.out" 2>"$dir/.err"
[ $? = 1 ] || bad "verify of a wrong output does not fail"
grep -Eq '^FAIL .*broken/test_data_set_0: output "' "$dir/.out" || bad "verify: $(cat "$dir/.out")"
tail -1 "$dir/.out" | grep -qx '0 passed, 1 failed' || bad "verify: $(cat "$dir/.out")"
printf 'model\tset\tcheck\tatol\trtol\nbroken\ttest_data_set_0\tclose\t1e6\t0\n' >"$dir/models/INDEX.tsv"
works verify "$dir/models"
printf 'model\tset\tcheck\tatol\trtol\nbroken\ttest_data_set_0\tnearly\t1\t0\n' >"$dir/models/INDEX.tsv"
expect 1 'INDEX.tsv.*"nearly"' verify "$dir/models"
finish
