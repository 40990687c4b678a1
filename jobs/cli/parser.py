"""What is typed becomes a namespace, or two lines that say what is wrong with it: argparse alone, for speed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cluster.errors import FAILED, INTERRUPTED, MISTAKE
from jobs.cli.command_table import COMMANDS, GROUPS

PROGRAM = "python launch.py"
EXITS = {
    0: "done",
    FAILED: "a job that was started, or a check, has failed",
    MISTAKE: "nothing was begun: what was asked for is wrong, or something stands in its way",
    INTERRUPTED: "interrupted; the same command goes on",
}
"""Exit statuses of every command."""
DASHED = re.compile(r"-\d.*")
"""A value that begins with a minus: `-3h`."""


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are what happened, the nearest or the rule, and the next step; no usage."""

    def error(self, message: str) -> NoReturn:
        """Tell a mistake in two lines, and leave."""
        needs = "the following arguments are required: "
        command = self.prog.partition(" ")[2]
        told = message.removeprefix("argument ")
        if message.startswith(needs):
            told = f"{command} needs {message.removeprefix(needs)}"
        more = f"what {command} takes" if command else "all commands"
        self.exit(MISTAKE, f"error: {told}\n{more}: {' '.join([PROGRAM, *command.split(), '--help'])}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        near = _near(str(value), known)
        rule = f"it must be {', '.join(known[:-1])} or {known[-1]}"
        what = "/".join(action.option_strings) or action.metavar or action.dest
        self.error(f"{what} is {value!r}: " + (f"did you mean {near}?" if near else rule))

    def options(self) -> list[str]:
        """All options that it knows."""
        return list(self._option_string_actions)

    def actions(self) -> list[argparse.Action]:
        """All that it takes, in order."""
        return list(self._actions)

    def groups(self) -> dict[str, list[argparse.Action]]:
        """What it takes in groups; that without a title is what is general."""
        found: dict[str, list[argparse.Action]] = {}
        for group in self._action_groups:
            title = group.title if group not in (self._positionals, self._optionals) else ""
            ours = [
                one for one in group._group_actions if one.help != argparse.SUPPRESS and one.dest != "help"
            ]
            found.setdefault(title or "", []).extend(ours)
        return {title: actions for title, actions in found.items() if actions}

    def takes_value(self, option: str) -> bool:
        """Whether a value follows an option."""
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs in (None, "+")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Tell the first option that there is not, before what is missing or wrong beside it is told."""
        for word in words:
            if word == "--":
                return
            option = word.partition("=")[0]
            if (
                not option.startswith("-")
                or option == "-"
                or " " in word
                or DASHED.fullmatch(word)
                or option in self.options()
            ):
                continue
            if option.startswith("--") or option[:2] not in self.options():
                self.error(self._unknown(option))

    def _unknown(self, option: str) -> str:
        command = self.prog.partition(" ")[2]
        told = f"{command or 'launch.py'} has no option {option}"
        others = [name for name in COMMANDS if name != command and option in command_parser(name).options()]
        if others and not command:
            return f"{option} stands before the command; options stand after it"
        if others:
            return f"{told}; it is one of {', '.join(others)}"
        near = _near(option, self.options())
        return f"{told}; did you mean {near}?" if near else told


class Version(argparse.Action):
    """Print what this is, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print(version())
        parser.exit()


def version() -> str:
    """`layalign 0.1.0, commit 0123abcd4567`; the commit where it is known."""
    import tomllib

    from cluster.provenance import ROOT, commit_of

    told = tomllib.loads(Path(ROOT, "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commit, changed = commit_of()
    of = f", commit {commit[:12]}{' with changes' if changed else ''}" if commit else ""
    return f"{told['name']} {told['version']}{of}"


def front_parser() -> Parser:
    """The parser of what may stand before a command, with the help of all."""
    parser = Parser(
        prog="launch.py",
        usage=f"{PROGRAM} COMMAND ...",
        description=f"Train and evaluate LayAlign.\n\n{_overview()}",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=Version, nargs=0, help="tell version and commit, and leave")
    return parser


def command_parser(name: str) -> Parser:
    """The parser of what may follow a command."""
    command = COMMANDS[name]
    shown = "\n".join(f"  {PROGRAM} {name} {example}".rstrip() for example in command.examples)
    parser = Parser(
        prog=f"launch.py {name}",
        description=f"{command.help[0].upper()}{command.help[1:]}.",
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.options(parser)
    return parser


def parse(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The command, and what else was typed by the names of its options.

    Leaves (`SystemExit`) after a mistake, `--help` and `--version`.
    """
    if words[:1] == ["help"]:
        words = [*(word for word in words[1:2] if word != "help"), "--help"]
    name = words[0] if words else ""
    if name not in COMMANDS:
        _no_command(front_parser(), words)
    parser = command_parser(name)
    words = _joined(parser, words[1:])
    parser.refuse_unknown(words)
    found, further = parser.parse_known_args(words)
    if further:
        parser.error(f"{name} takes no further words: {' '.join(further)}")
    return name, vars(found)


def _no_command(parser: Parser, words: Sequence[str]) -> NoReturn:
    """Show help or version where that is asked for, else tell what is wrong."""
    parser.refuse_unknown(words[:1])
    typed = next((word for word in words if not word.startswith("-")), None)
    if words[:1] != [typed]:
        parser.parse_known_args(words[:1])
    if typed is None:
        parser.error("launch.py needs a command")
    near = _near(typed, COMMANDS)
    parser.error(f"there is no command {typed!r}" + (f"; did you mean {near}?" if near else ""))


def _joined(parser: Parser, words: Sequence[str]) -> list[str]:
    """The words with values that begin with a minus made part of their option, as `--time=-3h`: values have rules."""
    found: list[str] = []
    for word in words:
        if found and DASHED.fullmatch(word) and parser.takes_value(found[-1]):
            found[-1] = f"{found[-1]}={word}"
        else:
            found.append(word)
    return found


def _overview() -> str:
    """The commands in their groups, a line each."""
    width = max(map(len, COMMANDS)) + 2
    lines = list[str]()
    for group in GROUPS:
        lines += ["", f"{group}:"] if lines else [f"{group}:"]
        lines += [f"  {name:<{width}}{c.help}" for name, c in COMMANDS.items() if c.group == group]
    return "\n".join(lines)


def _epilog() -> str:
    exits = "\n".join(f"  {status:<5}{told}" for status, told in EXITS.items())
    return (
        f"exit status:\n{exits}\n\n"
        f"begin with:\n  {PROGRAM} demo\n  {PROGRAM} help train     (as: {PROGRAM} train --help)"
    )


def _near(word: str, known: Iterable[str]) -> str | None:
    """What is most like a word, if anything is."""
    import difflib  # only after a mistake

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)), None)
