"""Archives of runs that somebody has made who knows how, with other things than export would put into them."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import json
import os

import pytest

from cluster.storage.archive import write_archive
from cluster.storage.unpack import Archive
from tests.jobs.finished import go, make, recipe, surroundings  # noqa: F401


def forged(go, run, tmp_path, change=lambda files: files, **told):
    """An archive of a run with files and a manifest that were changed by somebody who knows how."""
    go("export", run.path.name, "--to", "honest.tar")
    archive = Archive(tmp_path / "honest.tar")
    (tmp_path / "files").mkdir()
    archive.unpack(tmp_path / "files", [], lambda size: None)
    about = json.loads(json.dumps(archive.manifest.about))
    about["runs"][0].update(told)
    files = {entry.path: (tmp_path / "files" / entry.path).read_bytes() for entry in archive.manifest.files}
    write_archive(tmp_path / "forged.tar", about, change(files), lambda size: None)
    status, printed = go("import", "forged.tar", "--runs", "there")
    assert status == 2
    assert not (tmp_path / "there").exists() or os.listdir(tmp_path / "there") == []
    return printed


def test_config_that_was_changed_does_not_have_the_signature(go, make, tmp_path):
    run = make(1)

    def change(files):
        name = f"{run.path.name}/config.yaml"
        return {**files, name: files[name].replace(b"lr: 0.001", b"lr: 0.002")}

    printed = forged(go, run, tmp_path, change)
    assert "its config has the signature " in printed
    assert f"here, not {run.signature}; import it with the code of commit" in printed


def test_parent_that_is_not_its_own_does_not_give_the_signature(go, make, tmp_path):
    run = make()
    make(1)
    assert "its config has the signature" in forged(go, run, tmp_path, parent="0" * 8)


def test_run_without_the_parent_of_its_stage_is_refused(go, make, tmp_path):
    run = make()
    make(1)
    assert "its config is of another stage than its name tells" in forged(go, run, tmp_path, parent=None)


@pytest.mark.parametrize(
    "path",
    ["submission.json", "slurm/x.sh", "lease/1.json", "results/mgsm/sw-0/lease/1.json", "bridge", "x.py"],
)
def test_file_that_export_never_writes_is_refused(go, make, tmp_path, path):
    run = make(1)
    printed = forged(go, run, tmp_path, lambda files: {f"{run.path.name}/{path}": b"{}", **files})
    assert f"'{run.path.name}/{path}' in it is no file that export writes" in printed


def test_file_of_another_run_is_refused(go, make, tmp_path):
    run = make(1)
    printed = forged(go, run, tmp_path, lambda files: {**files, "b-s1-00000001/config.yaml": b""})
    assert "'b-s1-00000001/config.yaml' in it is no file that export writes" in printed


@pytest.mark.parametrize(
    "told",
    [
        {"folder": "../a-s1-00000001"}, {"folder": "/a-s1-00000001"}, {"folder": "a"}, {"folder": 7}, {"parent": "x"},
        {"parent": 7}, {"signature": "00000000"}, {"more": 1}, {"folder": ".a-s1-00000001", "signature": "00000001"},
    ],
)  # fmt: skip
def test_manifest_that_tells_of_no_run_is_refused(go, make, tmp_path, told):
    assert "is not imported: its manifest tells of no run or grid" in forged(go, make(1), tmp_path, **told)


def test_run_without_its_bridge_or_config_is_refused(go, make, tmp_path):
    run = make(1)
    without = {f"{run.path.name}/bridge/bridge.safetensors"}
    printed = forged(go, run, tmp_path, lambda files: {name: files[name] for name in files.keys() - without})
    assert "it is said to be done, and its bridge is not there" in printed


def test_config_of_another_version_is_told_from_a_damaged_one(go, make, tmp_path):
    run = make(1)
    name = f"{run.path.name}/config.yaml"
    printed = forged(go, run, tmp_path, lambda files: {**files, name: files[name] + b"later: 1\n"})
    assert "unknown key later" in printed
    assert "import it with the code of commit" in printed


def test_config_is_never_more_than_data(go, make, tmp_path):
    run = make(1)
    evil = b"!!python/object/apply:os.system ['touch hacked']\n"
    printed = forged(go, run, tmp_path, lambda files: {**files, f"{run.path.name}/config.yaml": evil})
    assert "holds no config" in printed
    assert not (tmp_path / "hacked").exists()
