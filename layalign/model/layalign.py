"""LayAlign: a frozen encoder and a frozen LLM, joined by a trained bridge (section 3 of the paper).

The LLM reads [bos; adapter(H_n); separator; prompt; answer], each row padded on the left, and every adapted layer
attends the encoder's states through its gate. `llm`, `langbridge`, `mindmerger`, `merlin`, `sft` and the paper's
variants are switches of this one model (`layalign.methods`).

Shapes: B batch, S source tokens, P prompt tokens, A answer tokens, T all LLM tokens, K encoder states, C encoder
width, D LLM width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from layalign.config import ModelConfig
from layalign.data.batch import Batch
from layalign.methods import LEARNED, Bridge
from layalign.model import store
from layalign.model.adapter import Adapter
from layalign.model.aligner import LayerWiseAligner
from layalign.model.composite import Composite
from layalign.model.decoder import chosen_layers, logits
from layalign.model.encoder import chosen_states, encode
from layalign.model.ends import Watch, end_ids
from layalign.model.frozen import ModelNotFound
from layalign.model.gated_attention import Cross, Gates, is_attention, recomputed, remember_hidden
from layalign.model.likelihood import Likelihood, option_likelihoods
from layalign.model.limits import check_batch, check_room
from layalign.model.lora import add_lora, kept_norms, lora_parameters
from layalign.model.record import Backbone, examine
from layalign.model.rows import IGNORED, Composed, pad_left, places
from layalign.model.states import GlobalSoftmax, TokenSoftmax
from layalign.positions import positions


class LayAlign(Composite):
    """The composite model.

    Args:
        encoder: frozen encoder (`layalign.model.encoder`), None only where nothing reads it.
        decoder: frozen LLM (`layalign.model.decoder`).
        bridge: switches; all sizes are read from the two models.
        origin: where the backbones come from; `save_pretrained` writes it down.
    """

    def __init__(
        self,
        encoder: nn.Module | None,
        decoder: PreTrainedModel,
        bridge: Bridge,
        origin: ModelConfig | None = None,
    ) -> None:
        super().__init__(encoder, decoder)
        assert encoder is not None or not bridge.reads_encoder
        if decoder.config.bos_token_id is None and not (bridge.adapter or bridge.text):
            raise ValueError("this LLM has no start token: without adapter and text it would read nothing")
        self.bridge, self.origin = bridge, origin
        self.backbones: dict[str, Backbone] = {}
        self.recompute_cross = False
        self.generation_config = GenerationConfig.from_model_config(decoder.config)
        self.ends = end_ids(decoder)
        """Tokens that end an answer."""
        self.positions = positions(decoder.config.to_dict())
        self.adapter: Adapter | None = None
        self.aligner: LayerWiseAligner | None = None
        self.mean: GlobalSoftmax | TokenSoftmax | None = None
        self.rows: dict[int, int] = {}
        if encoder is not None:
            assert isinstance(encoder.config, PretrainedConfig)
            self._add_bridge(encoder.config)
        if bridge.train == "lora":
            self._only_lora_trains()
        if bridge.lora != "none":
            add_lora(decoder, bridge)
        self.train(False)

    @classmethod
    def build(
        cls, config: ModelConfig, bridge: Bridge, seed: int = 0, device: torch.device = torch.device("cpu")
    ) -> LayAlign:
        """Backbones from disk or cache on a device, with a fresh bridge between them, drawn from `seed`.

        Raises:
            ValueError: backbones that are not there, not whole, or do not compute what a bridge relies on.
        """
        encoder, decoder = store.load_backbones(config, bridge, device)
        backbones = examine(config, encoder, decoder)
        torch.manual_seed(seed)
        model = cls(encoder, decoder, bridge, config)
        model.backbones = backbones
        if config.precision == "fp64":
            model.double()
        nn.Module.to(model, device)
        return model

    def _add_bridge(self, encoder_config: PretrainedConfig) -> None:
        bridge, text = self.bridge, self.decoder.config.get_text_config()
        width, layers = encoder_config.hidden_size, encoder_config.num_hidden_layers
        if bridge.adapter:
            self.adapter = Adapter(width, text.hidden_size, bridge.adapter_width)
        if bridge.encoder_states == "softmax":
            self.mean = GlobalSoftmax(layers)
        if bridge.encoder_states == "token_softmax":
            self.mean = TokenSoftmax(layers, width)
        if bridge.aligner == "none":
            return
        adapted = chosen_layers(bridge.decoder_layers, text.num_hidden_layers)
        one = bridge.encoder_states in ("mean", *LEARNED)
        states = 1 if one else len(chosen_states(bridge.encoder_states, layers))
        self.rows = {layer: row for row, layer in enumerate(adapted)}
        self.aligner = LayerWiseAligner(
            bridge.aligner,
            encoder_states=states,
            decoder_layers=len(adapted),
            encoder_width=width,
            decoder_width=text.hidden_size,
        )
        self.gates = Gates(bridge.gate, len(adapted), text.hidden_size)
        if bridge.gate == "dynamic":
            for module in self.decoder.modules():
                if is_attention(module):
                    module.register_forward_pre_hook(remember_hidden, with_kwargs=True)

    def weights(self) -> dict[str, nn.Parameter]:
        """Names and parameters of all that is ours, always in the same order; those of the LLM begin with `lora.`."""
        own = {
            f"{part}.{name}": parameter
            for part in ("adapter", "aligner", "gates", "mean")
            for name, parameter in getattr(getattr(self, part, None), "named_parameters", lambda: ())()
        }
        return own | {f"lora.{name}": parameter for name, parameter in lora_parameters(self.decoder).items()}

    def trainable(self) -> dict[str, nn.Parameter]:
        """Those of them that are trained now."""
        return {name: parameter for name, parameter in self.weights().items() if parameter.requires_grad}

    def _only_lora_trains(self) -> None:
        for parameter in self.weights().values():
            parameter.requires_grad_(False)

    def save_pretrained(self, folder: str | Path, **unused: Any) -> None:  # type: ignore[override]
        """Write the bridge, the tokenizers and the names of the backbones; never the backbones' weights."""
        assert self.origin is not None
        store.save_bridge(Path(folder), self, store.load_tokenizers(self.origin))

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes: Any) -> LayAlign:  # type: ignore[override]
        """A saved bridge with its backbones; `changes` replace fields of `ModelConfig`, e.g. `decoder=`.

        Raises:
            ValueError: no bridge there, backbones that are nowhere (it says which), or that are not those that it was
                trained on.
        """
        config, bridge = store.read_bridge(Path(folder), **changes)
        try:
            model = cls.build(config, bridge)
        except ModelNotFound as error:
            raise ModelNotFound(f"{error}; {store.needs(Path(folder))}") from error
        tokenizers = store.saved_tokenizers(Path(folder))
        store.load_weights(model, Path(folder), tokenizers)
        model.end_at(tokenizers.decoder)
        return model

    def loss(self, batch: Batch, chunk: int) -> tuple[Tensor, int]:
        """Cross entropy summed over the answer tokens, and their number.

        Args:
            batch: tokens of both tokenizers.
            chunk: positions whose logits [chunk, V] exist at one time; they are computed again in backward.
        """
        with self._autocast():
            composed, cross = self._read(batch)
            hidden_BTD = self.decoder.base_model(
                inputs_embeds=composed.embeds_BTD,
                attention_mask=composed.mask_BT,
                position_ids=self._training_positions(composed.mask_BT),
                use_cache=False,
                cross=cross,
            ).last_hidden_state
        wanted = composed.labels_BT[:, 1:] != IGNORED
        hidden_XD, labels_X = hidden_BTD[:, :-1][wanted], composed.labels_BT[:, 1:][wanted]
        total = hidden_XD.new_zeros((), dtype=torch.promote_types(hidden_XD.dtype, torch.float32))
        for hidden, labels in zip(hidden_XD.split(chunk), labels_X.split(chunk)):
            if torch.is_grad_enabled():
                total = total + recomputed(self._cross_entropy, hidden, labels)
            else:
                total = total + self._cross_entropy(hidden, labels)
        return total, len(labels_X)

    def _cross_entropy(self, hidden_XD: Tensor, labels_X: Tensor) -> Tensor:
        with self._autocast():
            logits_XV = logits(self.decoder, hidden_XD)
        return nn.functional.cross_entropy(logits_XV, labels_X, reduction="sum")

    def end_at(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Let answers end also where the texts of a tokenizer, with which the model is trained, end."""
        self.ends = end_ids(self.decoder, tokenizer)

    @torch.no_grad()
    def answer(self, batch: Batch, **generate_kwargs: Any) -> Tensor:
        """Generated ids [B, new]: in each row an answer, an end token, padding.

        Greedy unless `generate_kwargs` (of `transformers.generate`) say otherwise.

        Raises:
            NotANumber: the logits of a row are not numbers.
            ValueError: a token or a length that the models have no embedding for, or an LLM that knows no end token.
        """
        check_batch(self.encoder, self.decoder, batch)
        watch = Watch()
        with self._autocast(), kept_norms(self.decoder):
            composed, cross = self._read(batch)
            check_room(self.positions, composed.mask_BT.shape[1], generate_kwargs.get("max_new_tokens", 0))
            if cross is not None:
                cross.cache = {}
            ends = {"eos_token_id": list(self.ends), "pad_token_id": self._pad_id()}
            ids_BN: Tensor = self.generate(  # type: ignore[misc, assignment]
                inputs_embeds=composed.embeds_BTD,
                attention_mask=composed.mask_BT,
                cross=cross,
                logits_processor=LogitsProcessorList([watch]),
                **{"do_sample": False, **ends, **generate_kwargs},
            )
        watch.check(len(batch.source_ids))
        return ids_BN

    @torch.no_grad()
    def likelihoods(
        self, batch: Batch, options: Sequence[Sequence[Sequence[int]]], at_once: int
    ) -> list[list[Likelihood]]:
        """How probable the model finds each option of each row, `options[row][option]` as ids of the LLM.

        Args:
            batch: without targets.
            options: for each row.
            at_once: options that are read together.

        Raises:
            NotANumber: the logits of a row are not numbers.
            ValueError: a token or a length that the models have no embedding for, or nothing in front of an option.
        """
        every = [ids for own in options for ids in own]
        check_batch(self.encoder, self.decoder, batch, every)
        longest = max(map(len, every), default=0)
        with self._autocast(), kept_norms(self.decoder):
            composed, cross = self._read(batch)
            check_room(self.positions, composed.mask_BT.shape[1], longest)
            if not bool(composed.mask_BT.any(1).all()):
                raise ValueError(
                    "the LLM has no start token and reads nothing in front of an option: give a prompt"
                )
            return option_likelihoods(self.decoder, composed, cross, options, at_once)

    def _read(self, batch: Batch) -> tuple[Composed, Cross | None]:
        """Run the encoder; what the LLM reads and what its layers attend."""
        if self.encoder is None or not self.bridge.reads_encoder:
            return self._compose(batch, None), None
        choice = self.bridge.encoder_states if self.aligner or self.mean else None
        output_BSC, states_KBSC = encode(self.encoder, batch.source_ids, batch.source_mask, choice)
        if self.mean is not None and states_KBSC is not None:
            states_KBSC = self.mean(states_KBSC, batch.source_mask)[None]
        if self.aligner is None or states_KBSC is None:
            return self._compose(batch, output_BSC if states_KBSC is None else states_KBSC[0]), None
        composed = self._compose(batch, output_BSC)
        mask_BS = None if self.bridge.compat == "official" else batch.source_mask.bool()
        return composed, Cross(
            states_KBSC, mask_BS, self.aligner, self.gates, self.rows, recompute=self.recompute_cross
        )

    def _compose(self, batch: Batch, output_BSC: Tensor | None) -> Composed:
        """[bos; soft tokens; separator; prompt; answer], then all padding to the left, shared columns cut."""
        embed = self.decoder.get_input_embeddings()
        rows = len(batch.source_ids)
        ones = batch.source_mask.new_ones(rows, 1)
        embeds: list[Tensor] = []
        masks: list[Tensor] = []
        labels: list[Tensor] = []

        def add(part_BXD: Tensor, mask_BX: Tensor, ids_BX: Tensor | None = None) -> None:
            none = torch.full_like(mask_BX, IGNORED)
            embeds.append(part_BXD)
            masks.append(mask_BX)
            labels.append(none if ids_BX is None else torch.where(mask_BX.bool(), ids_BX, none))

        bos = self.decoder.config.bos_token_id
        if bos is not None:
            add(embed(torch.full_like(ones, bos)), ones)
        if self.adapter is not None and output_BSC is not None:
            soft_BSD, separator_B1D = self.adapter(output_BSC)
            add(soft_BSD, batch.source_mask)
            add(separator_B1D, ones)
        if self.bridge.text:
            add(embed(batch.prompt_ids), batch.prompt_mask)
        add(embed(batch.target_ids), batch.target_mask, batch.target_ids)
        embeds = [part.to(self.decoder.dtype) for part in embeds]
        return pad_left(torch.cat(embeds, 1), torch.cat(masks, 1), torch.cat(labels, 1))

    def _training_positions(self, mask_BT: Tensor) -> Tensor:
        """Position of each token among its row's tokens; the official training counts padding too."""
        if self.bridge.compat == "official":
            return torch.arange(mask_BT.shape[1], device=mask_BT.device).expand(len(mask_BT), -1)
        return places(mask_BT)

    def _pad_id(self) -> int:
        if not self.ends:
            raise ValueError(
                "nothing ends an answer of this LLM: neither its config.json nor generation_config.json nor its "
                "tokenizer names an end token; set eos_token in its tokenizer_config.json"
            )
        pad = self.generation_config.pad_token_id
        return pad if pad is not None else self.ends[0]
