# shellcheck shell=bash
# TamIA: H100 and H200 (torch 2.5.1 or newer), no internet on compute nodes, 7.68 TB of local SSD (wiki: TamIA).
LAYALIGN_CLUSTER=tamia LAYALIGN_KIND=node
LAYALIGN_MODULES=${LAYALIGN_MODULES:-StdEnv/2023 gcc/12.3 arrow/24.0.0 cuda/12.6 python/3.11}
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh" && layalign_start
