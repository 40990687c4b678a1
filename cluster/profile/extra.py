"""Further options of sbatch that a user may give, `-o 'cluster.extra=[--tmp=200G]'`, less those that break a job."""

from __future__ import annotations

import re

from cluster.errors import ClusterError
from cluster.profile.load import SlurmProfile

OWN = "it has a place of its own, or every script sets it"
BY_RULE = {
    "account array comment cpus-per-gpu cpus-per-task dependency error gpus gpus-per-node gpus-per-socket": OWN,
    "gpus-per-task gres job-name kill-on-invalid-dep mail-type mail-user mem mem-per-cpu mem-per-gpu": OWN,
    "no-requeue nodes ntasks ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output partition": OWN,
    "requeue signal time wckey": OWN,
    "export export-file get-user-env": "a job needs the environment that it is submitted in",
    "chdir input container": "a job begins beside its script, on the node itself",
    "clusters uid gid": "a job is looked for among yours on this cluster",
    "wait test-only parsable quiet verbose": "the launcher reads what sbatch answers",
    "wrap batch help usage version ignore-pbs": "the launcher submits a script of its own",
}
"""Options that cannot be given, and what they would break."""
RULES = {name: rule for names, rule in BY_RULE.items() for name in names.split()}


def extra_options(profile: SlurmProfile) -> tuple[str, ...]:
    """The further options of a profile.

    Raises:
        ClusterError: one that jobs or the launcher rely on, be it cut short, as sbatch allows, or with `_` for `-`, as
            submitit does; or something that is no option.
    """
    for option in profile.extra:
        word = re.fullmatch(r"--([A-Za-z][\w-]*)(=[^\x00-\x1f]*)?", option)
        name = word[1].replace("_", "-") if word else ""
        taken = next((known for known in RULES if known.startswith(name)), None) if word else None
        if word and not taken:
            continue
        what = f"--{taken}: {RULES[taken]}" if taken else "it is no option"
        raise ClusterError(
            f"extra {option!r}: {what}; further options of sbatch are written --name or --name=value, and are none of "
            f"those that have a place of their own or that jobs rely on ({', '.join(sorted(RULES))}): leave it out"
        )
    return profile.extra
