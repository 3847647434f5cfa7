"""What is wrong and what to run next, in the same words in every command."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from recovery import cli
from recovery.cli import doctor as doctor_command
from recovery.cluster import Cluster
from recovery.copies.copy import TIME
from recovery.errors import StoreError
from recovery.node.signing import Kind as Object
from recovery.operations import unfinished
from recovery.operations.assess import UNCHANGED, assess
from recovery.operations.lifecycle import fresh_copies
from recovery.operations.recover import recover_all
from recovery.planning.guidance import PROVE
from recovery.steps import journal
from recovery.steps.entry import PLAN
from tests.fake.cases import Case, Scene, Theatre, names, quiet
from tests.fake.wires import cluster, wired
from tests.unit import factories as make

Run = Callable[..., Any]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Case], tuple[Scene, Run]]]:
    with wired() as wires:

        def staged(case: Case) -> tuple[Scene, Run]:
            scene = Theatre(wires).stage(case)
            settings = scene.settings.model_copy(update={"recover": False})
            monkeypatch.setattr(cli.console, "_settings", lambda *_: settings)
            return scene, lambda *words, **given: CliRunner().invoke(cli.app, words, **given)

        yield staged


def next_lines(text: str) -> list[str]:
    """The lines with the next command."""
    return [line.lstrip("├└─│ ") for line in text.splitlines() if line.lstrip("├└─│ ").startswith("next: ")]


ALL = frozenset(names(3))
LOSSES = [ALL, ALL - {"manager-c"}, frozenset({"manager-c"})]


@pytest.mark.parametrize("lost", LOSSES, ids=["all", "two", "one"])
def test_every_command_says_the_same(stage: Any, lost: frozenset[str]) -> None:
    scene, run = stage(Case(3, lost))
    found = assess(Cluster(scene.settings)).guidance(scene.settings)
    told = [run(*words) for words in (("status",), ("doctor",), ("plan",), ("recover",))]
    for done in told:
        assert found.state in done.stdout.splitlines()[0]
        assert found.sentence in done.stdout
        assert found.meaning in done.stdout
    status, doctor, plan, recover = (next_lines(done.output) for done in told)
    assert doctor == plan == [f"next: {found.command}"]
    assert recover == [], "it asks, so nobody has to run anything else"
    assert status == (["next: requorum plan"] if len(lost) > 1 else plan)
    documents = [json.loads(run(command, "--json").stdout) for command in ("status", "doctor", "plan")]
    assert {one["next"] for one in documents[1:]} == {found.command}
    assert {(one["state"], one["sentence"], one["meaning"]) for one in documents} == {
        (found.state, found.sentence, found.meaning)
    }
    if len(lost) > 1:
        assert found.command == f"pulumi up --config recover={documents[2]['id']}"


def test_the_loss_of_an_only_node_is_recovered_without_pulumi(monkeypatch: pytest.MonkeyPatch) -> None:
    """No living node confirms the CA of its copies. Either the stack file does, or the plan's ID consents."""
    with wired() as wires:
        of = make.settings(1, workers=[], recover=False)
        cluster(wires, of)
        recover_all(Cluster(of), assess(Cluster(of)), say=quiet)
        fresh_copies(Cluster(of), say=quiet)
        wires.swarm.lose("manager-a")
        for _ in range(3):
            wires.swarm.pass_time()
        del wires.swarm.machines[str(of.managers[0].address)]
        wires.swarm.make("manager-a", str(of.managers[0].address), marked="lab")

        def run(**given: Any) -> Any:
            monkeypatch.setattr(cli.console, "_settings", lambda *_: of.model_copy(update=given))
            return CliRunner().invoke(cli.app, ["recover"], input="n\n")

        refused = run()
        plan = re.findall(r"^this is plan (r[0-9a-f]{16})$", refused.stdout, re.MULTILINE)[0]
        assert "code: consent-needed" in refused.stderr
        assert next_lines(refused.stderr) == [
            f"next: set requorum:recover: {plan} in the stack file, then: requorum recover"
        ]
        assert "carry out this plan. Continue?" in run(recover=plan).stdout
        assert "carry out this plan. Continue?" in run(ca_sha256=(make.ca_sha256(wires.swarm.founded[0]),)).stdout


def test_a_refused_plan_is_shown_once_above_the_only_error(stage: Any) -> None:
    _, run = stage(Case(3, ALL))
    done = run("plan")
    assert done.exit_code == 1
    assert "1. manager-a: " in done.stdout
    assert re.search(r"^this is plan (r[0-9a-f]{16})$", done.stdout, re.MULTILINE)
    assert "STOPPED" not in done.stdout
    first, following, code = done.stderr.splitlines()
    assert first.startswith("STOPPED: ")
    assert first.endswith(UNCHANGED)
    assert (following.split()[0], code.split()) == ("next:", ["code:", "consent-needed"])


def test_doctor_names_the_recovery_before_any_node(stage: Any) -> None:
    _, run = stage(Case(3, ALL - {"manager-c"}))
    lines = run("doctor").stdout.splitlines()
    assert next(line for line in lines[1:] if "pulumi up" in line or "requorum" in line).startswith("next: pulumi up")


def test_doctor_goes_on_where_the_recovery_cannot_be_assessed(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = stage(Case(3, ALL))

    def fail(_: Cluster) -> Any:
        raise StoreError("listing", "it cannot be reached", remedy="start it")

    monkeypatch.setattr(doctor_command, "assess", fail)
    done = run("doctor")
    assert done.exit_code == 4
    assert next_lines(done.stdout) == ["next: requorum plan"]


def test_a_swarm_that_is_well_has_no_next_command(stage: Any) -> None:
    _, run = stage(Case(3, frozenset()))
    for command in ("status", "doctor"):
        assert json.loads(run(command, "--json").stdout)["state"] == "healthy"


def test_a_run_without_a_report_is_told_first(stage: Any) -> None:
    scene, run = stage(Case(3, frozenset()))
    cluster = Cluster(scene.settings)
    journal.begin(cluster, PLAN, "lab", quiet)
    assert json.loads(run("status", "--json").stdout)["sentence"] == "all 3 managers are healthy"
    with journal.step(cluster, "join", "manager-b", quiet):
        pass
    for command in ("status", "doctor", "plan"):
        document = json.loads(run(command, "--json").stdout)
        assert document["sentence"].startswith("the run that began at ")
        assert document["next"] == PROVE


def test_a_step_is_unfinished_until_a_report_is_newer(stage: Any) -> None:
    scene, _ = stage(Case(3, frozenset()))
    cluster = Cluster(scene.settings)

    def begun() -> Any:
        return unfinished.begun(cluster, cluster.catalog())

    journal.begin(cluster, PLAN, "lab", quiet)
    assert begun() is None
    first = journal.begin(cluster, "force", "manager-a", quiet)
    second = journal.begin(cluster, "join", "manager-b", quiet)
    assert begun() == first.begun
    for moment, left in ((second.begun, second.begun), (datetime.now(UTC), None)):
        key = f"{scene.settings.keys.reports}{moment.strftime(TIME)}.json"
        cluster.store.put(key, b"{}")
        assert begun() is not None, "a report that no operator signed ends nothing"
        cluster.store.put(key, cluster.operators.sign(Object.REPORT, key, {}))
        assert begun() == left
