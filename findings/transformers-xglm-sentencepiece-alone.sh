#!/usr/bin/env bash
# transformers 5.23.0: a folder of XGLM with its SentencePiece model alone (sentencepiece.bpe.model, no tokenizer.json)
# opens without a word of warning, and knows none of the model's pieces: every word becomes <unk>. The same
# SentencePiece model in a folder of mBART is read whole. Copies of a model without tokenizer.json are common where
# older versions, or a script that takes "the tokenizer's file", made them.
# Seen: 11 entries instead of the model's 33 pieces and more; "habari dunia" is </s> <unk> <unk>.
# Fails when XGLM's folder gives as many known pieces as mBART's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet transformers==5.23.0 sentencepiece==0.2.1 protobuf==6.33.1
cat > open.py << 'END'
import json, pathlib, random, shutil
import sentencepiece, transformers
from transformers import AutoTokenizer

random.seed(0)
words = "habari dunia kitabu shule mwalimu maji chakula nyumba rafiki safari".split()
pathlib.Path("text").write_text("\n".join(" ".join(random.choices(words, k=8)) for _ in range(400)))
sentencepiece.SentencePieceTrainer.train(input="text", model_prefix="pieces", vocab_size=33, minloglevel=2)
known = {}
for kind, name in (("xglm", "XGLMTokenizer"), ("mbart", "MBartTokenizer")):
    folder = pathlib.Path(kind)
    folder.mkdir()
    shutil.copy("pieces.model", folder / "sentencepiece.bpe.model")
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("habari dunia")["input_ids"]
    known[kind] = sum(one != tokenizer.unk_token_id and one not in tokenizer.all_special_ids for one in ids)
    print(kind, len(tokenizer), "entries;", "habari dunia:", tokenizer.convert_ids_to_tokens(ids))
assert known["mbart"] == 2 and known["xglm"] == 0, known
print("as described: XGLM's folder opens, and every word is unknown")
END
env/bin/python open.py
