from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.run import lease as module
from cluster.run.lease import (
    KIN_SILENCE_S,
    SILENCE_S,
    UNKNOWN,
    Holder,
    Lease,
    Superseded,
    process_start,
    this_process,
)

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import sys, time, pathlib
from cluster.run.lease import Lease
folder = pathlib.Path(sys.argv[1])
with Lease(folder / 'lease', folder / 'heartbeat.json', 'run x'):
    print('held', flush=True)
    time.sleep(60)
"""
RACE = """
import sys, os, pathlib
from cluster.errors import ClusterError
from cluster.run.lease import Lease
folder = pathlib.Path(sys.argv[1])
print('ready', flush=True)
sys.stdin.readline()
taken = 0
while True:
    try:
        with Lease(folder / 'lease', folder / 'beat', 'run x'):
            mark = os.open(folder / 'inside', os.O_CREAT | os.O_EXCL)
            taken += 1
            os.close(mark)
            os.unlink(folder / 'inside')
            if taken % 20 == 0:
                os.execv(sys.executable, [sys.executable, '-c', 'import os; os.kill(os.getpid(), 9)'])
    except ClusterError:
        pass
"""


@pytest.fixture
def lease(tmp_path):
    return lambda **facts: Lease(tmp_path / "lease", tmp_path / "heartbeat.json", "run x", **facts)


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def put(tmp_path, number=1, **changes):
    """A lease file as another process would have left it."""
    folder = tmp_path / "lease"
    folder.mkdir(exist_ok=True)
    told = asdict(replace(this_process(), **changes))
    (folder / f"{number:06d}.json").write_text(json.dumps(told))
    return folder / f"{number:06d}.json"


ELSEWHERE = {"host": "other", "boot": "b", "namespace": "n"}


def test_second_process_is_refused_and_told_who_holds_it(lease, holder):
    with pytest.raises(ClusterError, match=rf"run x .* process {holder.pid} on .* since 20"), lease():
        pass


def test_killed_holder_does_not_lock_out_the_next(lease, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with lease():
        pass


def test_killed_holder_that_nobody_has_reaped_is_gone(lease, holder):
    holder.send_signal(signal.SIGKILL)
    while process_start(holder.pid) is not None:
        time.sleep(0.01)
    with lease():
        pass


def test_released_lease_is_free_again(lease, tmp_path):
    for _ in range(3):
        with lease():
            assert lease().living_holder().pid == os.getpid()
    assert lease().living_holder() is None
    assert len(list((tmp_path / "lease").iterdir())) == 1


def test_error_inside_releases(lease):
    with pytest.raises(RuntimeError), lease():
        raise RuntimeError
    assert lease().living_holder() is None


def test_forked_child_does_not_release_the_lease_of_its_parent(lease):
    with lease() as held:
        child = os.fork()
        if not child:
            held.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        assert lease().living_holder()


def test_process_number_that_came_again_is_another_process(lease, tmp_path):
    put(tmp_path, started=this_process().started - 1)
    with lease():
        pass


def test_reboot_ends_a_lease(lease, tmp_path):
    put(tmp_path, boot="an earlier boot")
    with lease():
        pass


def test_silence_on_another_machine_decides_where_nothing_can_be_asked(lease, tmp_path):
    path = put(tmp_path, **ELSEWHERE)
    old = time.time() - SILENCE_S - 60
    with pytest.raises(ClusterError), lease():
        pass
    os.utime(path, (old, old))
    (tmp_path / "heartbeat.json").touch()
    with pytest.raises(ClusterError), lease():
        pass
    os.utime(tmp_path / "heartbeat.json", (old, old))
    with lease():
        pass


@pytest.mark.parametrize(("answer", "free"), [(True, False), (False, True), (None, False)])
def test_scheduler_knows_better_than_silence(lease, tmp_path, answer, free):
    put(tmp_path, **ELSEWHERE, job="77")
    asking = lease(job="78", job_is_alive=lambda job: answer)
    assert (asking.living_holder() is None) is free


ANOTHER = os.getuid() + 1


def age(path, seconds):
    old = time.time() - seconds
    os.utime(path, (old, old))


@pytest.mark.parametrize("answer", [True, False, None])
def test_of_somebody_elses_job_the_heartbeat_tells_and_slurm_is_not_asked(lease, tmp_path, answer):
    """In a group's folder: with `PrivateData=jobs` squeue shows nothing of others, whatever they run."""
    path, asked = put(tmp_path, **ELSEWHERE, job="77", uid=ANOTHER), []
    asking = lease(job="78", job_is_alive=lambda holder: asked.append(holder.job) or answer)
    with (
        pytest.raises(ClusterError, match=r"job 77, since .*: it is .*'s: wait until it ends, or ask them"),
        asking,
    ):
        pass
    age(path, SILENCE_S - 60)
    assert asking.living_holder()
    age(path, SILENCE_S + 60)
    with asking:
        pass
    assert asked == []


def test_the_owner_of_the_file_tells_whose_a_lease_of_an_earlier_version_is(lease, tmp_path, monkeypatch):
    path = put(tmp_path, **ELSEWHERE, job="77")
    told = {
        key: value for key, value in json.loads(path.read_text()).items() if key not in ("uid", "cluster")
    }
    path.write_text(json.dumps(told))
    assert lease(job="78", job_is_alive=lambda job: False).living_holder() is None
    if os.getuid():
        pytest.skip("only root can give a file away")
    os.chown(path, ANOTHER, -1)
    assert lease(job="78", job_is_alive=lambda job: False).living_holder()
    age(path, SILENCE_S + 60)
    assert lease(job="78", job_is_alive=lambda job: True).living_holder() is None


@pytest.mark.parametrize(("cluster", "free"), [("narval", True), ("rorqual", False), (None, True)])
def test_an_id_is_of_the_cluster_that_gave_it(lease, tmp_path, monkeypatch, cluster, free):
    put(tmp_path, **ELSEWHERE, job="77", cluster=cluster)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "narval")
    for job in ("78", "77"):  # the same number there is another job
        assert (lease(job=job, job_is_alive=lambda job: False).living_holder() is None) is free


def test_another_users_job_of_the_same_number_is_not_the_askers(lease, tmp_path):
    put(tmp_path, **ELSEWHERE, job="77", uid=ANOTHER)
    assert lease(job="77", job_is_alive=lambda job: False).living_holder()
    put(tmp_path, **ELSEWHERE, job="77_1", uid=ANOTHER)
    age(tmp_path / "lease" / "000001.json", SILENCE_S / 2)
    assert lease(job="77_2", job_is_alive=lambda job: None).living_holder()


def test_job_that_was_started_anew_follows_itself(lease, tmp_path):
    put(tmp_path, **ELSEWHERE, job="77")
    with lease(job="77", job_is_alive=lambda job: True):
        pass


@pytest.mark.parametrize("spoilt", ["{", "", "[]", "{}", '{"host": 7}', "\0" * 300])
def test_a_spoilt_lease_is_somebodys_until_it_has_been_silent_for_long(spoilt, lease, tmp_path):
    path = put(tmp_path)
    path.write_text(spoilt)
    with pytest.raises(ClusterError, match=f"an unknown process, whose lease {path} is damaged"), lease():
        pass
    os.utime(path, (time.time() - SILENCE_S - 1,) * 2)
    (tmp_path / "heartbeat.json").touch()
    with pytest.raises(ClusterError, match="unknown process"), lease():
        pass
    os.utime(tmp_path / "heartbeat.json", (time.time() - SILENCE_S - 1,) * 2)
    with lease():
        pass


@pytest.mark.parametrize("ahead", [5, 3600, 20 * 3600])
def test_a_sign_from_the_future_counts_from_when_it_is_seen(ahead, lease, tmp_path, monkeypatch):
    """A step of the clock has put it there: its holder may live, and is given as long as any other."""
    path = put(tmp_path, **ELSEWHERE)
    os.utime(path, (time.time() + ahead,) * 2)
    assert lease().living_holder()
    assert path.stat().st_mtime <= time.time()
    now = time.time()
    monkeypatch.setattr("cluster.run.lease.time.time", lambda: now + SILENCE_S + 5)
    assert not lease().living_holder()


def test_a_sign_of_another_year_is_none(lease, tmp_path):
    os.utime(put(tmp_path, **ELSEWHERE), (time.time() + 365 * 24 * 3600,) * 2)
    assert not lease().living_holder()
    (tmp_path / "heartbeat.json").touch()
    assert lease().living_holder(), "the other sign counts"


def test_file_of_a_later_version_is_understood(lease, tmp_path):
    path = put(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "color": "red"}))
    with pytest.raises(ClusterError), lease():
        pass


def test_slow_taker_loses_against_one_that_tidied_up(lease, tmp_path):
    """It saw a stale number 1, and tries number 2 after others have been through 2 and 3."""
    put(tmp_path, number=3)
    slow = lease()
    assert not slow._claim(2)
    assert lease().living_holder()
    assert [path.name for path in (tmp_path / "lease").iterdir()] == ["000003.json"]


def test_racing_takers_are_never_two_inside(tmp_path):
    """Each dies inside when it was there often; `inside` is made exclusively, so a second one would fail."""
    command = [sys.executable, "-c", RACE, str(tmp_path)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    takers = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(6)]
    for taker in takers:
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        taker.stdin.write("go\n")
        taker.stdin.flush()
    for taker in takers:
        _, errors = taker.communicate()
        assert not errors
        assert taker.returncode == -signal.SIGKILL
    assert not (tmp_path / "inside").exists()


ME = os.getuid()
WORDS = [
    ({"job": None, "uid": ME}, "process 7 on other, since S: wait until it ends, or stop it there: kill 7"),
    (
        {"job": "14_2", "uid": ME},
        "process 7 on other, job 14_2, since S: wait until it ends, or stop it there: scancel 14_2",
    ),
    ({"job": None, "uid": None}, "process 7 on other, since S: wait until it ends, or stop it there: kill 7"),
    (
        {"job": "9", "uid": 54321},
        "process 7 on other, job 9, since S: it is user 54321's: wait until it ends, or ask them",
    ),
]


@pytest.mark.parametrize(("facts", "told"), WORDS)
def test_who_holds_it_is_told_to_the_letter(lease, tmp_path, facts, told):
    put(tmp_path, **ELSEWHERE, pid=7, since="2026-11-27T10:00:00+00:00", **facts)
    with pytest.raises(ClusterError) as caught, lease():
        pass
    assert (
        str(caught.value) == f"run x is being worked on by {told.replace('S:', '2026-11-27T10:00:00+00:00:')}"
    )


def test_a_damaged_lease_is_told_with_the_time_after_which_it_counts_no_more(lease, tmp_path):
    path = put(tmp_path)
    path.write_text("{")
    written = path.stat().st_mtime
    holder = lease().living_holder()
    since = datetime.fromtimestamp(int(written), UTC)
    assert holder == Holder(UNKNOWN, 0, None, "", "", since.isoformat(timespec="seconds"), uid=ME)
    assert since.isoformat(timespec="seconds").endswith("+00:00")
    with pytest.raises(ClusterError) as caught, lease():
        pass
    assert str(caught.value) == (
        f"run x is being worked on by an unknown process, whose lease {path} is damaged: "
        "give the same command again 30 minutes after its last sign of life"
    )


@pytest.mark.parametrize(
    ("job", "by"),
    [
        ("14_2", "process 7 on other, job 14_2"),
        (None, "process 7 on other"),
        ("", "nobody: its folder is gone"),
    ],
)
def test_who_was_superseded_is_told_by_whom(lease, tmp_path, job, by):
    with lease() as held:
        held.check()
        assert held.still_mine()
        if job == "":
            shutil.rmtree(tmp_path / "lease")
        else:
            put(tmp_path, held.number + 1, **ELSEWHERE, pid=7, job=job)
        assert not held.still_mine()
        with pytest.raises(Superseded) as caught:
            held.check()
    told = f"run x was taken over by {by}, as this process seemed to be gone; it stops and writes nothing"
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("job", "mine", "silence"),
    [
        ("14_1", "14_2", KIN_SILENCE_S),
        ("14", "14", None),
        ("14_1", "15_1", SILENCE_S),
        ("14_1", None, SILENCE_S),
        (None, "14_1", SILENCE_S),
        (None, None, SILENCE_S),
        ("1_4_2", "1_4_3", KIN_SILENCE_S),
    ],
)
def test_an_earlier_unit_of_the_same_chain_is_given_less_time(lease, tmp_path, job, mine, silence):
    path = put(tmp_path, **ELSEWHERE, job=job)
    for age, free in (
        (0.0, silence is None),
        ((silence or 0) - 5, silence is None),
        ((silence or 0) + 5, True),
    ):
        os.utime(path, (time.time() - age,) * 2)
        assert (lease(job=mine).living_holder() is None) == free, age


def test_ages_of_files(tmp_path, monkeypatch):
    path, now = tmp_path / "beat", 1e9
    path.touch()
    monkeypatch.setattr(module.time, "time", lambda: now)

    def age(ahead):
        os.utime(path, (now + ahead,) * 2)
        return module._age(path)

    day = module.STEP_S
    assert [age(0), age(-1), age(-0.5), age(-1e6)] == [0, 1, 0.5, 1e6]
    before = datetime.now(UTC).timestamp()
    assert [age(0.5), age(7), age(day - 1)] == [0.0] * 3
    assert path.stat().st_mtime >= before - 1, "it is of now, and grows old from now on"
    assert [age(day), age(day + 1), age(1e7)] == [math.inf] * 3
    assert module._age(tmp_path / "none") == math.inf

    def refused(*_):
        raise PermissionError

    for ahead, expected in (
        (7, 7),
        (0.5, 0.5),
        (day - 1, day - 1),
        (day, math.inf),
        (day + 1, math.inf),
        (0, 0),
        (-3, 3),
    ):
        with monkeypatch.context() as patch:
            os.utime(path, (now + ahead,) * 2)
            patch.setattr(module.os, "utime", refused)
            assert module._age(path) == expected, ahead


def test_on_a_full_disk_a_lease_is_released_in_its_place(lease, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with lease() as held:
        (path,) = (tmp_path / "lease").iterdir()
        size = path.stat().st_size
        path.write_text(path.read_text() + " " * 500)
        monkeypatch.setattr(module, "write_record", full)
    assert path.stat().st_size < size + 500
    assert json.loads(path.read_text())["released"] is True
    assert lease().living_holder() is None
    assert held.number == 1
    with lease() as held:
        path.unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "lease")
    assert not (tmp_path / "lease").exists()


def test_a_second_comer_waits_as_long_as_it_is_told(lease, tmp_path, monkeypatch):
    path, clock, looks = put(tmp_path, **ELSEWHERE), [100.0], []

    def sleep(seconds):
        looks.append(seconds)
        clock[0] += seconds
        if len(looks) == frees:
            path.unlink()

    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module.time, "sleep", sleep)
    frees = 4
    with pytest.raises(ClusterError), lease(wait_s=3 * module.LOOK_S):
        pass
    assert looks == [module.LOOK_S] * 3
    with lease(wait_s=3 * module.LOOK_S) as held:
        assert (looks, held.number) == ([module.LOOK_S] * 4, 1)


def test_a_lease_makes_its_folder_and_is_known_in_its_process_while_it_is_held(tmp_path):
    folder = tmp_path / "not" / "yet" / "lease"
    with Lease(folder, tmp_path / "beat", "run x") as held:
        assert {folder: held} == module.HELD
        other = Lease(tmp_path / "other", tmp_path / "beat", "run y")
        with other:
            assert {folder: held, tmp_path / "other": other} == module.HELD
            module.HELD.pop(tmp_path / "other")
        assert {folder: held} == module.HELD
    assert module.HELD == {}


def test_a_number_that_another_has_made_is_not_ours(lease, tmp_path):
    put(tmp_path, number=2, released=True)
    assert lease()._claim(2) is False
    with lease() as held:
        assert held.number == 3
    put(tmp_path, number=4, released=True)
    put(tmp_path, number=5, released=True)
    with lease() as held:
        assert held.number == 6
        assert held.still_mine()
        assert [path.name for path in (tmp_path / "lease").iterdir()] == ["000006.json"]


def test_what_a_process_says_of_itself(monkeypatch):
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "narval")
    alone, unit = this_process(), this_process("14_2", 3)
    assert (alone.job, alone.unit, alone.cluster) == (None, 0, None)
    assert (unit.job, unit.unit, unit.cluster) == ("14_2", 3, "narval")
    assert datetime.fromisoformat(unit.since).tzinfo == UTC
    assert abs(datetime.fromisoformat(unit.since).timestamp() - time.time()) < 60
    assert (Lease(Path("a"), Path("b"), "run x").me.unit, Lease(Path("a"), Path("b"), "run x").number) == (
        0,
        0,
    )
    assert Lease(Path("a"), Path("b"), "run x", "14_2", 3).me.unit == 3


@pytest.mark.parametrize("name", ["plain", "a) Z 1 (b", "Z", ") X"])
def test_a_process_is_known_by_its_start_whatever_its_name(name):
    code = (
        "import sys, time; open('/proc/self/comm', 'w').write(sys.argv[1]); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        ticks = process_start(process.pid)
        up = float(Path("/proc/uptime").read_text().split()[0])
        assert -1 < up - ticks / os.sysconf("SC_CLK_TCK") < 120
        process.kill()
    assert process_start(process.pid) is None


def test_the_scheduler_is_asked_about_the_holders_job(lease, tmp_path):
    put(tmp_path, **ELSEWHERE, job="77_3")
    asked = []
    lease(job="78", job_is_alive=lambda holder: asked.append(holder.job)).living_holder()
    assert asked == ["77_3"]
    put(tmp_path, **ELSEWHERE, since="some day")
    assert lease().living_holder().host == UNKNOWN, "a lease of no time is damaged"
