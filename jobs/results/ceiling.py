"""What the LLM of a method reaches without a bridge: the ceiling that its accuracies are told beside.

It is the same decoder at the same revision, by method `llm`, under the same limit of tokens and asked the same
questions, or in English the same items. It is asked once for a benchmark: a row of the table, or any run beside.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.errors import ClusterError
from cluster.records import unless_damaged
from cluster.run.run_folder import RunFolder, all_runs
from jobs.cell.whole import whole_evaluations
from jobs.results.answered import Method, answered
from layalign.config import RunConfig
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.compare import Outcomes

ENGLISH = "en"
ALIKE = 0.9
"""Share of right answers that a language must have in common with English, row by row, to be of the same items."""


@dataclass(frozen=True)
class Llm:
    """A decoder as it came, with the limit of its answers."""

    decoder: str
    revision: str | None
    max_new_tokens: frozenset[int]
    others: tuple[str, ...] = field(default=(), compare=False)
    """Overrides that give the rest of the model as a row has it, for a command that needs no other download."""

    @classmethod
    def of(cls, config: RunConfig, max_new_tokens: frozenset[int]) -> Llm:
        """The LLM that a run has."""
        model = config.model
        others = [f"model.encoder={model.encoder}", f"model.precision={model.precision}"]
        others += [f"model.encoder_revision={model.encoder_revision}"] * bool(model.encoder_revision)
        return cls(model.decoder, model.decoder_revision, max_new_tokens, tuple(others))


@dataclass(frozen=True, eq=False)
class Ceiling:
    """What an LLM has answered without a bridge."""

    llm: Llm
    method: Method
    is_row: bool
    """Whether it is a row of the table; else it is a run beside."""

    def same(self, ours: Method, right: Outcomes) -> Outcomes:
        """Of its outcomes those to the questions that a method was asked."""
        return {code: told for code, told in right.items() if _same_questions(self.method, ours, code)}

    def english(self, ours: Method, right: Outcomes) -> Outcomes:
        """Its outcomes in English, by the languages whose rows are the same items: their right answers agree."""
        there = right.get(ENGLISH, {})
        golds, known = _golds(self.method).get(ENGLISH, {}), _golds(ours)
        found = {}
        for code, theirs in known.items():
            shared = [problem for problem in theirs if problem in there]
            alike = [problem for problem in shared if theirs[problem] == golds.get(problem)]
            if alike and len(alike) >= ALIKE * len(shared):
                found[code] = {problem: there[problem] for problem in alike}
        return found


def llm_of(method: Method) -> Llm | None:
    """The LLM behind a row; None where its runs are gone."""
    for one in method.answered:
        if (config := config_of(one.run)) is not None:
            return Llm.of(config, one.max_new_tokens)
    return None


def config_of(run: RunFolder) -> RunConfig | None:
    """The config of a run; None where it is gone, or damaged, which is told."""
    try:
        told = unless_damaged(run.read_config)
        return RunConfig.from_dict(told) if told is not None else None
    except (ClusterError, ValueError):
        return None


def is_frozen(run: RunFolder) -> bool:
    """Whether the LLM answers alone, as it came."""
    config = config_of(run)
    return config is not None and not config.bridge.trains


def find_ceilings(benchmark: str, methods: Sequence[Method]) -> Mapping[str, Ceiling]:
    """The ceiling of each row that has one, by label: a row of the table, else a run in the same folder.

    Args:
        benchmark: name.
        methods: the rows.
    """
    beside = functools.cache(lambda root: tuple(_beside(root, benchmark)))
    rows = [
        Ceiling(llm, method, True)
        for method in methods
        if is_frozen(method.answered[0].run) and _has_answers(method) and (llm := llm_of(method))
    ]
    found = {}
    for method in methods:
        llm = llm_of(method)
        if llm and (one := _first(llm, rows) or _first(llm, beside(method.answered[0].run.root))):
            found[method.label] = one
    return found


def command(benchmark: str, llm: Llm) -> str:
    """What makes a ceiling that is missing."""
    has = find_benchmark(benchmark)
    told = [f"model.method=llm model.decoder={llm.decoder}"]
    told += [f"model.decoder_revision={llm.revision}"] * bool(llm.revision)
    told += [f"evaluation.max_new_tokens={tokens}" for tokens in sorted(llm.max_new_tokens)[-1:]]
    told += llm.others
    english = f" --languages {','.join((*has.languages, ENGLISH))}" if ENGLISH in has.extra else ""
    return f"launch.py evaluate --benchmark {benchmark}{english} -o {' '.join(told)}"


def _first(llm: Llm, ceilings: Iterable[Ceiling]) -> Ceiling | None:
    return next((one for one in ceilings if one.llm == llm), None)


def _beside(root: Path, benchmark: str) -> Iterator[Ceiling]:
    """The LLMs that were asked a benchmark alone, of all runs in a folder; those with most answers first."""
    found: list[tuple[int, Ceiling]] = []
    for run in all_runs(root):
        if not run.cells(benchmark) or not is_frozen(run):
            continue
        config = config_of(run)
        assert config is not None
        for whole in whole_evaluations(run, config, benchmark):
            one = answered(config.seed, run, whole.cells)
            method = Method(run.path.name, (one,), {})
            llm = Llm.of(config, one.max_new_tokens)
            if _has_answers(method):
                found.append((whole.answered, Ceiling(llm, method, False)))
    found.sort(key=lambda each: -each[0])
    yield from (ceiling for _, ceiling in found)


def _has_answers(method: Method) -> bool:
    return any(score.total for one in method.answered for score in one.summary.scores.values())


def _same_questions(first: Method, second: Method, code: str) -> bool:
    """Whether both were asked the same in a language, as far as that was recorded; one perhaps fewer shares of it."""
    asked = [{one.questions[code] for one in m.answered if code in one.questions} for m in (first, second)]
    return all(a.startswith(b) or b.startswith(a) for a in asked[0] for b in asked[1])


def _golds(method: Method) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for one in method.answered:
        for code, golds in one.golds.items():
            found.setdefault(code, {}).update(golds)
    return found
