from __future__ import annotations

import json
import sys

import pytest

from cluster.run.run_folder import RunFolder
from jobs.work import usage as module
from jobs.work.progress import TrainingProgress
from jobs.work.usage import Meter
from layalign.config import TrainingConfig


def test_memory_of_this_process_is_told_and_its_peak_is_no_less():
    told = Meter()()
    assert 10 < told["rss_mb"] <= told["peak_rss_mb"] < 1_000_000


def test_a_step_pays_for_it_four_times_a_minute_at_most(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "_host", lambda: asked.append(1) or {"rss_mb": len(asked)})
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    meter = Meter()
    for second in range(31):
        clock[0] = float(second)
        meter()
    assert len(asked) == 3


class FakeCuda:
    def __init__(self, busy):
        self.busy = busy

    def is_available(self):
        return True

    is_initialized = is_available

    def current_device(self):
        return 0

    def get_device_properties(self, device):
        return type("Properties", (), {"total_memory": 40 * 1024**3})

    def max_memory_allocated(self):
        return 31 * 1024**3

    def utilization(self):
        if isinstance(self.busy, Exception):
            raise self.busy
        return self.busy


@pytest.mark.parametrize("busy", [93, ModuleNotFoundError("pynvml does not seem to be installed")])
def test_gpu_memory_is_told_also_where_nvml_is_missing(monkeypatch, busy):
    monkeypatch.setitem(sys.modules, "torch", type("Torch", (), {"cuda": FakeCuda(busy)}))
    told = Meter()()
    assert (told["gpu_mb"], told["gpu_total_mb"]) == (31 * 1024, 40 * 1024)
    assert told.get("gpu_util") == (93 if busy == 93 else None)


@pytest.mark.gpu
def test_gpu_memory_of_a_real_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    held = torch.zeros(64 * 1024 * 1024, dtype=torch.uint8, device="cuda")
    told = Meter()()
    assert held.numel() // module.MB <= told["gpu_mb"] <= told["gpu_total_mb"]
    assert told["gpu_total_mb"] == torch.cuda.get_device_properties(0).total_memory // module.MB
    assert 0 <= told.get("gpu_util", 0) <= 100


def test_a_training_tells_its_steps_and_its_memory(tmp_path, capsys):
    run = RunFolder(tmp_path / "math-s1-0123abcd")
    run.path.mkdir()
    progress = TrainingProgress(run, TrainingConfig(lr=1e-4), None)
    record = {"step": 3, "total": 9, "loss": 0.5, "lr": 1e-4, "tokens_per_s": 10.0, "eta_s": 6.0}
    progress.on_step(record)
    told = json.loads(run.heartbeat.read_text())
    assert {key: told[key] for key in ("step", "total", "loss")} == {"step": 3, "total": 9, "loss": 0.5}
    assert told["rss_mb"] > 10
