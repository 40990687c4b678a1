"""Pretraining of the miniature's two backbones, each in a process of its own.

    python -m layalign.mini.pretrain decoder <folder> <settings as JSON>

reads the tokenizer in `<folder>`, puts the model beside it, and prints a JSON line of progress every few steps:
`["decoder", 10, 1000, 3.2]` (phase, step, steps in all, loss).
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    MT5Config,
    MT5EncoderModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from layalign.mini import Report, Settings
from layalign.mini.world import LANGUAGES, World

HEADS = 4
REPORT_EVERY = 10
CHOSEN, TRANSLATED = 0.4, 0.7
"""Share of a sentence's words, numbers and letters that the encoder must guess; share of such words that are
shown in another language instead of masked."""


def pretrain_decoder(
    tokenizer: PreTrainedTokenizerBase, settings: Settings, report: Report
) -> LlamaForCausalLM:
    """A small LLaMA that solves English, Spanish and German problems; loss on all tokens of `World.lesson`."""
    torch.manual_seed(settings.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.decoder_width,
            intermediate_size=2 * settings.decoder_width,
            num_hidden_layers=settings.decoder_layers,
            num_attention_heads=HEADS,
            max_position_embeddings=tokenizer.model_max_length,
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
            initializer_range=0.05,
            tie_word_embeddings=False,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    world, draw = World(settings.seed), random.Random(f"decoder {settings.seed}")

    def backward() -> float:
        lessons = [f"{world.lesson(draw)} {tokenizer.eos_token}" for _ in range(settings.batch)]
        rows: list[list[int]] = sorted(tokenizer(lessons).input_ids, key=len)
        tokens = sum(map(len, rows)) - len(rows)
        half = len(rows) // 2  # short rows apart from long ones: a quarter less padding
        return sum(_backward_rows(model, part, tokens) for part in (rows[:half], rows[half:]))

    optimizer = _optimizer([{"params": list(model.parameters()), "lr": settings.lr}])
    _train("decoder", optimizer, settings.decoder_steps, backward, report)
    return model


def pretrain_encoder(
    tokenizer: PreTrainedTokenizerBase, settings: Settings, report: Report
) -> MT5EncoderModel:
    """A small mT5 encoder that knows which words of the six languages mean the same.

    Masked language modelling on single sentences of all languages, with words switched for translations.
    """
    torch.manual_seed(settings.seed)
    model = MT5EncoderModel(
        MT5Config(
            vocab_size=len(tokenizer),
            d_model=settings.encoder_width,
            d_kv=settings.encoder_width // HEADS,
            d_ff=2 * settings.encoder_width,
            num_layers=settings.encoder_layers,
            num_heads=HEADS,
            relative_attention_num_buckets=128,
            dropout_rate=0.0,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )
    embedding = model.get_input_embeddings()
    nn.init.normal_(embedding.weight, std=0.1)
    world, draw = World(settings.seed), random.Random(f"encoder {settings.seed}")
    mask = Masking(world, tokenizer)

    def backward() -> float:
        said = [world.say(world.problem(draw), draw.choice(LANGUAGES)) for _ in range(settings.batch)]
        ids_BS = tokenizer(said, return_tensors="pt").input_ids
        masked_BS, chosen_BS = mask(ids_BS)
        states_MC = model(input_ids=masked_BS).last_hidden_state[chosen_BS]
        loss = nn.functional.cross_entropy(states_MC @ embedding.weight.T, ids_BS[chosen_BS])
        loss.backward()
        return loss.item()

    position = [p for name, p in model.named_parameters() if "relative_attention_bias" in name]
    others = [p for name, p in model.named_parameters() if "relative_attention_bias" not in name]
    optimizer = _optimizer(
        [{"params": others, "lr": settings.lr}, {"params": position, "lr": 20 * settings.lr}]
    )
    _train("encoder", optimizer, settings.encoder_steps, backward, report)
    return model


class Masking:
    """Hides part of a sentence: words behind a translation or a mask, numbers and letters behind a mask."""

    def __init__(self, world: World, tokenizer: PreTrainedTokenizerBase) -> None:
        self.mask_id = tokenizer.mask_token_id
        self.words_WL = torch.tensor(
            [
                tokenizer.convert_tokens_to_ids(list(same))
                for same in zip(*(world.words[x] for x in LANGUAGES))
            ]
        )
        """Token of word w in language l."""
        self.word_of = torch.full((len(tokenizer),), -1)
        """Which word a token is; -1 for all that is none."""
        self.word_of[self.words_WL] = torch.arange(len(self.words_WL))[:, None]
        fixed = [*tokenizer.all_special_tokens, ".", "?"]
        self.hidable = torch.ones(len(tokenizer), dtype=torch.bool)
        self.hidable[tokenizer.convert_tokens_to_ids(fixed)] = False

    def __call__(self, ids_BS: Tensor) -> tuple[Tensor, Tensor]:
        """The ids with some hidden [B, S], and which ones those are (bool [B, S])."""
        chosen_BS = self.hidable[ids_BS] & (torch.rand(ids_BS.shape) < CHOSEN)
        word_BS = self.word_of[ids_BS]
        switched_BS = chosen_BS & (word_BS >= 0) & (torch.rand(ids_BS.shape) < TRANSLATED)
        language_BS = torch.randint(len(LANGUAGES), ids_BS.shape)
        masked_BS = ids_BS.masked_fill(chosen_BS, self.mask_id)
        return torch.where(switched_BS, self.words_WL[word_BS, language_BS], masked_BS), chosen_BS


def _backward_rows(model: LlamaForCausalLM, rows: list[list[int]], tokens: int) -> float:
    """Gradients of some rows of a batch that predicts `tokens` tokens in all."""
    width = max(map(len, rows))
    ids_BT = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels_BT = torch.tensor([row[1:] + [-100] * (width - len(row)) for row in rows])
    logits_BTV = model(input_ids=ids_BT[:, :-1], use_cache=False).logits  # pads stand last: none is attended
    loss = (
        nn.functional.cross_entropy(logits_BTV.flatten(0, 1), labels_BT.flatten(), reduction="sum") / tokens
    )
    loss.backward()
    return loss.item()


def _optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=True)


def _train(
    phase: str, optimizer: torch.optim.Optimizer, steps: int, backward: Callable[[], float], report: Report
) -> None:
    """Cosine schedule after a warm-up of 5 %, gradients clipped at norm 1."""
    warmup = max(1, steps // 20)

    def scale(step: int) -> float:
        rest = (step - warmup) / max(1, steps - warmup)
        return (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * rest))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    losses: list[float] = []
    for step in range(1, steps + 1):
        losses.append(backward())
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % REPORT_EVERY == 0 or step == steps:
            report(phase, step, steps, sum(losses) / len(losses))
            losses.clear()


def save(model: PreTrainedModel, folder: Path) -> None:
    """What `from_pretrained` reads. Not by `save_pretrained`, which imports DeepSpeed where it is installed."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(weights, metadata={"format": "pt"}))


def main(phase: str, folder: str, settings: str) -> None:
    """One backbone, on one thread: the other one's process has the other core."""
    torch.set_num_threads(1)
    progress = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no line of progress

    def report(phase: str, step: int, total: int, loss: float) -> None:
        print(json.dumps([phase, step, total, loss]), file=progress, flush=True)

    pretrain = {"decoder": pretrain_decoder, "encoder": pretrain_encoder}[phase]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    save(pretrain(tokenizer, Settings(**json.loads(settings)), report), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
