#!/usr/bin/env bash
# transformers 5.23.0: NllbTokenizer takes any word for a language. With a code that its vocabulary has not (swa_Latn or
# sw, where NLLB's own is swh_Latn) it puts <unk> where the language belongs, as source and as target, at opening and
# when src_lang is set later, without an error or a warning. M2M100Tokenizer, whose models share NLLB's classes, raises
# KeyError for the same mistake. Codes differ from source to source (swh_Latn in FLORES-200, swa in MasakhaNER, sw in
# XNLI), so that the wrong one is at hand; translations then begin from <unk>.
# Fails when NLLB's tokenizer refuses the code, or M2M-100's takes one that it does not know.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet transformers==5.23.0 sentencepiece==0.2.1 protobuf==6.33.1
cat > open.py << 'END'
import json, pathlib, random, shutil, warnings
import sentencepiece
from transformers import AutoTokenizer

random.seed(0)
words = "habari dunia kitabu shule mwalimu maji chakula nyumba rafiki safari".split()
pathlib.Path("text").write_text("\n".join(" ".join(random.choices(words, k=8)) for _ in range(400)))
trainer = sentencepiece.SentencePieceTrainer
trainer.train(input="text", model_prefix="pieces", vocab_size=60, model_type="bpe", minloglevel=2)
pieces = sentencepiece.SentencePieceProcessor(model_file="pieces.model")


def folder(name, **config):
    made = pathlib.Path(name)
    made.mkdir()
    shutil.copy("pieces.model", made / "sentencepiece.bpe.model")
    (made / "config.json").write_text(json.dumps({"model_type": "m2m_100"}))
    (made / "tokenizer_config.json").write_text(json.dumps(config))
    return made


nllb = folder("nllb", tokenizer_class="NllbTokenizer", additional_special_tokens=["eng_Latn", "swh_Latn"])
begins = {}
for code in ("swh_Latn", "swa_Latn", "sw"):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        tokenizer = AutoTokenizer.from_pretrained(nllb, src_lang="eng_Latn", tgt_lang=code)
        target = tokenizer(text_target="habari")["input_ids"]
        tokenizer.src_lang = code
        source = tokenizer("habari")["input_ids"]
    assert not seen, [str(one.message) for one in seen]
    begins[code] = [tokenizer.convert_ids_to_tokens(ids)[0] for ids in (source, target)]
    print(f"NLLB, {code}: source and target begin with", begins[code])
assert begins == {"swh_Latn": ["swh_Latn"] * 2, "swa_Latn": ["<unk>"] * 2, "sw": ["<unk>"] * 2}, begins

m2m = folder("m2m", tokenizer_class="M2M100Tokenizer")
names = ["<s>", "<pad>", "</s>", "<unk>", *(pieces.id_to_piece(at) for at in range(3, pieces.get_piece_size()))]
(m2m / "vocab.json").write_text(json.dumps({name: at for at, name in enumerate(names)}))
try:
    AutoTokenizer.from_pretrained(m2m, src_lang="swh_Latn")
except KeyError as error:
    print("M2M-100, swh_Latn: KeyError", error)
else:
    raise SystemExit("M2M-100 took a language that it does not know")
print("as described: an unknown language is <unk> for NLLB, and an error for M2M-100")
END
env/bin/python open.py
