from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from layalign.mini import CONTENTS, MINI, Settings, default_root, folder, is_mini, resolve


def test_a_name_points_into_the_world_of_its_settings(tmp_path):
    tiny = Settings.tiny()
    for part in CONTENTS:
        assert resolve(MINI + part, tmp_path) == folder(tmp_path, Settings()) / part
        assert resolve(MINI + part, tmp_path, tiny) == folder(tmp_path, tiny) / part
    assert folder(tmp_path, tiny) != folder(tmp_path, Settings())


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"'mini://encode' is no part .* mini://encoder"):
        resolve("mini://encode", tmp_path)


def test_only_the_prefix_makes_a_name_mini():
    assert is_mini("mini://decoder")
    assert not is_mini("org/mini")


def test_every_setting_makes_another_world():
    base = Settings()
    changed = [dataclasses.replace(base, **{f.name: 99}) for f in dataclasses.fields(base)]
    assert len({settings.fingerprint for settings in [base, *changed]}) == len(changed) + 1


def test_the_cache_variable_moves_the_worlds(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYALIGN_CACHE", str(tmp_path))
    assert default_root() == tmp_path / "mini"
    monkeypatch.delenv("LAYALIGN_CACHE")
    assert default_root() == Path.home() / ".cache" / "layalign" / "mini"


def test_importing_the_names_loads_nothing_heavy():
    told = subprocess.run(
        [sys.executable, "-c", "import layalign.mini, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    ).stdout.split()
    assert not {"torch", "transformers", "tokenizers", "datasets", "numpy"} & set(told)
