"""Machine translation by an encoder-decoder that is told its languages by tokens: NLLB, M2M-100, mBART."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerBase

from layalign.data.spoken import language_name
from layalign.languages import Language
from layalign.model.frozen import path_of
from layalign.model.tokenizers import open_tokenizer


class Translator:
    """A model that translates from one language: in bf16 on a GPU, in fp32 without one.

    Args:
        name: folder or hub name of the model.
        revision: branch, tag or commit on the hub.
        source: the language of the texts.
        targets: languages that will be asked for.
        max_new_tokens: of a translation at most.
        beams: of the search; 1 is greedy.

    Raises:
        ValueError: no such model, or one whose tokenizer does not know a language: it would begin from an unknown
            token, without a word.
    """

    def __init__(
        self, name: str, revision: str | None, source: Language, targets: Sequence[Language],
        max_new_tokens: int = 512, beams: int = 1,
    ) -> None:  # fmt: skip
        self.tokenizer = open_tokenizer(name, revision)
        self.tokenizer.src_lang = language_name(self.tokenizer, source, name)[0]
        self.first = {one.code: first_token(self.tokenizer, one, name) for one in targets}
        self.limits = {"max_new_tokens": max_new_tokens, "num_beams": beams, "do_sample": False}
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.model = AutoModelForSeq2SeqLM.from_pretrained(
                path_of(name),
                revision=revision,
                dtype=torch.float32 if device.type == "cpu" else torch.bfloat16,
            )
        except (OSError, ValueError) as error:
            told = (str(error).splitlines() or [repr(error)])[0]
            raise ValueError(f"{name} is no model that translates, or is not here: {told}") from None
        self.model.to(device).eval()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], language: str) -> list[tuple[str, bool]]:
        """Translations into the language of a code, each with whether it was cut at the limit."""
        batch = self.tokenizer(list(texts), return_tensors="pt", padding=True).to(self.model.device)
        made = self.model.generate(**batch, forced_bos_token_id=self.first[language], **self.limits)
        ends = {self.tokenizer.eos_token_id, self.tokenizer.pad_token_id}
        cut = [int(row[-1]) not in ends for row in made]
        told = self.tokenizer.batch_decode(made, skip_special_tokens=True)
        return list(zip((text.strip() for text in told), cut))


def first_token(tokenizer: PreTrainedTokenizerBase, spoken: Language, owner: str) -> int:
    """The id of the token that a translation into a language begins with. Raises as `Translator`."""
    found = tokenizer.convert_tokens_to_ids(language_name(tokenizer, spoken, owner)[1])
    assert isinstance(found, int)
    return found
