"""Questions of an English page into other languages: checked, shown, and done here or by an array of jobs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.errors import INTERRUPTED
from cluster.hub.cache import is_folder, missing_files, read_pin
from cluster.job.unit import terms
from cluster.launch.local import submit_local
from cluster.launch.submit import prepare_job, submit_slurm
from cluster.profile.load import SlurmProfile
from cluster.profile.resources import plan_resources
from cluster.slurm.script import SIGNAL_S
from cluster.slurm.submission import submission_state
from jobs.cell.translation import Order, TranslationFolder, write_result
from jobs.data.models import can_measure
from jobs.data.pages import training_data
from jobs.recipe.context import Context, How
from jobs.recipe.describe import agreed, refused
from jobs.recipe.offer import told as told_of
from jobs.work.call import JobCall
from layalign.data.left_out import LeftOut
from layalign.data.sources import used_rows
from layalign.languages import Language, declarations, language

MODEL = "facebook/nllb-200-3.3B"
BATCH = 16
MAX_NEW_TOKENS = 512


@dataclass(frozen=True, kw_only=True)
class Translation:
    """What is asked for."""

    page: str
    to: tuple[str, ...]
    out: Path
    model: str = MODEL
    limit: int | None = None
    beams: int = 1
    slots: int = 1


def translate(wish: Translation, context: Context, how: How) -> int:
    """Translate what is not translated yet; the exit status.

    Raises:
        ValueError: a page that cannot be read, or is not of one language.
        ClusterError: what stands in the way.
    """
    source, rows = _rows(wish, context)
    targets = list(dict.fromkeys(language(name) for name in wish.to))
    order = _order(wish, source, targets, rows)
    folder = TranslationFolder(context.runs, f"{wish.page}-{order.fingerprint}")
    left = [cell for cell in folder.cells(order) if not cell.is_done()]
    cells = len(list(folder.cells(order)))
    print(f"translate {len(rows):,} questions of {wish.page} from {source.name} by {order.model}")
    print(f"  into       {', '.join(f'{one.name} ({one.code})' for one in targets)}")
    print(f"  cells      {cells - len(left)} of {cells} are done, in {folder.path}")
    print(f"  result     {wish.out}, in the layout of reader math")
    status = refused(_obstacles(order, source, targets))
    if status:
        return status
    if not left and not how.dry_run:
        print(write_result(wish.out, list(folder.cells(order)), rows))
        return 0
    if isinstance(context.profile, SlurmProfile):
        return _queue(wish, order, rows, folder, context, how)
    if how.dry_run or not agreed(f"translate {len(left)} cells on this machine", how.yes):
        return 0
    folder.write(order, rows)
    result = submit_local(JobCall("translate", _told(wish, folder)), folder, context.profile)
    if cause := result.get("interrupted"):
        print(f"interrupted by {cause}; the same command goes on")
        return INTERRUPTED
    return 0


def _rows(wish: Translation, context: Context) -> tuple[Language, list[dict[str, str]]]:
    """The language of a page, and its questions with their answers."""
    data = training_data(wish.page)
    if len(data.languages) != 1:
        raise ValueError(
            f"{wish.page} has {len(data.languages)} languages: what is translated is of one, as a page with "
            "`languages: [en]` says"
        )
    limit = wish.limit if data.limit is None else min(data.limit, wish.limit or data.limit)
    found = used_rows(replace(data, limit=limit), context.data, LeftOut())
    return language(data.languages[0]), [{"query": row.source, "response": row.target} for row, _ in found]


def _order(
    wish: Translation, source: Language, targets: Sequence[Language], rows: Sequence[dict[str, str]]
) -> Order:
    pin = None if is_folder(wish.model) else read_pin("model", wish.model, None, os.environ)
    return Order(
        rows=len(rows),
        checksum=hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        model=str(Path(wish.model).expanduser().absolute()) if is_folder(wish.model) else wish.model,
        revision=pin.commit if pin else None,
        source=source.code,
        languages=tuple(one.code for one in targets),
        declares=declarations([source.code, *(one.code for one in targets)]) or {},
        max_new_tokens=MAX_NEW_TOKENS,
        beams=wish.beams,
    )


def _obstacles(order: Order, source: Language, targets: Sequence[Language]) -> list[str]:
    """Why it would be refused: the model, or a language that its tokenizer does not know."""
    if source in targets:
        return [f"{source.name} is what is translated: take it off --to"]
    if not is_folder(order.model) and missing_files("model", order.model, order.revision, os.environ):
        return [
            f"model {order.model} is not in the cache; where there is internet: python launch.py prefetch "
            f"--recipe math -o model.encoder={order.model}"
        ]
    if not can_measure():  # the job looks before it translates
        return []
    from layalign.model.tokenizers import open_tokenizer
    from layalign.model.translate import first_token

    found, tokenizer = list[str](), open_tokenizer(order.model, order.revision)
    for one in (source, *targets):
        try:
            first_token(tokenizer, one, order.model)
        except ValueError as error:
            found.append(str(error))
    return found


def _told(wish: Translation, folder: TranslationFolder) -> dict[str, Any]:
    return {"root": str(folder.root), "name": folder.path.name, "out": str(wish.out), "batch": BATCH}


def _queue(
    wish: Translation, order: Order, rows: Sequence[dict[str, str]], folder: TranslationFolder,
    context: Context, how: How,
) -> int:  # fmt: skip
    """Submit an array whose elements take one cell after another, unless one is in the queue already."""
    assert isinstance(context.profile, SlurmProfile)
    profile = context.profile
    plan = plan_resources(profile, 1, units=1)
    resources = replace(plan, units=wish.slots, parallel=wish.slots)
    signal_s = min(SIGNAL_S, resources.time_min * 30)
    print(f"  slots      {told_of(replace(resources, units=1))}; times {wish.slots}")
    if how.dry_run:
        return 0
    standing = submission_state(folder.array)
    if standing and standing.alive:
        print(f"already queued: {standing}; to take it back: scancel {' '.join(standing.ids)}")
        return 0
    if not agreed(f"submit {wish.slots} jobs", how.yes):
        return 0
    folder.write(order, rows)
    folder.slurm.mkdir(parents=True, exist_ok=True)
    told = {
        **_told(wish, folder),
        "list": str(folder.rows),
        "terms": terms(profile, resources, signal_s, "translate"),
    }
    prepared = prepare_job(
        JobCall("translate", told), folder, profile, resources, folder.array,
        name=f"translate-{wish.page}", signal_s=signal_s, requeue=True,
    )  # fmt: skip
    submission = submit_slurm(prepared)
    print(
        f"queued: job {submission.job} {submission.name}; the same command tells how far it is, or queues the rest"
    )
    return 0
