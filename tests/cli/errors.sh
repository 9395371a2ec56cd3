#!/bin/sh
# Everything that can be wrong: one clear line on stderr, exit code 1; 2 for wrong usage. Nothing half-written.
. "$(dirname "$0")/common.sh"

# Usage.
expect 2 'subcommand is required' 
expect 2 'help' frobnicate
expect 2 'MODEL is required' run
expect 2 'MODEL is required' info
expect 2 'nonsense' run m.onnx --nonsense
expect 2 'threads' run m.onnx --threads 0
expect 2 'fill' bench m.onnx --fill sevens
expect 2 'KEY=VALUE' run m.onnx --option threads
expect 2 'DIR is required' verify
for sub in info run verify bench profile devices knobs; do
  works "$sub" --help
  grep -q 'Example: skiff' "$dir/.out" || bad "skiff $sub --help shows no example"
done
works --version
grep -Eq '^skiff [0-9]+\.[0-9]+\.[0-9]+$' "$dir/.out" || bad "--version: $(cat "$dir/.out")"
json devices
json knobs
json info --operators

# Model files.
expect 1 'no/such\.onnx' info no/such.onnx
: >"$dir/empty.onnx"
expect 1 'empty\.onnx' info "$dir/empty.onnx"
echo 'this is a text, not a model, whatever its name says' >"$dir/text.onnx"
expect 1 'text\.onnx' run "$dir/text.onnx"
expect 1 '' info "$dir"
expect 1 'no/such' verify "$dir/no/such"
expect 1 'test_data_set' verify "$dir"

[ -f "$model" ] || { printf 'the rest is skipped: %s is not there\n' "$model"; finish; exit 0; }
image=$(ls "$images"/*.jpg | head -1)
head -c 3000 "$model" >"$dir/cut.onnx"
expect 1 'cut\.onnx' info "$dir/cut.onnx"

# Options the library refuses.
expect 1 'nosuchkey' run "$model" -i "$image" --option nosuchkey=1
expect 1 'nosuchisa' run "$model" -i "$image" --isa nosuchisa
expect 1 'nosuchdevice' run "$model" -i "$image" --device nosuchdevice
expect 2 'memory-limit' run "$model" -i "$image" --memory-limit lots
expect 1 'memory_limit|memory limit' run "$model" -i "$image" --memory-limit 4K

# Inputs: missing, wrong name, type, rank, shape.
expect 1 'input "image".*is missing.*--fill' run "$model"
expect 1 'no input "picture".*"image"' run "$model" --input "picture=$image"
expect 1 'no such file' run "$model" --input image=no.jpg
npy() {  # npy FILE DESCR SHAPE BYTES: a .npy file of zeros
  printf '\223NUMPY\001\000\166\000' >"$1"
  printf "%-117s\n" "{'descr': '$2', 'fortran_order': False, 'shape': ($3), }" >>"$1"
  head -c "$4" /dev/zero >>"$1"
}
npy "$dir/dtype.npy" '<f8' '1, 3, 96, 96' 221184
expect 1 'image.*(double|float64)' run "$model" -i "$dir/dtype.npy"
works run "$model" -i "$dir/dtype.npy" --cast
npy "$dir/rank.npy" '<f4' '3, 96, 96' 110592
expect 1 'image' run "$model" -i "$dir/rank.npy"
npy "$dir/shape.npy" '<f4' '1, 3, 96, 95' 109440
expect 1 'image' run "$model" -i "$dir/shape.npy"
npy "$dir/short.npy" '<f4' '1, 3, 96, 96' 100
expect 1 'short\.npy.*cut short' run "$model" -i "$dir/short.npy"

# Files that are not what they seem.
cp "$dir/text.onnx" "$dir/text.jpg"
expect 1 'text\.jpg.*not an image' run "$model" -i "$dir/text.jpg"
head -c 900 "$image" >"$dir/cut.jpg"
expect 1 'cut\.jpg.*JPEG' run "$model" -i "$dir/cut.jpg"
: >"$dir/empty.png"
expect 1 'empty\.png.*empty' run "$model" -i "$dir/empty.png"
for e in npy npz wav pb csv txt; do
  cp "$dir/text.onnx" "$dir/bad.$e"
  expect 1 "bad\.$e" run "$model" -i "$dir/bad.$e"
done

# Sidecar and labels.
cp "$model" "$dir/m.onnx"
echo '{"input": {"image": {"rezise": "96,96"}}}' >"$dir/m.json"
expect 1 'm\.json.*"rezise"' run "$dir/m.onnx" -i "$image"
echo '{"input": {"photo": {"resize": "96,96"}}}' >"$dir/m.json"
expect 1 'm\.json.*no input "photo"' run "$dir/m.onnx" -i "$image"
rm "$dir/m.json"
expect 1 'labels\.txt' run "$dir/m.onnx" -i "$image" --labels "$dir/labels.txt"
expect 2 'mean' run "$model" -i "$image" --mean 1,x,3
expect 1 'mean has 2' run "$model" -i "$image" --mean 1,2

# Outputs that cannot be written; what stood there stays, nothing half-written is left.
expect 1 'no/folder' run "$model" -i "$image" -o "$dir/no/folder/x.npy"
expect 2 'ending' run "$model" -i "$image" -o "$dir/x.xyz"
expect 1 'nonsense' run "$model" -i "$image" -o "nonsense=$dir/x.npy"
expect 1 'no/folder' run "$model" -i "$image" --annotate "$dir/no/folder/x.png"
expect 2 '\{\}' run "$model" -i "$image" -i "$image" -o "$dir/x.npy"
mkdir "$dir/folder.npy"
expect 1 'folder' run "$model" -i "$image" -o "$dir/folder.npy"
[ "$(ls "$dir"/*tmp* 2>/dev/null)" = "" ] || bad "temporary files are left: $(ls "$dir")"
finish
