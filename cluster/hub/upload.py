"""Put a folder on the hub. The token is huggingface_hub's affair: read where that looks, and told to nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
LOGIN = "log in first (hf auth login, or HF_TOKEN in the environment) with a token that may write there"


def repository_obstacle(name: str) -> str | None:
    """Why a name is no repository's."""
    if REPOSITORY.fullmatch(name):
        return None
    return f"{name!r} is no repository of the hub: it must be ORGANISATION/NAME, or USER/NAME"


def upload(folder: Path, name: str, private: bool, message: str, environ: Mapping[str, str]) -> str:
    """Upload all files of a folder as one commit, into a repository that is made where there is none; its address.

    Raises:
        ClusterError: no network, nobody logged in, no permission, or what else the hub refuses.
    """
    if environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise ClusterError(f"HF_HUB_OFFLINE is set: unset it, {name} is reached over the network")
    from huggingface_hub import HfApi, errors

    network: Any = (
        errors.HfHubHTTPError.__bases__
    )  # the HTTP library's own error, whichever it is, and OSError
    try:
        api = HfApi()
        api.whoami()
        api.create_repo(name, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message=message).commit_url)
    except errors.LocalTokenNotFoundError:
        raise ClusterError(f"nothing was sent to {name}: {LOGIN}") from None
    except network as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        status = getattr(getattr(error, "response", None), "status_code", None)
        step = (
            LOGIN
            if status in (401, 403)
            else "compute nodes have no internet: give the command on a login node"
        )
        raise ClusterError(f"{name} did not take the files: {said}; {step}") from None
