#!/bin/sh
# run.sh PROGRAM ARCHIVE FOLDER [OPTION...]: unpacks the standard's backend tests once and runs the program over
# them. Exit 77 (skipped) without the archive or zstd.
set -eu
program=$1 archive=$2 folder=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
if [ ! -f "$archive" ]; then echo "skipped: $archive is not there"; exit 77; fi
if ! command -v zstd > /dev/null; then echo "skipped: no zstd to unpack $archive"; exit 77; fi
# Shards may start at the same time: each unpacks for itself, the first to finish puts its copy in place.
if [ ! -d "$folder/node" ]; then
  mkdir -p "$folder"
  mine=$(mktemp -d "$folder/unpacking.XXXXXX")
  zstd -d --long=27 -c "$archive" | tar -x -C "$mine"
  for part in simple pytorch-operator pytorch-converted node; do
    mv -T "$mine/$part" "$folder/$part" 2> /dev/null || true
  done
  rm -rf "$mine"
fi
exec "$program" --ignore "$here/ignored.txt" "$@" "$folder/node" "$folder/simple" "$folder/pytorch-operator" "$folder/pytorch-converted"
