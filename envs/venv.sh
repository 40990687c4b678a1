#!/usr/bin/env bash
# venv.sh FOLDER REQUIREMENTS   make FOLDER a virtual environment that holds exactly REQUIREMENTS.
# Does nothing when it already does; a half-made one is made again.
set -euo pipefail
folder=$1 requirements=$2
stamp=$folder/.installed
want=$(cksum < "$requirements")
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0

python=
for candidate in python3 python3.13 python3.12 python3.11; do
  if command -v "$candidate" > /dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { echo "venv.sh: Python 3.11 or newer is needed, none is on PATH (found: $(python3 --version 2>&1 || true))" >&2; exit 2; }

echo "venv.sh: $folder from $requirements with $("$python" --version); takes a few minutes once"
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
echo "$want" > "$stamp"
