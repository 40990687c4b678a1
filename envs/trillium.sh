# shellcheck shell=bash
# Trillium: H100, no internet on compute nodes. $SLURM_TMPDIR is memory there, so that the environment is built
# once, on the login node, in HOME, which compute nodes can read and not write (wiki: Trillium).
LAYALIGN_CLUSTER=trillium LAYALIGN_KIND=folder
LAYALIGN_MODULES=${LAYALIGN_MODULES:-StdEnv/2023 gcc/12.3 arrow/24.0.0 cuda/12.6 python/3.11}
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh" && layalign_start
