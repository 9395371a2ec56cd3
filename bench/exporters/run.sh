#!/bin/sh
# make exporters: the virtual environment (build/exporters-venv), the tokenizer library, the comparison. Arguments go to
# run.py. PyPI is used to make the environment and never afterwards.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/build/exporters-venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
cmake --build "$root/build" --target skiff_shared exporter_tokenizer >/dev/null
exec "$venv/bin/python" "$here/run.py" --library "$root/build/libskiff.so" --tokenizer "$root/build/bench/libexporter_tokenizer.so" "$@"
