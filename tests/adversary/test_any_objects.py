"""Whatever objects the agents' S3 key lays down: no genuine copy goes, the same copy is restored, every command ends as documented.

Their key also overwrites what its own managers stored (docs/decisions/024-an-agent-on-each-manager.md). Here each object is new.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from recovery import cli
from recovery.cluster import Cluster
from recovery.copies.copy import Copy, of
from recovery.copies.manifest import Proof, Verdict
from recovery.onnode.archive import CA, CERTIFICATE
from recovery.operations.assess import assess
from recovery.operations.prune import MANAGERS
from recovery.s3.keys import ARCHIVE, MANIFEST
from recovery.settings import Retention, Settings
from tests.adversary.hostile import BYTES, CODES, DEEP, JSON, LONG, WORDS
from tests.adversary.test_bucket_writer import MINE, own_swarm
from tests.fake.cases import Case, Theatre, names
from tests.fake.wires import Wires, wired
from tests.unit import factories as make

LATER = datetime.now(UTC) + timedelta(days=30)
"""When the rules judge the copies: none is within the grace period."""
COMMANDS = (
    ["status"], ["status", "--json"], ["plan"], ["doctor"], ["check"], ["metrics"], ["copies", "list", "--wide"],
    ["copies", "list", "--json"], ["copies", "verify"], ["copies", "prune", "--dry-run", "--wide"], ["data", "list"], ["reports"],
)  # fmt: skip
Objects = Mapping[str, bytes]


@dataclass(frozen=True)
class Stage:
    """A cluster whose managers are all lost, and whose worker knows the CA."""

    wires: Wires
    of: Settings
    genuine: Objects
    swarm: str
    """Its ID."""
    copy: str
    """What is restored."""
    kept: frozenset[Copy]
    """What the rules keep."""

    def under(self, objects: Objects) -> None:
        """Let somebody lay down these objects, as far as they are new."""
        self.wires.begin()
        self.wires.objects = {**objects, **self.genuine}


def kept(of: Settings) -> frozenset[Copy]:
    return frozenset(decision.copy for decision in MANAGERS.look(Cluster(of), LATER) if decision.keep)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset(names(3))))
        rules = Retention(last=1, daily=2, graceHours=1)
        of = scene.settings.model_copy(update={"backup": scene.settings.backup.model_copy(update={"retention": rules})})
        plan = assess(Cluster(of)).plan
        assert plan.copy
        assert not plan.refusal
        yield Stage(wires, of, dict(wires.objects), scene.cluster_id, plan.copy, kept(of))


def forged(
    of_: Settings, manager: str, hours: int, changes: Mapping[str, Any], cluster: str = make.CLUSTER
) -> dict[str, bytes]:
    """A "proven" copy under the forger's own CA, with any changes to its manifest, signed by the forger's own key."""
    own = own_swarm(manager, cluster)
    taken = datetime.now(UTC) - timedelta(hours=hours)
    made = make.manifest(
        manager,
        size=0,
        cluster=cluster,
        taken=taken,
        ca=own[CA].decode(),
        proof=Proof(Verdict.PROVEN, taken),
        ca_sha256=make.ca_sha256("forged"),
    )
    made = make.signed(made, certificate_=own[CERTIFICATE], key=MINE)
    key = of(made, of_.keys.root)
    return {
        key.key: b"",
        key.manifest_key: json.dumps({**made.to_dict(), **changes}).encode(),
    }


FIELDS = tuple(make.manifest().to_dict())


@st.composite
def objects(draw: st.DrawFn, stage: Stage) -> dict[str, bytes]:
    """A few objects under the keys that the nodes' policy allows (`recovery.s3.policy`)."""
    found: dict[str, bytes] = {}
    of_, swarm = stage.of, st.sampled_from((stage.swarm, make.CLUSTER))
    managers = [manager.name for manager in of_.managers]
    for _ in range(draw(st.integers(1, 4))):
        manager = draw(st.sampled_from(managers))
        match draw(st.sampled_from(("forged", "changed", "junk", "key", "turn"))):
            case "forged":
                found |= forged(of_, manager, draw(st.integers(-9, 9000)), {}, draw(swarm))
            case "changed":
                changes = draw(st.dictionaries(st.sampled_from(FIELDS), JSON, min_size=1, max_size=3))
                found |= forged(of_, manager, draw(st.integers(-9, 9000)), changes, draw(swarm))
            case "junk":
                stamp = draw(
                    st.sampled_from(("20260102T030405000000Z", "99991231T235959000000Z", "", "00010101T000000000000Z"))
                )
                name = f"{of_.keys.copies_of(manager)}swarm-{draw(WORDS)}-{manager}-{stamp}"
                found |= {name + ARCHIVE: draw(BYTES), name + MANIFEST: draw(BYTES)}
            case "key":
                found[f"{of_.keys.unlock_keys}{draw(WORDS)}.age"] = draw(BYTES)
            case _:
                found[draw(st.sampled_from((of_.keys.agents_mark, of_.keys.agents_lease)))] = draw(BYTES)
    return found


def holds(stage: Stage, laid: Objects) -> None:
    stage.under(laid)
    plan = assess(Cluster(stage.of)).plan
    assert (plan.copy, plan.refusal) == (stage.copy, None)
    assert kept(stage.of) >= stage.kept


@settings(max_examples=12)
@given(data=st.data())
def test_the_same_copy_is_restored_and_no_genuine_one_goes(stage: Stage, data: st.DataObject) -> None:
    holds(stage, data.draw(objects(stage)))


@pytest.mark.whole
@settings(max_examples=300)
@given(data=st.data())
def test_so_it_is_for_many_objects(stage: Stage, data: st.DataObject) -> None:
    holds(stage, data.draw(objects(stage)))


def test_a_copy_under_a_strange_ca_is_exempt_from_nothing_if_it_is_named(stage: Stage) -> None:
    laid = forged(stage.of, "manager-a", 0, {}, stage.swarm)
    name = next(key for key in laid if key.endswith(ARCHIVE)).rpartition("/")[2].removesuffix(ARCHIVE)
    stage.under(laid)
    named = stage.of.model_copy(update={"copy_from": name})
    plan = assess(Cluster(named)).plan
    assert plan.copy is None
    assert plan.refusal
    assert plan.refusal.code == "no-good-copy"
    assert "its CA is not the swarm's" in plan.refusal.why


def test_with_nobody_alive_who_knows_the_ca_only_the_plans_id_consents() -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset(names(3))))
        wires.swarm.lose("worker-1")
        wires.swarm.machines.pop(str(scene.settings.node("worker-1").address))
        wires.swarm.make("worker-1", str(scene.settings.node("worker-1").address), marked="lab")
        own = forged(scene.settings, "manager-a", 0, {}, scene.cluster_id)
        wires.objects = {**wires.objects, **own}
        flagged = scene.settings.model_copy(update={"recover": True})
        for typed in (False, True):
            plan = assess(Cluster(flagged), typed=typed).plan
            assert plan.refusal
            assert plan.refusal.consent
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cli.console, "_settings", lambda *_: flagged)
            done = CliRunner().invoke(cli.app, ["recover", "--yes"])
        assert done.exit_code == 1
        assert "code: consent-needed" in done.output
        assert not wires.swarm.lives()
        pinned = flagged.model_copy(update={"ca_sha256": (make.ca_sha256(scene.cluster_id),)})
        assert not assess(Cluster(pinned), typed=True).plan.refusal, "the stack file names the CA"


def labels(metrics: str) -> set[str]:
    """The values of the labels that alerts show."""
    samples = (sample for family in text_string_to_metric_families(metrics) for sample in family.samples)
    return {value for one in samples for name, value in one.labels.items() if name in ("cluster", "manager", "data")}


def ends_as_documented(stage: Stage, laid: Objects, words: list[str]) -> None:
    stage.under(laid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.console, "_settings", lambda *_: stage.of)
        done = CliRunner().invoke(cli.app, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in CODES
    assert not {"\x1b", "\u202e", "\x9b", "\x07"} & {*done.output}
    if words == ["metrics"]:
        assert labels(done.output) == {stage.of.cluster, *(node.name for node in stage.of.managers)}


@settings(max_examples=12)
@given(data=st.data())
def test_every_command_ends_as_documented(stage: Stage, data: st.DataObject) -> None:
    ends_as_documented(stage, data.draw(objects(stage)), data.draw(st.sampled_from(COMMANDS)))


@pytest.mark.whole
@settings(max_examples=200)
@given(data=st.data())
def test_so_it_does_for_many_objects(stage: Stage, data: st.DataObject) -> None:
    ends_as_documented(stage, data.draw(objects(stage)), data.draw(st.sampled_from(COMMANDS)))


@pytest.mark.parametrize(
    "content",
    [DEEP, LONG, b"[]", b"null", b'{"format": 4}'],
    ids=["nested", "5 MiB", "a list", "null", "empty"],
)
def test_a_manifest_that_is_none_is_its_own_copys_fault_and_is_named(stage: Stage, content: bytes) -> None:
    name = f"{stage.of.keys.copies_of('manager-a')}swarm-28-manager-a-20260102T030405000000Z"
    laid = {name + ARCHIVE: b"", name + MANIFEST: content}
    holds(stage, laid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.console, "_settings", lambda *_: stage.of)
        listed = CliRunner().invoke(cli.app, ["copies", "list"])
    assert listed.exit_code == 0
    assert "manager-a@2026-01-02T03:04:05: not a manifest" in listed.output


def test_a_copy_under_a_strange_ca_is_strange_wherever_it_is_shown(stage: Stage) -> None:
    laid = forged(stage.of, "manager-a", 0, {}, stage.swarm)
    holds(stage, laid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.console, "_settings", lambda *_: stage.of)
        shown = {" ".join(words): CliRunner().invoke(cli.app, words).output for words in COMMANDS}
    (strange,) = (one for one in json.loads(shown["copies list --json"])["copies"] if one.get("strange"))
    assert strange["proof"] is None
    assert "strange" in shown["copies list --wide"]
    assert "its CA is not the swarm's" in shown["copies prune --dry-run --wide"]
    assert 'requorum_copies{cluster="lab",manager="manager-a",verdict="proven"} 1.0' in shown["metrics"]
