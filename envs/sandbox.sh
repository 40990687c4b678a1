# shellcheck shell=bash
# The sandbox: no modules; its nodes share LAYALIGN_VENV, which is the launcher's own Python unless the user names another.
# Its GPUs exist for Slurm alone.
LAYALIGN_CLUSTER=sandbox LAYALIGN_KIND=folder LAYALIGN_CHECK=--no-gpu
LAYALIGN_MODULES=
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh" && layalign_start
