"""The strings are those of the official `tools/read_datasets.py`, written out."""

from layalign.prompts import csqa_prompt, math_prompt, translation_prompt, xnli_prompt


def test_math():
    assert math_prompt("1 + 1?") == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request.\n\n### Instruction:\n1 + 1?\n\n### Response: Let's think step by step."
    )


def test_translation():
    assert translation_prompt("Hakuna matata.", "Swahili") == (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n### Instruction:\nTranslate the following "
        "sentences from Swahili to English.\n### Input:\nHakuna matata.\n### Response:"
    )


def test_csqa():
    assert csqa_prompt("Where?", ["home", "away"]) == "Where?\nOptions:A. home\tB. away\nAnswer:"


def test_xnli():
    assert xnli_prompt("It rains.", "It is wet.") == "Premise: It rains.\nHypothesis: It is wet.\nLabel:"
