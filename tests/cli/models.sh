#!/bin/sh
# The real models beside the project, where they are: every set at its stated tolerance, on one thread and two; and
# MobileNetV2 on photos through the command's own decoding and preprocessing.
. "$(dirname "$0")/common.sh"

shared=$source_dir/../shared
if [ ! -d "$shared/models" ]; then
  echo "skipped: $shared/models is not there"
  exit 77
fi
"$skiff" verify "$shared/models" --threads 1 >"$dir/.out" 2>"$dir/.err" || bad "verify: $(cat "$dir/.out" "$dir/.err")"
tail -n 1 "$dir/.out"
"$skiff" verify "$shared/models" --threads 2 --filter mlperf >"$dir/.out" 2>"$dir/.err" ||
  bad "verify with 2 threads: $(cat "$dir/.out" "$dir/.err")"

# Every model can be looked at without running it.
find "$shared/models" -name model.onnx | while read -r m; do
  "$skiff" info "$m" --json >/dev/null 2>"$dir/.err" || echo "$m: $(cat "$dir/.err")"
done >"$dir/.info"
[ -s "$dir/.info" ] && bad "info: $(cat "$dir/.info")"

# The reference's top-1 on every fourth of the 1000 photos (every second of those here) is 88.8 %: 222 of 250.
if [ -f "$shared/data/photos/labels.tsv" ]; then
  mkdir "$dir/photos"
  awk 'NR == 1 || NR % 2 == 0' "$shared/data/photos/labels.tsv" >"$dir/truth.tsv"
  tail -n +2 "$dir/truth.tsv" | cut -f 1 | while read -r f; do cp "$shared/data/photos/$f" "$dir/photos/"; done
  works run "$shared/models/classification/mobilenet_v2_1.0_224_fp32deq/model.onnx" --input "$dir/photos" \
    --resize 256,256 --resize-mode shorter --crop 224,224 --scale 0.0078125 --mean 1,1,1 \
    --labels-tsv "$dir/truth.tsv" --label-offset 1
  right=$(sed -n 's/^top-1 .*(\([0-9]*\) of 250).*/\1/p' "$dir/.out")
  echo "photos: $right of 250 right"
  [ "${right:-0}" -ge 222 ] || bad "top-1: ${right:-?} of 250, the reference has 222"
else
  echo "skipped: no photos"
fi
finish
