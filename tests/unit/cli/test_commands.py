"""The commands by purpose: the table, the words that lead to a command, and the examples of each help."""

import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from recovery.cli import app, console
from recovery.cli.commands import ALIASES, COMMANDS, COPIES, DATA, LOOK, MEND, NOUNS, PIPELINES, RECOVER, SET_UP
from recovery.cli.tree import Commands, loaded
from tests.fake.cases import Case, Theatre
from tests.fake.wires import wired

RUN = CliRunner()
PROJECT = Path(__file__).resolve().parents[3]


def help_of(path: str) -> str:
    return RUN.invoke(app, [*path.split(), "--help"], env={"COLUMNS": "200"}).stdout


@pytest.mark.parametrize("path", COMMANDS)
def test_the_table_names_the_module_of_a_command_and_begins_its_help(path: str) -> None:
    command = loaded(path)
    assert command.callback.__module__ == f"recovery.cli.{COMMANDS[path].module}"
    assert " ".join((command.help or "").split()).startswith(COMMANDS[path].summary)
    assert COMMANDS[path].summary.endswith(".")


def test_every_command_is_in_the_table() -> None:
    for listed in COMMANDS.values():
        import_module(f"recovery.cli.{listed.module}")
    group = typer.main.get_group(app)
    assert isinstance(group, Commands)
    assert group.registered.keys() == COMMANDS.keys()


def test_help_lists_every_command_by_its_purpose() -> None:
    shown = help_of("")
    places = [shown.index(f" {section} ─") for section in (LOOK, COPIES, RECOVER, MEND, DATA, SET_UP, PIPELINES)]
    assert places == sorted(places)
    assert all(listed.summary in shown for listed in COMMANDS.values())
    assert {listed.section for listed in COMMANDS.values()} == {LOOK, COPIES, RECOVER, MEND, DATA, SET_UP, PIPELINES}


@pytest.mark.parametrize("noun", NOUNS)
def test_the_help_of_a_noun_lists_its_verbs(noun: str) -> None:
    shown = help_of(noun)
    for path, listed in COMMANDS.items():
        assert (listed.summary in shown) is path.startswith(f"{noun} ")


@pytest.mark.parametrize(("old", "new"), ALIASES.items())
def test_an_old_name_is_the_command_under_its_new_name(old: str, new: str) -> None:
    assert help_of(old) == help_of(new.split(" --")[0])
    assert old not in COMMANDS


def test_the_page_of_commands_has_every_command_and_every_old_name() -> None:
    page = (PROJECT / "docs" / "commands.md").read_text()
    assert [path for path in COMMANDS if f"| `requorum {path}" not in page] == []
    assert [old for old, new in ALIASES.items() if f"| `{old}` | `{new}`" not in page] == []


def test_h_is_help() -> None:
    for words in ([], ["copies"], ["copies", "verify"]):
        assert RUN.invoke(app, [*words, "-h"]).stdout == RUN.invoke(app, [*words, "--help"]).stdout


@pytest.mark.parametrize("words", [(), ("fence",), ("copies",), ("copies", "take")], ids=" ".join)
def test_the_word_help_is_help_too(words: tuple[str, ...]) -> None:
    asked = RUN.invoke(app, ["help", *words])
    assert asked.exit_code == 0
    assert asked.stdout == RUN.invoke(app, [*words, "--help"]).stdout


SLIPS = [("statsu", "'status'"), ("list", "'copies list' or 'data list'"), ("copy", "'copies'"), ("bakup", "'backup'")]


@pytest.mark.parametrize(("word", "meant"), SLIPS)
def test_a_slip_of_the_pen_is_understood(word: str, meant: str) -> None:
    found = RUN.invoke(app, [word])
    assert found.exit_code == 2
    assert f"Did you mean {meant}" in " ".join(found.stderr.replace("│", "").split())


PLACES = [
    ("--stack", "s", "--config-file", "f", "copies", "list"),
    ("--stack=s", "--config-file=f", "copies", "list"),
    ("copies", "-s", "s", "--config-file", "f", "list"),
    ("-s", "s", "copies", "list", "--config-file", "f"),
    ("copies", "list", "--stack", "s", "--config-file", "f"),
    ("--stack", "s", "backups", "--config-file", "f"),
]


@pytest.mark.parametrize("words", PLACES, ids=" ".join)
def test_the_stack_is_named_before_or_after_the_command(words: tuple[str, ...]) -> None:
    given = parsed(*words).params
    assert (given["stack"], str(given["config_file"])) == ("s", "f")


def test_an_option_before_a_command_does_not_hide_its_arguments() -> None:
    given = parsed("--json", "copies", "drill", "manager-a", "latest").params
    assert (given["as_json"], given["names"]) == (True, ["manager-a", "latest"])


def parsed(*words: str) -> Any:
    """The context of the command that those words name, with its options and arguments. Raises: UsageError."""
    command: Any = typer.main.get_group(app)
    context = command.make_context("requorum", list(words))
    while isinstance(command, Commands):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    return context


@pytest.mark.parametrize("stack", ["production", "requorum/production", "organization/requorum/production"])
def test_a_stack_of_an_organization_has_the_file_of_its_name(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUORUM_PROJECT", raising=False)
    assert console.stack_file(stack, None) == Path("stacks/Pulumi.production.yaml")


UNUSABLE = [
    ("copies take --cold --or-cold", "give only one of --cold and --or-cold"),
    ("doctor --yes", "--yes can only be given with --fix"),
    ("metrics --textfile f --listen 127.0.0.1:9820", "give only one of --textfile and --listen"),
    ("reports --html f --json", "give only one of --html and --json"),
    ("reports NAME --month 2026-01", "name a report, or give --month"),
    ("status --html f --json", "give only one of --html and --json"),
    ("status --every 9", "--every can only be given with --watch"),
]


@pytest.mark.parametrize(("words", "told"), UNUSABLE, ids=[words for words, _ in UNUSABLE])
def test_an_option_that_cannot_be_used_is_refused(words: str, told: str) -> None:
    done = RUN.invoke(app, words.split())
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", "").split())


def examples() -> Iterator[tuple[str, str]]:
    """Each example of each command's help, with the command's name."""
    for path in COMMANDS:
        heading, *lines = loaded(path).epilog.splitlines()
        assert heading == "Examples:"
        yield from ((path, line.strip()) for line in lines)


def words_of(example: str) -> list[str]:
    """What a shell gives to `requorum`."""
    program, *words = shlex.split(example.split("|")[-1].split(">")[0])
    assert program == "requorum"
    return words


def test_every_help_has_two_examples() -> None:
    found = [path for path, _ in examples()]
    assert [path for path in COMMANDS if found.count(path) < 2] == []
    assert all(example in help_of(path) for path, example in examples())


@pytest.mark.parametrize(("path", "example"), list(examples()))
def test_an_example_is_understood(path: str, example: str) -> None:
    found = parsed(*words_of(example))
    assert found.command.name == path


ALONE = {"status", "doctor", "plan", "copies list", "data list", "policy", "reports"}
"""What changes nothing, and needs no more than a swarm and a bucket."""


@pytest.mark.parametrize(
    "example",
    [example for path, example in examples() if path in ALONE and not {"--second", "--fix"} & {*example.split()}],
)
def test_an_example_works(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        monkeypatch.setattr(console, "_settings", lambda *_: scene.settings)
        done = RUN.invoke(app, words_of(example))
    assert done.exit_code in {0, 3}, done.output
    pages = [word for word in words_of(example) if word.endswith(".html")]
    assert [page for page in pages if "<!DOCTYPE html>" not in (tmp_path / page).read_text()] == []
    assert {file.name for file in tmp_path.iterdir()} == set(pages)
    assert not done.stderr.startswith("Usage")
