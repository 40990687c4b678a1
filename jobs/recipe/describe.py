"""What commands tell of a run, of what stands in the way and of what failed, and what they ask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from cluster.errors import FAILED, MISTAKE, ClusterError
from cluster.profile.load import SlurmProfile
from jobs.recipe.checked import checked_before
from jobs.recipe.context import Context
from jobs.recipe.plan import Plan, data_check

if TYPE_CHECKING:
    from jobs.recipe.offer import Offer
    from layalign.methods import Bridge

T = TypeVar("T")


def describe(plan: Plan, context: Context, note: str) -> None:
    """What a dry run prints of one run that is to be trained."""
    config, training, profile = plan.config, plan.config.training, context.profile
    rows = {
        **_model(plan, note),
        "data": f"{config.data.path} ({config.data.reader}), {_named(config.data.languages)}",
        "training": f"lr {training.lr:g}, epochs {training.epochs}, max_steps {training.max_steps or 'none'}, "
        f"batch {training.batch_size}, seed {config.seed}; the steps are counted when the data is read",
        "checkpoints": _checkpoints(plan),
        "starts from": plan.weights
        or ("a fresh bridge" if config.bridge.reads_encoder else "the LLM as it is"),
    }
    if not isinstance(profile, SlurmProfile):
        uneven = uneven_batch(training.batch_size, training.micro_batch, profile.tasks)
        rows |= {"batch": uneven} if uneven else {}
    if replay := config.data.replay:
        rows["replay"] = f"{replay.share:.3g} of all examples are from {replay.path} ({replay.reader})"
    counted = str(data_check(config, context.data))
    if counted:
        rows["rows"] = counted
    if checked := checked_before(config, context.data):
        rows["checked"] = str(checked)
    _show(plan, {**rows, **_here(context)})


def describe_answering(plan: Plan, context: Context, benchmarks: Sequence[str]) -> None:
    """What a dry run prints of one run that is to answer."""
    asked = plan.config.evaluation
    first = f", the first {asked.limit} of each language" if asked.limit else ""
    answers = f"{', '.join(benchmarks)}{first}; at most {asked.max_new_tokens} tokens each, {asked.batch_size} at once"
    _show(plan, {**_model(plan), "answers": answers, **_here(context)})


def _model(plan: Plan, note: str = "") -> dict[str, str]:
    """What computes."""
    config, bridge = plan.config, plan.config.bridge
    gate = f" with {bridge.gate} gates" if bridge.aligner != "none" else ""
    switches = f"adapter {bridge.adapter}, aligner {bridge.aligner}{gate}, text {bridge.text}{_lora(bridge)}"
    return {
        "run": f"{plan.run.path} ({note or plan.run.state()})",
        "method": f"{config.model.method}: {switches}",
        "models": f"{config.model.encoder} and {config.model.decoder} in {config.model.precision}",
    }


def _here(context: Context) -> dict[str, str]:
    """The processes on this machine; nothing of a queue, whose offer says it."""
    profile = context.profile
    if isinstance(profile, SlurmProfile):
        return {}
    return {"cluster": f"{profile.name}: processes {profile.tasks}, threads of each {profile.threads()}"}


def _show(plan: Plan, rows: Mapping[str, object]) -> None:
    print(f"stage {plan.config.stage} of {plan.config.name}")
    for key, value in rows.items():
        print(f"  {key:<12} {value}")


def _lora(bridge: Bridge) -> str:
    """What of the LLM is trained, if anything."""
    if bridge.lora == "none":
        return ""
    kind = {"lora": "LoRA", "dora": "DoRA"}[bridge.lora]
    rest = "" if bridge.train == "both" or not bridge.reads_encoder else ", the bridge stays as it is"
    return f"; trains {kind} of {', '.join(bridge.lora_modules)} (rank {bridge.lora_rank}){rest}"


def _named(languages: Sequence[str]) -> str:
    return f"{len(languages)} languages" if languages[1:] else "".join(languages)


def _checkpoints(plan: Plan) -> str:
    """How often there is one."""
    every = plan.config.training.save_every
    if every != "auto":
        return f"every {every} steps, and on a signal"
    from jobs.reliability.rate import rate_in
    from layalign.training.interval import MOST

    return (
        "auto: after the first step, then as often as is best for what a checkpoint and a step take, at most "
        f"{MOST:.0%} of the time; {rate_in(plan.run)}"
    )


def uneven_batch(batch: int, micro_batch: int, processes: int) -> str | None:
    """What becomes of a batch whose forward passes the processes do not divide; None where they do.

    As `layalign.data.batching.micro_batches` cuts it where no `micro_tokens` bounds a pass.
    """
    least = -(-batch // micro_batch)
    if least % processes == 0:
        return None
    each = -(-least // processes)
    told = f"a batch of {batch} on {processes} processes stays {batch}"
    if each * processes <= batch:
        return f"{told}, cut into {each * processes} forward passes instead of {least}: {each} on each"
    idle = -batch % processes
    return f"{told}, cut into {batch} forward passes instead of {least}; {idle} more are repeated and do not count"


def refused(obstacles: Iterable[str]) -> int:
    """Tell each thing that stands in the way, once; the exit status."""
    every = list(dict.fromkeys(obstacles))
    sys.stdout.flush()  # what was told before stands before it, also in a file that takes both
    for text in every:
        print(f"error: {text}", file=sys.stderr)
    return MISTAKE if every else 0


def agreed(question: str, yes: bool) -> bool:
    """Whether the user wants it.

    Raises:
        ClusterError: there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ClusterError(f"to {question}, an answer is needed, and there is no terminal: add --yes")
    return input(f"{question}? [y/N] ").strip().lower() in ("y", "yes")


def agreed_to(offer: Offer, yes: bool) -> bool:
    """Whether the user wants what may be a slip; who has said yes before is told of it aloud.

    Raises:
        ClusterError: there is nobody to ask.
    """
    if yes:
        warn(offer)
    return agreed(f"submit {offer.doubt}", yes)


def warn(offer: Offer) -> None:
    """Say aloud what a user has agreed to beforehand and may not have meant."""
    print(f"warning: {offer.doubt}", file=sys.stderr)


def each(things: Iterable[T], act: Callable[[T], None]) -> list[str]:
    """Do it to each; one that fails keeps none of the others from it. Returns what failed."""
    errors = []
    for thing in things:
        try:
            act(thing)
        except ClusterError as error:
            errors.append(str(error))
    return errors


def tell_errors(errors: Sequence[str]) -> int:
    """Tell each error; the exit status."""
    for text in errors:
        print(f"error: {text}", file=sys.stderr)
    return FAILED if errors else 0
