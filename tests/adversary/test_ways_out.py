"""Somebody whose text is shown: a host name, a key in S3, an error of an engine, the output of a command on a node.

Whatever the text and whichever way it leaves, no terminal obeys it, no line hides or turns around, and it becomes no markup.
"""

import ast
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pulumi
import pytest
import typer
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from rich.markdown import Markdown

from components import hooks, progress
from recovery.agent import __main__ as agent
from recovery.agent.config import Config
from recovery.agent.state import State
from recovery.cli import console, job
from recovery.cli.interrupt import Ending
from recovery.cli.screen import Screen
from recovery.errors import CommandFailed
from recovery.node.local import Local
from recovery.node.shell import said
from recovery.operations import notify, report
from recovery.operations.notify import Event, Subject
from recovery.operations.page import markdown as page
from recovery.pipeline.picture import Resources, consent, failed, issue, preview
from tests.adversary.hostile import WORDS
from tests.layers import ROOT, modules
from tests.unit import factories as make
from tests.unit.operations.test_report import RESTORED, told
from tests.unit.pipeline.test_picture import all_lost
from tests.unit.test_plain import FORBIDDEN

ATTACK = (
    "\x1b]0;owned\x07\x1b[2J\u202egnp\x9b1A\r[x](http://b) <img src=x> **b** `c` | @all\nSTOPPED: no\n  next: rm -rf /"
)
OURS = "\u200b"
"""What a comment on a forge has on purpose: it keeps a name from being called."""
texts = st.one_of(WORDS, st.text(alphabet=st.sampled_from((*sorted(FORBIDDEN), *"\na[]()<>*_`|@#&:x")), max_size=40))


def update(text: str) -> str:
    """What an update prints itself, as a step goes on."""
    with redirect_stderr(io.StringIO()) as out:
        progress.say(text)
    return out.getvalue()


def pulumi_log(text: str) -> str:
    """What an update hands to Pulumi: lines, warnings, what a hook tells of a failure, and the error that ends it."""
    out: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for level in ("info", "warn", "error"):
            patch.setattr(pulumi.log, level, out.append)
        patch.setattr(hooks.lifecycle, "explain", lambda *_, **__: (text,))
        progress.note(text)
        progress.warn(text)
        (explain,) = hooks.on_error(make.settings()).on_error or ()  # type: ignore[arg-type]
        explain(pulumi.ErrorHookArgs("", "", "", ""))  # type: ignore[operator, arg-type]
        with pytest.raises(SystemExit):
            progress.stop(CommandFailed(text, text, remedy=text, node=text, code="command-failed"))
    assert len(out) == 4
    return "\n".join(out)


def terminal(text: str) -> str:
    """What a command prints: lines, pages, errors."""
    out = Screen(width=200)
    out.file = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "out", out)
        patch.setattr(console, "err", out)
        console.show([text])
        console.say(text)
        out.print(Markdown(page.as_markdown(spoilt(text))))
        with pytest.raises(typer.Exit):
            console.fail(CommandFailed(text, text, remedy=text, node=text, code="command-failed"))
    return out.file.getvalue()


def question(text: str) -> str:
    """What a command asks before the first change."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.setattr(sys, "stdin", io.StringIO("y\n"))
        console.agree(text, yes=False)
    return out.getvalue()


def interrupted(text: str) -> str:
    with redirect_stderr(io.StringIO()) as out:
        Ending(text).tell()
    return out.getvalue()


def agents_journal(text: str) -> str:
    """What an agent prints, which systemd keeps."""

    class Round:
        current = State(faults={"copy": text})
        state = current

        def __init__(self, *_: object) -> None: ...

        def run(self) -> int:
            return 1

    with pytest.MonkeyPatch.context() as patch, redirect_stderr(io.StringIO()) as out:
        patch.setattr("recovery.agent.run.Run", Round)
        assert agent._copy(Config.__new__(Config)) == 1
    return out.getvalue()


def document(text: str) -> str:
    """What a program reads: JSON in ASCII, from which it gets the text as it is."""
    with redirect_stdout(io.StringIO()) as out:
        console.print_json({"why": text})
    shown = out.getvalue()
    assert shown.isascii()
    assert json.loads(shown)["why"] == text
    return shown


def notification(text: str) -> str:
    """The body for the services, with the format that keeps them from reading markup in it."""
    sent: list[dict[str, Any]] = []

    class Services:
        def notify(self, **what: Any) -> bool:
            sent.append(what)
            return True

    class Opened:
        settings = make.settings(notify={"urlsFile": "/none"})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notify, "_services", lambda _: Services())
        assert notify._send(Opened(), Subject.BACKUP, Event.FAILED, text, print)  # type: ignore[arg-type]
    assert sent[0]["body_format"] == "text"
    return str(sent[0]["body"])


def spoilt(text: str) -> dict[str, Any]:
    """A report in which every text is this one, but for times."""

    def every(value: Any, name: str = "") -> Any:
        if isinstance(value, Mapping):
            return {key: every(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [every(one) for one in value]
        return text if isinstance(value, str) and name not in TIMES else value

    made: dict[str, Any] = every(report.as_json(told(*RESTORED), "20260102T030405000006Z"))
    return {**made, "unsigned": text, "next": [{"command": text, "why": text}]}


TIMES = ("began", "notBefore", "notAfter", "at")


def forge(text: str) -> str:
    """Comments, issues and requests, and the summary of a job where there is no forge."""
    now = all_lost()
    plan = replace(now.plan, copy=text)
    spoilt = replace(now, lines=(text,), refusal=text, faults=(text,), plan=plan, stack=text)
    spoilt = replace(spoilt, guidance=replace(now.guidance, command=text, meaning=text))
    resources = Resources({text: 1}, ((text, text, text),), ())
    bodies = (
        preview(spoilt, resources, ""),
        preview(spoilt, Resources(fault=(text,)), ""),
        failed(text, text, ""),
        issue(spoilt, text)[1],
        consent(spoilt, "")[1],
    )
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        for body in bodies:
            job.Job(Path()).summarize(body)
    return out.getvalue().replace(OURS, "")


def stored_page(text: str) -> str:
    """The page of a report beside its JSON in S3."""
    return page.as_markdown(spoilt(text))


WAYS: dict[str, Callable[[str], str]] = {
    way.__name__: way
    for way in (
        update, pulumi_log, terminal, question, interrupted, agents_journal, document, notification, forge, stored_page,
    )
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@given(text=texts)
@example(text=ATTACK)
def test_no_way_out_lets_a_text_command_a_terminal_or_hide(way: str, text: str) -> None:
    assert not FORBIDDEN & {*WAYS[way](text)}


class Tags(HTMLParser):
    """The elements that a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


@given(text=texts)
@example(text=ATTACK)
def test_no_text_becomes_a_link_a_picture_or_html_on_a_page(text: str) -> None:
    fence = re.compile(r"^(`{3,})\w*$.*?^\1$", re.M | re.S)
    for shown in (fence.sub("", forge(text)), stored_page(text)):
        outside = re.sub(r"(?<!\\)`[^`\n]*`", "", shown)
        assert Tags(re.sub(r"\\<", "", outside)).found <= {"details", "summary"}
        assert not re.search(r"(?<!\\)\]\(", outside)


@given(text=texts)
@example(text=ATTACK)
def test_no_output_of_a_node_makes_a_line_of_its_own_in_an_error(text: str) -> None:
    assert "\n" not in said(text)
    shell = Local(make.settings().node("manager-a"))
    with pytest.raises(CommandFailed) as failed_:
        shell.run(["sh", "-c", 'printf "%s" "$1" >&2; exit 1', "sh", text.replace("\0", "")])
    told = [line for line in str(failed_.value).splitlines() if line.lstrip().startswith(("next:", "STOPPED"))]
    assert told == ["  next: on the node: journalctl -u requorum-copy"]


COMMANDS = ("set-output", "set-env", "save-state", "add-mask", "add-path", "error", "group", "stop-commands", "debug")
BEFORE = ("", " ", "\t", "\xa0", "\n", "\n  ", "x " * 99, "x" * 200, "\x1b[0m", "\u202e", "see ")
FORMS = ("::{} name=plan::", "::{}::", ":\u200b:{}::", "##[{}]", "see ##[{} name=plan]", "#\x1b[m#[{}]")
commands = st.builds(
    lambda before, form, name, after: before + form.format(name) + after,
    st.sampled_from(BEFORE),
    st.sampled_from(FORMS),
    st.sampled_from(COMMANDS),
    st.sampled_from(("r0", "", "\n::error::two")),
)


def obeyed(output: str) -> list[str]:
    """The lines that a runner obeys (actions/runner, ActionCommand.cs): the name begins the line, or is in brackets anywhere."""
    name = "|".join(COMMANDS)
    command = re.compile(rf"\s*::({name})( .*)?::|.*##\[({name})( .*)?\]", re.I)
    return [line for line in output.split("\n") if command.match(line)]


def test_a_runner_obeys_each_of_them() -> None:
    assert all(obeyed(form.format("add-mask")) for form in FORMS if form.isprintable())


@pytest.mark.parametrize("way", WAYS)
@given(text=commands)
@example(text="::set-output name=plan::r0123456789abcdef")
@example(text="x" * 200 + "::set-output name=plan::r0123456789abcdef")
@example(text="see ##[add-mask]quorum")
def test_no_text_commands_the_runner_of_a_job(way: str, text: str) -> None:
    assert not obeyed(WAYS[way](text))


SPEAKS = {
    "__main__": (),
    "components.hosts.driver": ("print",),
    "components.progress": ("print", "pulumi.log"),
    "recovery.agent.__main__": ("print",),
    "recovery.agent.watch": ("print",),
    "recovery.cli.asking": ("typer.prompt",),
    "recovery.cli.console": ("print", "typer.confirm"),
    "recovery.cli.copies": ("typer.prompt",),
    "recovery.cli.init": ("typer.confirm",),
    "recovery.cli.interrupt": ("print",),
    "recovery.cli.job": ("print",),
    "recovery.cli.live": ("print",),
    "recovery.cli.metrics": ("print",),
    "recovery.cli.reports": ("print",),
    "recovery.cli.rescue": ("typer.prompt",),
    "recovery.cli.s3": ("print",),
    "recovery.cli.screen": ("Console",),
    "recovery.cli.show.dashboard": ("print",),
    "recovery.error_codes": ("print",),
}
"""Every module that writes to people otherwise than through the screen, and how. Each is one of the ways above, or says only
what is Requorum's own: versions, policies, codes, questions."""
MOUTHS = ("print", "pulumi.log", "typer.confirm", "typer.prompt", "typer.echo", "typer.secho", "Console", "sys.stdout.write", "sys.stderr.write", "warnings.warn")  # fmt: skip


def mouths(file: Path) -> Iterator[str]:
    """The calls in a file that write to people."""
    for node in ast.walk(ast.parse(file.read_text())):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        yield from (mouth for mouth in MOUTHS if name == mouth or name.startswith(f"{mouth}."))
        if isinstance(node, ast.ClassDef):
            yield from (mouth for mouth in MOUTHS for base in node.bases if ast.unparse(base) == mouth)


def test_nobody_else_writes_to_people() -> None:
    files: Sequence[tuple[str, Path]] = [*modules(), ("__main__", ROOT / "__main__.py")]
    found = {name: tuple(sorted({*mouths(file)})) for name, file in files if not name.startswith("recovery.onnode")}
    assert {name: said for name, said in found.items() if said} == {name: said for name, said in SPEAKS.items() if said}


def test_an_alert_says_only_what_labels_of_names_say() -> None:
    rules = yaml.safe_load((ROOT / "docs/alerts.yml").read_text())["groups"][0]["rules"]
    inserted = {found for rule in rules for found in re.findall(r"{{(.*?)}}", json.dumps(rule["annotations"]))}
    assert len(rules) > 5
    assert inserted <= {f" $labels.{name} " for name in ("cluster", "manager", "node", "data", "site")}
