"""`requorum status NODE`: one node in detail, also one that cannot be asked."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from recovery.cli import app, console
from recovery.cli.screen import Screen
from recovery.cli.show.node import detail
from recovery.survey.load import ContainerLoad, NodeLoad
from tests.fake.cases import Case, Theatre
from tests.fake.wires import wired
from tests.unit.cli.watched import status

BUSY = NodeLoad(3.5, 4, 8 << 30, 100 << 20, 1 << 40, 1 << 39, (ContainerLoad("web.1\x1b[31m", 99.5, 12.0),))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        monkeypatch.setattr(console, "_settings", lambda *_: scene.settings)
        yield scene


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["status", *words])


def test_one_node_is_shown_with_its_load_and_the_others_are_not(asked: object) -> None:
    shown = run("manager-a").stdout
    for words in ("manager-a of cluster", "0.10 on 2 processors", "1,000 MiB free of 2,000", "3,000 MiB free of 4,000"):
        assert words in shown
    assert "manager-b" not in shown


def test_its_json_is_that_of_the_status_and_its_load(asked: object) -> None:
    found = json.loads(run("manager-b", "--json").stdout)
    (listed,) = (one for one in json.loads(run("--json").stdout)["nodes"] if one["name"] == "manager-b")
    assert found.keys() == {"version", "cluster", "taken", "load", *listed}
    assert {key: found[key] for key in ("name", "address", "state", "role")} == {
        key: listed[key] for key in ("name", "address", "state", "role")
    }
    assert found["load"]["processors"] == 2


@pytest.mark.parametrize("words", [("manager-z",), ("manager-a", "--html", "-"), ("manager-a", "--watch")])
def test_what_is_no_node_or_is_of_all_nodes_is_refused(words: tuple[str, ...], asked: object) -> None:
    assert run(*words).exit_code == 2


def test_what_is_short_is_red_and_a_container_says_only_text() -> None:
    now = status("healthy")
    screen = Screen(width=100)
    with screen.capture() as shown:
        screen.print(detail(now, now.nodes[0], BUSY))
    assert "100 MiB free of 8,192" in shown.get()
    assert "99.5 %" in shown.get()
    assert "\x1b[31m" not in shown.get()


def test_a_node_that_cannot_be_asked_is_shown_without_a_load() -> None:
    now = status("lost")
    screen = Screen(width=100)
    with screen.capture() as shown:
        screen.print(detail(now, now.nodes[0], None))
    assert "not known: the node cannot be asked" in shown.get()
