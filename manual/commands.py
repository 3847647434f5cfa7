"""The page of every command with its arguments and options, made of the command line itself."""

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from manual.text import cell, sentence, table
from recovery.cli.commands import COMMANDS
from recovery.cli.tree import loaded

COMMON = 5
"""An option that so many commands have is explained once."""
HEAD = """# Options of every command

`python -m manual` writes this page from the command line. [Commands](../commands.md) has the overview by purpose.
"""


def page() -> str:
    """The page."""
    found = {path: loaded(path) for path in COMMANDS}
    counts = Counter(_sign(option) for command in found.values() for option in options(command))
    common = {sign for sign, count in counts.items() if count >= COMMON}
    lines = [HEAD, "## Options of many commands", ""]
    shown = {_sign(one): one for command in found.values() for one in options(command)}
    lines += table(_HEADINGS, (_row(shown[sign]) for sign in sorted(common)))
    for path, command in found.items():
        lines += ["", f"## requorum {path}", "", *_about(command), "", "```sh", usage(path, command)]
        lines += [*_examples(command), "```", *_parts(command, common)]
    return "\n".join(lines) + "\n"


def options(command: Any) -> Iterator[Any]:
    """The options of a command that help shows."""
    return (one for one in command.params if one.param_type_name == "option" and not one.hidden)


def arguments(command: Any) -> Iterator[Any]:
    """The arguments of a command."""
    return (one for one in command.params if one.param_type_name == "argument")


def usage(path: str, command: Any) -> str:
    """A command with its arguments, as a remark."""
    return " ".join(("# requorum", path, *map(_argument, arguments(command)), "[OPTIONS]"))


def _argument(argument: Any) -> str:
    name = argument.name.upper() + ("…" if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _about(command: Any) -> list[str]:
    """What the help says, a line a paragraph."""
    paragraphs = (command.help or "").replace("\b", "").split("\n\n")
    return "\n\n".join(sentence(cell(paragraph)) for paragraph in paragraphs).split("\n")


def _examples(command: Any) -> list[str]:
    return [line.strip() for line in (command.epilog or "").splitlines()[1:]]


_HEADINGS = ("option", "value", "default", "meaning")


def _parts(command: Any, common: set[tuple[str, str]]) -> Iterator[str]:
    """The tables of the arguments and of the options, and the names of the options that many commands have."""
    given = list(arguments(command))
    own = [one for one in options(command) if _sign(one) not in common]
    shared = [f"`{_sign(one)[0]}`" for one in options(command) if _sign(one) in common]
    if given:
        yield ""
        yield from table(("argument", "meaning"), ((f"`{_argument(one)}`", cell(one.help or "")) for one in given))
    if own:
        yield ""
        yield from table(_HEADINGS, map(_row, own))
    if shared:
        yield from ("", f"Also: {', '.join(sorted(shared))}")


def _sign(option: Any) -> tuple[str, str]:
    return ", ".join(sorted(option.opts, key=len, reverse=True)), option.help or ""


def _row(option: Any) -> Sequence[str]:
    name, about = _sign(option)
    variable = f" Environment: `{option.envvar}`." if option.envvar else ""
    off = f", `{', '.join(option.secondary_opts)}`" if option.secondary_opts else ""
    return f"`{name}`{off}", _value(option), _default(option), sentence(cell(about)) + variable


def _value(option: Any) -> str:
    """What stands behind an option."""
    kind = option.type_descriptor.annotation
    several = ", several times" if option.multiple else ""
    if option.is_flag:
        return ""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{one.value}`" for one in kind) + several
    return f"`{option.metavar or VALUES.get(kind, 'TEXT')}`{several}"


VALUES = {Path: "FILE", int: "NUMBER", float: "NUMBER"}


def _default(option: Any) -> str:
    default = option.default
    if option.required:
        return "required"
    if option.is_flag or default in (None, "", (), []) or callable(default):
        return ""
    return f"`{getattr(default, 'value', default)}`"
