"""What `requorum doctor --fix` does: it shows, asks, and carries out what one finding names, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery.cli import app, console
from recovery.cli import doctor as command
from recovery.errors import CommandFailed, SettingError, Silent, TransportError
from recovery.node.shell import Output
from recovery.operations import doctor
from recovery.planning.diagnosis import Kind as DiagnosisKind
from recovery.planning.findings.finding import NO_QUORUM_LEFT, Finding, Kind, Proposal, Remedy, Run, on_node
from recovery.swarm.client import DOCKER
from recovery.swarm.evidence import Disk, Taking
from tests.fake.cases import Case, Theatre
from tests.fake.wires import Wires, wired
from tests.unit.planning.findings.looks import look

PRUNE = Run("worker-1", ("docker", "image", "prune", "--all", "--force"))
NAME = "disk-low@worker-1:/"


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wires]:
    """A healthy swarm on the fake, whose worker-1 has a low disk."""
    with wired() as made:
        scene = Theatre(made).stage(Case(3, frozenset()))
        monkeypatch.setattr(console, "_settings", lambda *_: scene.settings)
        low = look("worker-1", disks=(Disk("/", 100 << 30, 1 << 30, takes=(Taking("images", 5 << 30),)),))
        monkeypatch.setattr(doctor.evidence, "gather", lambda _: (low,))
        yield made


@pytest.fixture
def ran(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """The commands that ran on nodes in place of a repair."""
    found: list[tuple[str, tuple[str, ...]]] = []
    run = wires.shell.run

    def note(machine: Any, argv: Any, *rest: Any) -> Output:
        if "prune" not in argv and "false" not in argv:
            return run(machine, argv, *rest)
        found.append((machine.name, tuple(argv)))
        return Output(b"freed 5 GiB\n", "no such thing", 1 if "false" in argv else 0)

    monkeypatch.setattr(wires.shell, "run", note)
    return found


def requorum(*words: str, answer: str = "") -> Any:
    return CliRunner().invoke(app, list(words), input=answer)


def test_nothing_is_carried_out_unasked(ran: list[Any]) -> None:
    done = requorum("doctor")
    assert done.exit_code == 3
    assert f"[{NAME}]" in done.stdout
    assert "on worker-1: docker image prune --all --force" in done.stdout
    assert requorum("doctor", "--json").exit_code == 3
    assert ran == []


@pytest.mark.parametrize(("answer", "words"), [("n\n", ()), ("", ())], ids=["no", "nobody answers"])
def test_a_repair_is_shown_and_asked_about_first(ran: list[Any], answer: str, words: tuple[str, ...]) -> None:
    done = requorum("doctor", "--fix", NAME, *words, answer=answer)
    assert done.exit_code == 1
    assert "docker image prune --all --force" in done.stdout
    assert ran == []


def test_a_repair_runs_exactly_what_was_shown_with_the_nodes_own_engine(ran: list[Any]) -> None:
    done = requorum("doctor", "--fix", NAME, answer="y\n")
    assert done.exit_code == 0, done.output
    assert ran == [("worker-1", (*DOCKER, *PRUNE.argv[1:]))]
    assert "next: requorum doctor" in done.stdout


def test_yes_answers_the_question(ran: list[Any]) -> None:
    assert requorum("doctor", "--fix", NAME, "--yes").exit_code == 0
    assert len(ran) == 1


def test_a_finding_that_is_not_there_is_not_repaired(ran: list[Any]) -> None:
    done = requorum("doctor", "--fix", "disk-low@worker-2:/", "--yes")
    assert done.exit_code == 2
    assert f"name one of {NAME}" in done.stderr
    assert ran == []


def test_nothing_is_repaired_on_machines_that_may_be_of_another_swarm(
    wires: Wires, ran: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "UNDECIDED", frozenset(DiagnosisKind))
    assert f"[{NAME}]" not in requorum("doctor").stdout
    assert requorum("doctor", "--fix", NAME, "--yes").exit_code == 2
    assert ran == []


def test_a_repair_is_in_words(ran: list[Any]) -> None:
    done = requorum("doctor", "--fix", NAME, "--yes", "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (2, "bad-argument")
    assert ran == []


def test_after_a_command_that_fails_no_other_runs(wires: Wires, ran: list[Any]) -> None:
    from recovery.cluster import Cluster

    cluster = Cluster(console._settings("", None))
    proposal = on_node(Remedy.FREE, "", PRUNE, Run("worker-1", ("false",)), PRUNE)
    with pytest.raises(CommandFailed, match="Not run: on worker-1") as failed:
        doctor.carry_out(cluster, proposal, lambda _: 0, say=lambda _: None)
    assert failed.value.node == "worker-1"
    assert [argv[-1] for _, argv in ran] == ["--force", "false"]


def test_after_a_node_that_is_lost_in_the_midst_the_commands_that_did_not_run_are_told(
    wires: Wires, ran: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from recovery.cluster import Cluster

    def lost(*_: Any) -> Output:
        raise Silent(
            "running it", "no answer within 20 s", remedy="requorum status", node="worker-1", code="node-silent"
        )

    cluster = Cluster(console._settings("", None))
    monkeypatch.setattr(wires.shell, "run", lost)
    with pytest.raises(TransportError, match=r"no answer.*Not run: on worker-1: docker image prune") as failed:
        doctor.carry_out(cluster, on_node(Remedy.FREE, "", PRUNE, PRUNE), lambda _: 0, say=lambda _: None)
    assert failed.value.node == "worker-1"
    with pytest.raises(Silent):
        doctor.carry_out(cluster, on_node(Remedy.FREE, "", PRUNE), lambda _: 0, say=lambda _: None)


def test_a_command_of_requorum_among_others_stops_them_too(wires: Wires, ran: list[Any]) -> None:
    from recovery.cluster import Cluster

    cluster, given = Cluster(console._settings("", None)), []
    proposal = on_node(Remedy.VOLUME, "", Run("", ("requorum", "data", "take", "rows")), PRUNE)
    with pytest.raises(CommandFailed, match="exit status 3"):
        doctor.carry_out(cluster, proposal, lambda words: given.append(tuple(words)) or 3, say=lambda _: None)
    assert (given, ran) == ([("data", "take", "rows")], [])


@pytest.mark.parametrize(
    ("proposal", "why"),
    [
        (Proposal(Remedy.UPDATE, "pulumi up", ""), "a person must"),
        (Proposal(Remedy.RESTART, "requorum restart a", "", NO_QUORUM_LEFT), NO_QUORUM_LEFT),
    ],
)
def test_what_needs_a_person_is_refused_with_the_command(proposal: Proposal, why: str) -> None:
    with pytest.raises(SettingError, match=why) as refused:
        doctor.named((Finding("a", "is ill", (proposal,), Kind.UNHEALTHY),), "unhealthy@a")
    assert refused.value.code == "fix-by-hand"
    assert refused.value.remedy == proposal.command


def test_a_number_names_another_command_of_the_finding() -> None:
    first, second = on_node(Remedy.FREE, "one", PRUNE), on_node(Remedy.FREE, "two", PRUNE)
    found = Finding("a", "is ill", (first, second), Kind.UNHEALTHY)
    assert doctor.named((found,), "unhealthy@a") == (found, first)
    assert doctor.named((found,), "unhealthy@a#2") == (found, second)
    for wrong in ("#0", "#3", "#x", "#-1"):
        with pytest.raises(SettingError, match="no finding"):
            doctor.named((found,), f"unhealthy@a{wrong}")


def test_a_command_of_requorum_runs_as_itself(ran: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    proposal = Proposal(Remedy.RESTART, "requorum restart worker-1", "restarts the engine")
    monkeypatch.setattr(command.findings, "judge", lambda *_: (Finding("worker-1", "is ill", (proposal,)),))
    monkeypatch.setattr(command, "requorum", lambda words: given.append(words) or 0)
    assert requorum("doctor", "--fix", "unhealthy@worker-1", "--yes", "--stack", "x").exit_code == 0
    assert given == [["restart", "worker-1", "--yes", "--stack", "x"]]
