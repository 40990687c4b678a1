"""Who may read and write what runs leave: the user alone, or, in a group's folder, the group.

The folder of all runs says which: a group's is setgid and writable for its group (`chgrp GROUP runs; chmod 2770 runs`).
Modes come from the umask alone, so that Slurm, submitit and libraries make no file wider than we do. A pickle is a
program: it is loaded only where nobody but this user can have written it, or who shares the folder on purpose.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from cluster.errors import ClusterError

PRIVATE, SHARED = 0o077, 0o007
"""Umasks: folders of mode 0700 and files of 0600; or 2770, as a setgid folder hands that bit on, and 0660."""


def is_shared(root: Path) -> bool:
    """Whether the folder of all runs is a group's; one that does not exist, or nobody may see, is not."""
    try:
        mode = os.stat(root).st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISGID and mode & stat.S_IWGRP)


def umask_of(root: Path) -> int:
    """The umask of whoever writes below the folder of all runs."""
    return SHARED if is_shared(root) else PRIVATE


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """Make files of these modes inside, whatever the user's shell is set to."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def check_readable(root: Path) -> None:
    """Refuse a folder that this user may not look into, where a search would only find nothing.

    Raises:
        ClusterError: whose it is, and its mode.
    """
    for place in (*reversed(root.parents), root):
        try:
            told = os.stat(place)
        except FileNotFoundError:
            return
        except OSError:
            continue  # what is above it was told, or it is no matter of rights
        if stat.S_ISDIR(told.st_mode) and not os.access(place, os.X_OK | (os.R_OK if place == root else 0)):
            raise ClusterError(
                f"{place} is {user_name(told.st_uid)}'s and private (mode {_mode(told)}): you may not look "
                "into it; ask its owner for a group's folder (chgrp GROUP, chmod 2770, before its first run), or name "
                "another with --runs FOLDER"
            )


def may_look_into(folder: Path) -> bool:
    """Whether this user may; a folder that another keeps private is named once, as it is left out of what is shown."""
    if os.access(folder, os.R_OK | os.X_OK):
        return True
    if folder not in _told:
        _told.add(folder)
        with contextlib.suppress(OSError):
            told = os.stat(folder)
            whose = f"{user_name(told.st_uid)}'s and private (mode {_mode(told)})"
            print(f"left out: {folder} is {whose}", file=sys.stderr, flush=True)
    return False


_told: set[Path] = set()


def check_writers(path: Path, root: Path) -> None:
    """Refuse (`ClusterError`) to load a pickle that another may have written; see `writers_obstacle`."""
    if obstacle := writers_obstacle(path, root):
        raise ClusterError(obstacle)


def writers_obstacle(path: Path, root: Path) -> str:
    """Who else may have written a pickle, or may replace it, and the command that ends that; empty if nobody.

    It is looked at, and each folder from there up to that of all runs.

    Args:
        path: of the pickle, or of the folder that is to take it; what does not exist yet is made by this user.
        root: folder of all runs.
    """
    shared, group, open_ones = is_shared(root), _trusted_group(root), list[Path]()
    for place in _places(path, root):
        try:
            told = os.stat(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if told.st_uid not in (0, os.getuid()) and not (shared and stat.S_ISDIR(told.st_mode)):
            return (
                f"{place} is {user_name(told.st_uid)}'s (mode {_mode(told)}), and a job's call is a pickle, which runs "
                "as you: it is only loaded from what is yours; take a folder of your own with --runs FOLDER, or one "
                "that a group shares: mkdir FOLDER; chgrp GROUP FOLDER; chmod 2770 FOLDER"
            )
        if told.st_mode & stat.S_IWOTH or (told.st_mode & stat.S_IWGRP and told.st_gid != group):
            open_ones.append(place)
    if not open_ones:
        return ""
    return (
        f"{open_ones[0]} can be written by others (mode {_mode(os.stat(open_ones[0]))}), and a job's call is a pickle: "
        f"who writes there runs programs as you; end that first: chmod {'o-w' if shared else 'go-w'} "
        f"{shlex.join(map(str, open_ones))}; then give the same command again. Where a file system "
        "knows no modes, name a folder elsewhere with --runs FOLDER"
    )


def shell_check(path: Path, root: Path) -> str:
    """The same rule as a line of a job's script, which is asked once more right before the pickle is loaded.

    Its file and its folders are there by then. What is the owner's of a group's folders is the group's business.
    """
    places = [place for place in _places(path, root) if place.exists()]
    group = _trusted_group(root) if any(place.stat().st_mode & stat.S_IWGRP for place in places) else None
    others = "-perm /002 -o -perm /020" + (f" ! -gid {group}" if group is not None else "")
    others += "" if is_shared(root) else ' -o ! -user "$UID" ! -user 0'
    words, file = shlex.join(map(str, _places(path, root))), shlex.quote(str(path))
    return (
        f"_o=$(find {words} -maxdepth 0 \\( {others} \\) -printf '%p can be written by others (mode %#m)\\n' -quit) "
        f'&& [ -z "$_o" ] && [ -O {file} ] || {{ echo "${{_o:-the call of this job belongs to another user}}, and a '
        "job's call is a pickle: who writes there runs programs as you; give the same command again, which tells how "
        'to end that" >&2; exit 1; }'
    )


def _places(path: Path, root: Path) -> list[Path]:
    """A pickle, and each folder from there up to that of all runs."""
    return [path, *(parent for parent in path.parents if parent.is_relative_to(root))]


def _trusted_group(root: Path) -> int | None:
    """The group that may write: the one that shares the folder of all runs, or this user's own; None is none."""
    return os.stat(root).st_gid if is_shared(root) else os.getgid() if _is_own_group(os.getgid()) else None


def _is_own_group(gid: int) -> bool:
    """Whether a group is the one that a user's account came with, by the same name and without others."""
    try:
        name, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name}


def _mode(told: os.stat_result) -> str:
    return f"0{stat.S_IMODE(told.st_mode):o}"


def user_name(uid: int) -> str:
    """Of a user; the number where nobody has it here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
