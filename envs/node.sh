#!/usr/bin/env bash
# node.sh FOLDER HOME   make the environment FOLDER on this node, from what HOME (`launch.py env --build`) holds.
# One archive is unpacked where there is one; without it the environment is built from the wheelhouse.
# Measured on 2026-11-25 with an environment of 43,947 files (2 busy cores; a wheelhouse with the Alliance's own
# pip.conf and avail_wheels, the CPU's torch in it; one srun on all nodes of a job, who share those cores and disk):
#   local disk, 1 node   build 61 to 131 s, unpack 9 to 31 s       2 nodes   build 57 s,       unpack 21 to 29 s
#   memory,     1 node   build 37 to 71 s,  unpack 4 to 5 s        2 nodes   build 31 to 44 s, unpack 4 to 5 s
# The archive is one file of 351 MB to read from shared storage, instead of a wheelhouse and pip: it is the default.
set -euo pipefail
folder=$1 home=$2
here=$(CDPATH="" cd "$(dirname "$0")" && pwd)
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
