"""`python -m tests.chaos --seed S --count N [--case K]`: a campaign of faults, or one case of it again."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from cluster.profile.load import load_profile
from cluster.sandbox import sandbox as slurm
from cluster.sandbox.shape import shape_of
from layalign.mini import Settings
from layalign.mini import folder as folder_of
from tests.chaos.campaign import References, Result, fault_of, faults_on, run_case, summary
from tests.chaos.faults import lacking
from tests.slurm.conftest import Sandbox, new_root
from tests.world import start_builder

FAST = Path("/dev/shm")
"""Where a case needs no disk."""


def main() -> int:
    """Run it; the exit status tells whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="this one alone; its folder stays if something is wrong")
    parser.add_argument("--kind", action="append", default=[], help="only cases of this fault, or these")
    parser.add_argument("--on", choices=["local", "slurm"], default="local", help="local: this machine alone")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no case after so many")
    parser.add_argument("--at-once", type=int, default=1, help="so many cases at a time; in a queue one")
    args = parser.parse_args()
    if lack := lacking() or (args.on == "slurm" and slurm.missing()):
        parser.error(lack)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background ignores it, and so would a case
    for number in (signal.SIGTERM, signal.SIGHUP):  # what is mounted and started is taken away again
        signal.signal(number, lambda *_: sys.exit("stopped"))
    with _sandbox(args.on == "slurm") as sandbox:
        return _campaign(args, sandbox, parser)


def _campaign(args: argparse.Namespace, sandbox: Sandbox | None, parser: argparse.ArgumentParser) -> int:
    base = Path(tempfile.mkdtemp(prefix="layalign-chaos-", dir=FAST if FAST.is_dir() else None))
    base.chmod(0o755)
    print(f"seed {args.seed}, folder {base}", flush=True)
    faults, deadline = faults_on(sandbox), time.monotonic() + 60 * args.minutes
    if unknown := set(args.kind) - set(faults):
        parser.error(f"no fault on {args.on}: {', '.join(unknown)}; there are: {', '.join(sorted(faults))}")
    builder = start_builder(base / "world")
    assert builder.wait() == 0, builder.told
    world = folder_of(base / "world", Settings.tiny())
    references = References(base / "reference", world)
    results: list[Result] = []

    def one(number: int) -> Result | None:
        if time.monotonic() > deadline:
            return None
        return run_case(args.seed, number, base / f"case-{number}", world, references, sandbox)

    with ThreadPoolExecutor(1 if sandbox else args.at_once) as pool:
        running = [pool.submit(one, number) for number in _numbers(args, list(faults))]
        try:
            for last in filter(None, (done.result() for done in as_completed(running))):
                results.append(last)
                held = "; ".join(last.violations) or "held"
                print(f"{last.number} {last.fault}: {last.told}, {last.seconds:.0f} s: {held}", flush=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    print(summary(args.seed, results, faults))
    if all(not one.violations for one in results):
        shutil.rmtree(base, ignore_errors=True)
    return int(any(one.violations for one in results))


def _numbers(args: argparse.Namespace, faults: list[str]) -> list[int]:
    """Of the cases to run: `--count` in all, or of each kind that was asked for."""
    if args.case is not None:
        return [args.case]
    among = range(args.first, args.first + args.count * (len(faults) if args.kind else 1))
    return [number for number in among if not args.kind or fault_of(args.seed, number, faults) in args.kind]


@contextlib.contextmanager
def _sandbox(wanted: bool) -> Iterator[Sandbox | None]:
    if not wanted:
        yield None
        return
    root = new_root("chaos")
    slurm.up(root, shape_of(load_profile("sandbox")))
    try:
        yield Sandbox(root)
    finally:
        slurm.down(root)


if __name__ == "__main__":
    sys.exit(main())
