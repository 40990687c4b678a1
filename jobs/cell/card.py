"""The model card of a bridge: what it is made of, what it scored, how to load it, under which terms.

Layout: https://huggingface.co/docs/hub/model-cards (a head of YAML, then Markdown).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cluster.files import read_jsonl, write_atomic
from cluster.records import unless_damaged
from cluster.run.run_folder import RunFolder
from layalign.config import RunConfig
from layalign.languages import language
from layalign.licences import NON_COMMERCIAL, licence_of

CARD, CONFIG, RECORD = "README.md", "config.yaml", "backbones.json"


def write_card(run: RunFolder, config: RunConfig) -> None:
    """Write the card of a run's bridge, and beside it the config that says how it reads; nothing where there is none.

    Args:
        run: whose bridge it is.
        config: of the run.
    """
    if not run.bridge.is_dir():
        return
    if run.config.is_file():
        write_atomic(run.bridge / CONFIG, run.config.read_text(encoding="utf-8"))
    write_atomic(run.bridge / CARD, card(run, config))


def card(run: RunFolder, config: RunConfig) -> str:
    """The text of the card."""
    parts = [
        _head(config),
        _what(run, config),
        _models(run, config),
        _data(run, config),
        _results(run),
        _use(config),
    ]
    return "\n\n".join(parts) + "\n"


def _head(config: RunConfig) -> str:
    import yaml

    model = config.model
    hub = [name for name in _names(config) if name.count("/") == 1 and not name.startswith(("/", ".", "~"))]
    told: dict[str, Any] = {
        "library_name": "layalign",
        "license": "cc-by-nc-4.0" if _restricted(config) else "other",
        "language": [language(name).code for name in config.data.languages],
        "tags": ["layalign", model.method],
        **({"base_model": hub} if hub else {}),
    }
    return f"---\n{yaml.safe_dump(told, sort_keys=False)}---"


def _what(run: RunFolder, config: RunConfig) -> str:
    starts = read_jsonl(run.starts)
    made = starts[-1].get("commit") if starts else None
    code = f" Made by commit {str(made)[:12]} of the code." if made else ""
    return (
        f"# {run.path.name}\n\n"
        f"A bridge ({config.model.method}, stage {config.stage}) between a frozen multilingual encoder and a frozen "
        "LLM: LayAlign (NAACL 2025). It holds the trained weights alone; the two models are loaded "
        f"beside it.{code}"
    )


def _models(run: RunFolder, config: RunConfig) -> str:
    record = _record(run)
    lines = ["## Models", "", "| | model | commit | type | terms |", "|---|---|---|---|---|"]
    for part, name in _parts(config):
        told = record.get(part) or {}
        terms = licence_of(name) or "not known here: see the model's page"
        lines.append(
            f"| {'encoder' if part == 'encoder' else 'LLM'} | {name} | {told.get('commit') or 'none'} | "
            f"{told.get('kind') or 'unknown'} | {terms} |"
        )
    if _restricted(config):
        lines += ["", f"**{NON_COMMERCIAL.capitalize()}**: a model that this bridge was trained on says so."]
    if versions := record.get("versions"):
        lines += [
            "",
            "Trained with " + ", ".join(f"{name} {number}" for name, number in versions.items()) + ".",
        ]
    return "\n".join(lines)


def _data(run: RunFolder, config: RunConfig) -> str:
    data = config.data
    spoken = ", ".join(f"{language(name).name} ({language(name).code})" for name in data.languages)
    lines = ["## Data", "", f"Stage {config.stage}: {data.path} (layout {data.reader}); {spoken}."]
    told = unless_damaged(run.read_data) or {}
    if sources := told.get("source"):
        counted = ", ".join(f"{code} {counts.get('texts')}" for code, counts in sources.items())
        lines.append(f"Texts by language: {counted}.")
    if files := told.get("files"):
        lines.append(f"SHA-256 of its files: {', '.join(str(one)[:16] for one in files)}.")
    return "\n".join(lines)


def _results(run: RunFolder) -> str:
    tables = sorted(run.results.glob("*/table.md"))
    if not tables:
        return "## Results\n\nNone yet."
    shown = (f"### {path.parent.name}\n\n{path.read_text(encoding='utf-8').strip()}" for path in tables)
    return "\n\n".join(("## Results", *shown))


def _use(config: RunConfig) -> str:
    told = ', language="sw"' if config.bridge.reads_encoder else ""
    return (
        "## Use\n\n```python\nfrom layalign.use import load\n\n"
        'bridge = load("this folder")  # encoder=FOLDER, decoder=FOLDER where the models lie elsewhere\n'
        f'print(bridge.generate(["..."]{told}))\n```'
    )


def _names(config: RunConfig) -> list[str]:
    return [name for _, name in _parts(config)]


def _parts(config: RunConfig) -> Iterator[tuple[str, str]]:
    """The models that the bridge was trained on."""
    if config.bridge.reads_encoder:
        yield "encoder", config.model.encoder
    yield "decoder", config.model.decoder


def _restricted(config: RunConfig) -> bool:
    return any(NON_COMMERCIAL in (licence_of(name) or "") for name in _names(config))


def _record(run: RunFolder) -> dict[str, Any]:
    """What the bridge keeps of its models; nothing where an older version wrote it."""
    try:
        told = json.loads((run.bridge / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
