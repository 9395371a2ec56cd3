#!/bin/sh
# run.sh PROGRAM ARCHIVE FOLDER LIST: unpacks the backend tests once and runs them. Exit 77 (skipped) without
# the archive or zstd.
set -e
program=$1 archive=$2 folder=$3 list=$4
if [ ! -f "$archive" ]; then echo "skipped: $archive is not there"; exit 77; fi
if ! command -v zstd > /dev/null; then echo "skipped: no zstd to unpack $archive"; exit 77; fi
if [ ! -f "$folder/complete" ]; then
  mkdir -p "$folder"
  zstd -d --long=27 -c "$archive" | tar -x -C "$folder"
  touch "$folder/complete"
fi
exec "$program" --skip-list "$list" "$folder/node" "$folder/simple" "$folder/pytorch-operator" "$folder/pytorch-converted"
