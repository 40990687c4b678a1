#!/usr/bin/env bash
# node.sh FOLDER HOME   make the environment FOLDER on this node, from what HOME (`launch.py env --build`) holds.
# One archive is unpacked where there is one; without it the environment is built from the wheelhouse.
# Measured on 2026-11-21 with an environment of 45,770 files and 1.6 GB (2 busy cores, wheels at hand locally):
#   local disk   build 82 s, unpack 13 to 30 s (gzip 49 s)     memory   build 35 s, unpack 3 s (gzip 10 s)
# Packing takes 7 s, and the archive is one file of 410 MB to read from shared storage: it is the default.
set -euo pipefail
folder=$1 home=$2
here=$(cd "$(dirname "$0")" && pwd)
[ -f "$folder/.made" ] && exit 0
rm -rf "$folder"
mkdir -p "$folder"
began=$SECONDS
if [ -f "$home/env.tar.zst" ] && command -v zstd > /dev/null; then
  tar -C "$folder" -I 'zstd -d' -xf "$home/env.tar.zst"
  how=unpacked
else
  requirements=$home/pins.txt
  [ -f "$requirements" ] || requirements=$here/cluster.txt
  "$here/new.sh" "$folder" "$requirements" "$home/wheels"
  how=built
fi
touch "$folder/.made"
echo "environment $how on $(hostname) in $((SECONDS - began)) s"
