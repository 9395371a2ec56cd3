# Helpers of the command's tests; sourced. Arguments of every test: the command, the source folder.
skiff=$1
source_dir=$2
model=$source_dir/examples/inspection/model.onnx
images=$source_dir/examples/inspection/images
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

bad() {
  printf 'FAIL: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# expect CODE PATTERN ARGUMENTS...: the command exits with CODE, prints nothing on stdout and exactly one line on stderr,
# which begins "skiff: error: " and matches the extended regular expression PATTERN.
expect() {
  local code=$1 pattern=$2
  shift 2
  "$skiff" "$@" >"$dir/.out" 2>"$dir/.err"
  local got=$?
  [ "$got" = "$code" ] || bad "skiff $*: exit code $got, expected $code: $(cat "$dir/.err")"
  [ -s "$dir/.out" ] && bad "skiff $*: printed on stdout: $(head -c 200 "$dir/.out")"
  [ "$(wc -l <"$dir/.err")" = 1 ] || bad "skiff $*: not one line on stderr: $(cat "$dir/.err")"
  grep -q '^skiff: error: ' "$dir/.err" || bad "skiff $*: $(cat "$dir/.err")"
  grep -Eq -- "$pattern" "$dir/.err" || bad "skiff $*: no /$pattern/ in: $(cat "$dir/.err")"
}

# works ARGUMENTS...: exit code 0, nothing on stderr; what it printed is in $dir/.out.
works() {
  "$skiff" "$@" >"$dir/.out" 2>"$dir/.err" || bad "skiff $*: exit code $?: $(cat "$dir/.err")"
  [ -s "$dir/.err" ] && bad "skiff $*: on stderr: $(cat "$dir/.err")"
  return 0
}

# json ARGUMENTS...: works, and what it prints is one JSON document.
json() {
  works "$@" --json
  if command -v python3 >/dev/null; then
    python3 -m json.tool "$dir/.out" >/dev/null || bad "skiff $*: no JSON: $(head -c 200 "$dir/.out")"
  else
    head -c 1 "$dir/.out" | grep -q '[[{]' || bad "skiff $*: no JSON"
  fi
}

needs_model() {
  [ -f "$model" ] && return
  printf 'skipped: %s is not there\n' "$model"
  exit 77
}

finish() {
  [ "$failures" = 0 ] || exit 1
}
