"""A run's bridge on the hub, with its card: shown first, sent when the user says so."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.errors import ClusterError
from cluster.hub.upload import repository_obstacle, upload
from cluster.run.run_folder import RunFolder
from cluster.secret import secret_in
from jobs.cell.card import write_card
from jobs.recipe.meter import human_size, many
from jobs.recipe.plan import unusable
from layalign.config import RunConfig

TEXT = 1_000_000
"""Bytes up to which a file is looked through for secrets: config, record, card."""


def push(run: RunFolder, name: str, public: bool, yes: bool) -> int:
    """Show what of a run's bridge would be sent to a repository of the hub, and send it if `yes`.

    Args:
        run: whose bridge it is.
        name: ORGANISATION/NAME on the hub.
        public: whether a repository that is made may be seen by all.
        yes: send it.

    Returns:
        The exit status.

    Raises:
        ClusterError: no bridge, a damaged one, one that holds a secret, or what `upload` refuses.
    """
    config = RunConfig.from_dict(run.read_config())
    if obstacle := repository_obstacle(name):
        raise ClusterError(obstacle)
    if not config.bridge.trains:
        raise ClusterError(f"{run.path.name} trains nothing: it has no bridge to send")
    if what := unusable(run):
        raise ClusterError(f"run {run.path.name} {what}")
    run.check_bridge()
    write_card(run, config)
    files = sorted(path for path in run.bridge.rglob("*") if path.is_file())
    _check(files)
    seen = "all may see" if public else "only you and your organisation see"
    print(f"{many(len(files), 'file')} to {name}, which {seen} where it is new:")
    for path in files:
        print(f"  {human_size(path.stat().st_size):>9}  {path.relative_to(run.bridge)}")
    local = [
        model for model in (config.model.encoder, config.model.decoder) if model.startswith(("/", "~", "."))
    ]
    if local:
        print(f"they name folders of this machine, which nobody else has: {', '.join(local)}")
    if not yes:
        print("nothing was sent: look at the card (README.md), then give --yes")
        return 0
    print(upload(run.bridge, name, not public, f"Bridge of {run.path.name}", os.environ))
    return 0


def _check(files: list[Path]) -> None:
    """Refuse a file that holds a secret."""
    for path in files:
        if path.stat().st_size <= TEXT and (kind := secret_in(path.read_text(errors="replace"))):
            raise ClusterError(f"{path} holds {kind}: take it out before it is sent")
