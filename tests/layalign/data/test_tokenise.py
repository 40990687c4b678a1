import io
import json
import multiprocessing
import random
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertGenerationTokenizer, M2M100Tokenizer, NllbTokenizer, PreTrainedTokenizerFast

from layalign.config import DataConfig
from layalign.data import tokenise
from layalign.data.tokenise import check_tokenizer, encode_sources, encode_texts, prepare, set_language
from layalign.prompts import translation_prompt

pytestmark = pytest.mark.core

SPECIAL = ["<pad>", "</s>", "<unk>"]
TEXTS = [
    "moja mbili tatu nne",
    "one two three four five",
    "এক দুই তিন",
    "eins zwei drei",
    "un deux trois",
] * 20


def fast(eos_on_texts=False, **options):
    """A small BPE tokenizer, with or without an end token on every text."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=150, special_tokens=SPECIAL, show_progress=False)
    )
    if eos_on_texts:
        core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"} | options
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


@pytest.fixture(scope="module")
def encoder():
    return fast(eos_on_texts=True)


@pytest.fixture(scope="module")
def decoder():
    return fast()


@pytest.fixture(scope="module")
def sentence_pieces(tmp_path_factory):
    """A slow tokenizer, sentencepiece behind it."""
    path = tmp_path_factory.mktemp("spm") / "spiece.model"
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=3,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    return BertGenerationTokenizer(str(path))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data/train.sw", "moja", "mbili tatu nne mbili tatu nne mbili tatu nne")
    write(tmp_path / "data/train.en", "one", "two three four two three four two three four")
    write(tmp_path / "data/other.bn", "এক")
    write(tmp_path / "data/other.en", "one")
    return tmp_path


def write(path, *rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows))


def config(**fields):
    told = {"reader": "pairs", "path": "data", "languages": ("sw", "bn"), "max_source": 6, "max_target": 8}
    return DataConfig(**told | fields)


def prepared(folder, encoder, decoder, text=False, **fields):
    return prepare(config(**fields), folder, text, encoder, decoder, folder / "cache")


def test_tokens_are_those_of_the_two_tokenizers(folder, encoder, decoder):
    told = prepared(folder, encoder, decoder, max_source=90, max_target=90, text=True)
    row = told.dataset[2]
    assert row["source_ids"] == encoder("এক")["input_ids"]
    assert row["source_ids"][-1] == encoder.eos_token_id
    prompt = translation_prompt("এক", "Bengali")
    assert row["prompt_ids"] == decoder(prompt, add_special_tokens=False)["input_ids"]
    assert row["target_ids"] == [*decoder("one", add_special_tokens=False)["input_ids"], decoder.eos_token_id]
    assert row["language"] == "bn"
    assert row["group"] == told.dataset[0]["group"]


def test_without_text_prompts_are_empty(folder, encoder, decoder):
    assert prepared(folder, encoder, decoder).dataset["prompt_ids"][:] == [[], [], []]


def test_what_is_too_long_is_cut_at_its_end_and_counted(folder, encoder, decoder):
    told = prepared(folder, encoder, decoder, text=True, max_prompt=5)
    assert told.truncated == {"source": 1, "prompt": 3, "target": 1}
    whole = encoder("mbili tatu nne mbili tatu nne mbili tatu nne")["input_ids"]
    row = told.dataset[1]
    assert row["source_ids"] == [*whole[:5], encoder.eos_token_id]
    assert len(row["target_ids"]) == 8
    assert row["target_ids"][-1] == decoder.eos_token_id
    assert row["target_ids"][0] == told.dataset[1]["target_ids"][0]
    prompt = translation_prompt("moja", "Swahili")
    assert told.dataset[0]["prompt_ids"] == decoder(prompt, add_special_tokens=False)["input_ids"][:5]


def test_prompts_have_a_limit_of_their_own(folder, encoder, decoder):
    told = prepared(folder, encoder, decoder, text=True, max_source=4)
    whole = decoder(translation_prompt("moja", "Swahili"), add_special_tokens=False)["input_ids"]
    assert told.dataset[0]["prompt_ids"] == whole
    assert told.truncated["prompt"] == 0
    assert told.truncated["source"] == 1


def test_what_is_cut_and_unknown_is_counted_by_language(folder, encoder, decoder):
    write(folder / "data/other.bn", "ꕉꕜꕮ")
    counts = prepared(folder, encoder, decoder, text=True, max_prompt=5).counts
    whole = [encoder(text)["input_ids"] for text in ("moja", "mbili tatu nne mbili tatu nne mbili tatu nne")]
    sw, bn = counts.source["sw"], counts.source["bn"]
    assert (sw.texts, sw.cut, sw.longest, sw.tokens, sw.unknown) == (
        2,
        1,
        len(whole[1]),
        len(whole[0]) + 6,
        0,
    )
    assert (bn.texts, bn.unknown, bn.tokens) == (1, 3, 4)
    assert {code: tally.cut for code, tally in counts.prompt.items()} == {"sw": 2, "bn": 1}
    assert {code: tally.cut for code, tally in counts.target.items()} == {"sw": 1, "bn": 0}
    assert "sources longer than the limit and cut: sw 1 of 2" in counts.told()
    assert "unknown tokens in sources: bn 75 % of 4 tokens" in counts.told()


def test_an_exact_fit_is_not_counted(encoder, decoder):
    ids, cut = encode_sources(["moja"], ["sw"], encoder, limit=len(encoder("moja")["input_ids"]))
    assert (ids, cut) == ([encoder("moja")["input_ids"]], 0)
    whole = decoder("one two", add_special_tokens=False)["input_ids"]
    assert encode_texts(["one two"], decoder, len(whole)) == ([whole], 0)
    assert encode_texts(["one two"], decoder, len(whole) - 1) == ([whole[:-1]], 1)


def test_a_second_start_does_not_tokenise_again(folder, encoder, decoder, monkeypatch):
    first = prepared(folder, encoder, decoder)
    monkeypatch.setattr(tokenise, "read", None)
    second = prepared(folder, encoder, decoder)
    assert second.dataset.to_dict() == first.dataset.to_dict()
    assert second.truncated == first.truncated
    assert prepared(folder, fast(eos_on_texts=True), fast(), dev=1).truncated == first.truncated


def test_tokens_are_memory_mapped(folder, encoder, decoder):
    dataset = prepared(folder, encoder, decoder).dataset
    [file] = dataset.cache_files
    assert Path(file["filename"]).parent.parent == folder / "cache"


def test_chunks_follow_each_other(folder, encoder, decoder, monkeypatch):
    whole = prepared(folder, encoder, decoder).dataset.to_dict()
    monkeypatch.setattr(tokenise, "CHUNK", 1)
    monkeypatch.setattr(tokenise, "VERSION", tokenise.VERSION + 1)
    assert prepared(folder, encoder, decoder).dataset.to_dict() == whole
    assert len(list((folder / "cache").iterdir())) == 2


def test_whatever_decides_the_tokens_decides_the_fingerprint(folder, encoder, decoder):
    def entries():
        return len(list((folder / "cache").iterdir()))

    prepared(folder, encoder, decoder)
    for number, (changed, fields) in enumerate(
        [
            ((encoder, decoder), {"text": True}),
            ((encoder, decoder), {"max_source": 5}),
            ((encoder, decoder), {"max_prompt": 5}),
            ((encoder, decoder), {"limit": 1}),
            ((encoder, decoder), {"languages": ("bn", "sw")}),
            ((decoder, decoder), {}),
            ((encoder, fast(eos_token="<pad>")), {}),
        ],
        start=2,
    ):
        prepared(folder, *changed, **fields)
        assert entries() == number
    write(folder / "data/other.bn", "দুই")
    assert prepared(folder, encoder, decoder).dataset[2]["source_ids"] == encoder("দুই")["input_ids"]


def test_slow_sentencepiece_tokenizers_work(folder, encoder, sentence_pieces):
    told = prepared(folder, sentence_pieces, sentence_pieces)
    assert told.dataset[0]["source_ids"] == sentence_pieces("moja")["input_ids"]
    assert told.dataset[0]["target_ids"][-1] == sentence_pieces.eos_token_id
    prepared(folder, sentence_pieces, sentence_pieces)
    assert len(list((folder / "cache").iterdir())) == 1


def test_nllb_is_told_the_language_of_each_source(folder, decoder):
    nllb = NllbTokenizer()
    for _ in range(2):
        dataset = prepared(folder, nllb, decoder).dataset
        starts = nllb.convert_ids_to_tokens([ids[0] for ids in dataset["source_ids"]])
        assert starts == ["swh_Latn", "swh_Latn", "ben_Beng"]
    assert len(list((folder / "cache").iterdir())) == 1


def test_languages_in_turn_keep_their_places():
    nllb = NllbTokenizer()
    ids, _ = encode_sources(["a", "b", "c"], ["sw", "bn", "sw"], nllb, limit=9)
    assert nllb.convert_ids_to_tokens([row[0] for row in ids]) == ["swh_Latn", "ben_Beng", "swh_Latn"]


class Codes:
    """As much of a tokenizer as `set_language` looks at."""

    unk_token_id = 3

    def __init__(self, *tokens):
        self.tokens, self.src_lang = tokens, None

    def convert_tokens_to_ids(self, token):
        return 10 + self.tokens.index(token) if token in self.tokens else self.unk_token_id


@pytest.mark.parametrize(
    ("tokens", "told"), [(["swh_Latn"], "swh_Latn"), (["__sw__"], "sw"), (["de_DE", "sw_KE"], "sw_KE")]
)
def test_each_kind_of_tokenizer_has_codes_of_its_own(tokens, told):
    tokenizer = Codes(*tokens)
    set_language(tokenizer, "sw")
    assert tokenizer.src_lang == told
    with pytest.raises(ValueError, match="no token for Hausa"):
        set_language(tokenizer, "ha")


def test_m2m_100_puts_its_token_before_the_text(tmp_path, sentence_pieces):
    pieces = sentencepiece.SentencePieceProcessor(model_file=sentence_pieces.vocab_file)
    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *(pieces.id_to_piece(i) for i in range(pieces.get_piece_size())),
    ]
    vocabulary = tmp_path / "vocab.json"
    vocabulary.write_text(json.dumps({word: place for place, word in enumerate(dict.fromkeys(words))}))
    tokenizer = M2M100Tokenizer(str(vocabulary), sentence_pieces.vocab_file)
    ids, _ = encode_sources(["moja", "moja"], ["sw", "am"], tokenizer, limit=9)
    assert tokenizer.convert_ids_to_tokens([row[0] for row in ids]) == ["__sw__", "__am__"]


def test_a_language_that_nllb_lacks_is_an_error():
    with pytest.raises(ValueError, match=r"no token for Vai \(no FLORES-200 code\)"):
        set_language(NllbTokenizer(), "vai")
    set_language(fast(), "vai")


def test_models_without_a_usable_tokenizer_are_named(folder, encoder):
    with pytest.raises(ValueError, match="the encoder has no tokenizer"):
        check_tokenizer(None, "encoder")
    with pytest.raises(ValueError, match="the LLM has no tokenizer"):
        prepared(folder, encoder, None)
    with pytest.raises(ValueError, match="no eos token"):
        prepared(folder, encoder, fast(eos_token=None))


def test_a_source_without_tokens_is_an_error():
    tokenizer = fast()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("x", "")
    with pytest.raises(ValueError, match="makes no token of 'x'"):
        encode_sources(["x"], ["sw"], tokenizer, 9)


def test_a_target_without_tokens_is_an_error(folder, encoder):
    silent = fast()
    silent.backend_tokenizer.normalizer = normalizers.Replace("one", "")
    with pytest.raises(ValueError, match="the LLM's tokenizer makes no token of 'one'"):
        prepared(folder, encoder, silent)


def test_bad_data_leaves_nothing_in_the_cache(folder, encoder, decoder):
    write(folder / "data/other.en", " ")
    with pytest.raises(ValueError, match=r"other.en:1: empty target"):
        prepared(folder, encoder, decoder)
    assert list((folder / "cache").iterdir()) == []


def _prepare_elsewhere(folder, barrier):
    barrier.wait()
    prepared(Path(folder), fast(eos_on_texts=True), fast())


def test_two_processes_at_once_leave_one_whole_cache(folder, encoder, decoder):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    workers = [
        context.Process(target=_prepare_elsewhere, args=(str(folder), barrier), daemon=True) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    [entry] = (folder / "cache").iterdir()
    assert set(json.loads((entry / "counts.json").read_text())) == {
        "source",
        "prompt",
        "target",
        "passed_over",
        "repeated",
    }
    assert len(prepared(folder, encoder, decoder).dataset) == 3


def test_damaged_tokens_are_made_anew_and_said_so(folder, encoder, decoder, capsys):
    whole = prepared(folder, encoder, decoder)
    rows, counts = whole.dataset[:], whole.counts.to_dict()
    (done,) = (folder / "cache").iterdir()
    capsys.readouterr()
    draw = random.Random(5)
    for path in sorted(done.iterdir()):
        content = path.read_bytes()
        for place in draw.sample(range(len(content) - 1), 20):
            flipped = bytearray(content)
            flipped[place] ^= 1 << draw.randrange(8)
            path.write_bytes(flipped)
            again = prepared(folder, encoder, decoder)
            assert again.dataset[:] == rows
            assert again.counts.to_dict() == counts
            assert "made anew" in capsys.readouterr().out
        path.unlink()
        again = prepared(folder, encoder, decoder)
        assert again.dataset[:] == rows
        said = capsys.readouterr().out
        assert "made anew" in said
    assert sorted((folder / "cache").iterdir()) == [done]


def nllb() -> NllbTokenizer:
    """The class itself, with next to no words and all its languages."""
    words = ["<s>", "<pad>", "</s>", "<unk>", *"abcdef", "▁"]
    return NllbTokenizer(vocab={word: place for place, word in enumerate(words)}, merges=[])


def test_the_language_that_nllb_was_told_last_reaches_no_other_text(tmp_path):
    """`src_lang` is a state of the tokenizer; batches are mixed."""
    texts, codes = ["a b", "a b", "c", "d e f a b c"], ["sw", "am", "sw", "yo"]
    mixed, cut = encode_sources(texts, codes, nllb(), 6)
    alone = [encode_sources([text], [code], nllb(), 6)[0][0] for text, code in zip(texts, codes)]
    assert mixed == alone
    assert cut == 1
    tokenizer = nllb()
    starts = [tokenizer.convert_ids_to_tokens(ids)[0] for ids in mixed]
    assert starts == ["swh_Latn", "amh_Ethi", "swh_Latn", "yor_Latn"]
    assert {tokenizer.convert_ids_to_tokens(ids)[-1] for ids in mixed} == {"</s>"}, "also of what was cut"
    encode_sources(["a"], ["am"], tokenizer, 6)
    tokenizer.save_pretrained(tmp_path)
    again = NllbTokenizer.from_pretrained(tmp_path)
    assert encode_sources(texts, codes, again, 6)[0] == mixed, "whatever it was told before it was saved"
    with pytest.raises(ValueError, match="no token for Vai"):
        encode_sources(["a"], ["vai"], tokenizer, 6)
