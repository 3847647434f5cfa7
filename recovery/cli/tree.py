"""The commands of `recovery.cli.commands` as help, completion and a shell see them: nouns with verbs, and aliases.

A module is imported when one of its commands runs, because the libraries for SSH, S3 and Docker take half a second to load.
"""

import gc
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer._click.shell_completion import CompletionItem
from typer.core import TyperCommand, TyperGroup

from recovery.cli.commands import ALIASES, COMMANDS, NOUNS

BEFORE: Mapping[str, bool] = {"--stack": True, "-s": True, "--config-file": True, "--json": False}
"""The options that may also stand before a command, and whether a value follows."""


class Commands(TyperGroup):
    """The commands whose names begin with the words of ``noun``: without it, all. They are listed without their modules."""

    def __init__(self, *, noun: str = "", **given: Any) -> None:
        super().__init__(**given)
        self.registered = self.commands
        """The commands of the modules that are loaded, by their whole name."""
        self._noun = f"{noun} " if noun else ""
        self.commands = {
            path.removeprefix(self._noun): TyperCommand(
                path.removeprefix(self._noun),
                help=listed.summary,
                rich_help_panel=None if noun else listed.section,
            )
            for path, listed in COMMANDS.items()
            if path.startswith(self._noun)
        }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the options of `BEFORE` that stand before the command to right behind it. `help` is the option of that name."""
        given, rest = _leading(args)
        if rest[:1] == ["help"]:
            rest = [*rest[1:], "--help"]
        return super().parse_args(ctx, [*rest[:1], *given, *rest[1:]] if rest and not rest[0].startswith("-") else rest)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command as it runs, under its own name. Raises: UsageError, with what may be meant."""
        word, *rest = args
        path, *options = ALIASES.get(self._noun + word, self._noun + word).split(" --")
        rest = [*(f"--{option}" for option in options), *rest]
        if path in NOUNS:
            return word, Commands(noun=path, name=word, help=NOUNS[path], no_args_is_help=True), rest
        if path in COMMANDS:
            return path.removeprefix(self._noun), loaded(path), rest
        if not ctx.resilient_parsing:
            ctx.fail(f"No such command {word!r}. {self._meant(word)}".strip())
        return None, None, rest

    def shell_complete(self, ctx: Any, incomplete: str) -> list[CompletionItem]:
        """The next words that a command may have, and the options."""
        words = {
            word: NOUNS.get(word) or listed.help for name, listed in self.commands.items() for word in name.split()[:1]
        }
        found = [CompletionItem(word, help=text) for word, text in words.items() if word.startswith(incomplete)]
        return [*found, *super(TyperGroup, self).shell_complete(ctx, incomplete)]

    def _meant(self, word: str) -> str:
        """What an unknown word may mean; empty if nothing is near."""
        names = [*self.commands, *(name.removeprefix(self._noun) for name in ALIASES if name.startswith(self._noun))]
        verbs = [name for name in self.commands if name.endswith(f" {word}")]
        near = verbs or get_close_matches(word, [*names, *NOUNS], cutoff=0.6)
        return f"Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _leading(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of `BEFORE` at the start, with their values, and the rest."""
    end = 0
    while end < len(args) and (name := args[end].partition("=")[0]) in BEFORE:
        end += 2 if BEFORE[name] and "=" not in args[end] else 1
    return list(args[:end]), list(args[end:])


def loaded(path: str) -> Any:
    """The command of that name: importing its module adds it to the application."""
    app: typer.Typer = import_module(f"recovery.cli.{COMMANDS[path].module}").app
    if not gc.isenabled():
        gc.freeze()  # what is loaded stays; from here on there may be garbage
        gc.enable()
    group = typer.main.get_group(app)
    assert isinstance(group, Commands)
    return group.registered[path]
