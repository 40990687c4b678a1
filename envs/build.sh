#!/usr/bin/env bash
# build.sh FILE   build and check the environment of the cluster that envs/FILE is about, on its login node.
# Called by `launch.py env --build`.
# Leaves in $LAYALIGN_ENV_HOME: pins.txt (what was installed, exactly), and env.tar.zst or venv/.
set -euo pipefail
file=$1
here=$(CDPATH="" cd "$(dirname "$0")" && pwd)
export LAYALIGN_STEP=modules
# shellcheck source=/dev/null
. "$here/$file" || exit 1
home=$LAYALIGN_ENV_HOME
mkdir -p "$home"

if [ "$LAYALIGN_KIND" = node ]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  folder=$scratch/env
else # a job may be using the one before: the new one gets a name of its own
  folder=$home/venv-$(date +%Y%m%d-%H%M%S)
  trap 'rm -rf "$folder"' EXIT
fi
echo "building $folder from envs/cluster.txt: takes some minutes"
"$here/new.sh" "$folder" "$here/cluster.txt" "$home/wheels"
"$folder/bin/python" "$here/check.py" --no-gpu
"$folder/bin/python" -m pip freeze --disable-pip-version-check --local > "$home/.pins.draft"

if [ "$LAYALIGN_KIND" = node ] && ! command -v zstd > /dev/null; then
  echo "there is no zstd here: nodes will install what pins.txt says from the wheelhouse, which takes longer"
elif [ "$LAYALIGN_KIND" = node ]; then
  tar -C "$folder" -I 'zstd -T2 -3' -cf "$home/.env.draft" .
  mv "$home/.env.draft" "$home/env.tar.zst"
else
  ln -sfn "$folder" "$home/.venv.draft"
  mv -T "$home/.venv.draft" "$home/venv"
  trap - EXIT
  for old in "$home"/venv-*; do
    [ "$old" = "$folder" ] || echo "when no job uses it any more: rm -r $old"
  done
fi
mv "$home/.pins.draft" "$home/pins.txt"
cksum < "$here/cluster.txt" > "$home/built-from"
echo "done: $home"
