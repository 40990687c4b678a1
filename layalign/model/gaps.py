"""What a loading report says of a model: which weights are missing, of another size or without a place, and why.

The causes are those of public reports: DDP's or PEFT's names, a shard that was not copied, a quantised checkpoint, a
config of other sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

HARMLESS_MISSING = re.compile(r"(^|\.)pooler\.")
"""Weights that nothing here reads: masked language models are published without BERT's pooler."""
HARMLESS_EXTRA = re.compile(
    r"(^|\.)(rotary_emb\.inv_freq|position_ids|attn\.(masked_)?bias|embed_positions\.(weights|_float_tensor)|version)$"
)
"""Buffers that older versions of the libraries saved and newer ones compute."""
QUANTISED = re.compile(
    r"\.(qweight|qzeros|g_idx|scales|weight_scale|weight_scale_inv|weight_packed|absmax|quant_map|SCB|codebooks)$"
    r"|\.weight\.(absmax|quant_map|quant_state)"
)
ADAPTER = re.compile(r"\.(lora_(A|B|magnitude_vector|embedding_[AB])|base_layer|adapters?|ia3_\w+)\.")
WRAPPERS = {
    "module": "DistributedDataParallel or DeepSpeed saves the model inside them",
    "_orig_mod": "torch.compile saves it",
    "base_model": "PEFT saves it",
    "_fsdp_wrapped_module": "FSDP saves it",
}
LAYER = re.compile(r"^(.*?\.?(?:layers|block|layer|h)\.\d+)\.")
MERGE = "merge it into the model first (merge_and_unload of peft, then save_pretrained) and name that folder"
SHOWN = 3


@dataclass(frozen=True)
class Gaps:
    """How files and model differ, by the names of weights."""

    missing: tuple[str, ...]
    """Weights that the model needs and no file has."""
    extra: tuple[str, ...]
    """Weights of the files inside the part that is used, for which the model has no place."""
    sizes: tuple[str, ...]
    """`name (3, 4) instead of (3, 5)`."""
    files_only: tuple[str, ...]
    """All that the files have and the model has not, `extra` among it."""


def gaps_of(model: PreTrainedModel, used: nn.Module, report: dict[str, Any]) -> Gaps:
    """What of a loading report concerns the part that is used.

    A weight under several names (a tied head) is there if one of them is.
    """
    inside = {id(parameter) for parameter in used.parameters()}
    every = {name: id(p) for name, p in model.named_parameters(remove_duplicate=False) if id(p) in inside}
    absent = set(report["missing_keys"])
    there = {place for name, place in every.items() if name not in absent}
    missing = {name for name, place in every.items() if name in absent and place not in there}
    parts = {name.partition(".")[0] for name in every}
    own, prefix = {name for name, _ in model.named_children()}, f"{model.base_model_prefix}."

    def concerned(key: str) -> bool:
        plain = key if key.partition(".")[0] in own else key.removeprefix(prefix)
        return plain.partition(".")[0] in parts and not HARMLESS_EXTRA.search(plain)

    files_only = sorted(report["unexpected_keys"])
    return Gaps(
        missing=tuple(sorted(name for name in missing if not HARMLESS_MISSING.search(name))),
        extra=tuple(key for key in files_only if concerned(key)),
        sizes=tuple(
            f"{key} {tuple(found)} instead of {tuple(wanted)}"
            for key, found, wanted in sorted(report["mismatched_keys"])
            if key in every
        ),
        files_only=tuple(files_only),
    )


def refusal(name: str, gaps: Gaps) -> str:
    what = [
        f"{text} {shown(keys)}"
        for text, keys in (
            ("no file has", gaps.missing),
            ("of another size is", gaps.sizes),
            ("the model has no place for", gaps.extra),
        )
        if keys
    ]
    return f"the weights in {name} are not those of its config: {'; '.join(what)}. {_cause(gaps)}"


def _cause(gaps: Gaps) -> str:
    """The likely cause, and the next step."""
    if any(map(QUANTISED.search, gaps.files_only)):
        return "They are quantised: name the model that they were made from"
    if any(map(ADAPTER.search, gaps.files_only)):
        return f"They hold a PEFT adapter that is not merged: {MERGE}"
    if prefix := _wrapper(gaps):
        who = WRAPPERS.get(prefix.partition(".")[0], "something around the model saves it")
        return (
            f"Their names begin with {prefix!r}, as {who}: save the model itself (unwrapped) with "
            "save_pretrained, or take the prefix off the names"
        )
    if gaps.sizes:
        return "config.json is another model's, or was edited: take config and weights from one place"
    if gaps.missing and all("head" in key or key.startswith("output") for key in gaps.missing):
        return (
            "Only the output layer is missing, and config.json does not tie it to the embedding "
            "(tie_word_embeddings): the files are of a base model, or config.json is another model's"
        )
    if gaps.missing:
        layers = _layers(gaps.missing)
        whole_layers = f"whole layers ({shown(layers)}): " if layers else ""
        return f"Likely cause: {whole_layers}a file was not copied or saved; copy the model again, whole"
    if layers := _layers(gaps.extra):
        return (
            f"The files know more of {shown(layers)} than config.json: it is another model's, or was edited"
        )
    return "config.json is another model's, or was edited: take config and weights from one place"


def _wrapper(gaps: Gaps) -> str:
    """What stands before the names of the missing weights in the files; empty if nothing does.

    Most of the names will do: a tied weight is missing under two, and the files have one.
    """
    others = set(gaps.files_only)
    first = next(iter(gaps.missing), "")
    for key in gaps.files_only:
        prefix = key.removesuffix(first)
        if (
            first
            and prefix != key
            and 2 * sum(prefix + name in others for name in gaps.missing) > len(gaps.missing)
        ):
            return prefix
    return ""


def _layers(keys: Iterable[str]) -> tuple[str, ...]:
    """The layers that weights are of, each once; none where some weight is of no layer."""
    found = [LAYER.match(key) for key in keys]
    return tuple(dict.fromkeys(match[1] for match in found if match)) if all(found) else ()


def shown(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
