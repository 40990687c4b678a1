"""The first login on a cluster: whose accounts, the user's own profile, the doctor, and what to type next.

`envs/bootstrap` makes the launcher's environment and then runs this in it. Can be run again: it never rewrites what
stands in the user's file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.profile.load import SlurmProfile, detect, load_profile, slurm_only
from cluster.profile.profile_file import user_profile_path
from cluster.profile.schema import read_mapping
from cluster.provenance import ROOT
from cluster.site.doctor import examine
from cluster.site.live import user_accounts

HEAD = """\
# Your own part of the cluster profiles (cluster/profiles/*.yaml): whatever is named here replaces it.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Everything above; returns the exit status."""
    parser = argparse.ArgumentParser(prog="envs/bootstrap", allow_abbrev=False)
    parser.add_argument("--cluster", metavar="NAME", help="default: the cluster detected ($CC_CLUSTER)")
    parser.add_argument("--account", metavar="NAME", help="for those who have several")
    parser.add_argument("--index", action="store_true", help="packages come from the index")
    args = parser.parse_args(words)
    try:
        name = args.cluster or detect(os.environ)
        for line in first_login(name, args.account, os.environ):
            print(line)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def first_login(name: str, account: str | None, environ: Mapping[str, str]) -> list[str]:
    """Set a cluster up for the user.

    Raises:
        ClusterError: no such cluster, or an account that the user does not have.
    """
    profile = load_profile(name, (), environ)
    if not isinstance(profile, SlurmProfile):
        return [
            f"this machine is no known cluster: it runs as {name!r}",
            *_next(name, environ, "--recipe mini"),
        ]
    accounts = user_accounts()
    lines = [_account_line(accounts)]
    chosen = account or profile.account or (accounts[0] if accounts and len(accounts) == 1 else None)
    if account and accounts is not None and account not in accounts:
        raise ClusterError(f"{account} is no account of yours; you have {', '.join(accounts) or 'none'}")
    lines += add_profile(user_profile_path(environ), name, chosen, accounts or ())
    try:
        findings = examine(slurm_only(load_profile(name, (), environ)), environ, compute=False)
        lines += [finding.line(name) for finding in findings if finding.mark != "same"]
    except ClusterError as error:
        lines.append(f"doctor: {error}")
    return [*lines, "", *_next(name, environ, "--recipe math")]


def add_profile(path: Path, name: str, account: str | None, accounts: Sequence[str]) -> list[str]:
    """Add a cluster to the user's file unless it is there; never changes a line of it.

    Returns:
        What was done, or what the user has to write.
    """
    section = read_mapping(path).get(name) if path.exists() else None
    if section is not None:
        has = isinstance(section, dict) and section.get("account")
        if has or account is None:
            return [f"kept: {path} has a section {name}" + (f", account {has}" if has else "")]
        return [f"kept: {path} has a section {name} without an account; add to it: account: {account}"]
    if account:
        entry = f"{name}: {{account: {account}}}\n"
    elif accounts:
        entry = f"# {name}: {{account: {accounts[0]}}} # or {', '.join(accounts[1:])}\n"
    else:
        return []
    before = path.read_text(encoding="utf-8") if path.exists() else HEAD
    if entry not in before:
        path.parent.mkdir(parents=True, exist_ok=True)
        gap = "" if before.endswith("\n") else "\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(gap + entry if path.stat().st_size else before + entry)
    if account:
        return [f"wrote: {path}: account {account} on {name}"]
    return [f"you have several accounts: choose one in {path}, or repeat with --account NAME"]


def _account_line(accounts: Sequence[str] | None) -> str:
    if accounts is None:
        return "accounts: unknown, sacctmgr does not answer"
    return f"accounts: {', '.join(accounts) or 'none: ask your supervisor to add you to one'}"


def _next(name: str, environ: Mapping[str, str], recipe: str) -> list[str]:
    launcher = environ.get("LAYALIGN_LAUNCHER") or sys.prefix
    steps = [f"cd {ROOT} && . {launcher}/bin/activate"]
    if name != "local":
        steps += [
            f"python launch.py env --cluster {name} --build",
            f"python launch.py prefetch --cluster {name} {recipe}",
        ]
    steps.append(f"python launch.py train --cluster {name} {recipe} --stage all --dry-run")
    return ["next:", *(f"  {step}" for step in steps)]


if __name__ == "__main__":
    sys.exit(main())
