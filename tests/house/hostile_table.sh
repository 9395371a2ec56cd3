#!/bin/bash
# Every test that docs/hostile-input.md names exists, and every line of the table names one.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
bad=0
names=$(grep -rhoE '^TEST_CASE\(("[^"]*"[[:space:]]*)+' "$root/tests/unit" | sed -E 's/^TEST_CASE\("//; s/"[[:space:]]*$//')
table=$(sed -n '/^## The list/,/^## Fuzzers/p' "$root/docs/hostile-input.md" | grep '^|' | tail -n +3)
while IFS= read -r line; do
  cell=$(printf '%s' "$line" | awk -F' [|] ' '{print $2}')
  found=0
  while IFS= read -r name; do
    [ -n "$name" ] || continue
    found=1
    case "$name" in
      tests/*) [ -e "$root/$name" ] || { echo "no such file: $name"; bad=1; } ;;
      *) printf '%s\n' "$names" | grep -qxF -- "$name" || { echo "no such test: $name"; bad=1; } ;;
    esac
  done < <(printf '%s' "$cell" | grep -o '`[^`]*`' | tr -d '`')
  [ $found = 1 ] || { echo "no test for: $line"; bad=1; }
done <<<"$table"
[ "$(printf '%s\n' "$table" | wc -l)" -ge 20 ] || { echo "the table was not found"; bad=1; }
exit $bad
