"""Commands of Slurm that do what a real one cannot be made to do: lose an answer, refuse, be silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.run.lease import Holder

SBATCH = r"""
echo "$*" >> calls
env > environ
[ "$1" = --test-only ] && { echo "sbatch: Job 7 to start at noon" >&2; exit 0; }
for word; do script=$word; done
cp "$script" seen.sh
[ -f slow ] && { echo $$ > flying; sleep "$(cat slow)"; }
case $(cat mode 2> /dev/null) in
  refuse) echo "sbatch: error: Batch job submission failed: Invalid qos specification" >&2; exit 1 ;;
  banner-and-refuse) echo "Quota: 80 % of 5000 used"
    echo "sbatch: error: Batch job submission failed: Invalid qos specification" >&2; exit 1 ;;
  accept-and-forget) cat printed; exit 0 ;;
  lose) echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1 ;;
esac
id=$((7 + $(grep -vc -e --test-only calls) - 1))
[ "$(cat mode 2> /dev/null)" = accept-and-vanish ] && { echo "$id;cluster"; exit 0; }
printf '%s\t%s\tPENDING\tPriority\tname\t%s\tN/A\n' $id $id "$script" >> queue
[ "$(cat mode 2> /dev/null)" = accept-and-lose ] && {
  echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1; }
[ -f printed ] && { sed "s/ID/$id/" printed; exit $(cat status 2> /dev/null || echo 0); }
echo "$id;cluster"
"""
SQUEUE = r"""
echo "squeue $*" >> asked
[ -f silent ] && { echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1; }
[ -f unknown ] && { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }
printf 'JOBID\tARRAY_JOB_ID\tSTATE\tREASON\tNAME\tCOMMAND\tSTART_TIME\n'
jobs=$(sed -n 's/.*--jobs=\([0-9_,]*\).*/\1/p' <<< "$*")
[ -f queue ] && awk -F'\t' -v jobs=",$jobs," -v states="$SQUEUE_STATES" '
  states != "" && $3 != states { next }
  jobs == ",," || index(jobs, "," $2 ",") || index(jobs, "," $1 ",") || ($1 ~ /\[/ && index(jobs, "," $2 "_"))
' queue
exit 0
"""
SACCT = r"""
echo "sacct $*" >> asked
[ -f accounting ] || { echo "Slurm accounting storage is disabled" >&2; exit 1; }
cat accounting
"""


SCANCEL = r"""
for job; do
  echo "$job" >> cancelled
  [ -f queue ] && grep -v "^$job[^0-9]" queue > rest; mv rest queue 2> /dev/null
done
exit 0
"""


def holder(job: str, **facts: str) -> Holder:
    """Somebody elsewhere who holds a lease in a job."""
    return Holder("n1", 4711, 1, boot="b", namespace="n", since="2026-11-25T08:00:00+00:00", job=job, **facts)


class FakeSlurm:
    """What the commands are told, and what they remember, in files of a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def set(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def forget(self, name: str) -> None:
        (self.folder / name).unlink()


def write_commands(folder: Path) -> None:
    """Make the folder of the commands."""
    folder.mkdir()
    commands = {"sbatch": SBATCH, "squeue": SQUEUE, "sacct": SACCT, "scancel": SCANCEL}
    for name, body in commands.items():
        path = folder / name
        path.write_text(f'#!/bin/bash\ncd "{folder}"\n{body}')
        path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    folder = tmp_path / "slurm"
    write_commands(folder)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return FakeSlurm(folder)
