"""The pages: what they answer, what they show of each state, and that nobody's text is more than text."""

import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from recovery.errors import LocalError
from recovery.operations.page import month, report, status, theme
from recovery.operations.page.parts import called, fitted, sentence
from recovery.operations.page.words import duration
from recovery.whole_file import save
from tests.unit.operations.page import samples

PAGES: dict[str, Callable[[], str]] = {
    **{name: lambda made=made: status.page(made()) for name, made in (samples.PAGES | samples.LARGE).items()},
    **{name: lambda made=made: report.page(made()) for name, made in samples.REPORTS.items()},
    **{name: lambda made=made: month.page(made()) for name, made in samples.MONTHS.items()},
    "hostile month": lambda: month.page(samples.hostile(samples.month())),
    "hostile status": lambda: status.page(samples.hostile(samples.silent())),
    "hostile report": lambda: report.page(samples.hostile(samples.resumed())),
}
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """The texts, tags and attributes of a page, in which every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.answers: list[list[str]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if ("class", "answer") in [(name, (value or "").split(" ")[0]) for name, value in attrs]:
            self.answers.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data
        if self.answers and "dl" in self.open and data.strip():
            self.answers[-1].append(data.strip())


ANSWERS: dict[str, list[str]] = {
    "healthy": ["Yes: healthy", "Nothing", status.WELL, "4 min (manager-eu-1a, proven)", "Nothing"],
    "silent": [
        "Yes: 2 of 3 managers",
        "Nothing is known to be lost",
        "The swarm works. It has no manager to spare: if it loses one more, the quorum is lost",
        "4 min (manager-eu-1a, proven)",
        "docker start manager-eu-1c (docker unpause, where one is paused), wait 60 s, then: requorum status",
    ],
    "total loss": [
        "No: all lost",
        "manager-eu-1a, manager-eu-1b, manager-eu-1c",
        "Containers that run go on running. Nothing can be changed: no task is moved or replaced, and no service is updated",
        "4 min (manager-eu-1a, proven)",
        "requorum plan",
    ],
    "recovery": [
        "Yes: proven, 1 warning",
        "manager-eu-1a, manager-eu-1b, manager-eu-1c",
        "The swarm was restored from a copy",
        "3:25 min",
        "requorum status",
    ],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_five_questions_are_answered_first(name: str) -> None:
    read = Reader(PAGES[name]())
    assert [answer[1] for answer in read.answers] == ANSWERS[name]
    assert read.text.rindex(ANSWERS[name][-1], 0, read.text.index("Nodes by zone")) > 0


MONTHS = {
    "month": [
        "99.996 % of the time that was watched",
        "95 s",
        "45 h (manager-eu-1a, proven)",
        "1 of 3 did not",
        "1, each with its proof",
    ],
    "quiet month": ["Not known", "Not known", "There was no proven copy", "There was none", "None"],
}


@pytest.mark.parametrize("name", MONTHS)
def test_the_five_questions_of_an_auditor_are_answered_first(name: str) -> None:
    read = Reader(PAGES[name]())
    assert [answer[1] for answer in read.answers] == MONTHS[name]


def test_only_the_whole_of_a_time_is_all_of_it() -> None:
    assert [month.share(of) for of in (1, 0.9999999, 0.5)] == ["100 %", "99.999 %", "50.000 %"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_loads_and_runs_nothing(name: str) -> None:
    page = PAGES[name]()
    read = Reader(page)
    assert not {"script", "img", "iframe", "link", "object", "form", "base"} & set(read.tags)
    names = {attribute for attribute, _ in read.attributes}
    assert not {"style", "src", "href", "xlink:href", "action"} & names
    assert not [one for one in names if one.startswith("on")]
    (policy,) = (value for name, value in read.attributes if name == "content" and value and "default-src" in value)
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("name", ["hostile status", "hostile report", "hostile month"])
def test_what_others_wrote_is_text(name: str) -> None:
    page = PAGES[name]()
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20
    assert "{{ 7*7 }}" in page


def test_a_cluster_without_a_proven_copy_says_so() -> None:
    found = samples.document([*map(samples.make.gone, samples.S.managers)], copies=False)
    read = Reader(status.page(found))
    assert read.answers[3] == ["How old is the copy?", "There is no proven copy", "There is no copy"]
    unproven = {**found, "nodes": [{**node, "lastCopyAge": 240} for node in found["nodes"]]}
    assert "The newest copy is 4 min old, and not proven" in Reader(status.page(unproven)).text
    unread = Reader(status.page({**found, "storeError": "listing: it does not answer"}))
    assert unread.answers[3][1] == "Not known"
    assert "Requorum cannot list the copies: listing: it does not answer" in unread.text


def test_what_is_not_seen_is_no_loss_and_no_quorum_is_claimed() -> None:
    found = {**samples.silent(), "quorum": None, "exitCode": 5, "state": "not seen from here"}
    read = Reader(status.page(found))
    assert read.answers[0][1] == "Not known: not seen from here"
    assert "votes" not in read.text


def test_a_report_of_an_earlier_version_or_that_nobody_signed_is_shown() -> None:
    old = samples.recovery()
    for key in ("nodes", "loss", "outage", "consent", "next"):
        del old[key]
    old["rpo"] = {"seconds": 300, "entries": None}
    read = Reader(report.page({**old, "unsigned": "no signature"}))
    assert "An earlier version wrote this report, without the zones." in read.text
    assert "No operator vouches for this report: no signature" in read.text
    assert read.answers[4][1] == "Nothing"
    assert read.answers[3][1:] == ["5:00 min", "the age of the restored copy"]


def test_a_forced_survivor_and_a_kept_quorum_are_told_apart() -> None:
    forced = {**samples.recovery(), "copy": None, "survivor": "manager-eu-1b"}
    forced["rpo"] = {"seconds": None, "entries": 3, "lossSeconds": None, "lossAtMost": None}
    answers = Reader(report.page(forced)).answers
    assert answers[2][1] == "A new cluster was forced from manager-eu-1b"
    assert answers[3] == ["What may be missing?", "Up to 3 log entries whose commit was never confirmed"]
    kept = {**forced, "survivor": None, "lost": [], "losses": []}
    answers = Reader(report.page(kept)).answers
    assert (answers[1][1], answers[2][1]) == ("Nothing", "The quorum was kept")


def test_before_the_first_update_nothing_is_lost() -> None:
    read = Reader(status.page(samples.absent()))
    assert [answer[1] for answer in read.answers[:3]] == [
        "No: not founded yet",
        "Nothing",
        "Nothing runs yet, and nothing is lost",
    ]
    assert "manager, in no swarm" in read.text
    assert "votes" not in read.text


def test_a_copy_over_the_limit_is_not_marked_as_fine() -> None:
    page = status.page(samples.old())
    assert '<div class="answer other"><dt>How old is the copy?' in page
    assert "The oldest of the managers: 9 d (manager-eu-1a). Your limit: at most 26 h old" in Reader(page).text
    assert '<div class="answer fine"><dt>How old is the copy?' in status.page(samples.healthy())


def test_no_manager_is_said_to_be_without_a_copy_if_nobody_can_list_them() -> None:
    bare = [{**node, "lastProvenCopyAge": None} for node in samples.healthy()["nodes"]]
    unread = Reader(status.page({**samples.healthy(), "nodes": bare, "storeError": "it does not answer"}))
    assert "copies unknown" in unread.text
    assert "no proven copy" not in unread.text
    assert "none" not in unread.text
    assert "no proven copy" in Reader(status.page({**samples.healthy(), "nodes": bare})).text


def test_warnings_come_before_the_nodes_and_what_is_to_say_of_a_node_after_its_state() -> None:
    found = samples.healthy()
    kept = {"before": "active", "until": "2026-01-02T05:00:00+00:00", "over": False}
    nodes = [{**node, "maintenance": kept, "drift": "a rule more"} for node in found["nodes"][:1]]
    page = status.page({**found, "warnings": ["two machines are one"], "nodes": [*nodes, *found["nodes"][1:]]})
    read = Reader(page)
    assert read.answers[2][1] == status.WARNED
    assert page.index("two machines are one") < page.index("Nodes by zone")
    assert "drain, maintenance until 2026-01-02 05:00:00 UTC, drift: a rule more" in read.text


@pytest.mark.parametrize("kind", ["forked", "foreign"])
def test_a_leader_of_unclear_machines_does_not_make_the_cluster_up(kind: str) -> None:
    read = Reader(status.page({**samples.healthy(), "diagnosis": kind, "state": kind}))
    assert read.answers[0][1] == f"Not known: {kind}"


def test_many_workers_that_stand_alike_are_one_box_and_the_table_names_each() -> None:
    page = status.page(samples.many())
    assert page.count('viewBox="0 0 280 70"') == 7 + 3 + 1
    assert 'aria-label="10 workers: ready"' in page
    assert 'aria-label="worker-28: worker, silent"' in page
    rows = re.findall(r'<th scope="row">((?:manager|worker)-\d+)</th>', page)
    assert (len(rows), rows[0]) == (36, "worker-28"), "what is not well comes first"


def test_a_swarm_that_is_new_was_not_recovered() -> None:
    page = report.page(samples.founded())
    read = Reader(page)
    assert "<h1>Founding of cluster production</h1>" in page
    assert read.answers[2][1] == "The swarm was founded"
    assert "leader, is new" in read.text
    assert "was kept" not in read.text
    changed = {**samples.recovery(), "lost": [], "copy": None, "diagnosis": None}
    assert "<h1>Change of cluster production: Changed</h1>" in report.page(changed)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0 s"),
        (0, "0 s"),
        (119.94, "119.9 s"),
        (125, "2:05 min"),
        (3599.6, "1:00:00 h"),
        (93600.0, "26:00:00 h"),
    ],
)
def test_a_long_time_is_shown_in_minutes_or_hours(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("text", "shown"), [("worker-1: down", "worker-1: down"), ("all down", "All down"), ("", "")])
def test_a_name_at_the_beginning_of_a_sentence_stays_as_it_is(text: str, shown: str) -> None:
    assert sentence(text) == shown


def test_templates_are_loaded_only_for_a_page() -> None:
    program = "import sys, recovery.cli.status, recovery.cli.reports; sys.exit('jinja2' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_every_colour_can_be_read_on_every_ground(colours: dict[str, str]) -> None:
    """WCAG AA: 4.5 for text. Nothing is told by its colour alone, so colours need not differ from each other."""
    for ground, ink in product(theme.GROUNDS, theme.INKS):
        dark, bright = sorted((luminance(colours[ground]), luminance(colours[ink])))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ground, ink)
    used = set(re.findall(r"var\(--(\w+)\)", theme._style()))
    assert used <= colours.keys()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("manager-a", "manager-a"), ("a" * 9, "a" * 9), ("a" * 12, "a" * 8 + "…"), ("漢" * 9, "漢漢漢…"), ("", "")],
)
def test_a_text_is_cut_to_what_fits(text: str, shown: str) -> None:
    assert fitted(text, 9) == shown


def test_long_names_that_differ_at_their_ends_are_not_the_same() -> None:
    assert called("a" * 40 + "-1", 11) == "aaaaa…aa-1"
    assert called("manager-a", 11) == "manager-a"
    names = re.findall(r'<text class="name"[^>]*>([^<]*)<', status.page(samples.long_names()))
    assert len(set(names)) == len(names) == 6


def test_a_page_gets_into_its_file_in_one_moment_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    save(file, "old")
    save(file, "new")
    assert file.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(LocalError) as refused:
        save(tmp_path / "none" / "page.html", "x")
    assert refused.value.code == "disk-failed"


@pytest.mark.parametrize("kind", [status.page, report.page])
@pytest.mark.parametrize("document", [{}, {"cluster": 1}, {"nodes": None}, {"nodes": [1]}])
def test_a_document_that_is_none_raises_what_reading_json_may_raise(kind: Any, document: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        kind(document)
