"""`python -m tests.chaos --seed S --count N [--case K]`: a campaign of faults, or one case of it again."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from layalign.mini import Settings
from layalign.mini import folder as folder_of
from tests.chaos.campaign import References, Result, fault_of, run_case, summary
from tests.chaos.faults import FAULTS
from tests.world import start_builder


def main() -> int:
    """Run it; the exit status tells whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="this one alone; its folder stays if something is wrong")
    parser.add_argument("--kind", choices=sorted(FAULTS), help="only cases of this fault")
    args = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="layalign-chaos-"))
    print(f"seed {args.seed}, folder {base}", flush=True)
    builder = start_builder(base / "world")
    assert builder.wait() == 0, builder.told
    world = folder_of(base / "world", Settings.tiny())
    references = References(base / "reference", world)
    numbers = [args.case] if args.case is not None else range(args.first, args.first + args.count)
    if args.kind:
        numbers = [
            number
            for number in range(args.first, args.first + args.count * len(FAULTS))
            if fault_of(args.seed, number) == args.kind
        ]
    results: list[Result] = []
    for number in numbers:
        results.append(run_case(args.seed, number, base / f"case-{number}", world, references))
        last = results[-1]
        print(f"{number} {last.fault}: {last.told}: {'; '.join(last.violations) or 'held'}", flush=True)
    print(summary(args.seed, results))
    return int(any(one.violations for one in results))


if __name__ == "__main__":
    sys.exit(main())
