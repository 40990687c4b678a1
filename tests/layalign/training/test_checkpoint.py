from __future__ import annotations

import dataclasses
import resource
import subprocess

import pytest
import torch

from layalign.training.checkpoint import Best, Checkpoints, CorruptCheckpoint, Moments, TrainState
from layalign.training.rng import rng_state

pytestmark = pytest.mark.core
FILES = ("bridge.safetensors", "optimizer.safetensors", "state.json", "manifest.json")


def state(step: int, best: Best | None = None, size: int = 6) -> TrainState:
    tensors = [{"adapter.w": torch.full((size,), step + i), "gates": torch.ones(2, 1)} for i in range(3)]
    moments = Moments(tensors[1], tensors[2])
    return TrainState(step, tensors[0], moments, step, best, rng_state(), {"seed": 4})


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def names(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for path in checkpoints.folder.iterdir())


def newest_step(checkpoints: Checkpoints) -> int | None:
    found, _ = checkpoints.newest()
    return found.step if found else None


def test_reads_back_what_was_saved(checkpoints):
    saved = state(200, Best(200, 1.5))
    path = checkpoints.save(saved, best=True)
    assert sorted(p.name for p in path.iterdir()) == sorted(FILES)
    found, faults = checkpoints.newest()
    assert faults == []
    for name in ("step", "evaluated", "best", "plan", "rng"):
        assert getattr(found, name) == getattr(saved, name)
    for mine, theirs in (
        (found.weights, saved.weights),
        (found.moments.exp_avg, saved.moments.exp_avg),
        (found.moments.exp_avg_sq, saved.moments.exp_avg_sq),
    ):
        assert set(mine) == set(theirs)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("at", [1, 2])
def test_who_may_write_no_more_changes_nothing(checkpoints, at):
    checkpoints.save(state(200), best=True)
    before, calls = names(checkpoints), []

    def check():
        calls.append(1)
        if len(calls) == at:
            raise RuntimeError("taken over")

    checkpoints.check = check
    with pytest.raises(RuntimeError, match="taken over"):
        checkpoints.save(state(400), best=True)
    assert [name for name in names(checkpoints) if not name.startswith(".draft-")] == before
    assert newest_step(checkpoints) == 200


def test_an_empty_folder_has_none(checkpoints):
    assert checkpoints.newest() == (None, [])
    assert checkpoints.resume() == (None, [])
    with pytest.raises(ValueError, match="no best checkpoint"):
        checkpoints.best()


def test_the_last_two_and_the_best_are_kept(checkpoints):
    best = Best(20, 0.5)
    for step in (10, 20, 30, 40, 50):
        checkpoints.save(state(step, best if step >= 20 else None), best=step == 20)
    assert checkpoints.steps() == [20, 40, 50]
    assert names(checkpoints) == ["best.json", "step-00000020", "step-00000040", "step-00000050"]
    assert checkpoints.best().step == 20


def damage(path, how: str) -> None:
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "changed":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    else:
        path.unlink()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("how", ["truncated", "emptied", "changed", "removed"])
def test_a_damaged_one_is_named_and_passed_over(checkpoints, file, how):
    for step in (1, 2):
        checkpoints.save(state(step), best=False)
    damage(checkpoints.path(2) / file, how)
    found, faults = checkpoints.newest()
    assert found.step == 1
    assert len(faults) == 1
    assert "step-00000002" in faults[0]
    with pytest.raises(CorruptCheckpoint):
        checkpoints.read(2)


def test_a_damaged_best_is_forgotten(checkpoints):
    checkpoints.save(state(1, Best(1, 0.1)), best=True)
    checkpoints.save(state(2, Best(1, 0.1)), best=False)
    damage(checkpoints.path(1) / FILES[0], "truncated")
    found, faults = checkpoints.resume()
    assert (found.step, found.best, len(faults)) == (2, None, 1)
    assert "step-00000001" in faults[0]
    with pytest.raises(ValueError, match="no best checkpoint"):
        checkpoints.best()


def test_a_lost_pointer_to_the_best_is_made_again(checkpoints):
    checkpoints.save(state(3, Best(3, 0.1)), best=True)
    (checkpoints.folder / "best.json").unlink()
    checkpoints.resume()
    assert checkpoints.best().step == 3


def test_a_damaged_one_of_a_later_step_goes_with_the_next_save(checkpoints):
    for step in (1, 2):
        checkpoints.save(state(step), best=False)
    damage(checkpoints.path(2) / FILES[1], "truncated")
    checkpoints.save(dataclasses.replace(state(1), evaluated=0), best=False)
    assert checkpoints.steps() == [1]


def test_the_same_step_is_replaced(checkpoints):
    checkpoints.save(state(7), best=False)
    checkpoints.save(state(7, Best(7, 0.3)), best=True)
    assert checkpoints.newest()[0].best == Best(7, 0.3)
    assert names(checkpoints) == ["best.json", "step-00000007"]


def test_what_a_killed_process_left_is_tidied(checkpoints):
    for step in (1, 2):
        checkpoints.save(state(step), best=False)
    half = checkpoints.folder / ".draft-step-00000003"
    half.mkdir()
    (half / FILES[0]).write_bytes(b"half")
    checkpoints.path(2).rename(checkpoints.folder / ".replaced-step-00000002")
    assert newest_step(checkpoints) == 1
    assert checkpoints.resume()[0].step == 2
    assert names(checkpoints) == ["step-00000001", "step-00000002"]


def test_reading_changes_nothing(checkpoints):
    checkpoints.save(state(1), best=False)
    (checkpoints.folder / ".draft-step-00000003").mkdir()
    before = names(checkpoints)
    checkpoints.newest()
    assert names(checkpoints) == before


def expect_no_room(checkpoints: Checkpoints, size: int) -> None:
    with pytest.raises(ValueError, match=r"step 2 .* MB needed.* Earlier checkpoints are intact: free space"):
        checkpoints.save(state(2, size=size), best=False)
    assert names(checkpoints) == ["step-00000001"]
    assert newest_step(checkpoints) == 1


def test_a_file_that_may_not_grow_leaves_the_earlier_one(checkpoints):
    checkpoints.save(state(1), best=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        expect_no_room(checkpoints, 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_earlier_one(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        checkpoints = Checkpoints(disk / "checkpoints")
        checkpoints.save(state(1), best=False)
        expect_no_room(checkpoints, 300_000)
        checkpoints.save(state(2, size=1000), best=False)
        assert newest_step(checkpoints) == 2
    finally:
        subprocess.run(["umount", disk], check=True)


def test_one_that_somebody_moved_aside_is_none(checkpoints):
    checkpoints.save(state(200), best=False)
    path = checkpoints.save(state(400), best=False)
    path.rename(path.with_name(f"{path.name}.moved"))
    assert newest_step(checkpoints) == 200
    checkpoints.save(state(400), best=False)
    assert newest_step(checkpoints) == 400
