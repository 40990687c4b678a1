#!/usr/bin/env bash
# new.sh FOLDER REQUIREMENTS WHEELS   a new virtual environment from the wheelhouse and the folder WHEELS alone.
set -euo pipefail
folder=$1 requirements=$2 wheels=$3
if command -v virtualenv > /dev/null; then
  virtualenv --quiet --no-download "$folder" # docs.alliancecan.ca, page Python
else
  python3 -m venv "$folder"
fi
from=(--no-index)
[ -d "$wheels" ] && from+=(--find-links "$wheels")
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${from[@]}" -r "$requirements"
