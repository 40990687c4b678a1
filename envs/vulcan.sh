# shellcheck shell=bash
# Vulcan: L40S, a whitelisting proxy instead of internet on compute nodes (wiki: Vulcan).
LAYALIGN_CLUSTER=vulcan LAYALIGN_KIND=node
LAYALIGN_MODULES=${LAYALIGN_MODULES:-StdEnv/2023 gcc/12.3 arrow/24.0.0 cuda/12.6 python/3.11}
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh" && layalign_start
