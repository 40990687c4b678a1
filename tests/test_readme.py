"""What README and pages show is run: each command, in order, with the words that a reader fills in."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.sandbox import sandbox as slurm
from jobs.cli import requests
from jobs.cli.command_table import COMMANDS
from jobs.cli.parse import request_of
from jobs.cli.parser import parse

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/FIRST_HOUR.md", "docs/GUIDE.md", "docs/YOUR_OWN.md", "docs/TROUBLE.md")
"""What a user reads, the README first."""
TEXT = {page: (ROOT / page).read_text() for page in PAGES}
RUN = "mini-layalign-s2"
TYPED = ("python ", "make ", ". ", "sh ", "git ", "mkdir ", "printf ", "eval ")
"""How the lines of a block begin that a reader types."""
PAST = ("CHANGELOG.md", "DECISIONS.md")
"""Pages that tell of commands as they were."""
ELSEWHERE = {
    "make test": "runs these very tests",
    "python launch.py demo --seeds 0 1 2": "three times `make demo`; tests/jobs/cli/test_demo.py",
    "python launch.py cancel RUN": "tests/jobs/test_damage.py: needs a Slurm",
    "git clone URL layalign && cd layalign": "needs a network",
    "sh envs/bootstrap": "tests/cluster/site/test_login.py, tests/envs",
    "python launch.py env --cluster narval --build": "tests/envs: needs a wheelhouse",
    "python launch.py doctor --write ours.yaml": "tests/slurm/test_own_cluster.py",
    "python launch.py doctor --write there.yaml": "tests/slurm/test_own_cluster.py",
    "python launch.py doctor --cluster there.yaml": "tests/slurm/test_own_cluster.py",
    "python launch.py sandbox up --like there.yaml": "tests/slurm/test_own_cluster.py",
}
"""What these tests do not run, and why or where it is."""
ANYWHERE = [
    (". .venv/bin/activate", 0, ""),
    ("python launch.py --help", 0, "usage"),
    ('eval "$(./launch.py completion bash)"', 0, ""),
    ("train --stage all --recipe math --dry-run", 2, "prefetch"),
    (
        "train --cluster narval --stage all --account def-prof --time 3h --hours 9 --dry-run",
        2,
        "3 units of 3 h",
    ),
    ("ablate --grid ablations.yaml --cluster narval --account def-prof", 2, "needs the data folder"),
    ("prefetch --grid encoders", 2, "could not be fetched"),
    ("prefetch --recipe math", 2, "could not be fetched"),
    ("doctor", 2, "has no Slurm"),
    ("env --cluster narval", 0, "LAYALIGN_MODULES"),
    ("train --stage all --recipe mini-merlin --dry-run", 0, "mini-merlin-merlin-s2"),
    ("ablate --grid mini-merlin --dry-run", 0, "MERLIN"),
    ("list", 0, "recipes"),
    ("list keys", 0, "training.lr"),
    ("list readers", 0, "jsonl"),
    ("list clusters", 0, "narval"),
]
"""Words after `launch.py`, or a whole line; exit status; something it prints: without models, data, network, Slurm."""
QUESTIONS = 'printf \'{"question": "Tatu na %s?", "answer": "%s", "language": "sw"}\\n\' 1 4 2 5'
YOUR_OWN = [
    ("init recipe ours.yaml --yes", 0, "wrote ours.yaml"),
    ("train --stage all --recipe ours.yaml --dry-run", 0, "stage 2 of ours"),
    (f"mkdir -p data; {QUESTIONS} > data/ours.jsonl", 0, ""),
    (
        "train --stage 2 --recipe ours.yaml --data data --dry-run -o training.init=none data.reader=jsonl "
        "data.path=ours.jsonl data.columns=[question,answer] data.languages=[sw] data.dev=0",
        0,
        "sw 2",
    ),
    (
        "mkdir -p data/tasks data/pairs; printf 'Habari\\nHabari\\nKwaheri\\n' > data/pairs/train.sw; "
        "printf 'Hello\\nHi\\nGoodbye\\n' > data/pairs/train.en",
        0,
        "",
    ),
    (
        "printf 'kind: training\\nabout: greetings\\nlicence: CC0\\ncounts: {sw: 3}\\n"
        "data: {reader: pairs, path: pairs, languages: [sw]}\\n' > data/tasks/pairs.yaml",
        0,
        "",
    ),
    ("data list --data data", 0, "greetings"),
    ("data check pairs --data data", 0, "sources repeat earlier ones: sw 1 of 3"),
    (
        "train --stage 1 --recipe ours.yaml --data data --dry-run -o data.set=pairs data.deduplicate=source "
        "data.dev=0",
        0,
        "sw 2, and 1 repeated and left out",
    ),
    ("list languages", 0, "am "),
    (
        "mkdir -p data/tasks; printf 'kind: languages\\nlanguages: {so: {name: Somali, nllb: som_Latn}}\\n' "
        "> data/tasks/somali.yaml",
        0,
        "",
    ),
    (
        "mkdir -p data/bitext; printf 'Laba\\nSaddex\\n' > data/bitext/train.so; "
        "printf 'Two\\nThree\\n' > data/bitext/train.en",
        0,
        "",
    ),
    ("list languages --task-pages data/tasks", 0, "Somali"),
    (
        "train --stage 1 --recipe ours.yaml --data data --dry-run -o data.reader=pairs data.path=bitext "
        "data.languages=[Somali] data.dev=0",
        0,
        "so 2",
    ),
    ("list models", 0, "qwen2"),
    (
        "train --stage all --recipe math --dry-run -o model.decoder=Qwen/Qwen2.5-0.5B",
        2,
        "model Qwen/Qwen2.5-0.5B",
    ),
    (
        "mkdir -p data/tasks; printf '%s\\n' 'kind: benchmark' 'languages: [so]' 'files: [\"{code}.jsonl\"]' "
        "'layout: jsonl' "
        "'columns: {question: q}' 'answer: {kind: choice, column: right, options: [options]}' "
        "'prompt: \"{question} A. {A} B. {B} C. {C} Answer:\"' > data/tasks/somali_qa.yaml",
        0,
        "",
    ),
    (
        'mkdir -p data/somali_qa; printf \'{"q": "Laba iyo laba?", "options": ["saddex", "afar", "shan"], '
        '"right": "%s"}\\n\' B afar > data/somali_qa/so.jsonl',
        0,
        "",
    ),
    (
        "evaluate --recipe ours.yaml --benchmark somali_qa --data data --dry-run -o model.method=llm",
        0,
        "somali_qa; at most",
    ),
    ("mkdir -p data/mgsm; printf 'Tatu na moja ni ngapi?\\t%s\\n' 4 4 > data/mgsm/mgsm_sw.tsv", 0, ""),
    (
        "evaluate --recipe ours.yaml --benchmark mgsm --languages sw --data data --dry-run -o model.method=llm",
        0,
        "mgsm; at most",
    ),
    ("init cluster there.yaml --yes", 0, "wrote there.yaml"),
    ("train --stage all --recipe ours.yaml --cluster there.yaml --dry-run", 0, "a100"),
]
"""One after another, in an empty folder."""
ON_ONE_MACHINE = [
    ("train --stage all --recipe mini", 0, "done: "),
    ("evaluate --run mini-layalign --benchmark mini", 0, "results: "),
    ("status", 0, "mini-layalign"),
    ("results", 0, "mini (strict)"),
    ("why RUN", 0, "mini-layalign"),
    ("logs RUN --errors", 0, "no process of "),
    ("efficiency", 0, "in all"),
    ("results RUN RUN --benchmark mgsm --rule official --out FOLDER", 2, "mgsm"),
    ("retry RUN --dry-run", 0, "already done"),
    ("clean", 0, "nothing"),
    ("keep --to FOLDER", 0, "copied and read back"),
    ("export RUN --to run.tar", 0, "run.tar"),
    ("import run.tar --runs FOLDER", 0, "mini-layalign-s2"),
]
ON_A_SANDBOX = [
    ("sandbox up", 0, "node1"),
    ("ablate --grid ablations --cluster sandbox --throttle 2 --yes", 0, "queued: job"),
    ("watch --grid mini-ablations", 0, "mini-ablations"),
    ("pipeline --recipe mini --cluster sandbox --yes", 0, "mini"),
    ("watch --grid mini-layalign", 0, "mini-layalign"),
    ("missing", 0, "mini-ablations"),
    ("missing --submit", 0, ""),
    ("cancel mini-ablations --cluster sandbox", 2, "add --yes"),
    ("retry --failed --more-mem", 0, ""),
    ("results mini-ablations", 0, "LayAlign"),
    ("results mini-layalign", 0, "mini-layalign"),
    ("sandbox down", 0, "removed"),
]
TRIED = [*ANYWHERE, *YOUR_OWN, *ON_ONE_MACHINE, *ON_A_SANDBOX]


def blocks(page: str, kind: str = "") -> list[str]:
    return [text for found, text in re.findall(r"```(\w*)\n(.*?)```", TEXT[page], re.DOTALL) if found == kind]


def commands(*pages: str) -> list[str]:
    """What a reader types: lines of the pages' blocks, without their comments, and `python launch.py ...` in a text."""
    found = []
    for page in pages or PAGES:
        lines = [re.split(r" {2,}#", line)[0].strip() for text in blocks(page) for line in text.splitlines()]
        found += [line for line in lines if line.startswith(TYPED)]
        prose = re.sub(r"```.*?```", "", TEXT[page], flags=re.DOTALL)
        found += [" ".join(text.split()) for text in re.findall(r"`(python launch\.py [^`]+)`", prose)]
    return list(dict.fromkeys(found))


def whole(words: str) -> str:
    """A line as it is typed."""
    return words if words.startswith(TYPED) else f"python launch.py {words}"


@functools.cache
def checkout(folder: Path) -> Path:
    """The checkout as a folder in which a line can write."""
    place = folder / "layalign"
    place.mkdir(exist_ok=True)
    for path in ROOT.iterdir():
        if (
            not path.name.startswith(".git")
            and path.name not in ("runs", "data")
            and not (place / path.name).exists()
        ):
            (place / path.name).symlink_to(path)
    return place


def shell(command: str, folder: Path) -> tuple[int, str]:
    """Run a line as it stands, in a checkout, with all that it writes in `folder`."""
    verb = next((word for word in command.split()[2:] if word.isalpha()), "")
    filled = {"RUN": RUN, "FOLDER": str(folder / f"{verb}-to")}
    for word, value in filled.items():
        command = re.sub(rf"\b{word}\b", value, command)
    command = command.replace("run.tar", str(folder / "run.tar")).replace(
        "/dev/shm/layalign-sandbox", sandbox(folder)
    )
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LAYALIGN_RUNS": str(folder / "runs"),
        "LAYALIGN_SANDBOX": sandbox(folder),
        "HF_HOME": str(folder / "hub"),
        "HF_ENDPOINT": "http://127.0.0.1:9",  # nothing is downloaded
    }
    ran = subprocess.run(
        ["bash", "-c", command], cwd=checkout(folder), env=environ, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


def sandbox(folder: Path) -> str:
    return f"/dev/shm/layalign-readme-{folder.name}"


def run_all(expected, folder: Path) -> None:
    for words, status, text in expected:
        got, printed = shell(whole(words), folder)
        assert (got, text in printed) == (status, True), f"{whole(words)}\n{printed}"


def test_every_command_of_the_pages_is_run_by_a_test():
    tried = {whole(words) for words, _, _ in TRIED} | set(ELSEWHERE) | {"make demo"}
    watched = {line for line in commands() if "squeue" in line}
    assert len(watched) == 1
    assert set(commands()) == tried | watched


def typed_anywhere(page: Path) -> list[str]:
    """Whatever a page says to type of ours, in a block or in a text, help of a command included."""
    text = page.read_text()
    lines = re.findall(r"^(python launch\.py [^\n]+)$", text, re.MULTILINE)
    found = [*lines, *re.findall(r"`(python launch\.py [^`]+)`", text)]
    return [" ".join(re.split(r" {2,}#|\\\n", line)[0].split()) for line in found]


OTHERS = [
    page
    for page in sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
    if str(page.relative_to(ROOT)) not in PAGES and page.name not in PAST
]
"""Pages whose commands are not all run."""


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.name)
def test_every_command_of_the_other_pages_can_be_typed(page):
    for line in typed_anywhere(page):
        words = shlex.split(re.sub(r" [<>] \S+", "", line))[2:]
        if any(word in ("--help", "--version", "COMMAND", "...", "help") for word in words):
            continue
        name, found = parse([{"N": "2", "NAME": "mini"}.get(word, word) for word in words])
        assert request_of(getattr(requests, COMMANDS[name].request), found), line


def test_what_is_shown_without_models_tells_what_is_missing(tmp_path):
    run_all(ANYWHERE, tmp_path)


def test_what_is_your_own_is_tried_in_the_order_of_the_page(tmp_path):
    lines = [whole(words) for words, _, _ in YOUR_OWN]
    assert [line for line in commands("docs/YOUR_OWN.md") if line in lines] == lines
    run_all(YOUR_OWN, tmp_path)


def test_the_readme_is_one_screen_that_begins_with_a_command():
    lines = TEXT["README.md"].splitlines()
    assert len(lines) <= 50
    assert next(at for at, line in enumerate(lines) if line.startswith("make demo")) < 30


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_pages_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([\w-]+))?\)", TEXT[page]):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        heads = (
            [line.lstrip("# ").lower() for line in path.read_text().splitlines() if line[:1] == "#"]
            if anchor
            else []
        )
        slugs = {re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads}
        assert not anchor or anchor in slugs, f"{target}#{anchor}"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_what_is_shown_for_one_machine_works(tmp_path):
    status, printed = shell("make demo", tmp_path)
    assert status == 0, printed
    assert "layalign" in printed
    run_all(ON_ONE_MACHINE, tmp_path)
    (bridge,) = (tmp_path / "runs").glob("mini-layalign-s2-*/bridge")
    (code,) = blocks("docs/FIRST_HOUR.md", "python")
    code = re.sub(r'"runs/mini-layalign-s2-\w+/bridge"', repr(str(bridge)), code)
    told, printed = shell(f"python -c {shlex.quote(code)}", tmp_path)
    assert told == 0, printed


@pytest.mark.slow
@pytest.mark.slurm
@pytest.mark.timeout(1500)
def test_what_is_shown_for_a_sandbox_works(tmp_path):
    lacking = slurm.missing()
    if lacking:
        pytest.skip(f"no Slurm to test on: {lacking}")
    watched = next(line for line in commands() if "squeue" in line)
    try:
        run_all(ON_A_SANDBOX[:-3], tmp_path)
        assert "mini" in shell(watched, tmp_path)[1]
        wait_until_idle(watched, tmp_path)
        run_all(ON_A_SANDBOX[-3:], tmp_path)
    finally:
        shell("python launch.py sandbox down", tmp_path)


def wait_until_idle(watched: str, folder: Path) -> None:
    shell(f'{watched.partition(";")[0]}; until [ -z "$(squeue -h)" ]; do sleep 1; done', folder)
