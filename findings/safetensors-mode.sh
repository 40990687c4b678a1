#!/usr/bin/env bash
# safetensors 0.8.0: save_file makes its file for the owner alone (mode 0600), whatever the umask is and whatever group the
# folder is meant for. Under umask 002, in a folder that a group shares, numpy's own save makes 0664, which the others of the
# group can read; the weights beside it they cannot. safetensors.numpy.save, written by Python, gives 0664 as well.
# On a cluster a group's /project is full of folders like that: a colleague's evaluation of a bridge ends with
# "Permission denied" on the weights alone, config and tokenizer of the same save_pretrained being readable.
# Fails when save_file follows the umask.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet safetensors==0.8.0 numpy==2.3.4
cat > modes.py << 'END'
import os
import stat
import numpy
from safetensors.numpy import save, save_file

os.umask(0o002)
os.mkdir("shared")
os.chmod("shared", 0o2770)
weights = {"w": numpy.zeros(4, dtype=numpy.float32)}
numpy.save("shared/a.npy", weights["w"])
save_file(weights, "shared/b.safetensors")
with open("shared/c.safetensors", "wb") as file:
    file.write(save(weights))
modes = {name: oct(stat.S_IMODE(os.stat(f"shared/{name}").st_mode)) for name in sorted(os.listdir("shared"))}
print(modes)
assert modes == {"a.npy": "0o664", "b.safetensors": "0o600", "c.safetensors": "0o664"}, modes
print("as described: save_file's file is the owner's alone")
END
env/bin/python modes.py
