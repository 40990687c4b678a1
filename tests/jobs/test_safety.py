"""What a run writes holds no token, and nobody else can read it, or write what it loads."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

import launch as front_door
from cluster.errors import ClusterError, JobFailed
from cluster.launch.submit import CALL
from cluster.permissions import SHARED, umask
from cluster.run.run_folder import RunFolder, all_runs
from jobs.work import call as job_call
from tests.login import at_home, empty_recipe
from tests.world import launch

A = "a1B2" * 10
TOKENS = {
    "HF_TOKEN": f"hf_{A[:34]}",
    "WANDB_API_KEY": "0f" * 20,
    "AWS_ACCESS_KEY_ID": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
    "GITHUB_TOKEN": f"ghp_{A[:36]}",
    "SLURM_JWT": f"eyJhbGciOi.{A}.{A[:11]}",
}
REMOTE = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "remote.origin.url",
    "GIT_CONFIG_VALUE_0": f"https://me:pa55word-{A[:9]}@example.org/a.git",
}
"""What git takes for the checkout's own settings."""
PLANTED = (*TOKENS.values(), f"pa55word-{A[:9]}")


def found_below(folder):
    """The files that hold a planted token, anywhere in their bytes; what archives hold is looked at by itself."""
    holders = set()
    for path in (path for path in folder.rglob("*") if path.is_file()):
        texts = [path.read_bytes(), str(path).encode()]
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                texts += [tar.extractfile(member).read() for member in tar if member.isfile()]
        holders |= {path for token in PLANTED for text in texts if token.encode() in text}
    return holders


def modes_below(folder):
    """The modes of folders, and of files."""
    every = [folder, *folder.rglob("*")]
    return [
        {
            stat.S_IMODE(path.lstat().st_mode)
            for path in every
            if path.is_dir() == folders and not path.is_symlink()
        }
        for folders in (True, False)
    ]


@pytest.fixture
def umask_022():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def submit(tmp_path, monkeypatch, slurm, capsys):
    """Run a command on a cluster, with all tokens in the environment; gives its status and what it printed."""
    at_home(tmp_path, monkeypatch)
    for name, value in (TOKENS | REMOTE).items():
        monkeypatch.setenv(name, value)

    def go(command, *words, recipe=None, cluster=("--cluster", "narval", "--account", "def-prof")):
        recipe = recipe or empty_recipe(tmp_path)
        here = (*cluster, "--data", str(tmp_path / "data"))
        names = ("--yes",) if command == "ablate" else ("--recipe", str(recipe))
        status = front_door.main([command, *here, *names, *words])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


def test_a_run_is_private_and_holds_no_token(recipe, tmp_path, umask_022):
    trained = launch("train", "--stage", "all", "--recipe", recipe, cwd=tmp_path, **TOKENS, **REMOTE)
    assert trained.returncode == 0, trained.told
    assert len(all_runs(tmp_path / "runs")) == 2
    for made in ("runs", "cache"):
        assert modes_below(tmp_path / made) == [{0o700}, {0o600}], made
        assert not found_below(tmp_path / made)
    assert not any(token in trained.told for token in PLANTED)


def test_a_groups_folder_is_the_groups(recipe, tmp_path, umask_022):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o2770)
    trained = launch("train", "--stage", "1", "--recipe", recipe, cwd=tmp_path)
    assert trained.returncode == 0, trained.told
    assert modes_below(tmp_path / "runs") == [{0o2770}, {0o660}]
    assert modes_below(tmp_path / "cache") == [{0o770}, {0o660}]


def test_what_is_submitted_is_private_and_holds_no_token(submit, slurm, tmp_path, umask_022):
    status, printed = submit("train", "--stage", "all", "--dry-run")
    assert (status, (tmp_path / "runs").exists()) == (0, False)
    assert not any(token in printed for token in PLANTED)
    status, printed = submit("train", "--stage", "all")
    assert (status, len(slurm.lines("calls"))) == (0, 2)
    assert not found_below(tmp_path / "runs")
    assert modes_below(tmp_path / "runs") == [{0o700}, {0o600}]
    scripts = list((tmp_path / "runs").glob("*/slurm/*.sh"))
    assert len(scripts) == 2
    for script in scripts:
        lines = script.read_text().splitlines()
        assert "umask 0077" in lines
        (pickle,) = script.parent.glob(f"{CALL}*-{os.getuid()}.pkl")
        check = next(number for number, line in enumerate(lines) if line.startswith("_o=$(find "))
        assert str(pickle) in lines[check]
        assert check < next(
            number for number, line in enumerate(lines) if line.startswith("srun --unbuffered")
        )


def write_grid(folder, variants, **more):
    """A grid on the empty recipe and a benchmark of one line."""
    (folder / "data" / "mgsm").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "mgsm" / "mgsm_sw.tsv").write_text("How many?\t8\n" * 260)
    evaluate = {"benchmarks": ["mgsm"], "languages": ["sw"]}
    told = {
        "name": "g",
        "recipe": str(empty_recipe(folder)),
        "variants": variants,
        "evaluate": evaluate,
        **more,
    }
    (folder / "grid.yaml").write_text(yaml.safe_dump(told))
    return str(folder / "grid.yaml")


def test_what_a_grid_submits_is_private_and_holds_no_token(submit, slurm, tmp_path, umask_022):
    path = write_grid(tmp_path, {"A": None, "B": {"training.lr": 2e-3}})
    status, printed = submit("ablate", "--grid", path)
    assert (status, bool(slurm.lines("calls"))) == (0, True), printed
    assert not found_below(tmp_path / "runs")
    assert modes_below(tmp_path / "runs") == [{0o700}, {0o600}]


SECRETS = {
    "override": ("-o", f"data.path=https://me:{TOKENS['WANDB_API_KEY']}@example.org/x"),
    "override of a variable's value": ("-o", f"training.init={TOKENS['AWS_SECRET_ACCESS_KEY']}"),
    "override of the cluster": ("-o", f"cluster.mail={TOKENS['GITHUB_TOKEN']}@example.org"),
    "name": ("--name", TOKENS["HF_TOKEN"]),
}


@pytest.mark.parametrize("words", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["submit", "dry run"])
def test_a_token_that_would_be_written_down_is_refused_before_anything_is(
    submit, slurm, tmp_path, words, more
):
    status, printed = submit("train", "--stage", "all", *words, *more)
    assert status == 2, printed
    assert "holds " in printed
    assert "environment" in printed
    assert (slurm.lines("calls"), found_below(tmp_path / "runs")) == ([], set())


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_recipe_with_a_token_is_refused(submit, slurm, tmp_path, command):
    data = {
        "reader": "jsonl",
        "path": f"https://{TOKENS['HF_TOKEN']}@a.org/b",
        "languages": ["sw"],
        "max_source": 8,
        "max_target": 8,
    }
    recipe = empty_recipe(tmp_path, data=data)
    words = ("--stage", "1") if command == "train" else ("--benchmark", "mgsm")
    status, printed = submit(command, *words, recipe=recipe)
    assert (status, "the value of $HF_TOKEN" in printed) == (2, True), printed
    assert (slurm.lines("calls"), found_below(tmp_path / "runs")) == ([], set())


@pytest.mark.parametrize("key", ["title", "label", "override"])
def test_a_grid_with_a_token_is_refused(submit, slurm, tmp_path, key):
    token = TOKENS["HF_TOKEN"]
    odd = {token if key == "label" else "A": {"training.init": token} if key == "override" else None}
    more = {"title": token} if key == "title" else {}
    path = write_grid(tmp_path, {**odd, "B": {"training.lr": 2e-3}}, **more)
    status, printed = submit("ablate", "--grid", path)
    assert status == 2, printed
    assert "$HF_TOKEN" in printed
    assert (slurm.lines("calls"), found_below(tmp_path / "runs")) == ([], set())


def test_code_with_a_token_is_not_archived(submit, slurm, tmp_path, monkeypatch):
    from cluster.run import snapshot

    (tmp_path / "checkout" / "jobs" / "recipes").mkdir(parents=True)
    (tmp_path / "checkout" / "jobs" / "recipes" / "mine.yaml").write_text(
        f"# {TOKENS['HF_TOKEN']}\nname: mine\n"
    )
    files = snapshot.sources(tmp_path / "checkout")
    monkeypatch.setattr(snapshot, "sources", lambda root: files)
    status, printed = submit("train", "--stage", "1")
    assert status == 2
    assert "jobs/recipes/mine.yaml holds the value of $HF_TOKEN" in printed
    assert (slurm.lines("calls"), found_below(tmp_path / "runs")) == ([], set())


def test_what_an_error_says_is_cleared_of_tokens_wherever_it_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKENS["HF_TOKEN"])
    run = RunFolder.at(tmp_path, "a", 1, "00000001")
    run.create({"name": "a"})
    run.event("stopped", reason=f"401 for https://me:{TOKENS['HF_TOKEN']}@a.org", step=3)
    run.fail(f"401 Client Error for {TOKENS['HF_TOKEN']}\ngive another")
    assert not found_below(tmp_path)
    assert "401 Client Error for [hidden]" in run.reason()
    for kind, raised in ((ClusterError, ClusterError), (KeyError, JobFailed)):

        def work(kind=kind):
            raise kind(f"401 for {TOKENS['HF_TOKEN']}")

        with pytest.raises(raised) as caught, job_call.cleared():
            work()
        assert TOKENS["HF_TOKEN"] not in str(caught.value)
        assert "401 for [hidden]" in str(caught.value)
        assert caught.value.__suppress_context__
    with pytest.raises(KeyError, match="plain"), job_call.cleared():
        raise KeyError("plain")


@pytest.mark.parametrize("opened", ["runs", "run", "slurm"])
@pytest.mark.parametrize("command", ["train", "dry run", "here"])
def test_a_folder_that_others_write_takes_no_job(submit, slurm, tmp_path, capsys, opened, command):
    assert submit("train", "--stage", "1")[0] == 0
    (run,) = all_runs(tmp_path / "runs")
    slurm.set("queue", "")
    place = {"runs": tmp_path / "runs", "run": run.path, "slurm": run.slurm}[opened]
    place.chmod(0o777)
    words = ("--dry-run",) if command == "dry run" else ()
    where = {"cluster": ("--cluster", "local")} if command == "here" else {}
    status, printed = submit("train", "--stage", "1", *words, **where)
    assert status == 2, printed
    assert f"{place} can be written by others (mode 0777)" in printed
    assert f"chmod go-w {place}" in printed
    assert len(slurm.lines("calls")) == 1
    with pytest.raises(ClusterError, match="can be written by others"):
        run.new_job_folder()


USERS = (54321, 54322)
GROUP = 54330
INSIDE = """
inner=$1 uid=$2; shift 2
mount --bind "$inner" "$0" && mount -t tmpfs -o mode=755 none "${inner%/*}" && mkdir "$inner" &&
  mount --move "$0" "$inner" || exit 77
exec setpriv --reuid "$uid" --regid 54330 --clear-groups --inh-caps=-all "$@"
"""
"""Makes Python reachable for others where it is installed in a private home."""


@pytest.fixture
def users(tmp_path_factory):
    """Run commands as one of two users of a group; gives status and what was printed."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can be somebody else, with setpriv")
    base = Path("/tmp", f"layalign-users-{os.getpid()}")
    base.mkdir(mode=0o755)
    base.chmod(0o755)
    (base / "python").mkdir()
    for uid in USERS:
        (base / str(uid)).mkdir()
        os.chown(base / str(uid), uid, GROUP)

    def go(uid, *words, cwd=None):
        environ = {"PATH": os.environ["PATH"], "HOME": str(base / str(uid)), "OMP_NUM_THREADS": "1"}
        environ |= {"LAYALIGN_CACHE": str(base / str(uid) / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        python = [sys.executable, str(front_door.ROOT / "launch.py"), *map(str, words)]
        home, inner = Path(os.path.realpath(sys.executable)).parents[-2:-4:-1]
        plain = ["setpriv", "--reuid", str(uid), "--regid", str(GROUP), "--clear-groups", "--inh-caps=-all"]
        inside = ["unshare", "-m", "bash", "-c", INSIDE, str(base / "python"), str(inner), str(uid)]
        reachable = home.stat().st_mode & stat.S_IXOTH
        ran = subprocess.run(
            [*(plain if reachable else inside), *python],
            cwd=base / str(uid),
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            umask=0o022,
        )
        if ran.returncode == 77 or "Permission denied: '" + sys.executable in ran.stderr:
            pytest.skip("another user cannot be given this Python")
        return ran.returncode, ran.stdout + ran.stderr

    yield base, go
    shutil.rmtree(base)


def opened(world, base):
    """The tiny world where everybody can read it, and a recipe on it."""
    from tests.world import write_recipe

    shutil.copytree(world, base / "world")
    recipe = write_recipe(base / "world", base)
    subprocess.run(["chmod", "-R", "a+rX", base / "world", recipe], check=True)
    return recipe


def test_two_users_of_a_groups_folder_work_on_one_run_each_with_a_call_of_their_own(users, world):
    base, go = users
    recipe, runs = opened(world, base), base / "group"
    runs.mkdir()
    os.chown(runs, USERS[0], GROUP)
    runs.chmod(0o2770)
    train = ("train", "--stage", "1", "--recipe", recipe, "--runs", runs)
    status, printed = go(USERS[0], *train)
    assert status == 0, printed
    (run,) = all_runs(runs)
    assert modes_below(runs) == [{0o2770}, {0o660}]
    for words in (("status",), ("why", run.path.name), ("logs", run.path.name), train):
        status, printed = go(USERS[1], *words, *(() if words == train else ("--runs", runs)))
        assert (status, "Traceback" in printed) == (0, False), printed
    assert "already done" in printed
    with umask(SHARED), RunFolder(run.path).lease():
        holder = next(iter((run.path / "lease").glob("*.json")))
        os.chown(holder, USERS[0], GROUP)
        holder.write_text(holder.read_text())
        status, printed = go(USERS[1], *train, "--force")
        assert status == 2, printed
        assert "is being worked on by process" in printed
        assert len(printed.strip().splitlines()) == 1
    status, printed = go(USERS[1], *train, "--force")
    assert status == 0, printed
    pickles = {path.stat().st_uid for path in runs.rglob("*_submitted.pkl")}
    assert pickles == set(USERS), "each made their own"
    assert modes_below(runs) == [{0o2770}, {0o660}]


def test_a_private_folder_is_refused_in_one_line(users, world):
    base, go = users
    recipe, runs = opened(world, base), base / str(USERS[0]) / "runs"
    status, printed = go(USERS[0], "train", "--stage", "1", "--recipe", recipe, "--runs", runs)
    assert status == 0, printed
    (run,) = all_runs(runs)
    for words in (("status",), ("why", run.path.name), ("list", "runs"), ("clean",), ("results",)):
        status, printed = go(USERS[1], *words, "--runs", runs)
        assert status == 2, printed
        assert printed.startswith(f"error: {runs} is user {USERS[0]}'s and private (mode 0700)")
        assert len(printed.splitlines()) == 1
    runs.chmod(0o755)  # as an earlier version made it
    status, printed = go(USERS[1], "status", "--runs", runs)
    assert status == 0
    assert f"left out: {run.path} is user {USERS[0]}'s and private (mode 0700)" in printed
    status, printed = go(USERS[1], "train", "--stage", "1", "--recipe", recipe, "--runs", runs)
    assert status != 0
    assert "Traceback" not in printed


def test_what_others_have_written_is_shown_and_not_obeyed(tmp_path, monkeypatch, capsys):
    at_home(tmp_path, monkeypatch)
    odd = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\x9b1m\x08"
    run = RunFolder.at(tmp_path / "runs", "a", 1, "00000001")
    run.create({"name": "a"})
    log = run.slurm / "7_0_log.out"
    trace = (
        f'Traceback (most recent call last):\n  File "x.py", line 1, in f\nRuntimeError: bad {odd} thing\n'
    )
    log.write_text(f"hello {odd} world\n{trace}")
    run.start(kind="train", job="7", log=str(log), log_from=0, unit=0)
    run.event("started", job="7", log=str(log), log_from=0, unit=0, nodes="n1")
    run.fail(f"RuntimeError: bad {odd} thing\nmore {odd}", log=str(log))
    name = run.path.name
    for words in (["status"], ["why", name], ["logs", name], ["logs", name, "--errors"], ["list", "runs"]):
        assert front_door.main(words) == 0
        printed = capsys.readouterr()
        shown = printed.out + printed.err
        assert "red" in shown or words[0] == "list"
        assert not {letter for letter in shown if not letter.isprintable()} - {"\n", "\t"}, words
    run.failed.unlink()
    log.write_text("")
    assert front_door.main(["logs", f"no{odd}"]) == 2
    assert "\x1b" not in capsys.readouterr().err
