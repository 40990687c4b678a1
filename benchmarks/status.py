"""What `status` costs on many runs: processor time and calls of the system, free of what else the machine does.

python -m benchmarks.status --out FOLDER [--runs 1000]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from pathlib import Path
from statistics import median


def main() -> None:
    """Make the runs unless they are there, then read the board some times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder for the runs")
    parser.add_argument("--runs", type=int, default=1000, help="how many")
    parser.add_argument("--times", type=int, default=7, help="readings")
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    args = parser.parse_args()
    if not args.out.exists():
        from tests.jobs.synthetic import make_runs

        make_runs(args.out, args.runs)
    from jobs.board.show import read_board
    from jobs.board.status import Wishes

    spent = []
    for _ in range(args.times):
        began = time.process_time()
        status = read_board(args.out, Wishes())
        spent.append(time.process_time() - began)
    print(f"{len(status.rows)} rows: {median(spent):.3f} s of processor time, {min(spent):.3f} at least")
    if args.profile:
        with cProfile.Profile(time.process_time) as profile:
            read_board(args.out, Wishes())
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
