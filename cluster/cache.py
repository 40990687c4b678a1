"""What lies in the Hugging Face cache, read from its folders: a login node answers at once.

Layout: huggingface.co/docs/huggingface_hub, "Understand caching" (`models--org--name/{refs,snapshots}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def hub_cache(environ: Mapping[str, str]) -> Path:
    """The cache of hub models that `environ` names, or the default one."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environ.get(variable):
            return Path(environ[variable]).expanduser()
    if environ.get("HF_HOME"):
        return Path(environ["HF_HOME"]).expanduser() / "hub"
    home = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "huggingface" / "hub"


def has_model(name: str, revision: str | None, environ: Mapping[str, str]) -> bool:
    """Whether a model can be opened without the network: a folder, or a hub name with its files in the cache.

    Args:
        name: folder or `organisation/name`.
        revision: branch, tag or commit; None is `main`.
    """
    if Path(name).expanduser().is_dir():
        return True
    folder = hub_cache(environ) / f"models--{name.replace('/', '--')}"
    reference = folder / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else revision or "main"
    return (folder / "snapshots" / commit / "config.json").exists()
