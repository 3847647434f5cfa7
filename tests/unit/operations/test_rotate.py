"""Rotations of join tokens, the unlock key and the CA: what counts as done, what is refused, and what a killed run leaves."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import ProofFailed, Refused, SettingError
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.operations import lifecycle, rotate, rotate_ca
from recovery.swarm import rotation
from recovery.swarm.key_file import PREFIX, UnlockKey
from recovery.swarm.machines import Role
from recovery.swarm.rotation import CaRotation
from tests.fake.cases import Case, Theatre, quiet
from tests.fake.wires import Killed, Moment, Strike, wired
from tests.unit import factories as make

S = make.settings()
OLD, NEW = make.ca_sha256(), "b" * 64


def key(number: int) -> UnlockKey:
    return UnlockKey(PREFIX + b64encode(bytes([number]) * 32).decode().rstrip("="))


# Join tokens


@pytest.mark.parametrize("role", ["worker", "manager"])
def test_the_old_token_no_longer_works_and_the_other_role_keeps_its_own(role: Role) -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        leader, cluster = scene.settings.managers[0], Cluster(scene.settings)

        def tokens() -> dict[str, str]:
            with Shell(leader, scene.settings.ssh) as shell:
                return {one: Engine(shell).join_token(one) for one in ("worker", "manager")}

        before, copied = tokens(), len(cluster.catalog().copies)
        rotate.rotate_token(cluster, role, say=quiet)
        after = tokens()
        assert {one for one in after if after[one] != before[one]} == {role}
        assert len(Cluster(scene.settings).catalog().copies) > copied, "an older copy would bring the old token back"


def test_a_token_that_stays_is_no_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "rotate_token", lambda *_: None)
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        with pytest.raises(ProofFailed) as failed:
            rotate.rotate_token(Cluster(scene.settings), "worker", say=quiet)
    assert failed.value.code == "rotation-unfinished"


def test_without_a_leader_nothing_is_rotated() -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset({"manager-a", "manager-b"})))
        done = len(wires.effects)
        with pytest.raises(Refused) as refused:
            rotate.rotate_token(Cluster(scene.settings), "worker", say=quiet)
        assert refused.value.code == "no-leader"
        assert len(wires.effects) == done


def test_a_killed_rotation_of_a_token_is_finished_by_the_next() -> None:
    with wired() as wires:
        scene = Theatre(wires).stage(Case(3, frozenset()))
        for at in (1, 2):
            wires.begin(Strike(at, Moment.KILLED))
            with pytest.raises(Killed):
                rotate.rotate_token(Cluster(scene.settings), "worker", say=quiet)
            wires.begin()
        rotate.rotate_token(Cluster(scene.settings), "worker", say=quiet)
        assert not wires.swarm.violations


# The unlock key


@dataclass
class Locked:
    """The engine of an autolocked swarm, and its escrow."""

    number: int = 1
    spec: dict[str, Any] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    autolocked: bool = True
    copies: int = 0

    def options(self) -> dict[str, Any]:
        return self.spec

    def unlock_key(self) -> UnlockKey:
        return key(self.number)

    def rotate_unlock_key(self) -> None:
        self.number, self.spec = self.number + 1, rotation.noted(self.spec)

    def end_rotation(self) -> None:
        self.spec = rotation.without_note(self.spec)

    def keep(self, kept: UnlockKey) -> None:
        self.kept.append(kept.fingerprint)


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Locked:
    made = Locked()

    @contextmanager
    def led(*_: Any) -> Iterator[tuple[Any, Locked]]:
        yield make.healthy(S), made

    def copy(*_: Any, **__: Any) -> None:
        made.copies += 1

    monkeypatch.setattr(rotate, "led", led)
    monkeypatch.setattr(rotate, "_uses", lambda *_: True)
    monkeypatch.setattr(lifecycle, "fresh_copies", copy)
    return made


def of(made: Locked) -> Any:
    return SimpleNamespace(settings=S, escrow=made)


def test_escrow_has_both_keys_before_the_rotation_counts(locked: Locked) -> None:
    made = rotate.rotate_unlock_key(of(locked), say=quiet)
    assert locked.kept == [key(1).fingerprint, key(2).fingerprint]
    assert made == key(2)
    assert (locked.copies, rotation.is_noted(locked.spec)) == (1, False)


def test_a_run_that_was_killed_before_escrow_had_the_key_is_finished_with_that_key(locked: Locked) -> None:
    locked.rotate_unlock_key()
    assert rotate.rotate_unlock_key(of(locked), say=quiet) == key(2)
    assert locked.kept == [key(2).fingerprint]
    assert not rotation.is_noted(locked.spec)


def test_a_manager_that_does_not_take_the_key_leaves_the_note(locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate, "_uses", lambda *_: False)
    monkeypatch.setattr(rotate, "RECOVERY_SECONDS", 0)
    with pytest.raises(ProofFailed) as failed:
        rotate.rotate_unlock_key(of(locked), say=quiet)
    assert failed.value.code == "rotation-unfinished"
    assert rotation.is_noted(locked.spec)


def test_a_swarm_without_autolock_has_no_key_to_rotate(locked: Locked) -> None:
    locked.autolocked = False
    with pytest.raises(Refused) as refused:
        rotate.rotate_unlock_key(of(locked), say=quiet)
    assert refused.value.code == "not-autolocked"
    assert locked.kept == []


# The CA


@dataclass
class Ca:
    """A swarm whose CA is rotated: how many looks the rotation takes, and which nodes are down."""

    looks: int = 2
    down: tuple[str, ...] = ()
    goes_on: bool = False
    ca: str = OLD
    copies: dict[str, str] = field(default_factory=lambda: {"manager-a": OLD, "manager-b": OLD, "manager-c": OLD})
    begun: int = 0
    spec: dict[str, Any] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)

    @property
    def survey(self) -> Any:
        seen = make.healthy(S)
        return replace(seen, reports=tuple(replace(report, ca_sha256=self.ca) for report in seen.reports))

    def options(self) -> dict[str, Any]:
        return self.spec

    def rotate_ca(self) -> None:
        self.begun, self.goes_on = self.begun + 1, True

    def rotated(self) -> CaRotation:
        entries = {member.hostname: member for member in make.members(S.nodes, leader="manager-a")}
        down = tuple(replace(entries[name], ready=False) for name in self.down if name not in self.gone)
        if self.goes_on and not down:
            self.looks -= 1
            if self.looks <= 0:
                self.goes_on, self.ca = False, NEW
        return CaRotation(self.goes_on, len(entries), self.down if self.goes_on else (), down)

    def newest_manifests(self) -> dict[str, Any]:
        return {name: SimpleNamespace(ca_sha256=ca) for name, ca in self.copies.items()}

    def backup(self, *_: Any, **__: Any) -> Iterator[Any]:
        for name in self.copies:
            self.copies[name] = self.ca
            yield SimpleNamespace(manager=name, error=None, manifest=SimpleNamespace(ca_sha256=self.ca, shortfall=""))


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> Ca:
    made = Ca()

    @contextmanager
    def led(*_: Any) -> Iterator[tuple[Any, Ca]]:
        yield made.survey, made

    monkeypatch.setattr(rotate_ca, "led", led)
    monkeypatch.setattr(rotate_ca, "leading", led)
    monkeypatch.setattr(rotate_ca, "PAUSE", 0)
    monkeypatch.setattr(rotate_ca, "stable_survey", lambda *_, **__: made.survey)
    monkeypatch.setattr(rotate_ca, "backup", made.backup)
    monkeypatch.setattr(rotate_ca, "remove", lambda _, node, *__, **___: made.gone.append(node.name))
    return made


def cluster_of(swarm: Ca, **changes: Any) -> Any:
    return SimpleNamespace(settings=S.model_copy(update=changes), catalog=lambda: swarm)


def test_a_rotation_counts_when_copies_under_the_new_ca_are_proven(swarm: Ca) -> None:
    told: list[str] = []
    done = rotate_ca.rotate(cluster_of(swarm), (), say=told.append)
    assert (done.sha256, done.copied) == (NEW, ("manager-a", "manager-b", "manager-c"))
    assert swarm.begun == 1
    assert any("of 5 nodes have a certificate of the new CA" in line for line in told)


@pytest.mark.parametrize("goes_on", [True, False], ids=["while it goes on", "before its copies"])
def test_a_rotation_that_was_killed_is_finished_and_none_is_begun(swarm: Ca, goes_on: bool) -> None:
    swarm.goes_on, swarm.ca, swarm.looks = goes_on, OLD if goes_on else NEW, 5
    assert "finish" in rotate_ca.check(cluster_of(swarm), ())[0]
    done = rotate_ca.rotate(cluster_of(swarm, ca_sha256=(OLD,)), (), say=quiet)
    assert (done.sha256, swarm.begun) == (NEW, 0)
    assert set(swarm.copies.values()) == {NEW}


def test_nodes_that_are_down_are_named_before_anything_happens(swarm: Ca) -> None:
    swarm.down = ("worker-1", "worker-2")
    with pytest.raises(Refused) as refused:
        rotate_ca.rotate(cluster_of(swarm), ("worker-1",), say=quiet)
    assert refused.value.code == "nodes-down"
    assert "worker-2" in refused.value.why
    assert "worker-1" not in refused.value.why
    assert "--without worker-2" in refused.value.remedy
    assert (swarm.begun, swarm.gone) == (0, [])


def test_a_node_that_is_given_up_leaves_first(swarm: Ca) -> None:
    swarm.down = ("worker-2",)
    assert "take worker-2 out of the swarm" in rotate_ca.check(cluster_of(swarm), ("worker-2",))
    rotate_ca.rotate(cluster_of(swarm), ("worker-2",), say=quiet)
    assert (swarm.gone, swarm.begun) == (["worker-2"], 1)


@pytest.mark.parametrize("name", ["worker-1", "nobody"])
def test_only_nodes_that_are_down_are_given_up(swarm: Ca, name: str) -> None:
    with pytest.raises(Refused) as refused:
        rotate_ca.rotate(cluster_of(swarm), (name,), say=quiet)
    assert refused.value.code == "not-down"
    assert (swarm.begun, swarm.gone) == (0, [])


def test_a_ca_that_the_stack_file_names_is_not_rotated(swarm: Ca) -> None:
    with pytest.raises(SettingError) as refused:
        rotate_ca.rotate(cluster_of(swarm, ca_sha256=(OLD,)), (), say=quiet)
    assert refused.value.code == "ca-pinned"
    assert swarm.begun == 0


def test_an_external_ca_is_not_rotated(swarm: Ca) -> None:
    swarm.spec = {"CAConfig": {"ExternalCAs": [{"Protocol": "cfssl", "URL": "https://ca.example.org"}]}}
    with pytest.raises(Refused) as refused:
        rotate_ca.rotate(cluster_of(swarm), (), say=quiet)
    assert refused.value.code == "ca-external"
    assert "https://ca.example.org" in refused.value.why
    assert swarm.begun == 0


def test_without_a_proven_copy_the_rotation_does_not_count(swarm: Ca, monkeypatch: pytest.MonkeyPatch) -> None:
    def backup(*_: Any, **__: Any) -> Iterator[Any]:
        for manifest in (
            SimpleNamespace(ca_sha256=NEW, shortfall="it was not restored"),
            SimpleNamespace(ca_sha256=OLD),
        ):
            yield SimpleNamespace(manager="manager-a", error=None, manifest=manifest)

    monkeypatch.setattr(rotate_ca, "backup", backup)
    with pytest.raises(ProofFailed) as failed:
        rotate_ca.rotate(cluster_of(swarm), (), say=quiet)
    assert failed.value.code == "rotation-unfinished"


def test_a_node_that_does_not_come_along_is_named(swarm: Ca, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate_ca, "SECONDS", 0)
    monkeypatch.setattr(swarm, "rotated", lambda: CaRotation(True, 5, ("worker-1",)))
    with pytest.raises(ProofFailed) as failed:
        rotate_ca.rotate(cluster_of(swarm), (), say=quiet)
    assert "worker-1" in failed.value.why
