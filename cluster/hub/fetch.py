"""Bring models and data sets from the hub into the cache, at one commit each, and write down which (cluster.hub.cache).

Downloads are huggingface_hub's own, without its Xet transfer, which docs.alliancecan.ca (page Huggingface) advises
against, and with few workers, out of regard for a login node. It goes on file by file, but begins a file that was cut
short anew (since 1.0: `_download_to_tmp_and_move`); mT5-xl is one file of 15 GB, so large ones are brought by
`_large`, which goes on inside the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cluster.errors import ClusterError
from cluster.files import sha256_of
from cluster.hub.cache import (
    BRANCH,
    COMMIT,
    Kind,
    Pin,
    hub_cache,
    missing_files,
    read_pin,
    snapshot,
    write_pin,
)
from cluster.quota import check_room, read_quotas
from cluster.records import unless_damaged

WORKERS = 2
SHA256 = 64
"""Digits of the tag of a large file: the hub tags those with the hash of their content."""
LARGE = 32 * 2**20
"""Bytes from which a file is worth going on inside of."""
FILES_EACH = 3
"""Files and links that the cache makes for one file of the hub: content, link, lock."""
TEXT = (".json", ".txt", ".model", ".jinja", ".spm")
"""Endings of config, tokenizer and generation files."""
INDEX = ".index.json"
FORMATS = {
    "model.safetensors": r"model(-\d+-of-\d+)?\.safetensors",
    "pytorch_model.bin": r"pytorch_model(-\d+-of-\d+)?\.bin",
}
"""Weights that transformers loads, whole or in shards, the better ones first; one format is enough."""


@dataclass(frozen=True, order=True)
class Download:
    """One thing that a recipe needs from the hub."""

    kind: Kind
    name: str
    revision: str | None
    """Branch, tag or commit as the recipe asks for it; None is `main`."""


def fetch(wanted: list[Download], environ: dict[str, str], update: bool, tell: Callable[[str], None]) -> None:
    """Bring everything that is not there yet.

    Args:
        wanted: models and data sets.
        environ: says where the cache is; it is changed, so that huggingface_hub finds it.
        update: take what branches and tags point to now, also where a commit was fetched before.
        tell: takes lines about what is done.

    Raises:
        ClusterError: no such thing on the hub, no permission, no connection, or no room.
    """
    if environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise ClusterError("HF_HUB_OFFLINE is set: unset it, prefetch needs the network")
    environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_CACHE=str(hub_cache(environ)))
    pins = {one: _pin(one, environ, update) for one in wanted}
    for one, pin in pins.items():  # written first: whatever happens now, the same commit is gone on with
        write_pin(one.kind, one.name, one.revision, pin, environ)
    absent = {one: missing_files(one.kind, one.name, one.revision, environ) for one in pins}
    _check_room(pins, absent, environ)
    for one, pin in pins.items():
        size, left = sum(pin.files.values()), sum(pin.files[file] for file in absent[one])
        todo = f"{_readable(left)} of {_readable(size)} to fetch" if left else f"all {_readable(size)} there"
        tell(f"{one.name} at {pin.commit[:12]}: {len(pin.files)} files, {todo}")
        if absent[one]:
            with _hub_errors(one):
                for file in absent[one]:
                    if pin.files[file] >= LARGE:
                        _large(one, pin.commit, file, environ)
                _links(one, pin)
            lacking = missing_files(one.kind, one.name, one.revision, environ)
            assert not lacking, f"{one.name}: downloaded, and yet {lacking} is missing"


def needed(files: Mapping[str, int]) -> dict[str, int]:
    """The files of a model that are loaded: config, tokenizer, and the weights in one format.

    Raises:
        ClusterError: it has no weights that transformers loads.
    """
    for name, pattern in FORMATS.items():
        weights = {file for file in files if re.fullmatch(pattern, file)}
        if weights:
            text = {file for file in files if "/" not in file and file.endswith(TEXT)}
            foreign = {file for file in text if file.endswith(INDEX) and file != name + INDEX}
            return {file: files[file] for file in sorted((text | weights) - foreign)}
    raise ClusterError(f"it has none of the weights that are loaded here: {', '.join(FORMATS)}")


def _pin(one: Download, environ: Mapping[str, str], update: bool) -> Pin:
    """The commit to fetch: the one that was fetched before, or what the hub says now."""
    known = None if update else unless_damaged(read_pin, one.kind, one.name, one.revision, environ)
    if known:
        return known
    from huggingface_hub import HfApi

    with _hub_errors(one):
        info: Any = HfApi().repo_info(
            one.name, repo_type=one.kind, revision=one.revision or BRANCH, files_metadata=True
        )
        files = {entry.rfilename: entry.size or 0 for entry in info.siblings}
        return Pin(info.sha, needed(files) if one.kind == "model" else files)


def _check_room(
    pins: Mapping[Download, Pin], absent: Mapping[Download, list[str]], environ: Mapping[str, str]
) -> None:
    size = sum(pin.files[file] for one, pin in pins.items() for file in absent[one])
    files = sum(FILES_EACH * len(names) for names in absent.values())
    if files:
        check_room(hub_cache(environ), size, files, read_quotas())


def _large(one: Download, commit: str, file: str, environ: Mapping[str, str]) -> None:
    """Bring the content of one file into the cache, in pieces if need be; `_links` then gives it its name.

    Raises:
        ClusterError: the content is not what the hub says it is.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import get_hf_file_metadata, http_get
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(one.name, file, repo_type=one.kind, revision=commit)
    about = get_hf_file_metadata(url)
    assert about.etag, f"the hub gives no tag for {file} of {one.name}"
    blob = snapshot(one.kind, one.name, commit, environ).parents[1] / "blobs" / about.etag
    if blob.exists():
        return
    blob.parent.mkdir(parents=True, exist_ok=True)
    headers = build_hf_headers()
    if urlsplit(about.location).netloc != urlsplit(url).netloc:  # a token is for the hub, not for its storage
        headers.pop("authorization", None)
    partial = blob.with_name(f"{blob.name}.partial")
    with partial.open("ab") as content:
        http_get(
            about.location,
            content,
            resume_size=content.tell(),
            headers=headers,
            expected_size=about.size,
            displayed_filename=f"{one.name} {file}",
        )
    if len(about.etag) == SHA256 and sha256_of(partial) != about.etag:
        partial.unlink()
        raise ClusterError(f"{file} came broken and has been removed: repeat the command")
    partial.rename(blob)


def _links(one: Download, pin: Pin) -> None:
    """The small files, and a snapshot with a link to each content."""
    from huggingface_hub import snapshot_download

    assert COMMIT.fullmatch(pin.commit), pin.commit
    patterns = list(pin.files) if one.kind == "model" else None
    snapshot_download(
        one.name, repo_type=one.kind, revision=pin.commit, allow_patterns=patterns, max_workers=WORKERS
    )


@contextmanager
def _hub_errors(one: Download) -> Iterator[None]:
    """What the hub, or the way to it, refuses, as the user's next step."""
    from huggingface_hub import errors

    network: Any = (
        errors.HfHubHTTPError.__bases__
    )  # the HTTP library's own error, whichever it is, and OSError
    try:
        yield
    except errors.GatedRepoError:
        raise ClusterError(
            f"{one.name} is gated: accept its licence on the hub, log in (hf auth login, or HF_TOKEN), and repeat"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ClusterError(
            f"the hub has no {one.kind} {one.name}, or you may not see it: check the name"
        ) from None
    except errors.RevisionNotFoundError:
        raise ClusterError(
            f"{one.name} has no revision {one.revision!r}: name a branch, tag or commit"
        ) from None
    except ClusterError as error:
        raise ClusterError(f"{one.name}: {error}") from None
    except network as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ClusterError(
            f"{one.name} could not be fetched: {said}; the same command goes on where it stopped"
        ) from error


def _readable(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.3f} MB"
