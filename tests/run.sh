#!/bin/sh
# Runs every test of a build folder, or those a third argument (a regular expression) names, and ends with ctest's own summary.
set -eu
build=${1:-build}
jobs=${2:-2}
root=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$root/.venv/bin/python" ] && PATH="$root/.venv/bin:$PATH" && export PATH
cd "$root/$build"
exec ctest --output-on-failure -j "$jobs" --timeout 900 -R "${3:-.}"
