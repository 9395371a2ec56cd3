#!/usr/bin/env bash
# Classifies the pictures beside this script with the skiff command, writes them annotated, and prints how many calls
# agree with the class in the file's name, then time and memory.
#
#   demo.sh [SKIFF [OUT]]     SKIFF: the command (default build/skiff), OUT: folder for the annotated pictures
#                             (default demo-out); both are relative to the root of the repository
#
# Exit code: 0; 1 when a command failed or fewer than 10 of 12 calls agree.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
skiff=${1:-build/skiff}
out=${2:-demo-out}
here=examples/inspection
model=$here/model.onnx

[[ $skiff == */* ]] || skiff=$(command -v "$skiff" || printf './%s' "$skiff")
if [[ ! -x $skiff ]]; then
  printf 'demo: %s is not there or cannot be run; build it first (make), or name it: demo.sh PATH/TO/skiff\n' "$skiff" >&2
  exit 1
fi
shopt -s nullglob
pictures=("$here"/images/*.jpg "$here"/images/*.png)
if [[ ! -f $model || ${#pictures[@]} -eq 0 ]]; then
  printf 'demo: %s or %s/images is missing; see %s/README.md\n' "$model" "$here" "$here" >&2
  exit 1
fi
mkdir -p "$out"

# first_value KEY: the first value of "KEY" in the JSON on standard input, unquoted; nothing when there is none.
first_value() {
  local found
  found=$(tr ',{}[]' '[\n*]' | sed -n 's/^[[:space:]]*"'"$1"'"[[:space:]]*:[[:space:]]*"\{0,1\}\([^"]*\)"\{0,1\}[[:space:]]*$/\1/p')
  printf '%s' "${found%%$'\n'*}"
}

agree=0
printf '%-18s %-10s %-10s %s\n' picture called score annotated
for picture in "${pictures[@]}"; do
  name=$(basename "$picture")
  stem=${name%.*}
  annotated=$out/$stem.png
  answer=$("$skiff" run "$model" --input "image=$picture" --top 3 --annotate "$annotated" --json) || {
    printf 'demo: skiff run failed on %s\n' "$picture" >&2
    exit 1
  }
  label=$(first_value label <<<"$answer")
  score=
  for key in score probability value; do
    [[ -n $score ]] || score=$(first_value "$key" <<<"$answer")
  done
  if [[ -z $label ]]; then
    printf 'demo: no "label" in the answer to %s:\n%s\n' "$picture" "$answer" >&2
    exit 1
  fi
  [[ -s $annotated ]] || { printf 'demo: %s was not written\n' "$annotated" >&2; exit 1; }
  mark='  <- differs'
  if [[ $label == "${stem%_*}" ]]; then
    agree=$((agree + 1))
    mark=
  fi
  printf '%-18s %-10s %-10s %s%s\n' "$name" "$label" "$score" "$annotated" "$mark"
done
printf '\n%d of %d calls agree with the class in the name\n\n' "$agree" "${#pictures[@]}"

"$skiff" bench "$model" --threads 1 --runs 50

if ((agree * 12 < 10 * ${#pictures[@]})); then
  printf 'demo: too few calls agree; see the accuracy in examples/inspection/README.md\n' >&2
  exit 1
fi
