"""A run as an object that answers: its models, its weights, and what its recipe makes of a question.

from layalign.use import load

bridge = load("runs/math-layalign-s2-0123abcd")
print(bridge.generate(["Tom ana vitabu 3 ..."], language="sw"))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from layalign import mini
from layalign.config import PROMPT_TOKENS, RunConfig
from layalign.data.rows import Row
from layalign.data.sources import PROMPTS, prompt_of
from layalign.evaluation.generate import Generation, generations
from layalign.evaluation.likelihood import Likelihood, log_likelihoods
from layalign.evaluation.questions import Readers
from layalign.languages import language as find_language
from layalign.model.layalign import LayAlign
from layalign.model.limits import check_lengths
from layalign.model.store import CONFIG, Tokenizers, load_tokenizers, load_weights, read_bridge
from layalign.positions import GENERATED
from layalign.strict import read_mapping

RUN_CONFIG = "config.yaml"
"""Of a run, in its folder and in that of its bridge."""
BRIDGE = "bridge"
"""Folder of a run's weights below the run's."""
ANY = "en"
"""Stands for the language of a text where nothing depends on it."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked of a model; `layalign.evaluation.questions.Question` and, with options, `Choice`."""

    id: str
    language: str
    source: str
    prompt: str
    options: tuple[str, ...] = ()


class Model:
    """A run's models with its weights, in eval mode.

    Args:
        config: of the run.
        model: the composite.
        tokenizers: of both backbones.
    """

    def __init__(self, config: RunConfig, model: LayAlign, tokenizers: Tokenizers) -> None:
        self.config, self.model, self.tokenizers = config, model, tokenizers
        self.readers = Readers(
            encoder=tokenizers.encoder,
            decoder=tokenizers.decoder,
            max_source=config.reads.max_source,
            max_prompt=config.reads.max_prompt or PROMPT_TOKENS,
            text=config.bridge.text,
        )

    def generate(
        self,
        questions: Sequence[str],
        language: str | None = None,
        *,
        prompt: str | None = None,
        max_new_tokens: int | None = None,
        batch_size: int | None = None,
    ) -> list[str]:
        """An answer to each question, in their order: greedy, as in an evaluation.

        Args:
            questions: what the encoder reads.
            language: name or code of their language; may be left out where nothing depends on it.
            prompt: what the LLM reads: `math` or `translation` (an instruction around the question), or `source` (the
                question itself); None is the recipe's.
            max_new_tokens: tokens of an answer at most; None is the recipe's.
            batch_size: questions that are answered at once; None is the recipe's.

        Raises:
            ValueError: an empty question, an unknown language, or one that must be told and is not.
        """
        asked = self.asked(questions, language, prompt)
        found = {one.item.id: one.output for one in self.answers(asked, max_new_tokens, batch_size)}
        return [found[one.id] for one in asked]

    def asked(self, questions: Sequence[str], language: str | None, prompt: str | None) -> list[Ask]:
        """Questions as the models are to read them; arguments and errors as `generate`."""
        code = self.spoken(language)
        found = []
        for number, text in enumerate(questions):
            if not text.strip():
                raise ValueError(f"question {number + 1} is empty: leave it out")
            read = self._prompt(text, language, prompt)
            found.append(Ask(id=f"{number:06d}", language=code, source=text, prompt=read))
        return found

    def answers(
        self,
        asked: Sequence[Ask],
        max_new_tokens: int | None = None,
        batch_size: int | None = None,
        **generate_kwargs: Any,
    ) -> Iterator[Generation[Ask]]:
        """What the model writes to each, longest first; `generate_kwargs` are of `transformers.generate`."""
        settings = self.config.evaluation
        for batch in generations(
            self.model,
            asked,
            self.readers,
            batch_size=batch_size or settings.batch_size,
            max_new_tokens=max_new_tokens or settings.max_new_tokens,
            ends=self.model.ends,
            **generate_kwargs,
        ):
            yield from batch

    def log_likelihoods(
        self,
        questions: Sequence[str],
        options: Sequence[Sequence[str]],
        language: str | None = None,
        *,
        prompt: str | None = None,
        batch_size: int | None = None,
    ) -> list[tuple[Likelihood, ...]]:
        """How probable the model finds each option after its question, in their order; arguments as `generate`."""
        asked = [
            dataclasses.replace(one, options=tuple(own))
            for one, own in zip(self.asked(questions, language, prompt), options, strict=True)
        ]
        found = self.judged(asked, batch_size)
        return [found[one.id] for one in asked]

    def judged(
        self, asked: Sequence[Ask], batch_size: int | None = None
    ) -> dict[str, tuple[Likelihood, ...]]:
        """The likelihoods of the options of each, by its id."""
        batches = log_likelihoods(
            self.model, asked, self.readers, batch_size=batch_size or self.config.evaluation.batch_size
        )
        return {one.item.id: one.options for batch in batches for one in batch}

    def spoken(self, language: str | None) -> str:
        """The code of a language that was named; of none, where nothing depends on it.

        Raises:
            ValueError: no such language, or none although the encoder's tokenizer is told which it reads.
        """
        if language is not None:
            return find_language(language).code
        if self.config.bridge.reads_encoder and hasattr(self.tokenizers.encoder, "src_lang"):
            raise ValueError(
                f"the encoder {self.config.model.encoder} reads each language its own way: say which it is, "
                'e.g. language="sw"'
            )
        return ANY

    def _prompt(self, text: str, language: str | None, prompt: str | None) -> str:
        """What the LLM reads for a question."""
        if prompt is not None and prompt not in PROMPTS:
            raise ValueError(f"prompt is {prompt!r}: it must be {', '.join(PROMPTS)}")
        made = PROMPTS[prompt] if prompt else prompt_of(self.config.data)
        if made is PROMPTS["translation"] and language is None and self.config.bridge.text:
            raise ValueError(
                'the prompt names the language of the sentence: say which it is, e.g. language="sw"'
            )
        return made(Row(Path(), 0, find_language(language or ANY), text, ""))


def load(folder: str | Path, *, device: str | None = None, **models: Any) -> Model:
    """A run, or its bridge alone, as an object that answers.

    Args:
        folder: of a run, or a bridge's (`runs/NAME/bridge`, or a copy of it).
        device: `cuda` or `cpu`; None is the first GPU where there is one.
        models: fields of `layalign.config.ModelConfig` to replace, e.g. `encoder=` and `decoder=` where the models
            lie elsewhere.

    Raises:
        ValueError: no run there, one that is not trained, or models that are not those that it was trained on.
    """
    place = Path(folder).expanduser()
    config, bridge = _found(place)
    if bridge is not None:
        config = dataclasses.replace(config, model=read_bridge(bridge, **models)[0])
    elif models:
        config = dataclasses.replace(config, model=dataclasses.replace(config.model, **models))
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return assembled(config, bridge, where, load_tokenizers(config.model))


def assembled(config: RunConfig, bridge: Path | None, device: torch.device, tokenizers: Tokenizers) -> Model:
    """The models of a run on a device, with the weights in a folder; None where the run has none.

    Raises:
        ValueError: as `LayAlign.build` and `load_weights`, or a recipe that asks for more than its models can place.
    """
    check_lengths(config, GENERATED)
    model = LayAlign.build(config.model, config.bridge, device=device)
    if bridge is not None:
        load_weights(model, bridge, tokenizers)
    model.end_at(tokenizers.decoder)
    return Model(config, model, tokenizers)


def _found(place: Path) -> tuple[RunConfig, Path | None]:
    """The config of a run, and the folder of its bridge."""
    bridge = place if (place / CONFIG).is_file() else place / BRIDGE
    if not place.is_dir():
        raise ValueError(f"there is no folder {place}: name that of a run, below runs/, or of a bridge")
    files = [folder / RUN_CONFIG for folder in (place, place.parent)][: 2 if bridge == place else 1]
    path = next((path for path in files if path.is_file()), None)
    if path is None:
        raise ValueError(
            f"{place} holds no {RUN_CONFIG}, which says how the run reads: name the run's own folder, or copy that "
            "file into this one"
        )
    told = RunConfig.from_dict(read_mapping(path, "the run's config"))
    config = mini.resolved(told, mini.default_root(), mini.Settings(seed=told.seed))
    if not config.bridge.trains:
        return config, None
    if not (bridge / CONFIG).is_file():
        raise ValueError(f"{place} holds no bridge ({BRIDGE}/{CONFIG} is missing): train the run first")
    return config, bridge
