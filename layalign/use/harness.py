"""A run as a model of lm-evaluation-harness, so that any of its tasks is asked of a bridge.

    python -m layalign.use.harness run --model layalign --model_args run=runs/NAME,language=sw --tasks TASK

The harness (https://github.com/EleutherAI/lm-evaluation-harness, 0.4) knows its models by a table in its own code and
no entry points, so that this module puts ours there before it hands over. `model_args`:

    run       folder of a run, or of a bridge
    language  name or code of the language of the texts; needed where the encoder is told it
    source    field of a document that the encoder reads (`question`); without, it reads what the LLM reads
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval import utils
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from layalign.data.tokenise import encode_texts
from layalign.evaluation.likelihood import Likelihood
from layalign.evaluation.questions import Tokens
from layalign.use.model import Ask, load

SAMPLING = ("do_sample", "temperature", "top_p", "top_k", "num_beams")
"""What a task may say of how is generated, beside where it ends."""
LONGEST = 256
"""Tokens of an answer at most where a task does not say it, as the harness's own models have it."""


@register_model("layalign")
class LayAlignLM(LM):
    """Loglikelihood, rolling loglikelihood and generation of a run; arguments above.

    Args:
        batch_size: questions that are read at once; None or `auto` is the recipe's.
        device: as `layalign.use.load` takes it.

    Raises:
        ValueError: as `layalign.use.load`, or a language that must be told and is not.
    """

    def __init__(
        self,
        run: str,
        language: str | None = None,
        source: str | None = None,
        batch_size: int | str | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        self.ours = load(run, device=device)
        self.ours.readers = dataclasses.replace(self.ours.readers, max_prompt=sys.maxsize)
        self.language, self.source = self.ours.spoken(language), source
        self.batch_size = None if batch_size in (None, "auto") else int(batch_size)

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Of each continuation: its log-probability, and whether it would be generated."""
        groups: dict[tuple[str, str], list[str]] = {}
        keys = []
        for request in requests:
            context, continuation = _blanks_moved(*request.args)
            key = (self._source(request, context), context)
            groups.setdefault(key, []).append(continuation)
            keys.append((key, continuation))
        asked = [
            Ask(
                id=f"{number:07d}",
                language=self.language,
                source=source,
                prompt=prompt,
                options=tuple(options),
            )
            for number, ((source, prompt), options) in enumerate(
                (key, dict.fromkeys(own)) for key, own in groups.items()
            )
        ]
        judged = self.ours.judged(asked, self.batch_size)
        found: dict[tuple[tuple[str, str], str], Likelihood] = {
            ((ask.source, ask.prompt), option): one
            for ask in asked
            for option, one in zip(ask.options, judged[ask.id])
        }
        told = [(found[key].total, found[key].greedy) for key in keys]
        for request, one in zip(requests, told):
            self.cache_hook.add_partial("loglikelihood", request.args, one)
        self._note_cut(asked)
        return told

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Of each whole text. The encoder reads the field that `source` names, or nothing: not what is predicted."""
        told = []
        for request in requests:
            (text,) = request.args
            told.append(self._rolling(text, self._source(request, "")))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, told[-1])
        return told

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """An answer to each context, cut before the first of its stop words."""
        groups: dict[str, list[tuple[int, Ask]]] = {}
        told: dict[str, dict[str, Any]] = {}
        for number, request in enumerate(requests):
            context, options = request.args
            ask = Ask(
                id=f"{number:07d}",
                language=self.language,
                source=self._source(request, context),
                prompt=context,
            )
            groups.setdefault(repr(options), []).append((number, ask))
            told[repr(options)] = options
        answers: dict[int, str] = {}
        for key, numbered in groups.items():
            answers |= self._generate(dict(numbered), told[key])
        for number, request in enumerate(requests):
            self.cache_hook.add_partial("generate_until", request.args, answers[number])
        self._note_cut([ask for numbered in groups.values() for _, ask in numbered])
        return [answers[number] for number in range(len(requests))]

    def _generate(self, asked: dict[int, Ask], options: dict[str, Any]) -> dict[int, str]:
        """Answers to questions of one task, by their numbers."""
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else list(until)
        how = {key: options[key] for key in SAMPLING if key in options}
        if unknown := sorted(options.keys() - {*SAMPLING, "until", "max_gen_toks"}):
            raise ValueError(
                f"the task asks to generate with {', '.join(unknown)}; known are {', '.join(SAMPLING)}"
            )
        if not how.get("do_sample"):
            how = {key: value for key, value in how.items() if key in ("do_sample", "num_beams")}
        if stops:
            how |= {"stop_strings": stops, "tokenizer": self.ours.tokenizers.decoder}
        most = int(options.get("max_gen_toks") or LONGEST)
        found = self.ours.answers(list(asked.values()), most, self.batch_size, **how)
        outputs = {one.item.id: one.output for one in found}
        return {number: _cut(outputs[ask.id], stops) for number, ask in asked.items()}

    def _rolling(self, text: str, source: str) -> float:
        readers, model = self.ours.readers, self.ours.model
        ask = Ask(id="text", language=self.language, source=source, prompt="")
        (tokens,) = readers.tokens([ask])
        ids = encode_texts([text], readers.decoder, sys.maxsize)[0][0]
        bos = model.decoder.config.bos_token_id
        before = [] if bos is not None else [readers.decoder.eos_token_id]
        taken = 3 + (len(tokens.source_ids) if self.ours.config.bridge.adapter else 0)
        room = (model.positions or taken + len(ids)) - taken
        total = 0.0
        for context, predicted in map(
            utils.make_disjoint_window, utils.get_rolling_token_windows(ids, -1, room, 1)
        ):
            prompt = [*before, *context[1:]] if context[:1] == [-1] else list(context)
            one = dataclasses.replace(tokens, prompt_ids=prompt)
            total += self._of(one, predicted)
        return total

    def _of(self, tokens: Tokens[Ask], predicted: Sequence[int]) -> float:
        batch = self.ours.readers.batch([tokens]).to(self.ours.model.device)
        return self.ours.model.likelihoods(batch, [[predicted]], 1)[0][0].total

    def _source(self, request: Any, context: str) -> str:
        """What the encoder reads."""
        if self.source is None:
            return context
        if self.source not in request.doc:
            raise ValueError(
                f"a document of {request.task_name} has no field {self.source!r}, which source= names; it has "
                f"{', '.join(map(str, request.doc))}"
            )
        return str(request.doc[self.source])

    def _note_cut(self, asked: Iterable[Ask]) -> None:
        """Warn of texts that the encoder reads in part."""
        readers = self.ours.readers
        cut = sum(one.truncated for one in readers.tokens(list(asked)))
        if cut and self.ours.config.bridge.reads_encoder:
            warnings.warn(
                f"{cut} texts are longer than the {readers.max_source} tokens that the encoder reads (data.max_source) "
                "and were cut: name the field of the question itself with source=",
                stacklevel=2,
            )


def _blanks_moved(context: str, continuation: str) -> tuple[str, str]:
    """Blanks at the end of a context stand at the beginning of its continuation, as in the harness's own models."""
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation


def _cut(output: str, stops: Sequence[str]) -> str:
    """An output before the first of its stop words."""
    return output[: min((place for stop in stops if (place := output.find(stop)) >= 0), default=len(output))]


def main() -> None:
    """The harness's own command line, with our model in its table."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
