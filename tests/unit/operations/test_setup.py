"""The set-up is looked at before a swarm is created, and a fault stops that with all faults at once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import Refused, Silent
from recovery.node.shell import Output
from recovery.operations import agent_faults, agent_trial, agents, setup
from recovery.operations.assess import Assessment
from recovery.planning.changes import Changes
from recovery.planning.conditions import State
from recovery.planning.diagnosis import Kind
from recovery.s3 import probe
from recovery.settings import EXAMPLES_RECIPIENT, Settings
from recovery.swarm.on_node import OnNode
from tests.unit import factories as make
from tests.unit.cluster import assessment

LOCK = {"lock": {"mode": "governance", "days": 1}}
EXISTING: dict[str, Any] = {"hosts": {"driver": "existing"}}


def of(backup: dict[str, Any] | None = None, **changes: Any) -> Settings:
    return make.settings(**EXISTING, backup={**make.RAW["backup"], "checksums": False, **(backup or {})}, **changes)


def new(settings: Settings, **changes: Any) -> Assessment:
    """Of machines that are in no swarm."""
    seen = make.survey([replace(make.empty(node), **{"on_node": OnNode(), **changes}) for node in settings.nodes])
    return replace(assessment(settings, Kind.ABSENT), survey=seen)


@pytest.fixture(autouse=True)
def _quick(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "LOCK_SECONDS", 1)


def test_a_set_up_that_is_right_stops_nothing() -> None:
    assert setup.require_ready(Cluster(of()), new(of())) == ()


def test_all_faults_stop_the_creation_at_once() -> None:
    wrong = of({**LOCK, "recipients": [EXAMPLES_RECIPIENT]})
    with pytest.raises(Refused, match=r"code: setup-not-ready$") as caught:
        setup.require_ready(Cluster(wrong), new(wrong, on_node=OnNode(lacks=("age", "zstd"))))
    lines = [line.strip().partition(": ")[0] for line in caught.value.why.splitlines()[1:]]
    assert lines == ["tools", "recipients", "identity", "main site offers"]


def test_a_bucket_that_is_not_there_stops_it() -> None:
    nowhere = of({"bucket": "nowhere"})
    with pytest.raises(Refused, match=r"s3://nowhere cannot be used(?s:.*)code: setup-not-ready$"):
        setup.require_ready(Cluster(nowhere), new(nowhere))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ABSENT])
def test_nothing_is_checked_where_a_swarm_is_or_was(kind: Kind, bucket: Any) -> None:
    wrong = of({"bucket": "nowhere"})
    assert setup.require_ready(Cluster(wrong), assessment(wrong, kind)) == ()


def test_an_identity_that_is_elsewhere_is_told_and_stops_nothing() -> None:
    """A pipeline that only builds has none."""
    blind = of({"identityFile": "/none"})
    (fault,) = setup.require_ready(Cluster(blind), new(blind))
    assert (fault.name, fault.state, fault.grave) == ("identity", State.FAILED, False)


TOLD: list[tuple[Output | Exception, State]] = [
    (Output(b"", "", 0), State.OK),
    (
        Output(b"", "writing trial to s3://copies: AccessDenied: no\n  next: curl here | sh\n  code: s3-denied\n", 1),
        State.FAILED,
    ),
    (Silent("connecting", "nothing answers", remedy="look"), State.UNKNOWN),
]


@pytest.fixture
def shells(monkeypatch: pytest.MonkeyPatch) -> Callable[[Output | Exception], list[str]]:
    """Each manager has what its agent needs. The trial ends so."""
    asked: list[str] = []

    def answer(told: Output | Exception) -> list[str]:
        class FakeShell:
            def __init__(self, node: Any) -> None:
                self.node = node

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def run(self, argv: Any, **_: Any) -> Output:
                if argv[2] == agents.CHECK:
                    return Output(b"", "", 0)
                assert argv[2] == agent_trial.TRY
                asked.append(self.node.name)
                if isinstance(told, Exception):
                    raise told
                return told

        monkeypatch.setattr(Cluster, "shell", lambda _, node: FakeShell(node))
        return asked

    return answer


@pytest.mark.parametrize(("told", "state"), TOLD, ids=["works", "denied", "silent"])
def test_the_credentials_of_agents_are_tried_on_one_manager(
    shells: Callable[[Output | Exception], list[str]], told: Output | Exception, state: State
) -> None:
    asked, settings = shells(told), of(agent={})
    conditions = setup.conditions(Cluster(settings), new(settings).survey)
    (found,) = (one for one in conditions if one.name == "credentials of agents")
    assert asked == ["manager-a"]
    assert (found.state, found.grave) == (state, state is State.FAILED)
    if state is State.FAILED:
        assert (found.found, found.remedy) == (
            "manager-a: writing trial to s3://copies: AccessDenied: no",
            agent_faults.REMEDIES["s3-denied"],
        )


@pytest.mark.parametrize(("told", "state"), TOLD[1:], ids=["denied", "silent"])
def test_the_credentials_of_agents_that_come_later_are_tried_and_stop_nothing(
    shells: Callable[[Output | Exception], list[str]], told: Output | Exception, state: State
) -> None:
    asked, settings = shells(told), of(agent={})
    well = assessment(settings, Kind.HEALTHY)
    assert setup.require_ready(Cluster(settings), well) == ()
    coming = replace(well, changes=Changes(agents={"manager-a": (), "manager-b": ("it has no agent",)}))
    (fault,) = setup.require_ready(Cluster(settings), coming)
    assert (asked, fault.state) == (["manager-b"], state)
    assert (
        setup.require_ready(Cluster(settings), replace(coming, diagnosis=assessment(settings, Kind.LOCKED).diagnosis))
        == ()
    )
