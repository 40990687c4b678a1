# shellcheck shell=bash
# The sandbox: no modules; its nodes share the launcher's Python, which the launcher names in LAYALIGN_VENV.
# Its GPUs exist for Slurm alone.
LAYALIGN_CLUSTER=sandbox LAYALIGN_KIND=folder LAYALIGN_CHECK=--no-gpu
LAYALIGN_MODULES=
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh" && layalign_start
