# shellcheck shell=bash
# Killarney: L40S and H100, 350 GB of local SSD or 800 GB of NVMe (wiki: Killarney).
LAYALIGN_CLUSTER=killarney LAYALIGN_KIND=node
LAYALIGN_MODULES=${LAYALIGN_MODULES:-StdEnv/2023 gcc/12.3 arrow/24.0.0 cuda/12.6 python/3.11}
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh" && layalign_start
