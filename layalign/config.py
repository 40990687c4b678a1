"""What to train: one frozen `RunConfig` for each stage of a recipe (`layalign.recipe`). Imports no torch.

Keys and types of a recipe are those of the dataclasses below. Sizes of the models are read from the models, never
configured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from layalign.bounds import check
from layalign.languages import declarations, declare, languages_of
from layalign.methods import LATER, Aligner, Bridge, Compat, Gate, Lora, Train, bridge_of
from layalign.replay import Deduplicate, Prompt, Reader, ReplayConfig
from layalign.strict import build, plain

Layers = Literal["all", "last", "mean", "softmax", "token_softmax"] | tuple[int, ...]
BRIDGE_WEIGHTS = "bridge.safetensors"
"""The file of the weights in a bridge's folder."""
NO_EFFECT = {"result": False}
"""Metadata of a field that changes how a result is reached, never the result: not part of the signature."""
PROMPT_TOKENS = 2048
"""Longest prompt where a recipe says nothing: half the context of LLaMA 2, and above any question of a benchmark."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two frozen backbones, the method that joins them, and its switches (None: the method's own)."""

    encoder: str
    """Folder or hub name of the multilingual encoder."""
    decoder: str
    """Folder or hub name of the LLM."""
    encoder_revision: str | None = None
    """Branch, tag or commit of the encoder on the hub."""
    decoder_revision: str | None = None
    """Branch, tag or commit of the LLM on the hub."""
    method: str = "layalign"
    """llm, langbridge, mindmerger, layalign, merlin or sft."""
    adapter: bool | None = None
    adapter_width: int | None = None
    aligner: Aligner | None = None
    encoder_states: Layers | None = None
    decoder_layers: Literal["all"] | tuple[int, ...] | None = None
    gate: Gate | None = None
    text: bool | None = None
    compat: Compat | None = None
    lora: Lora | None = None
    lora_modules: tuple[str, ...] | None = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    train: Train | None = None
    precision: Literal["bf16", "fp32", "fp64"] = "bf16"
    """Of the backbones and of autocast. The bridge's own weights are fp32 (fp64 in fp64)."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = field(
        default="auto", metadata=NO_EFFECT
    )
    """Self-attention of the LLM; `auto` is sdpa, or eager where scores are soft-capped."""

    def bridge(self, stage: int, last: int = 2) -> Bridge:
        """The switches of the model in a stage of a recipe that has `last` of them."""
        names = [f.name for f in fields(Bridge)]
        return bridge_of(self.method, stage, {name: getattr(self, name) for name in names}, last)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What a stage reads, below the data folder (`--data` or `$LAYALIGN_DATA`).

    In a recipe `set: NAME` stands for the keys of a training set's page (`python launch.py data list`).
    """

    reader: Reader
    """Layout of the files; `layalign.data.sources` describes each."""
    path: str
    """Folder or file below the data folder, an absolute path, or the name of a hub data set."""
    languages: tuple[str, ...]
    """English names (`Swahili`) or codes (`sw`), in the order they are read."""
    max_source: int
    """Tokens of the encoder's input; longer ones are cut and counted."""
    max_target: int
    """Tokens of the answer, end token included."""
    max_prompt: int | None = None
    """Tokens of the LLM's prompt, whose end asks for the answer; None is 2048. Under `model.compat: official` None
    is `max_source`, where the official code cuts, and any share may be cut."""
    max_prompt_cut: float = field(default=0.01, metadata=NO_EFFECT)
    """Share of a language's prompts that may be longer than `max_prompt` and lose their end."""
    max_unknown: float = field(default=0.05, metadata=NO_EFFECT)
    """Share of a language's source, prompt or target tokens that may be unknown to the tokenizer that made them."""
    limit: int | None = None
    """First rows of each language that are used; None is all."""
    deduplicate: Deduplicate = field(default="none", metadata=LATER)
    """Leave out rows that repeat an earlier row of their language letter by letter: its source, or source and target
    (`pairs`); what is left out counts towards no limit."""
    dev: int = 0
    """Examples set aside for the dev loss at least, in whole groups of one question: of the same source, of the same
    `group` in the file or else of the same target, as parallel translations have. A target that many questions share
    is an answer (a label, a number) and groups rows only where languages are parallel row by row. The last example of
    an answer and groups far larger than the others stay in training."""
    columns: tuple[str, str] = ("src", "tgt")
    """Names of source and target in `jsonl` and `hub`, and in the header of a `tsv`; `translation.sw` is a field of an
    object, and `{language}` stands for any code or name of the language."""
    revision: str | None = None
    """Commit of a hub data set."""
    config: str | None = field(default=None, metadata=LATER)
    """Configuration of a hub data set; with `{language}` in it, as in `en-{language}`, each language has its own."""
    split: str = field(default="train", metadata=LATER)
    """Split of a hub data set."""
    prompt: Prompt | None = None
    """What the LLM reads as text: an instruction around the source, or the source itself; None is the reader's own."""
    replay: ReplayConfig | None = field(default=None, metadata=LATER)
    """Rows of another training set among these, as `{set: NAME, share: 0.1}`; keys as those of `data`."""

    @property
    def replayed(self) -> DataConfig | None:
        """What is replayed, with the limits of this stage."""
        if self.replay is None:
            return None
        told = {f.name: getattr(self.replay, f.name) for f in fields(self.replay) if f.name != "share"}
        return replace(self, **told, replay=None)

    @property
    def every(self) -> tuple[DataConfig, ...]:
        """All that is read: this, and what is replayed."""
        return (self, self.replayed) if self.replayed else (self,)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a stage is trained. Defaults are the paper's DeepSpeed file (PAPER: common recipe)."""

    lr: float
    """Highest learning rate of the schedule."""
    epochs: int = 3
    """Times that all training examples are read."""
    max_steps: int | None = None
    """Stop after this many optimizer steps, schedule included; None is all epochs, 0 hands on what it starts from."""
    batch_size: int = 128
    """Examples of one optimizer step on all processes together."""
    window: int = 1
    """Batches that are length-sorted together; 1 is plain random sampling, as the paper."""
    init: str = "previous"
    """Weights to start from: `previous` (the stage before, if any), `none`, or a bridge's folder."""
    init_checksum: str | None = field(default=None, metadata=LATER)
    """SHA-256 of the weights in that folder, which stands for it in the signature; put there when a run is planned."""
    select: Literal["best", "last"] = "last"
    """Weights that the run hands on: those of the lowest dev loss, or the last."""
    gate_lr_scale: float = 1.0
    """Learning rate of the gates as a multiple of `lr`."""
    betas: tuple[float, float] = (0.8, 0.999)
    """Of AdamW: decay of the running means of gradient and its square."""
    eps: float = 1e-8
    """Of AdamW: added to the divisor of an update."""
    weight_decay: float = 3e-7
    """Of AdamW, decoupled from the gradient."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after the warm-up: falling as a cosine to 0, or as it is."""
    micro_batch: int = field(default=8, metadata=NO_EFFECT)
    """Examples of one forward pass on one process."""
    micro_tokens: int | None = field(default=None, metadata=NO_EFFECT)
    """Padded tokens (encoder and LLM) of one forward pass; cuts micro-batches further, never the batch."""
    engine: Literal["auto", "single", "ddp", "deepspeed"] = field(default="auto", metadata=NO_EFFECT)
    """`auto` is single on one process and ddp on several."""
    zero_stage: Literal[0, 1, 2, 3] = field(default=2, metadata=NO_EFFECT)
    """What DeepSpeed partitions: 1 optimizer states, 2 also gradients, 3 also parameters."""
    zero3_persistence_threshold: int = field(default=100_000, metadata=NO_EFFECT)
    """Parameters smaller than this are not partitioned under ZeRO-3."""
    gradient_checkpointing: bool = field(default=False, metadata=NO_EFFECT)
    """Recompute the LLM's layers in backward."""
    recompute_cross: bool = field(default=True, metadata=NO_EFFECT)
    """Recompute the aligner's keys and values in backward."""
    loss_chunk: int = field(default=1024, metadata=NO_EFFECT)
    """Answer tokens whose logits exist at one time."""
    eval_every: int = 200
    """Steps between two dev losses."""
    save_every: int | Literal["auto"] = field(default=200, metadata=NO_EFFECT)
    """Steps between two checkpoints; `auto` is the best for what a checkpoint and a step take and for how often jobs
    here are interrupted unannounced, at most 5 % of the time; a signal always saves."""
    log_every: int = field(default=10, metadata=NO_EFFECT)
    """Steps between two lines of progress; `metrics.jsonl` has every step."""
    tensorboard: bool = field(default=False, metadata=NO_EFFECT)
    """Write the run to TensorBoard, below `trackers` of its folder."""
    wandb: bool = field(default=False, metadata=NO_EFFECT)
    """Run of W&B; where jobs do not reach it, offline in the run folder, for `wandb sync`."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How benchmarks are answered: greedy, as in the paper."""

    benchmarks: tuple[str, ...] = ("mgsm",)
    """Names of what is asked."""
    max_new_tokens: int = 512
    """Tokens of an answer at most."""
    batch_size: int = 32
    """Questions that are answered at once on one process."""
    limit: int | None = None
    """First items of each language; None is all."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One stage of one recipe with its overrides: what one run computes."""

    name: str
    """Of the recipe; runs are called by it and the method."""
    stage: int
    """Which part of the recipe this is; the command tells."""
    last_stage: int = field(default=2, metadata=NO_EFFECT)
    """How many parts the recipe has; they are counted. What of it changes the result is in the switches."""
    seed: int = 0
    """Of all that is random: the fresh bridge, the order of examples, the dev split."""
    gpus: int = field(default=8, metadata=NO_EFFECT)
    """GPUs in all that the recipe wants; a cluster profile maps them to nodes."""
    model: ModelConfig
    data: DataConfig
    training: TrainingConfig
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig, metadata=NO_EFFECT)
    declares: dict[str, Any] | None = field(default=None, metadata=LATER)
    """Languages that are not known yet, by code: `so: {name: Somali, nllb: som_Latn}`; those of the user's pages are
    put there when a run is planned."""

    @property
    def bridge(self) -> Bridge:
        """The switches of this run's model."""
        return self.model.bridge(self.stage, self.last_stage)

    @property
    def weights(self) -> Path | None:
        """The folder of the bridge that `training.init` names, if it names one."""
        init = self.training.init
        return None if init in ("previous", "none") else Path(init).expanduser().absolute()

    @property
    def starts_from(self) -> int | None:
        """The stage of the same recipe whose weights it starts from: the one before, if that trains anything."""
        if self.stage == 1 or not self.bridge.trains or self.training.init != "previous":
            return None
        before = self.stage - 1
        return before if self.model.bridge(before, self.last_stage).trains else None

    @property
    def reads(self) -> DataConfig:
        """`data` with the limit of the prompt that it stands for: the same in training and evaluation."""
        data, official = self.data, self.bridge.compat == "official"
        limit = data.max_prompt or (data.max_source if official else PROMPT_TOKENS)
        return replace(data, max_prompt=limit, max_prompt_cut=1.0 if official else data.max_prompt_cut)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as written to `config.yaml`; `from_dict` reads it back."""
        return plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Check keys and types of plain data. The languages that it declares are known from then on.

        Raises:
            ValueError: an unknown key (the nearest valid one is named), a wrong type, an impossible value.
        """
        config: RunConfig = build(cls, values, "")
        check(config)
        declare(languages_of(config.declares or {}, "declares"))
        return config

    def self_contained(self) -> RunConfig:
        """The same with all that it needs of a user's pages."""
        spoken = [name for data in self.data.every for name in data.languages]
        return replace(self, declares=declarations(spoken))

    def signature(self, parent: str | None = None) -> str:
        """Hash of all that changes the result, and of the run it starts from. Eight hexadecimal digits.

        A switch left to its method counts as the method's value: `layalign` and `layalign` with
        `adapter: true` are one run.
        """
        told = _result_fields(self)
        del told["name"]
        checksum = told["training"].pop("init_checksum", None)
        if checksum is not None:
            told["training"]["init"] = checksum
        bridge = self.bridge
        switches = _result_fields(bridge)
        plainly = {key: value for key, value in told["model"].items() if not hasattr(bridge, key)}
        told["model"] = {**plainly, **switches, "method": None}
        told["parent"] = parent
        return hashlib.sha256(json.dumps(plain(told), sort_keys=True).encode()).hexdigest()[:8]


def _result_fields(value: Any) -> dict[str, Any]:
    """The fields of a config that change the result, nested."""
    told = {}
    for f in fields(value):
        inner = getattr(value, f.name)
        unsaid = "later" in f.metadata and inner == f.default
        if f.metadata.get("result", True) and not unsaid:
            told[f.name] = _result_fields(inner) if dataclasses.is_dataclass(inner) else inner
    return told
