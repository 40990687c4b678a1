"""What tokenizers that are told a language call it, and the refusal of one that they do not know."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transformers import PreTrainedTokenizerBase as Tokenizer

from layalign.languages import Language, language
from layalign.strict import nearest

LANGUAGE_TOKEN = re.compile(r"[a-z]{2,3}_[A-Za-z]{2,4}|__[a-z]{2,3}__")
"""How a tokenizer calls a language: `swh_Latn`, `sw_KE`, `__sw__`."""


def set_language(tokenizer: Tokenizer, code: str) -> None:
    """Tell a tokenizer that puts the language in front of its text which it is. Others are left alone.

    NLLB's has `swh_Latn`, M2M-100's `sw` (its token is `__sw__`), mBART's `sw_KE`.

    Raises:
        ValueError: the tokenizer does not know the language.
    """
    if not hasattr(tokenizer, "src_lang"):
        return
    tokenizer.src_lang = language_name(tokenizer, language(code), "the encoder")[0]


def language_name(tokenizer: Tokenizer, spoken: Language, owner: str) -> tuple[str, str]:
    """What a tokenizer calls a language, and the token that stands for it; `owner` is whose tokenizer it is.

    Raises:
        ValueError: it does not know the language: NLLB's would put an unknown token in its place, without a word.
    """
    asked = list(_language_tokens(spoken))
    found = next(((name, token) for name, token in asked if _has(tokenizer, token)), None)
    if found is None:
        known = [
            token for token in getattr(tokenizer, "all_special_tokens", ()) if LANGUAGE_TOKEN.fullmatch(token)
        ]
        near = nearest(spoken.nllb or spoken.name, known)
        meant = f", and calls none nearly so but {near}" if near else ""
        raise ValueError(
            f"{owner}'s tokenizer has no token for {spoken.name} ({spoken.nllb or 'no FLORES-200 code'}){meant}; take "
            "the language out, correct its `nllb` where a page declares it, or choose another model"
        )
    return found


def _language_tokens(spoken: Language) -> Iterator[tuple[str, str]]:
    """What tokenizers call a language, with the token that stands for it."""
    from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES

    if spoken.nllb:
        yield spoken.nllb, spoken.nllb
    yield spoken.code, f"__{spoken.code}__"
    yield from ((name, name) for name in FAIRSEQ_LANGUAGE_CODES if name.startswith(f"{spoken.code}_"))


def _has(tokenizer: Tokenizer, token: str) -> bool:
    return tokenizer.convert_tokens_to_ids(token) not in (None, tokenizer.unk_token_id)
