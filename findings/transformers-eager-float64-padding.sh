#!/usr/bin/env bash
# transformers 5.23.0 (torch 2.13.0): in float64, eager attention makes NaN of every left-padded row of a batch, logits of
# its real tokens included from the second layer on; in float32 the same batch gives numbers. Masked places are
# torch.finfo(float64).min, and the softmax computes in float32, where that is -inf: a padding token in front of the
# sentence, which may attend to nothing, divides nothing by nothing, and its NaN values reach the others through 0 x NaN.
# sdpa, the default of most models, is sound in float64. Gemma 2 has no other than eager, since its scores are capped,
# and float64 is what one takes to tell rounding from an error: the batch then fails where its single rows do not.
# Fails when the padded batch has numbers in float64, or none in float32 or with sdpa.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0 transformers==5.23.0
cat > batch.py << 'END'
import torch
import transformers

sizes = dict(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
narrow = dict(num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8)
cases = (
    ("llama", transformers.LlamaConfig, {}, "eager"),
    ("llama", transformers.LlamaConfig, {}, "sdpa"),
    ("gemma2", transformers.Gemma2Config, narrow, "eager"),  # it has no other: its scores are capped
)
ids = torch.tensor([[5, 6, 7, 8], [0, 0, 7, 8]])
mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
found = {}
for name, kind, more, attention in cases:
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        config = kind(**sizes, **more, attn_implementation=attention)
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention)
        with torch.no_grad():
            numbers = model.to(dtype).eval()(ids, attention_mask=mask).logits.isfinite()
        told = found[name, attention, str(dtype)] = (numbers[0].all().item(), numbers[1, 2:].all().item())
        print(f"{name}, {attention}, {dtype}: are numbers: row without padding {told[0]}, real tokens of the padded {told[1]}")
for (name, attention, dtype), told in found.items():
    lost = attention == "eager" and dtype == "torch.float64"
    assert told == (True, not lost), (name, attention, dtype, told)
print("as described: float64, eager and left padding together give NaN")
END
env/bin/python batch.py
