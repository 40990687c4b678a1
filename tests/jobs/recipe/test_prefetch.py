"""What a recipe needs comes from a hub on this machine into a cache, whole, at one commit, and is said to be there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from cluster.hub.cache import lock_path
from cluster.profile.load import load_profile
from jobs.recipe.plan import load_recipe, plan_run, training_obstacles
from jobs.recipe.prefetch import absent, pins, srun_words, wanted
from layalign.recipe import resolve
from tests.hub import Hub
from tests.login import empty_recipe

ROOT = Path(__file__).resolve().parents[3]
SHARD = "model-00002-of-00002.safetensors"
CHUNK = 11 << 20
"""More than huggingface_hub writes at once: less leaves nothing to go on from."""
TOKEN = "hf_a_secret_of_this_test"
ENCODER = {
    "config.json": b'{"model_type": "mt5"}',
    "spiece.model": b"pieces",
    "tokenizer_config.json": b"{}",
    "pytorch_model.bin": b"\x01" * 1000,
    "tf_model.h5": b"other framework",
    "flax_model.msgpack": b"other framework",
    "README.md": b"# words",
}
DECODER = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    ).encode(),
    "model-00001-of-00002.safetensors": b"\x02" * 1000,
    "model-00002-of-00002.safetensors": b"\x03" * 1000,
    "pytorch_model.bin": b"the same weights again",
    "pytorch_model.bin.index.json": b"{}",
    "consolidated.safetensors": b"and again",
    "original/params.json": b"{}",
}


@pytest.fixture
def hub():
    hub = Hub()
    hub.add("google/tiny", ENCODER)
    hub.add("meta/tiny", DECODER)
    yield hub
    hub.close()


@pytest.fixture
def environ(hub, tmp_path):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "LAYALIGN_"))}
    return {**clean, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": TOKEN}


@pytest.fixture
def recipe(tmp_path):
    return empty_recipe(
        tmp_path, model={"encoder": "google/tiny", "decoder": "meta/tiny", "precision": "fp32"}
    )


def start(recipe, environ, *words):
    command = [
        sys.executable,
        ROOT / "launch.py",
        "prefetch",
        "--cluster",
        "local",
        "--recipe",
        recipe,
        *words,
    ]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def go(recipe, environ, *words):
    process = start(recipe, environ, *words)
    printed = process.communicate(timeout=120)[0]
    return process.returncode, printed


def snapshot(environ, name, commit):
    return Path(environ["HF_HOME"], "hub", f"models--{name.replace('/', '--')}", "snapshots", commit)


def test_all_that_a_grid_needs_is_fetched_each_model_once(hub, recipe, environ, tmp_path):
    hub.add("google/other", ENCODER)
    variants = {"A": None, "B": {"model.encoder": "google/other"}, "C": {"training.lr": 2e-3}}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({"name": "g", "recipe": str(recipe), "variants": variants}))
    words = [sys.executable, ROOT / "launch.py", "prefetch", "--cluster", "local", "--grid", path]
    for _ in range(2):
        ran = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    fetched = sorted(name for name, _ in hub.downloads())
    assert fetched.count("spiece.model") == 2
    assert fetched.count("tokenizer.json") == 1
    assert go(recipe, environ, "--grid", str(path))[0] == 2


def test_only_what_is_loaded_is_fetched_and_only_once(hub, recipe, environ):
    status, printed = go(recipe, environ)
    assert status == 0, printed
    assert {name for name, _ in hub.downloads()} == {
        *("config.json", "spiece.model", "tokenizer_config.json", "pytorch_model.bin"),
        *("tokenizer.json", "model.safetensors.index.json"),
        *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
    }
    assert not absent(resolve(load_recipe(str(recipe)), 1), environ)
    asked = len(hub.asked)
    status, printed = go(recipe, environ)
    assert status == 0
    assert "all 0.002 MB there" in printed
    assert len(hub.asked) == asked, "a second prefetch asks the hub nothing"


def test_killed_in_the_middle_of_a_file_it_goes_on_from_there(hub, recipe, environ):
    content = bytes(range(256)) * (3 * CHUNK // 256)
    commit = hub.add("meta/tiny", {**DECODER, SHARD: content})
    hub.slow.add(SHARD)
    process = start(recipe, environ)
    partial = Path(environ["HF_HOME"], "hub", "models--meta--tiny", "blobs")
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in partial.glob("*.partial")):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    [kept] = [path.stat().st_size for path in partial.glob("*.partial")]
    config = resolve(load_recipe(str(recipe)), 1)
    ((one, files),) = absent(config, environ)
    assert one.name == "meta/tiny"
    assert SHARD in files
    hub.hurry.set()
    status, printed = go(recipe, environ)
    assert status == 0, printed
    assert [begin for name, begin in hub.downloads() if name == SHARD] == [0, kept]
    assert (snapshot(environ, "meta/tiny", commit) / SHARD).read_bytes() == content
    assert not absent(config, environ)


def test_content_that_came_broken_is_not_kept(hub, recipe, environ):
    commit = hub.add("meta/tiny", {**DECODER, SHARD: b"\x04" * (3 * CHUNK)})
    hub.broken.add(SHARD)
    status, printed = go(recipe, environ)
    assert status == 2
    assert f"error: meta/tiny: {SHARD} came broken and has been removed" in printed
    hub.broken.clear()
    assert go(recipe, environ)[0] == 0
    assert (snapshot(environ, "meta/tiny", commit) / SHARD).read_bytes() == b"\x04" * (3 * CHUNK)


def test_run_is_pinned_to_what_was_fetched_until_told_otherwise(hub, recipe, environ, tmp_path):
    assert go(recipe, environ)[0] == 0
    told = load_recipe(str(recipe))
    first = hub.branches["models", "google/tiny", "main"]
    config = plan_run(told, 2, pins(told, [], environ), tmp_path / "runs").config
    assert config.model.encoder_revision == first
    assert not absent(config, environ), "the pinned commit is as much there as the branch"
    second = hub.add("google/tiny", {**ENCODER, "spiece.model": b"other pieces"})
    assert go(recipe, environ)[0] == 0
    assert f"stages.1.model.encoder_revision={first}" in pins(told, [], environ)
    assert go(recipe, environ, "--update")[0] == 0
    assert f"stages.1.model.encoder_revision={second}" in pins(told, [], environ)
    assert not absent(config, environ), "a run that is pinned to the former commit still has it"


def test_training_is_refused_naming_what_is_missing(hub, recipe, environ, tmp_path):
    assert go(recipe, environ)[0] == 0
    told = load_recipe(str(recipe))
    plan = plan_run(told, 1, pins(told, [], environ), tmp_path / "runs")
    commit = hub.branches["models", "meta/tiny", "main"]
    (snapshot(environ, "meta/tiny", commit) / "model-00001-of-00002.safetensors").unlink()
    [refusal] = training_obstacles(plan, tmp_path / "data", environ, False, "")
    assert f"model meta/tiny at {commit}: model-00001-of-00002.safetensors; " in refusal
    assert "launch.py prefetch" in refusal


def test_token_is_sent_to_the_hub_and_written_nowhere(hub, recipe, environ, tmp_path):
    status, printed = go(recipe, environ)
    assert status == 0
    assert f"Bearer {TOKEN}" in {authorization for *_, authorization in hub.asked}
    assert TOKEN not in printed
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes(), path


def test_data_set_is_fetched_whole_and_found_offline(hub, recipe, environ):
    rows = b'{"src": "a", "tgt": "b"}\n'
    commit = hub.add("ours/pairs", {"train.jsonl": rows, "README.md": b"", "more/x.txt": b"x"}, "datasets")
    words = ("-o", "data.reader=hub", "data.path=ours/pairs")
    status, printed = go(recipe, environ, *words)
    assert status == 0, printed
    told = load_recipe(str(recipe))
    pinned = pins(told, words[1:], environ)
    assert f"stages.1.data.revision={commit}" in pinned
    config = resolve(told, 1, [*words[1:], *pinned])
    assert not absent(config, environ)
    code = (
        "import json, sys; from layalign.config import RunConfig; from layalign.data.sources import read\n"
        "config = RunConfig.from_dict(json.loads(sys.argv[1]))\n"
        "print([row.source for row in read(config.data, None, False)])"
    )
    offline = {
        **environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-c", code, json.dumps(config.to_dict())]
    ran = subprocess.run(command, cwd=ROOT, env=offline, capture_output=True, text=True, check=False)
    assert ran.stdout == "['a']\n", ran.stderr


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("model.encoder=google/none", "the hub has no model google/none, or you may not see it"),
        ("model.encoder_revision=v9", "google/tiny has no revision 'v9'"),
        ("model.encoder=google/gated", "google/gated is gated: accept its licence"),
        ("model.encoder=google/empty", "google/empty: it has none of the weights"),
    ],
)
def test_refusal_of_the_hub_is_one_line(hub, recipe, environ, change, expected):
    hub.add("google/empty", {"config.json": b"{}"})
    hub.gated.add("google/gated")
    status, printed = go(recipe, environ, "-o", change)
    assert status == 2
    assert f"error: {expected}" in printed
    assert "Traceback" not in printed
    assert not lock_path(environ).exists()


@pytest.mark.slow
def test_encoder_of_a_bf16_recipe_is_converted_once(hub, recipe, environ, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import MT5Config, MT5ForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 32}
    MT5ForConditionalGeneration(MT5Config(**sizes, decoder_start_token_id=0)).save_pretrained(
        tmp_path / "whole"
    )
    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    commit = hub.add("google/tiny", {"spiece.model": b"pieces", **files})
    words = ("-o", "model.precision=bf16")
    status, printed = go(recipe, environ, *words)
    assert status == 0, printed
    folder = Path(environ["HF_HOME"], "layalign", "encoders", f"google--tiny-{commit[:12]}-bf16")
    assert printed.splitlines()[-1] == str(folder)
    small, whole = ((place / "model.safetensors").stat() for place in (folder, tmp_path / "whole"))
    assert small.st_size < whole.st_size / 2
    assert go(recipe, environ, *words)[0] == 0
    assert (folder / "model.safetensors").stat().st_mtime_ns == small.st_mtime_ns


def test_conversion_where_the_launcher_has_no_torch_is_a_job():
    profile = load_profile("narval", ["cluster.account=def-prof"])
    command = srun_words(["python", "-m", "x"], profile, {"HF_HOME": "/hf", "HF_TOKEN": TOKEN}, "x")
    assert command[0] == "--nodes=1"
    assert "--account=def-prof" in command
    assert "--mem=32000M" in command
    lines = command[-1].splitlines()
    assert lines[0].startswith("cd ")
    assert lines[-2:] == [". envs/narval.sh || exit 1", "python -m x"]
    assert TOKEN not in command[-1]
    assert "--gpus-per-node=1" in srun_words(["x"], load_profile("trillium"), {}, "x")
    assert "--mem=16000M" in srun_words(["x"], load_profile("sandbox"), {}, "x"), "no more than a node has"
    assert "--mem=65536M" in srun_words(["x"], load_profile("narval", ["cluster.mem=64G"]), {}, "x")


def test_no_connection_is_one_line(hub, recipe, environ):
    status, printed = go(recipe, {**environ, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert status == 2
    assert "could not be fetched" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{mount} (user me)  500GiB/ 500GiB  10K/ 1000K", "needs 0.0 GB more and the quota of"),
        ("{mount} (user me)  1GiB/ 500GiB  1000K/ 1000K", "needs 27 files more and the quota of"),
    ],
)
def test_too_little_room_is_told_before_the_first_byte(hub, recipe, environ, tmp_path, row, expected):
    tool = tmp_path / "bin" / "diskusage_report"
    tool.parent.mkdir()
    tool.write_text(
        f"#!/bin/sh\necho '  Description   Space   # of files'\necho '{row.format(mount=tmp_path)}'\n"
    )
    tool.chmod(0o755)
    status, printed = go(recipe, {**environ, "PATH": f"{tool.parent}:{environ['PATH']}"})
    assert status == 2
    assert expected in printed
    assert not hub.downloads()


def test_offline_switch_is_named(recipe, environ):
    status, printed = go(recipe, {**environ, "HF_HUB_OFFLINE": "1"})
    assert status == 2
    assert "HF_HUB_OFFLINE is set: unset it" in printed


def test_miniature_needs_nothing(environ):
    assert wanted(resolve(load_recipe("mini"), 1)) == []
    assert go("mini", environ) == (
        0,
        f"cache: {environ['HF_HOME']}/hub\nnothing of this recipe comes from the hub\n",
    )
