"""What the commands of the front door may be told: argparse alone, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

KINDS = ("recipes", "grids", "models", "readers", "benchmarks", "languages", "clusters", "keys", "runs")
"""Of what there is."""
INIT = ("recipe", "grid", "cluster")
"""Files that can be begun."""
DATA = ("list", "show", "check", "fetch", "translate")
"""What is done with pages of data."""
PROMPTS = ("math", "translation", "source")
"""What an LLM reads of a question: `layalign.config.DataConfig.prompt`."""
SHELLS = ("bash", "zsh", "fish")
SLURM = "Slurm"
"""Title of a group of options."""
SHORT = {
    "tasks": ("N", "processes; short for -o cluster.tasks=N"),
    "account": ("NAME", "whom to charge; short for -o cluster.account=NAME, as are the next ones"),
    "time": ("TIME", "of one unit: 3h, 12:00:00, 1-12:00:00, or minutes"),
    "nodes": ("N", "nodes to spread the GPUs over (default: as few as hold them)"),
    "gpus": ("N", "GPUs in all (default: the recipe's)"),
    "gpu": ("WORD", "model or slice: a100, h100, ..."),
    "mem": ("SIZE", "of a node: 64G"),
    "units": ("N", "jobs that share a run one after another, or auto"),
    "hours": (
        "HOURS",
        "estimate of one training (one stage of one run), all its units together: says how many",
    ),
    "outages": ("URL|FILE", "calendar (.ics) of planned outages"),
}
"""Options that are short for an override of the profile, `cluster.<option>`: their values and what they are for."""

INTERACTIVE = ("account", "time", "gpu", "mem")
"""Those of them that apply to a short job of one process."""


def _cluster_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster",
        metavar="NAME|PATH",
        help="where to run: a name, or a YAML file (default: the cluster detected, else local)",
    )
    parser.add_argument(
        "-o",
        "--override",
        dest="overrides",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe (training.lr=1e-4, stages.1.training.lr=1e-4) or the profile (cluster.tasks=2)",
    )


def _pages_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task-pages",
        metavar="FOLDER",
        help="pages of languages and benchmarks of your own (default: $LAYALIGN_TASKS, or tasks in the data folder)",
    )


def _recipe_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", metavar="NAME|PATH", help="math, mini, or a YAML file (default: math)")


def _where_and_how(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    parser.add_argument("--data", metavar="FOLDER", help="data folder (default: $LAYALIGN_DATA)")
    _pages_option(parser)
    _runs_option(parser)
    slurm = _slurm(parser)
    for name, (value, text) in SHORT.items():
        slurm.add_argument(f"--{name}", metavar=value, help=text)
    parser.add_argument("--inline", action="store_true", help="run in this process")
    parser.add_argument("--yes", action="store_true", help="submit without asking")
    look = parser.add_mutually_exclusive_group()
    look.add_argument(
        "--dry-run",
        action="store_true",
        help="tell what would run and what stands in the way; start and write nothing",
    )
    look.add_argument("--test-only", action="store_true", help="ask Slurm whether and when it would start")
    parser.add_argument("--script", action="store_true", help="with --dry-run: also what sbatch gets")


def _slurm(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The options about a job in a queue, apart from the others."""
    told = "what a job asks for; defaults are the cluster's profile and the recipe"
    known = (group for group in parser._action_groups if group.title == SLURM)
    return next(known, None) or parser.add_argument_group(SLURM, told)


def _common(parser: argparse.ArgumentParser) -> None:
    _where_and_how(parser)
    _recipe_option(parser)
    parser.add_argument(
        "--name", metavar="N", help="name of the run (default: the recipe's and its method's)"
    )


def train_options(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument(
        "--stage",
        required=True,
        metavar="N|all",
        help="number of a stage of the recipe (as a rule 1 translation, 2 task), or all",
    )
    parser.add_argument("--force", action="store_true", help="make it anew; the old folder is moved aside")
    _slurm(parser).add_argument(
        "--race",
        metavar="KEY=A,B",
        help="ask for several GPU types or accounts at once; the first has the run",
    )


def evaluate_options(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--run", metavar="NAME", help="run to evaluate: its name, folder or signature")
    parser.add_argument(
        "--benchmark",
        dest="benchmarks",
        type=_commas,
        metavar="A,B",
        help="their names, as `list benchmarks` has them (default: the recipe's)",
    )
    parser.add_argument("--languages", type=_commas, metavar="A,B", help="names or codes (default: all)")
    parser.add_argument("--limit", type=_items, metavar="N", help="first items of each language only")


def generate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "questions",
        nargs="*",
        metavar="QUESTION",
        help="what to ask (default: a line each of the standard input)",
    )
    parser.add_argument(
        "--run", metavar="NAME", required=True, help="run to ask: its name, folder or signature"
    )
    parser.add_argument("--file", type=_path, metavar="FILE", help="questions, one a line")
    parser.add_argument("--language", metavar="NAME", help="of the questions: name or code")
    parser.add_argument(
        "--prompt", choices=PROMPTS, help="what the LLM reads of a question (default: the recipe's)"
    )
    _cluster_options(parser)
    _runs_option(parser)
    slurm = _slurm(parser)
    for name in INTERACTIVE:
        value, text = SHORT[name]
        slurm.add_argument(f"--{name}", metavar=value, help=text)
    parser.add_argument("--dry-run", action="store_true", help="tell what stands in the way; ask nothing")
    parser.add_argument(
        "--json-lines", action="store_true", help="a JSON object a line: question, answer, how it ended"
    )


def demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=_count, nargs="+", metavar="N", help="seeds (default: 0)")
    _runs_option(parser)


def prefetch_options(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    _recipe_option(parser)
    _pages_option(parser)
    parser.add_argument("--grid", metavar="NAME|PATH", help="all that the points of a grid need")
    parser.add_argument(
        "--update", action="store_true", help="move on from the commits that were fetched before"
    )


def env_options(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    parser.add_argument("--build", action="store_true", help="build it; on a login node")


def doctor_options(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    parser.add_argument("--compute", action="store_true", help="also run a one-minute job")
    parser.add_argument(
        "--write", type=_path, metavar="FILE", help="write a profile of the Slurm here, for --cluster FILE"
    )
    _json(parser)


def sandbox_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("up", "down", "status"), metavar="up|down|status")
    parser.add_argument("--like", metavar="NAME|PATH", help="cluster to imitate (default: sandbox)")
    parser.add_argument("--nodes", type=_items, metavar="N", help="nodes of each kind (default: 4)")
    parser.add_argument(
        "--no-accounting", action="store_true", help="without accounts, limits, QOS and sacct"
    )
    parser.add_argument(
        "--warn-preempted", action="store_true", help="preempted jobs get the signal of their --signal"
    )


def _commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _items(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is no number of items: it must be a whole number, at least 1"
        )
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} must be a whole number, at least 0")
    return int(text)


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text)).absolute()


def _runs_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", metavar="FOLDER", help="folder of all runs (default: $LAYALIGN_RUNS or ./runs)"
    )


def _names(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help=what)
    _runs_option(parser)


def _array_options(parser: argparse.ArgumentParser) -> None:
    _where_and_how(parser)
    slurm = _slurm(parser)
    slurm.add_argument("--throttle", type=_items, metavar="N", help="jobs of the grid that may run at once")
    slurm.add_argument("--slots", type=_items, metavar="N", help="jobs that share the cells of one kind")
    slurm.add_argument("--answer-gpu", metavar="WORD", help="GPU or slice that answers (default: as --gpu)")
    slurm.add_argument(
        "--per-gpu", type=_items, metavar="N", help="cells that are answered at once on one GPU"
    )


def ablate_options(parser: argparse.ArgumentParser) -> None:
    _array_options(parser)
    parser.add_argument(
        "--grid", metavar="NAME|PATH", required=True, help="a grid of jobs/grids, or a YAML file"
    )


def pipeline_options(parser: argparse.ArgumentParser) -> None:
    _array_options(parser)
    _recipe_option(parser)
    parser.add_argument("--name", metavar="N", help="name (default: the recipe's and its method's)")
    parser.add_argument(
        "--benchmark",
        dest="benchmarks",
        type=_commas,
        metavar="A,B",
        help="benchmarks (default: the recipe's)",
    )


def missing_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="grids (default: all)")
    _array_options(parser)
    parser.add_argument("--csv", metavar="FILE", help="write the list to a file")
    _json(parser)
    parser.add_argument("--submit", action="store_true", help="queue just what is missing")


def watch_options(parser: argparse.ArgumentParser) -> None:
    _names(parser, "runs, cells or grids, or parts of their names (default: all)")
    parser.add_argument(
        "--state", dest="states", type=_commas, metavar="A,B", help="only these states, e.g. running,failed"
    )
    parser.add_argument("--grid", metavar="NAME", help="only the cells of a grid")
    parser.add_argument("--svg", type=_path, metavar="FILE", help="write the board as a picture too")


def status_options(parser: argparse.ArgumentParser) -> None:
    watch_options(parser)
    value, told = SHORT["outages"]
    parser.add_argument("--outages", metavar=value, help=f"{told} (default: the profile's)")
    _json(parser)


def logs_options(parser: argparse.ArgumentParser) -> None:
    _name(parser, "a run, cell or grid")
    parser.add_argument("--follow", action="store_true", help="go on showing what is added")
    parser.add_argument("--rank", type=_count, metavar="R", help="process whose log it is (default: 0)")
    parser.add_argument(
        "--errors", action="store_true", help="the first traceback of the rank that failed first"
    )


class _Joined(argparse.Action):
    """A name of several words, as the board shows that of a cell: `math-layalign mgsm/sw-0`."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, " ".join(values))


def _name(parser: argparse.ArgumentParser, what: str) -> None:
    told = f"{what}: name, folder, signature, or the beginning of one"
    parser.add_argument("name", nargs="+", action=_Joined, metavar="NAME", help=told)
    _runs_option(parser)


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object (docs/COMMANDS.md)")


def why_options(parser: argparse.ArgumentParser) -> None:
    _name(parser, "a run, cell or grid")
    _json(parser)


def efficiency_options(parser: argparse.ArgumentParser) -> None:
    _names(parser, "runs or grids (default: all)")
    _json(parser)


def cancel_options(parser: argparse.ArgumentParser) -> None:
    _names(parser, "runs or grids")
    _cluster_options(parser)
    parser.add_argument("--yes", action="store_true", help="cancel without asking")


def retry_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="runs, cells or grids")
    _array_options(parser)
    parser.add_argument("--failed", action="store_true", help="everything that has stopped and may go on")
    parser.add_argument("--more-mem", action="store_true", help="ask for half as much memory again")


def clean_options(parser: argparse.ArgumentParser) -> None:
    _names(parser, "runs or grids (default: all)")
    parser.add_argument("--yes", action="store_true", help="delete what is shown without asking")


def keep_options(parser: argparse.ArgumentParser) -> None:
    _names(parser, "runs or grids (default: all that are done)")
    _cluster_options(parser)
    parser.add_argument(
        "--to", type=_path, metavar="FOLDER", help="where (default: the cluster's project storage)"
    )


def export_options(parser: argparse.ArgumentParser) -> None:
    _name(parser, "a run or grid")
    parser.add_argument(
        "--to", type=_path, metavar="FILE", help="archive to write (default: RUN.tar in this folder)"
    )
    parser.add_argument("--checkpoints", action="store_true", help="with all that is needed to train on")


def push_options(parser: argparse.ArgumentParser) -> None:
    _name(parser, "a run")
    parser.add_argument("--to", metavar="ORG/NAME", required=True, help="repository of the Hugging Face hub")
    parser.add_argument("--public", action="store_true", help="one that is made may be seen by all")
    parser.add_argument("--yes", action="store_true", help="send it; without, what would be sent is shown")


def import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=_path, metavar="FILE", help="what export has written")
    _runs_option(parser)


def results_options(parser: argparse.ArgumentParser) -> None:
    _names(parser, "grids or runs (default: all runs that have answers)")
    parser.add_argument(
        "--benchmark", dest="benchmarks", type=_commas, metavar="A,B", help="only these benchmarks"
    )
    parser.add_argument("--rule", choices=("strict", "official", "likelihood"), help="how answers are read")
    parser.add_argument(
        "--published", action="store_true", help="also AfroBench's rows of AfriMGSM, AfriXNLI and AfriMMLU"
    )
    parser.add_argument(
        "--rev2",
        nargs="?",
        const="",
        metavar="FILE",
        help="mgsm also without the questions of replaced_questions.json (default: mgsm_rev2/ of $LAYALIGN_DATA)",
    )
    parser.add_argument(
        "--out", type=_path, metavar="FOLDER", help="where to write CSV, Markdown, LaTeX and HTML"
    )
    _pages_option(parser)
    _json(parser)


def init_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=INIT, metavar="KIND", help=", ".join(INIT))
    parser.add_argument(
        "path",
        nargs="?",
        type=_path,
        metavar="PATH",
        help="file to write (default: KIND.yaml in this folder)",
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing: take the defaults")


def list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    _pages_option(parser)
    _runs_option(parser)
    _json(parser)


def data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=DATA, metavar="ACTION", help=", ".join(DATA))
    parser.add_argument("name", nargs="?", metavar="NAME", help="a page of data, as `data list` has them")
    _cluster_options(parser)
    parser.add_argument("--data", metavar="FOLDER", help="data folder (default: $LAYALIGN_DATA)")
    _pages_option(parser)
    parser.add_argument(
        "--recipe", metavar="NAME|PATH", help="check: what a recipe reads, in tokens of its models"
    )
    parser.add_argument("--stage", metavar="N|all", help="check: of one stage alone (default: all)")
    parser.add_argument(
        "--against",
        type=_commas,
        metavar="A,B",
        help="check: benchmarks whose questions are looked for (default: all whose files are there)",
    )
    parser.add_argument("--update", action="store_true", help="fetch: move on from the commit fetched before")
    _json(parser)
    group = parser.add_argument_group("translate", "questions of an English page into other languages")
    group.add_argument("--to", type=_commas, metavar="A,B", help="names or codes of the languages")
    group.add_argument(
        "--model", metavar="NAME|PATH", help="what translates (default: facebook/nllb-200-3.3B)"
    )
    group.add_argument(
        "--out", type=_path, metavar="FILE", help="file to write, in the layout of reader math"
    )
    group.add_argument("--limit", type=_items, metavar="N", help="first questions only")
    group.add_argument("--beams", type=_items, metavar="N", help="of the search (default: 1, greedy)")
    group.add_argument("--slots", type=_items, metavar="N", help="jobs that share the work (default: 1)")
    group.add_argument(
        "--runs", metavar="FOLDER", help="folder of all runs (default: $LAYALIGN_RUNS or ./runs)"
    )
    group.add_argument("--dry-run", action="store_true", help="tell what would run; start and write nothing")
    group.add_argument("--yes", action="store_true", help="submit without asking")


def completion_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
