#!/bin/bash
# Runs fuzz targets from their committed corpus: run.sh BUILD SECONDS [TARGET...], JOBS (2) at a time. What a target
# finds is left under BUILD/fuzz-findings; its corpus grows under BUILD/fuzz-corpus. Prints one line a target.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
seconds=$2
shift 2
[ $# -gt 0 ] || set -- $(cd "$root/tests/fuzz" && ls ./*.cc | sed 's|^\./||; s|\.cc$||')
findings=$build/fuzz-findings
mkdir -p "$findings"

one() {
  local t=$1 log=$build/fuzz-$1.log rc=0
  mkdir -p "$build/fuzz-corpus/$t"
  "$build/tests/fuzz/fuzz_$t" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=3000 -max_len=8192 -len_control=0 -print_final_stats=1 \
    -artifact_prefix="$findings/$t-" "$build/fuzz-corpus/$t" "$root/tests/fuzz/corpus/$t" >"$log" 2>&1 || rc=$?
  local runs
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [ $rc -eq 0 ]; then
    printf 'fuzz %s: %s executions in %s s, no finding\n' "$t" "${runs:-?}" "$seconds"
    return 0
  fi
  printf 'fuzz %s: FINDING after %s executions, see %s:\n' "$t" "${runs:-?}" "$log"
  grep -E 'finding:|ERROR: |runtime error|SUMMARY|Test unit written' "$log" | head -6
  return 1
}

bad=0
pids=()
for t in "$@"; do
  if [ ${#pids[@]} -ge "${JOBS:-2}" ]; then
    wait "${pids[0]}" || bad=1
    pids=("${pids[@]:1}")
  fi
  one "$t" &
  pids+=($!)
done
for p in "${pids[@]}"; do wait "$p" || bad=1; done
exit $bad
