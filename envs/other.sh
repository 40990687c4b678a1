# shellcheck shell=bash
# A cluster of the user's own (~/.config/layalign/profiles.yaml): the launcher says what it is.
: "${LAYALIGN_CLUSTER:?}" "${LAYALIGN_KIND:?}" "${LAYALIGN_MODULES?}"
# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh" && layalign_start
