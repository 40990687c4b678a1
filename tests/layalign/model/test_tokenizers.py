"""Tokenizers that were opened empty, or that write nothing, are refused when they are opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from layalign.config import ModelConfig
from layalign.model import store
from layalign.model.sentences import SENTENCES
from layalign.model.tokenizers import check_vocabulary
from tests.layalign.model.test_architectures import ENCODERS, SMALL
from tests.layalign.model.test_store import write_backbone

pytestmark = pytest.mark.core
MARKS = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Path:
    """A SentencePiece model of all fixed sentences."""
    folder = tmp_path_factory.mktemp("pieces")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*SENTENCES.values()] * 3),
        model_prefix=str(folder / "pieces"),
        vocab_size=700,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return folder / "pieces.model"


def published(folder: Path, pieces: Path, name: str, kind: str) -> Path:
    """A folder with a SentencePiece model alone, as XGLM and XLM-R were published."""
    write_backbone(folder, "bert", ENCODERS["bert"] | {"vocab_size": 2000}, tokenizer=False)
    (folder / name).write_bytes(pieces.read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    return folder


def words(*vocabulary: str, unk: str = "<unk>", **marks: str) -> PreTrainedTokenizerFast:
    every = {word: i for i, word in enumerate([*MARKS.values(), *vocabulary])}
    backend = Tokenizer(models.WordLevel(every, unk_token=unk))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **MARKS | marks)


def test_an_xglm_folder_that_transformers_opens_empty_is_refused(tmp_path, pieces):
    folder = published(tmp_path / "xglm", pieces, "sentencepiece.bpe.model", "XGLMTokenizer")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    one, other = (tokenizer(text)["input_ids"] for text in ("tom has five pens", "the red dog sleeps"))
    assert one == other, "this version opens it whole: the test has lost its subject"
    decoder = write_backbone(tmp_path / "dec", "llama", SMALL)
    with pytest.raises(
        ValueError, match=r"xglm \(XGLMTokenizer\) makes the same .* 0 ordinary.*tokenizer\.json"
    ):
        store.load_tokenizers(ModelConfig(encoder=str(folder), decoder=decoder))


def test_a_folder_that_transformers_opens_whole_is_not(tmp_path, pieces):
    folder = published(tmp_path / "xlmr", pieces, "sentencepiece.bpe.model", "XLMRobertaTokenizer")
    decoder = write_backbone(tmp_path / "dec", "llama", SMALL)
    store.load_tokenizers(ModelConfig(encoder=str(folder), decoder=decoder))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_vocabulary_of_a_handful_is_refused(count):
    with pytest.raises(ValueError, match=rf"it has {count} ordinary tokens"):
        check_vocabulary(words(*"abc"[:count]), "m")


def test_a_vocabulary_that_writes_none_of_the_sentences_is_refused():
    with pytest.raises(ValueError, match="it can write none of them"):
        check_vocabulary(words("aaaa", "bbbb", "cccc", "dddd", "eeee"), "m")


def test_a_vocabulary_that_writes_one_language_will_do():
    check_vocabulary(words(*SENTENCES["sw"].split()), "m")


def test_a_tokenizer_that_drops_what_it_does_not_know_is_refused():
    backend = Tokenizer(models.BPE(vocab={chr(0x1F600 + i): i for i in range(9)}, merges=[]))
    with pytest.raises(ValueError, match="makes the same of different sentences"):
        check_vocabulary(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>"), "m")
