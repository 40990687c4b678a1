"""Answering what a user asks a run, in the process that was started for it; nothing of it is kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import TextStreamer

from cluster.errors import MISTAKE, ClusterError
from cluster.escapes import without_escapes
from cluster.run.run_folder import RunFolder
from jobs.work.model import opened
from jobs.work.start import settled_environment, within_reach
from layalign.config import RunConfig
from layalign.data.files import lines
from layalign.evaluation.generate import Generation
from layalign.model.store import load_tokenizers
from layalign.training.distributed import Processes
from layalign.use.model import Ask, Model

Told = Mapping[str, Any]
"""`run` (folder), `config`, `questions` (texts), `file` (that has them, one a line; neither: the standard input has),
`language`, `prompt`, `talk` (ask for one after the other), `stream` (show words as they come), `json` (an object a
line)."""


def answer(told: Told) -> None:
    """Answer questions on the standard output; what is to be known beside them goes to the standard error.

    Raises:
        ClusterError: no bridge, or a damaged one.
        ValueError: models that are not those of the run, or a question that cannot be asked.
    """
    settled_environment()
    model = _opened(told)
    if told["talk"]:
        print("a question a line; an empty line ends", file=sys.stderr, flush=True)
        for number, question in enumerate(_typed()):
            _answer_all(model, told, [question], number)
        return
    questions = told["questions"] or questions_in(Path(told["file"]) if told["file"] else None)
    if not questions:
        raise ValueError("there is no question: name one, a --file of them, or write one a line")
    _answer_all(model, told, questions)


def questions_in(path: Path | None) -> list[str]:
    """The lines of a file, or of the standard input, that hold something."""
    every = (text for _, text in lines(path)) if path else sys.stdin
    return [text.strip() for text in every if text.strip()]


def _opened(told: Told) -> Model:
    """The run's models with its weights."""
    processes, run = Processes.alone(), RunFolder(Path(told["run"]))
    config = within_reach(RunConfig.from_dict(told["config"]), processes)
    if config.bridge.trains:
        run.check_bridge()
    return opened(run.path, config, processes.device, load_tokenizers(config.model))


def _typed() -> Iterator[str]:
    """Lines as they are typed, until an empty one."""
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield line.strip()


def _answer_all(model: Model, told: Told, questions: list[str], first: int = 0) -> None:
    """Answer some questions, batched; in their order."""
    asked = model.asked(questions, told["language"], told["prompt"])
    streamed = told["stream"] and not told["json"] and len(asked) == 1
    options: dict[str, Any] = (
        {"streamer": TextStreamer(model.tokenizers.decoder, skip_special_tokens=True)} if streamed else {}
    )
    found = {one.item.id: one for one in model.answers(asked, **options)}
    for number, ask in enumerate(asked, first + 1):
        one = found[ask.id]
        if told["json"]:
            print(json.dumps(_object(one), ensure_ascii=False), flush=True)
        elif not streamed:
            print(f"> {ask.source}\n{one.output}\n" if len(asked) > 1 else one.output, flush=True)
        _note(one, number, model)


def _object(one: Generation[Ask]) -> dict[str, Any]:
    return {
        "question": one.item.source,
        "answer": one.output,
        "tokens": one.tokens,
        "finish": one.finish,
        "truncated": one.truncated,
    }


def _note(one: Generation[Ask], number: int, model: Model) -> None:
    """Tell what was cut."""
    if one.truncated:
        print(
            f"question {number} was cut: the encoder reads {model.readers.max_source} tokens of it "
            f"(data.max_source), the LLM {model.readers.max_prompt} of its prompt (data.max_prompt)",
            file=sys.stderr,
        )
    if one.finish == "length":
        limit = model.config.evaluation.max_new_tokens
        print(
            f"answer {number} ends at {limit} tokens: -o evaluation.max_new_tokens={2 * limit} lets it go on",
            file=sys.stderr,
        )


def main(words: list[str]) -> int:
    """The same as a program, for srun: what is told is one JSON object."""
    try:
        answer(json.loads(words[0]))
    except (ClusterError, ValueError) as error:
        print(f"error: {without_escapes(str(error))}", file=sys.stderr)
        return MISTAKE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
