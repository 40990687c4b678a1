"""A bridge goes to the hub only when the user says so, whole, and without secrets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.run.run_folder import RunFolder
from jobs.keeping.push import push


@pytest.fixture
def run(trained_folder: Path, tmp_path: Path, monkeypatch) -> RunFolder:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    (found,) = trained_folder.glob("runs/tiny-layalign-s2-*")
    return RunFolder(Path(shutil.copytree(found, tmp_path / found.name)))


def test_what_would_be_sent_is_shown_and_nothing_is_sent(run, capsys, monkeypatch):
    monkeypatch.setattr("cluster.hub.upload.upload", None)
    assert push(run, "me/bridge", public=False, yes=False) == 0
    told = capsys.readouterr().out
    for name in ("bridge.safetensors", "bridge.json", "backbones.json", "config.yaml", "README.md"):
        assert f"  {name}\n" in told
    assert "only you and your organisation see" in told
    assert "they name folders of this machine" in told
    assert "nothing was sent" in told


@pytest.mark.parametrize("name", ["bridge", "a/b/c", "me/my bridge", "https://huggingface.co/me/x"])
def test_what_is_no_repository_is_refused(run, name):
    with pytest.raises(ClusterError, match="is no repository of the hub: it must be ORGANISATION/NAME"):
        push(run, name, public=False, yes=True)


def test_offline_and_without_a_hub_the_next_step_is_told(run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 34)
    with pytest.raises(ClusterError, match="give the command on a login node") as refusal:
        push(run, "me/bridge", public=False, yes=True)
    assert "hf_x" not in str(refusal.value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ClusterError, match="HF_HUB_OFFLINE is set: unset it"):
        push(run, "me/bridge", public=False, yes=True)


def test_a_damaged_bridge_and_a_secret_are_refused(run, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery-staple")
    (run.bridge / "note.txt").write_text("correct-horse-battery-staple")
    with pytest.raises(ClusterError, match=r"note\.txt holds the value of \$MY_API_KEY"):
        push(run, "me/bridge", public=False, yes=False)
    (run.bridge / "note.txt").unlink()
    weights = run.bridge / "bridge.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ClusterError, match="is not whole"):
        push(run, "me/bridge", public=False, yes=False)
