"""What the LLM, and for classification the encoder too, is asked: word for word as the official code has it.

Source: `tools/read_datasets.py` of sustech-nlp/LayAlign. Every space counts: a pretrained LLM answers these
very strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

MATH = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Response: Let's think step by step."
)
"""MetaMath's instruction for a math problem, for the LLM. The encoder reads the bare question."""
XNLI = "Premise: {premise}\nHypothesis: {hypothesis}\nLabel:"
"""A pair of XNLI, for encoder and LLM alike."""
NAMED = {"math": MATH, "xnli": XNLI, "question": "{question}"}
"""Prompts that a page can name."""


def math_prompt(question: str) -> str:
    """`MATH` with a question in it."""
    return MATH.format(question=question)


def translation_prompt(sentence: str, source: str, target: str = "English") -> str:
    """The instruction to translate, for the LLM, where stage 1 gives it text (Table 9).

    Args:
        sentence: what is translated.
        source: English name of its language.
        target: English name of the language of the answer.
    """
    return (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n"
        f"### Instruction:\nTranslate the following sentences from {source} to {target}.\n"
        f"### Input:\n{sentence}\n### Response:"
    )


def csqa_prompt(stem: str, choices: Sequence[str]) -> str:
    """A question of X-CSQA, for encoder and LLM alike; choices are lettered by their position."""
    options = "\t".join(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices))
    return f"{stem}\nOptions:{options}\nAnswer:"


def xnli_prompt(premise: str, hypothesis: str) -> str:
    """`XNLI` with a pair in it."""
    return XNLI.format(premise=premise, hypothesis=hypothesis)
