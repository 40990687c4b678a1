#!/usr/bin/env bash
# transformers 5.3.0 and 5.4.0: one Gemma 2, the same weights, the same inputs_embeds, other logits. Up to 5.3.0 the model
# multiplies whatever it is given as inputs_embeds by sqrt(hidden_size); from 5.4.0 the embedding class does that to what
# it looks up, and inputs_embeds are taken as they are. Token ids give the same logits in both. So a prefix of trained
# vectors (prompt tuning, a projector of another encoder's states) that was trained under one version is off by
# sqrt(hidden_size), 60 times for Gemma-2-9b, under the other, with no error and no warning; what undoes it is to multiply the
# vectors by that factor. What get_input_embeddings() returns changes by the same factor. Gemma 1 and 2 share that code.
# Fails when the two versions give the same logits for the same vectors, or the factor is another.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0 transformers==5.4.0
env/bin/pip install --quiet --no-deps --target before transformers==5.3.0
cat > logits.py << 'END'
import sys
import torch
import transformers

torch.manual_seed(0)
config = transformers.Gemma2Config(
    vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8, attn_implementation="eager",
)
if sys.argv[1] == "make":
    transformers.Gemma2ForCausalLM(config).save_pretrained("gemma")
model = transformers.Gemma2ForCausalLM.from_pretrained("gemma", dtype=torch.float32).eval()
ids = torch.tensor([[2, 5, 9, 7]])
vectors = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    told = {
        "ids": model(ids).logits,
        "vectors": model(inputs_embeds=vectors).logits,
        "scaled": model(inputs_embeds=vectors * 16**0.5).logits,
        "looked up": model.get_input_embeddings()(ids),
    }
torch.save(told, f"{transformers.__version__}.pt")
END
env/bin/python logits.py make
PYTHONPATH=before env/bin/python logits.py read
cat > compare.py << 'END'
import torch

before, after = (torch.load(f"{version}.pt", weights_only=True) for version in ("5.3.0", "5.4.0"))
far = {name: float((before[name] - after[name]).abs().max()) for name in ("ids", "vectors")}
print("largest difference of logits between 5.3.0 and 5.4.0:", {name: f"{apart:.1e}" for name, apart in far.items()})
assert far["ids"] < 1e-5 < 1e-2 < far["vectors"], far
assert torch.allclose(before["vectors"], after["scaled"], atol=1e-5)
assert torch.allclose(before["looked up"] * 4, after["looked up"], atol=1e-6)
print("as described: 5.3.0 takes vectors as 5.4.0 takes them times sqrt(16) = 4, and looked-up ones are 4 times as large")
END
env/bin/python compare.py
